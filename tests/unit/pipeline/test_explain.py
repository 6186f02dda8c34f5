"""`explain`: the same answers as `process`, without an effect, also where a copy fails."""

from dataclasses import replace

import pytest

from dlp_stage import with_dlp, word
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.envelope import attempt_id
from mailseal.mail.message import Message
from mailseal.methods.smime import Smime
from mailseal.pipeline import process
from mailseal.pipeline.explain import Explanation, explain
from mailseal.policy.model import Action, Fate, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, Settings
from mailseal.policy.text import render
from mailseal.ports import Hop
from mailseal.wiring.gateway import without_effects
from stage import PARTNER, READER, SENDER, Stage, envelope, mail

TO = envelope("bob@outside.example", "carol@outside.example", "x@elsewhere.example")
HOP = b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n"


def stage() -> Stage:
    must = Settings(mode=Mode.MANDATORY)
    return Stage(settings={"carol@outside.example": must}).know(PARTNER).own(SENDER, READER)


def assert_same(told, done) -> None:
    assert [(one.recipient, one.fate, one.treatment, one.method, one.reasons, one.details) for one in told] == [
        (str(one.recipient), one.fate, one.treatment, one.method, one.reasons, one.details) for one in done
    ]


def test_a_mail_in_a_loop():
    loop = because(ReasonCode.TOO_MANY_HOPS)
    assert explain(TO, Message(HOP * 51 + mail()), stage().gateway()) == [
        Explanation(str(one.address), Fate.REFUSED, None, Treatment.NONE, None, (loop,)) for one in TO.recipients
    ]
    assert {one.fate for one in explain(TO, Message(HOP * 50 + mail()), Stage().gateway())} == {Fate.RELAYED}


@pytest.mark.parametrize(
    ("error", "fates"), [(PermanentError, "relayed refused"), (TransientError, "deferred refused")]
)
def test_a_copy_that_fails_leaves_the_others_as_they_are(monkeypatch, error, fates):
    def broken(*_: object) -> bytes:
        raise error("cannot now")

    monkeypatch.setattr(Smime, "encrypt", broken)
    told = explain(TO, Message(mail()), stage().gateway())
    assert [one.fate for one in told] == [*fates.split(), Fate.RELAYED]
    assert told[2].treatment is Treatment.SIGNED
    failed = ReasonCode.METHOD_FAILED if error is PermanentError else ReasonCode.TRANSIENT_FAILURE
    assert because(failed, detail="cannot now") in told[0].reasons
    assert_same(told, process(TO, Message(mail()), stage().gateway()))


def test_what_was_settled_before_is_told_as_it_was():
    told = stage()
    process(TO, Message(mail()), told.gateway())
    key = (attempt_id(TO, Message(mail())), "bob@outside.example")
    before = told.rows[key]
    first = explain(TO, Message(mail()), told.gateway())[0]
    assert (first.fate, first.hop, first.treatment, first.method) == (
        Fate.RELAYED,
        None,
        before.treatment,
        before.method,
    )
    assert first.method is not None
    assert first.reasons == (*before.reasons, because(ReasonCode.SETTLED_BEFORE))


def test_details_are_told_for_what_would_be_sent():
    told = explain(TO, Message(mail()), stage().gateway())
    done = process(TO, Message(mail()), stage().gateway())
    assert_same(told, done)
    assert told[0].details
    assert [one.hop for one in told] == [Hop.OUTSIDE, None, Hop.OUTSIDE]


def test_what_is_found_is_explained_and_nothing_is_held_or_told():
    told = Settings(dlp_managers=("dlp@inside.example",))
    made = Stage(settings={"": told}).know(PARTNER).own(SENDER)
    dlp = with_dlp(made, {"carol@outside.example": [word("canary", Action.QUARANTINE)]})
    gateway = replace(without_effects(made.gateway()), relay=made, ledger=made)
    [bob, carol, _] = explain(TO, Message(mail()), gateway)
    assert (bob.fate, bob.treatment) == (Fate.RELAYED, Treatment.SIGNED_ENCRYPTED)
    assert (carol.fate, carol.hop) == (Fate.HELD, None)
    assert carol.reasons[-1] == because(ReasonCode.FINDING, name="canary", action="quarantine", count=1)
    assert render(carol.reasons[-1]) == "DLP: canary (1), quarantine"
    assert (dlp.quarantine.held, dlp.notices.asked) == ([], [])
