from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.decide import blocking, decide, finding_reason
from mailseal.policy.model import Action, Already, Asked, Decision, Finding, SignWish
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, OnFailure, Settings
from unit.policy.strategies import asked_values, findings, settings_values

ENCRYPT = because(ReasonCode.TRIGGER_ENCRYPT_SUBJECT, trigger="[encrypt]")
SIGN = because(ReasonCode.TRIGGER_SIGN_HEADER, trigger="X-Mailseal-Sign")
MUST = Finding("card", Action.MUST_ENCRYPT)
BLOCK = Finding("list", Action.BLOCK)
WARN = Finding("name", Action.WARN)


def _decide(policy=None, found=(), asked=None, *, authorised=True, internal_sender=True, **settings):
    return decide(
        policy or Settings(**settings),
        found,
        asked or Asked(),
        authorised=authorised,
        internal_sender=internal_sender,
    )


def test_the_factory_settings_encrypt_and_sign_when_they_can():
    assert _decide() == Decision(
        try_encrypt=True,
        must_encrypt=False,
        sign=SignWish.YES,
        on_failure=OnFailure.REFUSE,
        refuse=None,
        reasons=(because(ReasonCode.MODE_ALLOW),),
        already=Already.NOTHING,
        size_bytes=0,
    )


@pytest.mark.parametrize(
    ("mode", "try_encrypt", "must_encrypt", "code"),
    [
        (Mode.NEVER, False, False, ReasonCode.MODE_NEVER),
        (Mode.ALLOW, True, False, ReasonCode.MODE_ALLOW),
        (Mode.FORCE, True, False, ReasonCode.MODE_FORCE),
        (Mode.MANDATORY, True, True, ReasonCode.MODE_MANDATORY),
    ],
)
@pytest.mark.parametrize("authorised", [False, True])
def test_modes(mode, try_encrypt, must_encrypt, code, authorised):
    decision = _decide(mode=mode, authorised=authorised)
    assert (decision.try_encrypt, decision.must_encrypt) == (try_encrypt, must_encrypt)
    assert decision.reasons[0] == because(code)


@pytest.mark.parametrize("mode", Mode)
def test_a_trigger_beats_every_mode(mode):
    decision = _decide(mode=mode, asked=Asked(encrypt=ENCRYPT))
    assert (decision.try_encrypt, decision.must_encrypt) == (True, True)
    mandatory = (because(ReasonCode.MODE_MANDATORY),) if mode is Mode.MANDATORY else ()
    assert decision.reasons == (*mandatory, ENCRYPT)


@pytest.mark.parametrize("mode", Mode)
def test_a_finding_beats_every_mode(mode):
    decision = _decide(mode=mode, found=[WARN, MUST])
    assert (decision.try_encrypt, decision.must_encrypt) == (True, True)
    mandatory = (because(ReasonCode.MODE_MANDATORY),) if mode is Mode.MANDATORY else ()
    assert decision.reasons == (finding_reason(WARN), finding_reason(MUST), *mandatory)


def test_a_warning_is_told_and_changes_nothing():
    decision = _decide(found=[WARN], mode=Mode.NEVER)
    assert decision == replace(_decide(mode=Mode.NEVER), reasons=(finding_reason(WARN), because(ReasonCode.MODE_NEVER)))
    assert finding_reason(WARN) == because(ReasonCode.FINDING, name="name", action="warn", count=1)


def test_a_block_refuses():
    decision = _decide(found=[WARN, BLOCK, Finding("second", Action.BLOCK)])
    assert decision.refuse == finding_reason(BLOCK)
    assert blocking([WARN, MUST]) is None


@pytest.mark.parametrize(("authorised", "internal_sender"), [(False, True), (True, False), (False, False)])
def test_others_cannot_trigger_sign_or_be_notified(authorised, internal_sender):
    decision = _decide(
        mode=Mode.NEVER,
        on_failure=OnFailure.NOTIFY,
        asked=Asked(encrypt=ENCRYPT, sign=SIGN, size_bytes=7),
        authorised=authorised,
        internal_sender=internal_sender,
    )
    assert decision == Decision(
        try_encrypt=False,
        must_encrypt=False,
        sign=SignWish.NO,
        on_failure=OnFailure.REFUSE,
        reasons=(because(ReasonCode.MODE_NEVER), because(ReasonCode.ORIGIN_OUTSIDE)),
        size_bytes=7,
    )


def test_what_demands_encryption_holds_for_others_too():
    decision = _decide(mode=Mode.MANDATORY, found=[MUST], authorised=False, internal_sender=False)
    assert decision.must_encrypt
    assert decision.on_failure is OnFailure.REFUSE


def test_an_internal_sender_can_be_notified():
    assert _decide(on_failure=OnFailure.NOTIFY).on_failure is OnFailure.NOTIFY


@pytest.mark.parametrize("must", [{"mode": Mode.MANDATORY}, {"found": [MUST]}, {"asked": Asked(encrypt=ENCRYPT)}])
def test_encrypted_mail_is_left_alone(must):
    asked = replace(must.get("asked", Asked()), already=Already.ENCRYPTED, sign=SIGN)
    decision = _decide(**(must | {"asked": asked}))
    assert (decision.try_encrypt, decision.must_encrypt, decision.sign) == (False, False, SignWish.NO)
    assert decision.already is Already.ENCRYPTED
    found = tuple(finding_reason(one) for one in must.get("found", ()))
    assert decision.reasons == (*found, because(ReasonCode.ALREADY_ENCRYPTED))


def test_encrypted_mail_with_a_blocking_finding_is_refused():
    assert _decide(found=[BLOCK], asked=Asked(already=Already.ENCRYPTED)).refuse == finding_reason(BLOCK)


@pytest.mark.parametrize("mode", Mode)
def test_signed_mail_is_not_signed_again_but_encrypted(mode):
    plain = _decide(mode=mode)
    decision = _decide(mode=mode, asked=Asked(already=Already.SIGNED, sign=SIGN))
    assert decision == replace(
        plain,
        sign=SignWish.NO,
        already=Already.SIGNED,
        reasons=(*plain.reasons, because(ReasonCode.ALREADY_SIGNED)),
    )


@pytest.mark.parametrize("mode", [Mode.NEVER, Mode.ALLOW, Mode.FORCE])
def test_invitations_may_go_without_protection(mode):
    decision = _decide(mode=mode, skip_calendar=True, asked=Asked(calendar=True))
    assert (decision.try_encrypt, decision.must_encrypt, decision.sign) == (False, False, SignWish.NO)
    assert decision.reasons == (because(ReasonCode.CALENDAR_SKIPPED),)
    asked_to = _decide(mode=mode, skip_calendar=True, asked=Asked(calendar=True, sign=SIGN))
    assert (asked_to.try_encrypt, asked_to.sign) == (False, SignWish.YES)
    assert asked_to.reasons == (because(ReasonCode.CALENDAR_SKIPPED), SIGN)


@pytest.mark.parametrize("must", [{"mode": Mode.MANDATORY}, {"found": [MUST]}, {"asked": Asked(encrypt=ENCRYPT)}])
def test_invitations_that_must_be_encrypted_are(must):
    asked = replace(must.get("asked", Asked()), calendar=True)
    decision = _decide(skip_calendar=True, **(must | {"asked": asked}))
    assert (decision.try_encrypt, decision.must_encrypt, decision.sign) == (True, True, SignWish.YES)


def test_only_invitations_are_skipped_and_only_by_setting():
    assert _decide(skip_calendar=True).try_encrypt
    assert _decide(asked=Asked(calendar=True)).try_encrypt


@pytest.mark.parametrize(
    ("settings", "asked", "wish", "reasons"),
    [
        ({}, None, SignWish.YES, ()),
        ({"sign_only_when_encrypting": True}, None, SignWish.WHEN_ENCRYPTING, ()),
        ({"sign": False}, None, SignWish.NO, (because(ReasonCode.SIGNING_OFF),)),
        (
            {"sign": False, "sign_only_when_encrypting": True},
            None,
            SignWish.NO,
            (because(ReasonCode.SIGNING_OFF),),
        ),
        ({"sign": False}, SIGN, SignWish.YES, (SIGN,)),
        ({"sign_only_when_encrypting": True}, SIGN, SignWish.YES, (SIGN,)),
        ({}, SIGN, SignWish.YES, (SIGN,)),
    ],
)
def test_signing(settings, asked, wish, reasons):
    decision = _decide(asked=Asked(sign=asked), **settings)
    assert decision.sign is wish
    assert decision.reasons == (because(ReasonCode.MODE_ALLOW), *reasons)


def test_the_size_is_handed_on():
    assert _decide(asked=Asked(size_bytes=12345)).size_bytes == 12345


def _demand(decision):
    return (decision.refuse is not None, decision.must_encrypt, decision.try_encrypt)


@given(settings_values, findings, asked_values, st.booleans(), st.booleans(), findings)
def test_one_more_finding_never_demands_less(policy, found, asked, authorised, internal, more):
    origin = {"authorised": authorised, "internal_sender": internal}
    before = decide(policy, found, asked, **origin)
    after = decide(policy, found + more, asked, **origin)
    assert all(new >= old for new, old in zip(_demand(after), _demand(before), strict=True))


@given(settings_values, findings, asked_values, st.booleans(), st.booleans())
def test_must_encrypt_implies_trying_and_a_reason(policy, found, asked, authorised, internal):
    decision = decide(policy, found, asked, authorised=authorised, internal_sender=internal)
    assert decision.try_encrypt or not decision.must_encrypt
    assert decision.reasons
    demanded = policy.mode is Mode.MANDATORY or any(one.action is Action.MUST_ENCRYPT for one in found)
    if demanded and asked.already is not Already.ENCRYPTED:
        assert decision.must_encrypt


@pytest.mark.parametrize("asked", [Asked(), Asked(sign=SIGN), Asked(calendar=True), Asked(already=Already.SIGNED)])
@pytest.mark.parametrize("mode", [Mode.NEVER, Mode.ALLOW, Mode.FORCE])
def test_what_has_been_through_is_left_as_it_is(mode, asked):
    decision = _decide(mode=mode, asked=replace(asked, been_through=True))
    assert (decision.try_encrypt, decision.must_encrypt, decision.sign) == (False, False, SignWish.NO)
    assert because(ReasonCode.BEEN_THROUGH) in decision.reasons


@pytest.mark.parametrize("must", [{"mode": Mode.MANDATORY}, {"found": [MUST]}, {"asked": Asked(encrypt=ENCRYPT)}])
def test_been_through_counts_for_nothing_where_encryption_is_demanded(must):
    asked = must.get("asked", Asked())
    assert _decide(**must | {"asked": replace(asked, been_through=True)}) == _decide(**must)


def test_been_through_does_not_stop_dlp():
    decision = _decide(found=[BLOCK], asked=Asked(been_through=True))
    assert decision.refuse == finding_reason(BLOCK)
