"""One reply for all recipients, and whom it is reported to."""

from dataclasses import replace

import pytest

from mailseal.mail import reply
from mailseal.mail.envelope import Protocol
from mailseal.mail.message import Message
from mailseal.pipeline.smtp_reply import conclude
from mailseal.policy.model import Fate, Outcome
from pki import NOW
from stage import envelope, mail

ANSWERS = {
    Fate.RELAYED: reply.ACCEPTED,
    Fate.NOTIFIED: reply.NOTIFIED,
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
    ],
)
def test_table(fates, answer, reported):
    end = concluded(*fates)
    assert end.reply == answer
    assert (end.report is not None) == reported
    assert end.report is None or (b"CANARY" not in end.report and b"r0@outside.example" in end.report)


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "SUCCESS,DELAY"])
def test_no_report_that_the_client_does_not_want(notify):
    assert concluded(Fate.REFUSED, Fate.RELAYED, notify=notify).report is None
    assert concluded(Fate.REFUSED, Fate.RELAYED, notify="SUCCESS,FAILURE").report is not None


def test_no_report_to_the_null_sender():
    assert concluded(Fate.REFUSED, Fate.RELAYED, sender=None) == concluded(Fate.RELAYED, Fate.RELAYED)
