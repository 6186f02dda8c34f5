"""What holds for every policy: nothing that must be encrypted leaves in clear; more restriction never lets out more."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.decide import decide, unwaived
from mailseal.policy.model import Action, Already, Clear, Defer, Finding, Hold, MethodName, Notify, Refuse, Waiver
from mailseal.policy.plan import obstacle, plan
from mailseal.policy.settings import Mode, OnFailure, combine, stricter
from mailseal.policy.text import render
from unit.policy.strategies import able_values, asked_values, findings, settings_values, strength, with_value

origins = st.fixed_dictionaries({"authorised": st.booleans(), "internal_sender": st.booleans()})


def _outcome(policy, found, asked, able, origin, delayed=(), *, null_sender=False, waiver=None):
    decision = decide(policy, unwaived(found, waiver), asked, **origin, waiver=waiver)
    return plan(decision, policy, able, delayed=unwaived(delayed, waiver), null_sender=null_sender)


@given(settings_values, settings_values, findings, asked_values, able_values, origins, findings, st.booleans())
def test_what_must_be_encrypted_is_never_clear(sender, recipient, found, asked, able, origin, delayed, null_sender):
    policy = combine(sender, recipient)
    made = _outcome(policy, found, asked, able, origin, delayed, null_sender=null_sender)
    demanded = (
        Mode.MANDATORY in (sender.mode, recipient.mode)
        or any(one.action is Action.MUST_ENCRYPT for one in [*found, *delayed])
        or (asked.encrypt is not None and all(origin.values()))
    )
    if demanded and asked.already is not Already.ENCRYPTED:
        assert not isinstance(made, Clear)
    if any(one.action is Action.BLOCK for one in found):
        assert isinstance(made, Refuse)
    elif any(one.action is Action.QUARANTINE for one in found):
        assert isinstance(made, Hold)
    elif {one.action for one in delayed} & {Action.QUARANTINE, Action.BLOCK}:
        assert not isinstance(made, Clear)


@given(settings_values, settings_values, findings, asked_values, able_values, origins, findings)
def test_nothing_leaves_in_clear_while_keys_are_awaited(sender, recipient, found, asked, able, origin, delayed):
    policy = combine(sender, recipient)
    decision = decide(policy, found, asked, **origin)
    made = plan(decision, policy, able, delayed=delayed, null_sender=False)
    free = [one for one in able.awaited if obstacle(one, decision, policy) is None]
    if decision.try_encrypt and free:
        assert not isinstance(made, Clear | Notify)
    if isinstance(made, Defer):
        assert free
        assert not any(one in able.keys and obstacle(one, decision, policy) is None for one in MethodName)


@given(settings_values, findings, asked_values, able_values, origins, findings, findings)
def test_one_more_finding_never_weakens(policy, found, asked, able, origin, delayed, more):
    before = strength(_outcome(policy, found, asked, able, origin))
    assert strength(_outcome(policy, found + more, asked, able, origin)) >= before
    before = strength(_outcome(policy, found, asked, able, origin, delayed))
    assert strength(_outcome(policy, found, asked, able, origin, delayed + more)) >= before
    # A finding that gets the mail encrypted lifts a delayed block, which is about mail in clear: never back to clear.
    assert strength(_outcome(policy, found + more, asked, able, origin, delayed)) >= min(before, 1)


@given(settings_values, findings, asked_values, able_values, origins, findings, st.sampled_from(Action), st.booleans())
def test_one_more_finding_never_takes_a_held_mail_out_of_the_quarantine(
    policy, found, asked, able, origin, delayed, action, late
):
    held = isinstance(_outcome(policy, found, asked, able, origin, delayed), Hold)
    more = [Finding("more", action)]
    made = _outcome(policy, found + ([] if late else more), asked, able, origin, delayed + (more if late else []))
    if held and any(one.action is Action.QUARANTINE for one in found):
        assert isinstance(made, Hold | Refuse)
    elif held:  # for a delayed finding, or since it could not be encrypted
        assert not isinstance(made, Clear)


@given(settings_values, findings, asked_values, able_values, origins, findings, st.booleans())
def test_a_release_lets_out_no_more_than_if_what_was_approved_had_not_been_found(
    policy, found, asked, able, origin, delayed, must
):
    approved = frozenset(one.key for one in [*found, *delayed])
    made = _outcome(policy, found, asked, able, origin, delayed, waiver=Waiver(approved, must_encrypt=must))
    left, later = ([one for one in group if one.action is not Action.QUARANTINE] for group in (found, delayed))
    assert strength(made) >= strength(_outcome(policy, left, asked, able, origin, later))
    if must and asked.already is not Already.ENCRYPTED:
        assert not isinstance(made, Clear)
    nothing = _outcome(policy, found, asked, able, origin, delayed, waiver=Waiver())
    assert nothing == _outcome(policy, found, asked, able, origin, delayed)


@pytest.mark.parametrize("name", ["mode", "skip_calendar", "on_failure"])
@given(
    policy=settings_values,
    other=settings_values,
    found=findings,
    asked=asked_values,
    able=able_values,
    origin=origins,
    delayed=findings,
)
def test_a_stricter_setting_never_weakens(name, policy, other, found, asked, able, origin, delayed):
    tighter = with_value(policy, name, getattr(stricter(policy, other), name))
    before = strength(_outcome(policy, found, asked, able, origin))
    assert strength(_outcome(tighter, found, asked, able, origin)) >= before
    before = strength(_outcome(policy, found, asked, able, origin, delayed))
    assert strength(_outcome(tighter, found, asked, able, origin, delayed)) >= min(before, 1)


@given(settings_values, settings_values, settings_values, findings, asked_values, able_values, origins)
def test_a_stricter_side_never_turns_protection_into_clear(sender, more, recipient, found, asked, able, origin):
    both = stricter(sender, more)
    if isinstance(_outcome(combine(both, recipient), found, asked, able, origin), Clear):
        assert isinstance(_outcome(combine(sender, recipient), found, asked, able, origin), Clear)
    if isinstance(_outcome(combine(recipient, both), found, asked, able, origin), Clear):
        assert isinstance(_outcome(combine(recipient, sender), found, asked, able, origin), Clear)


@given(settings_values, findings, asked_values, able_values, origins)
def test_a_trigger_never_weakens(policy, found, asked, able, origin):
    without = strength(_outcome(policy, found, replace(asked, encrypt=None), able, origin))
    assert strength(_outcome(policy, found, asked, able, origin)) >= without


@given(settings_values, findings, asked_values, able_values, origins, findings, st.booleans())
def test_only_an_internal_authorised_sender_that_exists_is_notified(
    policy, found, asked, able, origin, delayed, null_sender
):
    made = _outcome(policy, found, asked, able, origin, delayed, null_sender=null_sender)
    if isinstance(made, Notify):
        assert all(origin.values())
        assert not null_sender
        assert policy.on_failure is OnFailure.NOTIFY


@given(settings_values, findings, asked_values, able_values, origins, findings)
def test_every_plan_says_why(policy, found, asked, able, origin, delayed):
    made = _outcome(policy, found, asked, able, origin, delayed)
    assert made.reasons
    assert all(render(reason) for reason in made.reasons)
    if getattr(made, "signer", None) is not None:
        assert all(origin.values())
        assert asked.already is Already.NOTHING
