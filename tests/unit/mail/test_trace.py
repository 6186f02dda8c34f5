from datetime import UTC, datetime

import pytest

from mailseal.mail.address import Address
from mailseal.mail.envelope import Client, Envelope, Origin, Protocol, Recipient, Tls, attempt_id
from mailseal.mail.message import Message, with_crlf
from mailseal.mail.mime import parse
from mailseal.mail.reply import ACCEPTED, DEFERRED, NOT_PROTECTED, Reply
from mailseal.mail.trace import hop_count, received_field

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOB = Recipient(Address.parse("bob@b.example"))


def envelope(**changes) -> Envelope:
    values = {"sender": Address.parse("a@a.example"), "recipients": (BOB,), "origin": Origin.OUTSIDE, **changes}
    return Envelope(**values)


def test_received_field():
    client = Client("192.0.2.7", "mail.a.example", "helo.a.example")
    assert received_field(envelope(client=client), "gw.b.example", "0190-abc", AT) == (
        b"Received: from helo.a.example (mail.a.example [192.0.2.7])\r\n"
        b"\tby gw.b.example (Mailseal) with LMTP id 0190-abc;\r\n"
        b"\tSun, 01 Mar 2026 12:00:00 +0000\r\n"
    )


def test_received_field_holds_nothing_a_client_made_up():
    client = Client("2001:db8::1", None, "evil\r\nBcc: x@y.example (" + "x" * 1000)
    field = received_field(envelope(client=client, protocol=Protocol.ESMTP, smtputf8=True), "gw", "id", AT)
    assert field.count(b"\r\n") == 3
    assert b"(unknown [IPv6:2001:db8::1])" in field
    assert b"with UTF8SMTP id" in field
    assert b"bob" not in field
    assert max(map(len, field.split(b"\r\n"))) < 998
    root = parse(field + b"A: b\r\n\r\n").root
    assert [found.name for found in root.fields] == ["received", "a"]


@pytest.mark.parametrize(
    ("protocol", "smtputf8", "keyword"),
    [
        (Protocol.ESMTP, False, b"ESMTPS"),
        (Protocol.LMTP, False, b"LMTPS"),
        (Protocol.ESMTP, True, b"UTF8SMTPS"),
        (Protocol.LMTP, True, b"UTF8LMTPS"),
    ],
)
def test_received_over_tls(protocol, smtputf8, keyword):
    tls = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
    field = received_field(envelope(protocol=protocol, smtputf8=smtputf8, tls=tls), "gw", "id", AT)
    assert b"\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits))\r\n\tby gw" in field
    assert b" with %s id " % keyword in field


def test_hop_count():
    assert hop_count(parse(b"Received: a\r\nreceived: b\r\n c\r\nX-Received: d\r\n\r\nReceived: e").root) == 2


def test_attempt_is_the_same_for_fewer_recipients_and_differs_for_other_mails():
    message = Message(b"A: b\r\n\r\n")
    first = attempt_id(envelope(queue_id="Q1"), message)
    assert len(first) == 32
    assert first == attempt_id(envelope(queue_id="Q1", recipients=(BOB, BOB)), message)
    others = [
        attempt_id(envelope(queue_id="Q2"), message),
        attempt_id(envelope(queue_id="Q1", sender=None), message),
        attempt_id(envelope(queue_id="Q1", client=Client("192.0.2.1")), message),
        attempt_id(envelope(queue_id="Q1"), Message(b"A: c\r\n\r\n")),
    ]
    assert len({first, *others}) == 5


def test_line_ends_of_files():
    assert with_crlf(b"a\nb\r\nc\rd\n\n") == b"a\r\nb\r\nc\rd\r\n\r\n"
    clean = b"a\r\nb\r\n"
    assert with_crlf(clean) is clean


def test_replies():
    assert ACCEPTED.line() == b"250 2.0.0 accepted\r\n"
    assert Reply(220, "", "ready").line() == b"220 ready\r\n"
    assert [(reply.accepted, reply.deferred, reply.refused) for reply in (ACCEPTED, DEFERRED, NOT_PROTECTED)] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    assert len(Message(b"abc")) == 3
