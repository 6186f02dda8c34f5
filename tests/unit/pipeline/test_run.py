"""The state of one run: who is pending, what becomes of whom, and how failures are named."""

import pytest

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.pipeline.neighbour import Arrival
from mailseal.pipeline.run import Run, failure_reason
from mailseal.policy.model import Fate, Outcome, Treatment
from mailseal.policy.reason import ReasonCode, because
from pki import NOW
from stage import Stage, envelope, mail

A, B = "a@x.example", "b@x.example"
LATER = because(ReasonCode.TRANSIENT_FAILURE, detail="later")
BEFORE = because(ReasonCode.MODE_ALLOW)


@pytest.fixture
def run() -> Run:
    message = Message(mail())
    root = parse(message.raw).root
    arrival = Arrival(Origin.AUTHORISED)
    return Run(envelope(A, B, A.upper()), message, Stage(seconds=5.0).gateway(), b"", NOW, 6.0, root, None, arrival)


def test_a_repeated_recipient_is_pending_once_until_settled(run):
    assert run.pending() == [0, 1]
    run.settle(2, Fate.NOTIFIED, reply.NOTIFIED, [BEFORE, LATER])
    assert run.pending() == [1]
    key = Address.parse(A).key
    assert run.outcomes == {key: Outcome(run.address(2), Fate.NOTIFIED, reply.NOTIFIED, reasons=(BEFORE, LATER))}


def test_deferred_with_and_without_more_to_say(run):
    run.defer(0, LATER)
    run.defer(1, LATER, reply.OUT_OF_TIME, [BEFORE])
    assert run.results() == [
        Outcome(Address.parse(A), Fate.DEFERRED, reply.DEFERRED, reasons=(LATER,)),
        Outcome(Address.parse(B), Fate.DEFERRED, reply.OUT_OF_TIME, reasons=(BEFORE, LATER)),
        Outcome(Address.parse(A.upper()), Fate.DEFERRED, reply.DEFERRED, reasons=(LATER,)),
    ]
    spellings = [str(one.recipient) for one in run.results()]
    assert spellings == [str(run.address(index)) for index in range(3)]
    assert len(set(spellings)) == 3


def test_a_recipient_without_an_outcome_is_deferred(run):
    run.settle(1, Fate.REFUSED, reply.NOT_PROTECTED, ())
    forgotten = because(ReasonCode.UNEXPECTED_FAILURE, kind="no outcome")
    assert run.results() == [
        Outcome(Address.parse(A), Fate.DEFERRED, reply.DEFERRED, Treatment.NONE, reasons=(forgotten,)),
        Outcome(Address.parse(B), Fate.REFUSED, reply.NOT_PROTECTED),
        Outcome(Address.parse(A.upper()), Fate.DEFERRED, reply.DEFERRED, Treatment.NONE, reasons=(forgotten,)),
    ]
    assert [str(one.recipient) for one in run.results()] == [A, B, str(Address.parse(A.upper()))]


def test_out_of_time_begins_at_the_deadline(run):
    assert not run.out_of_time()
    run.deadline = 5.0
    assert run.out_of_time()


def test_how_failures_are_named():
    assert failure_reason(TransientError("later")) == LATER
    nowhere = because(ReasonCode.UNEXPECTED_FAILURE, kind="ValueError", place="unknown")
    assert failure_reason(ValueError("secret")) == nowhere


def test_an_unexpected_failure_is_named_by_the_innermost_place_below_the_package():
    names: dict[str, object] = {}
    for path, text in (("at", "\n\ndef fail(): {}['']"), ("by", "\ndef call(): fail()")):
        exec(compile(text, f"/opt/mailseal/src/mailseal/mail/{path}.py", "exec"), names)
    with pytest.raises(KeyError) as caught:
        names["call"]()
    assert failure_reason(caught.value) == because(ReasonCode.UNEXPECTED_FAILURE, kind="KeyError", place="mail/at.py:3")
