"""Postfix's texts by kind and next hop, in the forms that its daemons write; and the queue at a glance."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.postfix import queue_summary
from mailseal.postfix.queue_mails import Awaiting, QueuedMail
from mailseal.postfix.queue_reasons import WORDS, Wait, WaitKind, why
from mailseal.postfix.queue_summary import ELSEWHERE, QueueFilter, summary_of

OURS = frozenset({"lmtp-authorised", "lmtp-outside"})
AT = datetime(2026, 11, 30, 2, 40, tzinfo=UTC)
REFUSED = "connect to mx.out.example[192.0.2.1]:25: Connection refused"


def mail(*reasons, queue="deferred", sender="anna@alpha.example", at=AT, address="bob@out.example", name="4first"):
    return QueuedMail(queue, name, at, 214, sender, tuple(Awaiting(address, one) for one in reasons))


@pytest.mark.parametrize(
    ("text", "kind", "next_hop"),
    [
        ("", WaitKind.NOT_TRIED, ""),
        (REFUSED, WaitKind.UNREACHABLE, "mx.out.example"),
        ("connect to 127.0.0.1[127.0.0.1]:2: Connection refused", WaitKind.UNREACHABLE, "127.0.0.1:2"),
        ("connect to mx.x.example[2001:db8::1]:25: Network is unreachable", WaitKind.UNREACHABLE, "mx.x.example"),
        (f"delivery temporarily suspended: {REFUSED}", WaitKind.UNREACHABLE, "mx.out.example"),
        (
            "connect to gw.test[mailseal/lmtp-authorised]: No such file or directory",
            WaitKind.MAILSEAL_AWAY,
            "Mailseal",
        ),
        ("connect to gw.test[/run/m/lmtp-outside]: Connection refused", WaitKind.MAILSEAL_AWAY, "Mailseal"),
        (
            "host gw.test[mailseal/lmtp-outside] said: 451 4.3.0 cannot process this now (in reply to end of DATA)",
            WaitKind.MAILSEAL,
            "Mailseal",
        ),
        ("lost connection with gw.test[mailseal/lmtp-outside] while sending", WaitKind.MAILSEAL_AWAY, "Mailseal"),
        (
            "host mx.out.example[192.0.2.1] said: 450 4.2.0 Greylisted (in reply to RCPT TO command)",
            WaitKind.TOLD_LATER,
            "mx.out.example",
        ),
        ("host mx.out.example[192.0.2.1] refused to talk to me: 421 busy", WaitKind.TOLD_LATER, "mx.out.example"),
        ("host mx.out.example[192.0.2.1] said: 454 TLS is not available", WaitKind.TOLD_LATER, "mx.out.example"),
        ("lost connection with mx.out.example[192.0.2.1] while receiving", WaitKind.LOST, "mx.out.example"),
        ("conversation with mx.out.example[192.0.2.1] timed out while", WaitKind.LOST, "mx.out.example"),
        (
            "Host or domain name not found. Name service error for name=out.example type=MX: Host not found, try again",
            WaitKind.NO_ADDRESS,
            "out.example",
        ),
        ("unable to look up host mx.out.example: Name or service not known", WaitKind.NO_ADDRESS, "out.example"),
        (
            "TLS is required, but was not offered by host mx.out.example[192.0.2.1]",
            WaitKind.TLS,
            "mx.out.example",
        ),
        ("TLS is required, but our TLS engine is unavailable", WaitKind.TLS, "out.example"),
        (
            "TLS is required, but host mx.out.example[192.0.2.1] refused to start TLS: 454 no",
            WaitKind.TLS,
            "mx.out.example",
        ),
        ("Cannot start TLS: handshake failure", WaitKind.TLS, "out.example"),
        ("Server certificate not verified", WaitKind.TLS, "out.example"),
        ("TLSA lookup error for mx.out.example:25", WaitKind.TLS, "out.example"),
        ("non DNSSEC destination", WaitKind.TLS, "out.example"),
        (
            "SASL authentication failed; server relay.example[192.0.2.9] said: 535 no",
            WaitKind.LOGIN,
            "relay.example",
        ),
        ("address resolver failure", WaitKind.UNANSWERED, "out.example"),
        ("client TLS configuration problem", WaitKind.UNANSWERED, "out.example"),
        ("4.3.0 Temporary lookup failure", WaitKind.UNANSWERED, "out.example"),
        ("mail transport unavailable", WaitKind.LOCAL, "out.example"),
        ("452 4.3.1 Insufficient system storage", WaitKind.LOCAL, "out.example"),
        ("something new", WaitKind.OTHER, "out.example"),
    ],
)
def test_kinds(text, kind, next_hop):
    one = mail(text)
    assert why(one, one.recipients[0], OURS) == Wait(kind, next_hop, text)


def test_what_is_held_is_held_whatever_kept_it_before():
    one = mail(REFUSED, queue="hold")
    assert why(one, one.recipients[0], OURS).kind is WaitKind.HELD


def test_every_kind_has_words():
    assert set(WORDS) == set(WaitKind)


@given(st.text(max_size=5000))
def test_any_text_has_a_kind(text):
    one = mail(text)
    assert why(one, one.recipients[0], OURS).kind in WaitKind


def test_a_summary_counts_recipients_by_reason_and_next_hop():
    old = AT - timedelta(hours=5)
    summary = summary_of(
        [
            mail(REFUSED, REFUSED, "host mx.out.example[192.0.2.1] said: 450 later"),
            mail(REFUSED, at=old),
            mail("", queue="active", at=old - timedelta(hours=1)),
        ],
        OURS,
    )
    assert summary.mails == {"deferred": 2, "active": 1}
    assert summary.recipients.total() == 5
    assert summary.oldest == old
    first, *others = summary.groups()
    assert (first.kind, first.next_hop, first.recipients, first.mails, first.oldest) == (
        WaitKind.UNREACHABLE, "mx.out.example", 3, 2, old,
    )  # fmt: skip
    assert {one.kind for one in others} == {WaitKind.TOLD_LATER, WaitKind.NOT_TRIED}


def test_strangers_cannot_make_a_summary_grow_for_ever(monkeypatch):
    monkeypatch.setattr(queue_summary, "MAX_GROUPS", 3)
    mails = [mail("something", address=f"x@d{number}.example") for number in range(10)]
    groups = {one.next_hop: one.recipients for one in summary_of(mails, OURS).groups()}
    assert groups == {"d0.example": 1, "d1.example": 1, "d2.example": 1, ELSEWHERE: 7}


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, 2),
        ({"queue": "deferred"}, 2),
        ({"queue": "hold"}, None),
        ({"sender": "ANNA@alpha.example"}, 2),
        ({"sender": "alpha.example"}, 2),
        ({"sender": "@alpha.example"}, 2),
        ({"sender": "pha.example"}, None),
        ({"sender": "<>"}, None),
        ({"recipient": "bob@OUT.example"}, 2),
        ({"recipient": "eve@out.example"}, None),
        ({"reason": "unreachable"}, 1),
        ({"reason": "connection REFUSED"}, 1),
        ({"reason": "said: later"}, 1),
        ({"reason": "greylisted"}, 1),
        ({"reason": "tls"}, None),
        ({"reason": "unreachable", "recipient": "in.example"}, None),
    ],
)
def test_what_is_meant(wanted, fits):
    one = mail(REFUSED, "host mx.out.example[192.0.2.1] said: 450 Greylisted")
    found = QueueFilter(**wanted).meant(one, OURS)
    assert (found and len(found.recipients)) == fits


def test_mail_of_the_null_sender_and_without_recipients():
    assert QueueFilter(sender="<>").meant(mail("", sender=""), OURS)
    assert QueueFilter().meant(mail(), OURS)
    assert QueueFilter(reason="x").meant(mail(), OURS) is None
