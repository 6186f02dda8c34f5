"""NOTIFY=SUCCESS behind a next hop that does not take it over (RFC 3461 §5.2.2)."""

from dataclasses import replace

import pytest

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.envelope import Protocol, attempt_id
from mailseal.mail.message import Message
from mailseal.pipeline.process import process
from mailseal.policy.model import Fate
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, OnFailure, Settings
from mailseal.ports import Hop
from stage import Stage, envelope, mail


def addressed(*wishes, **changes):
    to = envelope(*(f"r{number}@inside.example" for number, _ in enumerate(wishes)), **changes)
    recipients = (replace(one, notify=wish) for one, wish in zip(to.recipients, wishes, strict=True))
    return replace(to, recipients=tuple(recipients))


def without_dsn(transfer):
    return [replace(reply.ACCEPTED, without_dsn=one.wants_success) for one in transfer.recipients]


def test_each_recipient_has_a_report_before_the_reply():
    stage = Stage(answer=without_dsn)
    outcomes = process(
        addressed("SUCCESS", None, "NEVER", "SUCCESS,DELAY"), Message(mail(body=b"CANARY")), stage.gateway()
    )
    assert [one.fate for one in outcomes] == [Fate.RELAYED] * 4
    assert [(about, to) for about, to, _ in stage.reports] == [
        (f"r{number}@inside.example", "anna@inside.example") for number in (0, 3)
    ]
    for about, _, report in stage.reports:
        assert f"Final-Recipient: rfc822;{about}\r\nAction: relayed\r\n".encode() in report
        assert b"CANARY" not in report
    why = because(ReasonCode.RELAYED_WITHOUT_DSN, hop=Hop.INSIDE)
    assert [why in one.reasons for one in outcomes] == [True, False, False, True]


def test_nothing_is_reported_that_the_next_hop_reports():
    stage = Stage()
    process(addressed("SUCCESS"), Message(mail()), stage.gateway())
    assert stage.reports == []


@pytest.mark.parametrize("changes", [{"sender": None}, {"protocol": Protocol.ESMTP}])
def test_not_to_the_null_sender_and_in_smtp_not_here(changes):
    stage = Stage(answer=without_dsn)
    [outcome] = process(addressed("SUCCESS", **changes), Message(mail()), stage.gateway())
    assert stage.reports == []
    assert outcome.reasons[-1].code is ReasonCode.RELAYED_WITHOUT_DSN, "it was not even tried"


@pytest.mark.parametrize("wish", [None, "NEVER", "FAILURE,DELAY"])
def test_nothing_is_reported_that_nobody_wants_to_know(wish):
    stage = Stage(answer=lambda _: [replace(reply.ACCEPTED, without_dsn=True)])
    process(addressed(wish), Message(mail()), stage.gateway())
    assert stage.reports == []


def test_each_mail_has_reports_of_its_own():
    class Noting(Stage):
        def failure(self, attempt, recipient, sender, report, hop):
            self.rows[attempt, recipient.key] = report

    stage = Noting(answer=without_dsn)
    to, mails = addressed("SUCCESS"), [Message(mail(subject=subject)) for subject in ("one", "two")]
    for one in mails:
        process(to, one, stage.gateway())
    assert [attempt for attempt, _ in stage.rows] == [attempt_id(to, one) for one in mails]


def test_what_an_earlier_attempt_settled_is_reported_still():
    to, message = addressed("SUCCESS"), Message(mail())
    stage = Stage(answer=without_dsn)
    [outcome] = process(to, message, stage.gateway())
    again = Stage(rows={(attempt_id(to, message), outcome.recipient.key): outcome})
    process(to, message, again.gateway())
    assert again.sent == []
    assert len(again.reports) == 1


def test_a_report_that_cannot_be_committed_does_not_repeat_the_mail():
    class Broken(Stage):
        def failure(self, attempt, recipient, sender, report, hop):
            raise TransientError("the database is away")

    [outcome] = process(addressed("SUCCESS"), Message(mail()), Broken(answer=without_dsn).gateway())
    assert outcome.reply == reply.ACCEPTED
    assert outcome.reasons[-1].code is ReasonCode.TRANSIENT_FAILURE


@pytest.mark.parametrize(
    ("notify", "fate"), [("NEVER", Fate.REFUSED), ("SUCCESS", Fate.REFUSED), (None, Fate.NOTIFIED)]
)
def test_who_wants_no_report_of_failure_gets_a_refusal(notify, fate):
    stage = Stage(settings={"": Settings(mode=Mode.MANDATORY, on_failure=OnFailure.NOTIFY)})
    to = envelope("nora@outside.example")
    to = replace(to, recipients=(replace(to.recipients[0], notify=notify),))
    [outcome] = process(to, Message(mail()), stage.gateway())
    assert outcome.fate is fate
    assert len(stage.reports) == (fate is Fate.NOTIFIED)
