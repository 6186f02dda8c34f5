"""One reply for all recipients, and whom it is reported to."""

from dataclasses import replace

import pytest

from mailseal.mail import reply
from mailseal.mail.envelope import Protocol
from mailseal.mail.message import Message
from mailseal.pipeline.smtp_reply import Conclusion, conclude
from mailseal.policy.model import Fate, Outcome
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.text import render
from pki import NOW
from stage import envelope, mail

ANSWERS = {
    Fate.RELAYED: reply.ACCEPTED,
    Fate.NOTIFIED: reply.NOTIFIED,
    Fate.HELD: reply.HELD,
    Fate.DEFERRED: reply.OUT_OF_TIME,
    Fate.REFUSED: reply.NOT_PROTECTED,
}


def concluded(*fates: Fate, sender: str | None = "anna@inside.example", notify: str | None = None):
    to = envelope(*(f"r{n}@outside.example" for n in range(len(fates))), sender=sender, protocol=Protocol.ESMTP)
    to = replace(to, recipients=tuple(replace(one, notify=notify) for one in to.recipients))
    outcomes = [
        Outcome(recipient.address, fate, ANSWERS[fate]) for recipient, fate in zip(to.recipients, fates, strict=True)
    ]
    return conclude(to, Message(mail(body=b"CANARY")), outcomes, "gw.example", NOW)


@pytest.mark.parametrize(
    ("fates", "answer", "reported"),
    [
        ((Fate.RELAYED, Fate.RELAYED), reply.ACCEPTED, False),
        ((Fate.RELAYED, Fate.REFUSED, Fate.DEFERRED), reply.OUT_OF_TIME, False),
        ((Fate.REFUSED, Fate.REFUSED), reply.NOT_PROTECTED, False),
        ((Fate.REFUSED, Fate.RELAYED), reply.ACCEPTED, True),
        ((Fate.REFUSED, Fate.NOTIFIED), reply.NOTIFIED, True),
        ((Fate.HELD, Fate.HELD), reply.HELD, False),
        ((Fate.REFUSED, Fate.HELD), reply.HELD, True),
        ((Fate.HELD, Fate.RELAYED), reply.HELD, False),
        ((Fate.HELD, Fate.DEFERRED), reply.OUT_OF_TIME, False),
    ],
)
def test_table(fates, answer, reported):
    end = concluded(*fates)
    assert end.reply == answer
    assert (end.report is not None) == reported
    assert end.report is None or (b"CANARY" not in end.report and b"r0@outside.example" in end.report)


def test_a_report_says_nothing_of_what_was_found():
    to = envelope("a@outside.example", "b@outside.example", sender="eve@elsewhere.example", protocol=Protocol.ESMTP)
    found = because(ReasonCode.FINDING, name="Credit card", action="block", count=3)
    outcomes = [
        Outcome(to.recipients[0].address, Fate.REFUSED, reply.BLOCKED, reasons=(found,)),
        Outcome(to.recipients[1].address, Fate.RELAYED, reply.ACCEPTED),
    ]
    report = conclude(to, Message(mail()), outcomes, "gw.example", NOW).report
    assert b"5.7.1" in report
    assert b"may not be sent" in report
    assert b"Credit" not in report


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "SUCCESS,DELAY"])
def test_no_report_that_the_client_does_not_want(notify):
    assert concluded(Fate.REFUSED, Fate.RELAYED, notify=notify).report is None
    assert concluded(Fate.REFUSED, Fate.RELAYED, notify="SUCCESS,FAILURE").report is not None


def relayed_without_dsn(*notify: str | None, sender: str | None = "anna@inside.example", refuse: int | None = None):
    to = envelope(*(f"r{n}@outside.example" for n in range(len(notify))), sender=sender, protocol=Protocol.ESMTP)
    pairs = zip(to.recipients, notify, strict=True)
    to = replace(to, recipients=tuple(replace(one, notify=wish) for one, wish in pairs))
    reason = because(ReasonCode.RELAYED_WITHOUT_DSN, hop="outside")
    outcomes = [Outcome(one.address, Fate.RELAYED, reply.ACCEPTED, reasons=(reason,)) for one in to.recipients]
    if refuse is not None:
        outcomes[refuse] = Outcome(to.recipients[refuse].address, Fate.REFUSED, reply.NOT_PROTECTED)
    return conclude(to, Message(mail(body=b"CANARY")), outcomes, "gw.example", NOW)


def test_success_is_reported_where_the_next_hop_does_not():
    end = relayed_without_dsn("SUCCESS,FAILURE", None, "FAILURE", "NEVER")
    assert end.reply == reply.ACCEPTED
    assert end.report.count(b"Action: relayed") == end.report.count(b"Final-Recipient") == 1
    assert b"r0@outside.example" in end.report
    assert b"CANARY" not in end.report
    both = relayed_without_dsn("SUCCESS", "FAILURE", refuse=1).report
    assert (both.count(b"Action: relayed"), both.count(b"Action: failed")) == (1, 1)
    assert relayed_without_dsn(None, "NEVER", "DELAY").report is None
    assert relayed_without_dsn("SUCCESS", sender=None).report is None


def test_the_first_of_several_refusals_or_deferrals_is_the_reply():
    to = envelope("a@outside.example", "b@outside.example")
    for fate, first, second in (
        (Fate.REFUSED, reply.TOO_MANY_HOPS, reply.NOT_PROTECTED),
        (Fate.DEFERRED, reply.OUT_OF_TIME, reply.DEFERRED),
    ):
        pairs = zip(to.recipients, (first, second), strict=True)
        outcomes = [Outcome(one.address, fate, answer) for one, answer in pairs]
        assert conclude(to, Message(mail()), outcomes, "gw.example", NOW) == Conclusion(first)


def test_without_recipients_nothing_is_promised():
    assert conclude(envelope(), Message(mail()), [], "gw.example", NOW) == Conclusion(reply.DEFERRED)


@pytest.mark.parametrize("known", [True, False])
def test_the_report_says_the_last_reason(known):
    to = envelope("a@outside.example", "b@outside.example")
    codes = (ReasonCode.MODE_MANDATORY, ReasonCode.NO_USABLE_METHOD, ReasonCode.MUST_ENCRYPT_FAILED)
    reasons = tuple(because(code) for code in codes) if known else ()
    outcomes = [
        Outcome(to.recipients[0].address, Fate.REFUSED, reply.NOT_PROTECTED, reasons=reasons),
        Outcome(to.recipients[1].address, Fate.RELAYED, reply.ACCEPTED),
    ]
    report = b" ".join(conclude(to, Message(mail()), outcomes, "gw.example", NOW).report.split()).decode()
    assert [render(because(code)) in report for code in codes] == [False, False, known]
    assert report.count(reply.NOT_PROTECTED.text) == (1 if known else 2)  # always as what the mail system said
    assert "gw.example" in report


def test_no_report_to_the_null_sender():
    assert concluded(Fate.REFUSED, Fate.RELAYED, sender=None) == concluded(Fate.RELAYED, Fate.RELAYED)
