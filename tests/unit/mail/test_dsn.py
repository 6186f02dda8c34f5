from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given

from mails import messages
from mailseal.mail.address import Address
from mailseal.mail.dsn import MAX_QUOTED_HEADER_BYTES, ReportError, cut_to_headers, status_report
from mailseal.mail.envelope import Client, Envelope, Origin, Protocol, Recipient
from mailseal.mail.mime import parse
from mailseal.mail.outgoing import needs_seven_bit
from mailseal.mail.reply import NOT_PROTECTED, NOTIFIED, Reply

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOB = Recipient(Address.parse("bob@b.example"), orcpt="rfc822;Bob+2Bx@b.example")
UWE = Recipient(Address.parse("üwe@b.example"))


def report(
    raw: bytes, *, sender="anna@a.example", recipients=None, relayed=(), hostname="gw.example", **changes
) -> bytes:
    address = None if sender is None else Address.parse(sender)
    failed = [(BOB, NOT_PROTECTED, "no certificate for bob@b.example")] if recipients is None else recipients
    envelope = Envelope(address, tuple(item[0] for item in (*failed, *relayed)), Origin.AUTHORISED, **changes)
    root = parse(raw).root
    return status_report(envelope=envelope, root=root, failed=failed, relayed=relayed, hostname=hostname, at=AT)


@given(messages)
def test_a_report_on_any_mail_is_well_formed_and_holds_no_body(raw):
    raw = raw.replace(b"\r\n\r\n", b"\r\n\r\nCANARY", 1)
    made = report(raw, recipients=[(BOB, NOT_PROTECTED, "no key"), (UWE, NOTIFIED, "weil schön\r\nBcc: x")])
    assert not needs_seven_bit(made)
    assert b"CANARY" not in made
    assert b"secret@d.example" not in made
    parsed = parse(made)
    assert parsed.fault is None
    assert parsed.root.closed
    kinds = [part.content_type.type for part in parsed.root.children]
    assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert message_from_bytes(made, policy=policy.default).get_content_type() == "multipart/report"


def test_report():
    raw = b"Message-ID: <1@a.example>\r\nBcc: c@c.example\r\nSubject: s\r\n\r\nbody"
    made = parse(report(raw, envid="QQ+3D1")).root
    assert made.header("to") == "anna@a.example"
    assert made.header("from") == "Mail Delivery System <MAILER-DAEMON@gw.example>"
    assert made.header("auto-submitted") == "auto-replied"
    assert made.header("references") == "<1@a.example>"
    assert made.content_type.parameters["report-type"] == "delivery-status"
    text, status, header = (part.decoded_body(10_000).decode() for part in made.children)
    assert "bob@b.example\r\n    no certificate for bob@b.example\r\n" in text
    assert "What you can do" in text
    assert status == (
        "Original-Envelope-Id: QQ=1\r\nReporting-MTA: dns; gw.example\r\n"
        "Arrival-Date: Sun, 01 Mar 2026 12:00:00 +0000\r\n\r\n"
        "Original-Recipient: rfc822;Bob+x@b.example\r\nFinal-Recipient: rfc822;bob@b.example\r\nAction: failed\r\n"
        f"Status: 5.7.1\r\nDiagnostic-Code: smtp; 550 5.7.1 {NOT_PROTECTED.text}\r\n"
    )
    assert header == "Message-ID: <1@a.example>\r\nSubject: s\r\n"


def test_addresses_that_are_not_ascii():
    made = report(b"\r\n", sender="änna@a.example", recipients=[(UWE, Reply(550, "", "no"), "")])
    root = parse(made).root
    assert root.header("to") == "=?utf-8?q?=C3=A4nna=40a=2Eexample?= :;"
    text, status, _ = (part.decoded_body(10_000).decode() for part in root.children)
    assert "üwe@b.example\r\n    no\r\n" in text
    assert "Final-Recipient: utf-8;\\x{FC}we@b.example\r\n" in status
    assert "Status: 5.0.0\r\nDiagnostic-Code: smtp; 550 no\r\n" in status


ORCPTS = [("utf-8;\\x{FC}we+@b", "utf-8;\\x{FC}we+@b"), ("RFC822;a+2Bb", "RFC822;a+b"), ("x400;a+0Ab", "x400;a?b")]


@pytest.mark.parametrize(("orcpt", "shown"), ORCPTS)
@pytest.mark.parametrize("smtputf8", [False, True])
def test_original_recipients(orcpt, shown, smtputf8):
    made = parse(
        report(b"\r\n", recipients=[(Recipient(BOB.address, orcpt=orcpt), NOT_PROTECTED, "")], smtputf8=smtputf8)
    )
    assert f"Original-Recipient: {shown}\r\n" in made.root.children[1].decoded_body(10_000).decode()


def test_the_form_for_internationalised_mail():
    """RFC 6533: its own types, addresses as they are; the body is still seven bits wide."""
    recipients = [(Recipient(UWE.address, orcpt="utf-8;ü\u2028we@b"), Reply(550, "5.1.1", "no"), "")]
    raw = "Subject: schön\r\n\r\nCANARY".encode()
    made = report(raw, sender="änna@a.example", recipients=recipients, smtputf8=True)
    header, _, body = made.partition(b"\r\n\r\n")
    assert "To: änna@a.example\r\n".encode() in header
    assert not needs_seven_bit(body)
    root = parse(made).root
    assert root.content_type.parameters["report-type"] == "global-delivery-status"
    kinds = [part.content_type.type for part in root.children]
    assert kinds == ["text/plain", "message/global-delivery-status", "message/global-headers"]
    _, status, quoted = (part.decoded_body(10_000).decode() for part in root.children)
    assert "Original-Recipient: utf-8;ü?we@b\r\nFinal-Recipient: utf-8;üwe@b.example\r\n" in status
    assert quoted == "Subject: schön\r\n"
    assert report(raw, recipients=recipients, smtputf8=True).partition(b"\r\n\r\n")[0].isascii()


def test_relayed():
    wishes = Recipient(BOB.address, notify="SUCCESS", orcpt=BOB.orcpt)
    made = parse(report(b"\r\n", recipients=[], relayed=[(wishes, Reply(250, "2.6.0", "queued as X"))], envid="E")).root
    assert made.header("subject") == "Your mail was sent on"
    text, status, _ = (part.decoded_body(10_000).decode() for part in made.children)
    assert "bob@b.example" in text
    assert "not sent" not in text
    assert status.endswith(
        "Original-Recipient: rfc822;Bob+x@b.example\r\nFinal-Recipient: rfc822;bob@b.example\r\nAction: relayed\r\n"
        "Status: 2.6.0\r\nDiagnostic-Code: smtp; 250 2.6.0 queued as X\r\n"
    )
    both = parse(
        report(b"\r\n", recipients=[(UWE, Reply(550, "2.0.0", "no"), "")], relayed=[(wishes, Reply(250, "", "ok"))])
    )
    status = both.root.children[1].decoded_body(10_000).decode()
    assert both.root.header("subject") == "Your mail could not be sent"
    assert [line for line in status.split("\r\n") if line.startswith(("Action", "Status"))] == [
        "Action: failed", "Status: 5.0.0", "Action: relayed", "Status: 2.0.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("mx.b.example", "mx.b.example"),
        ("192.0.2.1", "[192.0.2.1]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ("x\r\ny", "x?y"),
        ("", None),
    ],
)
def test_who_has_said_so(host, shown):
    """RFC 3461 §6.3 (h)."""
    said = (BOB, Reply(550, "5.1.1", "nobody here", remote=host), "")
    made = parse(report(b"\r\n", recipients=[said], relayed=[(UWE, Reply(250, "", "ok", remote=host))])).root
    status = made.children[1].decoded_body(10_000).decode()
    remote = "" if shown is None else f"Remote-MTA: dns; {shown}\r\n"
    assert f"Status: 5.1.1\r\n{remote}Diagnostic-Code: smtp; 550 5.1.1 nobody here\r\n" in status
    assert f"Status: 2.0.0\r\n{remote}Diagnostic-Code: smtp; 250 ok\r\n" in status


def test_a_name_that_is_not_in_the_dns_is_not_called_so():
    """RFC 3461 §6.3 (b)."""
    assert b"Reporting-MTA: x-local-hostname; gate\r\n" in report(b"\r\n", hostname="gate")


def test_where_the_mail_came_from():
    client = Client("192.0.2.7", "mail.a.example", "helo.a\r\n.example")
    smtp = {"client": client, "protocol": Protocol.ESMTP}
    assert b"\r\nReceived-From-MTA: dns; helo.a?.example (192.0.2.7)\r\n" in report(b"\r\n", **smtp)
    for other in ({"client": client}, {**smtp, "queue_id": "Q"}, {"protocol": Protocol.ESMTP}):
        assert b"Received-From-MTA" not in report(b"\r\n", **other)


def test_what_clients_and_peers_made_up_breaks_no_line():
    odd = Recipient(BOB.address, orcpt="rfc822;a+0D+0Ab\r\n")
    made = report(b"\r\n", recipients=[(odd, Reply(550, "5.1.1", "no\r\nX: y"), "why\r\n.\r\nX: z")], envid="+0A+FF")
    lines = made.split(b"\r\n")
    assert not any(line.startswith((b"X:", b".")) for line in lines)


def test_the_quoted_header_is_cut_after_whole_fields():
    raw = b"X-A: " + b"x" * 900 + b"\r\n"
    header = parse(report(raw * 100 + b"\r\n")).root.children[2].decoded_body(100_000)
    assert len(header) <= MAX_QUOTED_HEADER_BYTES
    assert header == raw * (MAX_QUOTED_HEADER_BYTES // len(raw))


def test_nobody_to_report_to():
    with pytest.raises(ReportError):
        report(b"\r\n", sender=None)
    with pytest.raises(ReportError):
        report(b"\r\n", recipients=[])


QUOTING = (
    b"From: MAILER-DAEMON\r\nContent-Type: multipart/report; boundary=r; report-type=delivery-status\r\n\r\n"
    b"--r\r\n\r\ntext\r\n--r\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n--r\r\n%s\r\n--r--\r\n"
)


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Type: message/rfc822\r\nContent-Description: x\r\n\r\nSubject: s\r\nBcc: b\r\n\r\nCANARY",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogcw0KDQpDQU5BUlk=",
        b"Content-Type: message/global\r\n\r\nSubject: s\r\n\r\nCANARY",
    ],
)
def test_a_quoted_mail_is_cut_to_its_header(part):
    raw = QUOTING % part
    chunks = cut_to_headers(parse(raw).root)
    assert chunks is not None
    cut = b"".join(bytes(chunk) for chunk in chunks)
    assert cut == QUOTING % b"Content-Type: text/rfc822-headers\r\n\r\nSubject: s\r\n"
    assert cut_to_headers(parse(cut).root) is None


@pytest.mark.parametrize("body", [b"\0", b"Subject: s\r\n" * 1001])
def test_a_quoted_mail_that_cannot_be_read_is_cut_away(body):
    chunks = cut_to_headers(parse(QUOTING % (b"Content-Type: message/rfc822\r\n\r\n" + body)).root)
    assert chunks is not None
    assert b"".join(bytes(chunk) for chunk in chunks) == QUOTING % b"Content-Type: text/rfc822-headers\r\n\r\n"


def test_a_report_that_cannot_be_told_apart_loses_its_body():
    raw = QUOTING % b"Content-Type: message/rfc822\r\nContent-Type: text/plain\r\n\r\nCANARY"
    parsed = parse(raw)
    assert parsed.fault is not None
    chunks = cut_to_headers(parsed.root)
    assert chunks is not None
    cut = b"".join(bytes(chunk) for chunk in chunks)
    assert b"CANARY" not in cut
    assert cut.startswith(b"From: MAILER-DAEMON\r\nContent-Type: text/plain\r\n\r\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: text/plain\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n--m--",
        QUOTING % b"Content-Type: text/rfc822-headers\r\n\r\nSubject: s",
    ],
)
def test_nothing_to_cut(raw):
    assert cut_to_headers(parse(raw).root) is None
