"""A held mail that is released: what was approved holds it no longer, all else counts as ever."""

import pytest

from dlp_stage import with_dlp, word
from mailseal.mail import reply
from mailseal.mail.message import Message
from mailseal.pipeline import process
from mailseal.pipeline.process import process_mail
from mailseal.policy.held import WhyHeld
from mailseal.policy.model import Action, Fate, Treatment, Waiver
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Mode, OnFailure, Settings
from stage import PARTNER, SENDER, Stage, envelope, mail

BOB, X = "bob@outside.example", "x@elsewhere.example"
HELD, OTHER = word("heldword", Action.QUARANTINE), word("otherword", Action.QUARANTINE)
LATE = word("lateword", Action.QUARANTINE, delayed=True)
MUST, BLOCK, WARN = (
    word(name, action)
    for name, action in (("mustword", Action.MUST_ENCRYPT), ("blockword", Action.BLOCK), ("warnword", Action.WARN))
)
APPROVED = Waiver(frozenset(one.key for one in (HELD, LATE, MUST, BLOCK, WARN)))
ENCRYPTED, AS_IS = Waiver(must_encrypt=True), Waiver(as_is=True)


def release(waiver: Waiver | None, text: str, to: str = X, **settings):
    stage = Stage(settings={"": Settings(**settings)}).know(PARTNER).own(SENDER)
    dlp = with_dlp(stage, {"": (HELD, OTHER, LATE, MUST, BLOCK, WARN)})
    raw = mail(body=text.encode() + b"\r\n", subject="Hello [encrypt]" if "trigger" in text else "Hello")
    (outcome,) = process(envelope(to), Message(raw), stage.gateway(), waiver)
    return outcome, stage, dlp


@pytest.mark.parametrize(
    ("text", "to", "fate", "treatment"),
    [
        ("heldword", X, Fate.RELAYED, Treatment.SIGNED),
        ("heldword", BOB, Fate.RELAYED, Treatment.SIGNED_ENCRYPTED),
        ("lateword", X, Fate.RELAYED, Treatment.SIGNED),
        ("heldword and otherword", X, Fate.HELD, Treatment.NONE),
        ("heldword and mustword", BOB, Fate.RELAYED, Treatment.SIGNED_ENCRYPTED),
        ("heldword and mustword", X, Fate.REFUSED, Treatment.NONE),
        ("heldword and blockword", BOB, Fate.REFUSED, Treatment.NONE),
        ("heldword and trigger", X, Fate.REFUSED, Treatment.NONE),
    ],
)
def test_what_was_approved_holds_it_no_longer_and_all_else_counts(text, to, fate, treatment):
    assert release(None, text, to)[0].fate in (Fate.HELD, Fate.REFUSED)
    outcome, stage, _ = release(APPROVED, text, to)
    assert (outcome.fate, outcome.treatment) == (fate, treatment)
    assert len(stage.sent) == (fate is Fate.RELAYED)


def test_nothing_approved_is_nothing_waived():
    assert release(Waiver(), "heldword")[0].fate is Fate.HELD


@pytest.mark.parametrize("mode", Mode)
def test_encrypted_or_not_at_all(mode):
    outcome, stage, _ = release(ENCRYPTED, "", BOB, mode=mode)
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED
    assert b"The body" not in stage.octets_sent()
    outcome, stage, _ = release(ENCRYPTED, "", X, mode=mode)
    assert (outcome.fate, stage.sent) == (Fate.REFUSED, [])
    assert ReasonCode.RELEASED_ENCRYPTED in {one.code for one in outcome.reasons}
    outcome, _, dlp = release(ENCRYPTED, "", X, mode=mode, on_failure=OnFailure.QUARANTINE)
    assert outcome.fate is Fate.HELD
    assert dlp.quarantine.held[0].why is WhyHeld.MUST_ENCRYPT_FAILED


@pytest.mark.parametrize("text", ["heldword", "otherword blockword", "mustword", "trigger", "lateword"])
@pytest.mark.parametrize("to", [BOB, X])
def test_as_it_came_is_the_only_way_round_must_encrypt(text, to):
    outcome, stage, dlp = release(AS_IS, text, to, mode=Mode.MANDATORY)
    assert (outcome.fate, outcome.treatment) == (Fate.RELAYED, Treatment.PASSED)
    assert text.encode() in stage.octets_sent()
    assert [one.code for one in outcome.reasons] == [ReasonCode.RELEASED_AS_IS]
    assert not dlp.documents.names


def test_a_waiver_lets_no_other_recipient_through():
    """It is of one recipient's copy; should it ever come with more, the same is waived, never more."""
    stage = Stage(settings={"": Settings()}).know(PARTNER).own(SENDER)
    dlp = with_dlp(stage, {BOB: (HELD,), X: (OTHER,)})
    raw = mail(body=b"heldword otherword\r\n")
    outcomes = process(envelope(BOB, X), Message(raw), stage.gateway(), APPROVED)
    assert [one.fate for one in outcomes] == [Fate.RELAYED, Fate.HELD]
    assert len(dlp.quarantine.held) == 1


def test_a_release_is_not_told_twice():
    outcome, _, dlp = release(APPROVED, "heldword and warnword", notify_sender=("dlp-warn", "encrypted"))
    assert (outcome.fate, dlp.notices.told) == (Fate.RELAYED, [])
    _, _, dlp = release(APPROVED, "heldword and warnword", BOB, notify_sender=("dlp-warn", "encrypted"))
    assert [kind for kind, _, _ in dlp.notices.told] == ["encrypted"]
    for text in ("blockword", "otherword"):
        assert not release(APPROVED, text)[2].notices.told


@pytest.mark.parametrize("waiver", [None, APPROVED, AS_IS])
def test_the_log_never_gets_a_subject_in_which_something_was_found(waiver):
    stage = Stage(settings={"": Settings(log_subject=True)}).own(SENDER)
    dlp = with_dlp(stage, {"": (HELD,)})
    raw = mail(subject="About heldword")
    done = process_mail(envelope(X), Message(raw), stage.gateway(), b"a" * 32, waiver)
    assert not done.subject_for
    assert not done.subject
    assert [one.subject for one in dlp.quarantine.held] == ([""] if waiver is None else [])
    done = process_mail(envelope(X), Message(mail(subject="Hello", body=b"heldword")), stage.gateway(), b"b" * 32)
    assert done.subject == "Hello"
    assert dlp.quarantine.held[-1].subject == "Hello"
    assert done.outcomes[0].reply == reply.HELD
