from dataclasses import replace

import pytest

from mailseal.policy.decide import finding_reason
from mailseal.policy.model import (
    Able,
    Action,
    Already,
    Clear,
    Decision,
    Defer,
    Finding,
    Hold,
    MethodName,
    Notify,
    Protect,
    Refuse,
    Signer,
    SignWish,
)
from mailseal.policy.plan import plan
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import OnFailure, Settings

SMIME, PGP = MethodName.SMIME, MethodName.PGP
NO_CERTIFICATE = because(ReasonCode.NO_CERTIFICATE, address="b@example.net")
NO_PGP = because(ReasonCode.NO_PGP_KEY, address="b@example.net")
NO_KEY = because(ReasonCode.NO_SIGNING_KEY, address="a@example.com")
BEFORE = because(ReasonCode.MODE_ALLOW)
FAILED = because(ReasonCode.MUST_ENCRYPT_FAILED)
MUST = Finding("card", Action.MUST_ENCRYPT)
BLOCK = Finding("list", Action.BLOCK)
WARN = Finding("name", Action.WARN)

BOTH = Able({SMIME: ("k1", "k2")}, {PGP: NO_PGP}, {SMIME: "s1"})
KEYS_ONLY = Able({SMIME: ("k1", "k2")}, {PGP: NO_PGP}, {}, NO_KEY)
SIGNER_ONLY = Able({}, {SMIME: NO_CERTIFICATE, PGP: NO_PGP}, {SMIME: "s1"})
NEITHER = Able({}, {SMIME: NO_CERTIFICATE, PGP: NO_PGP}, {}, NO_KEY)

TRY = Decision(True, False, SignWish.YES, OnFailure.REFUSE, reasons=(BEFORE,))
MANDATORY = replace(TRY, must_encrypt=True)
NEVER = replace(TRY, try_encrypt=False)

SIGNED = because(ReasonCode.SIGNED_BY, method="smime", fingerprint="s1")
ENCRYPTED = because(ReasonCode.PROTECTED_BY, method="smime")
CLEAR = because(ReasonCode.SENT_CLEAR)
NO_METHOD = because(ReasonCode.NO_USABLE_METHOD)
OFF, PGP_OFF = (because(ReasonCode.METHOD_OFF, method=one) for one in ("smime", "pgp"))
NO_SIGNER = because(ReasonCode.NO_SIGNING_KEY)
LARGE = because(ReasonCode.METHOD_TOO_LARGE, method="smime", limit_bytes=2000)
WHEN = because(ReasonCode.SIGN_ONLY_WHEN_ENCRYPTING)


def _plan(decision, able, delayed=(), *, null_sender=False, **settings):
    made = plan(decision, Settings(**settings), able, delayed=delayed, null_sender=null_sender)
    return made, list(made.reasons)


SIGNER = Signer(SMIME, "s1")


@pytest.mark.parametrize(
    ("decision", "able", "expected", "reasons"),
    [
        (TRY, BOTH, Protect(SMIME, ("k1", "k2"), SIGNER), [BEFORE, SIGNED, ENCRYPTED]),
        (MANDATORY, BOTH, Protect(SMIME, ("k1", "k2"), SIGNER), [BEFORE, SIGNED, ENCRYPTED]),
        (TRY, KEYS_ONLY, Protect(SMIME, ("k1", "k2")), [BEFORE, NO_KEY, ENCRYPTED]),
        (replace(TRY, sign=SignWish.NO), BOTH, Protect(SMIME, ("k1", "k2")), [BEFORE, ENCRYPTED]),
        (
            replace(TRY, sign=SignWish.WHEN_ENCRYPTING),
            BOTH,
            Protect(SMIME, ("k1", "k2"), SIGNER),
            [BEFORE, SIGNED, ENCRYPTED],
        ),
        (TRY, SIGNER_ONLY, Clear(SIGNER), [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD, SIGNED, CLEAR]),
        (TRY, NEITHER, Clear(), [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD, NO_KEY, CLEAR]),
        (replace(TRY, sign=SignWish.NO), SIGNER_ONLY, Clear(), [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD, CLEAR]),
        (
            replace(TRY, sign=SignWish.WHEN_ENCRYPTING),
            SIGNER_ONLY,
            Clear(),
            [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD, WHEN, CLEAR],
        ),
        (NEVER, BOTH, Clear(SIGNER), [BEFORE, SIGNED, CLEAR]),
        (NEVER, KEYS_ONLY, Clear(), [BEFORE, NO_KEY, CLEAR]),
        (MANDATORY, SIGNER_ONLY, Refuse(FAILED), [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD]),
        (replace(NEVER, already=Already.ENCRYPTED, sign=SignWish.NO), NEITHER, Clear(), [BEFORE]),
        (replace(NEVER, already=Already.SIGNED, sign=SignWish.NO), NEITHER, Clear(), [BEFORE, CLEAR]),
    ],
)
def test_plans(decision, able, expected, reasons):
    assert _plan(decision, able) == (expected, reasons)


def test_missing_reasons_have_a_stand_in():
    made, reasons = _plan(TRY, Able({}, {}, {}))
    assert made == Clear()
    assert reasons == [
        BEFORE,
        because(ReasonCode.NO_CERTIFICATE, method="smime"),
        because(ReasonCode.NO_CERTIFICATE, method="pgp"),
        NO_METHOD,
        because(ReasonCode.NO_SIGNING_KEY),
        CLEAR,
    ]
    made, reasons = _plan(TRY, Able({SMIME: ("k",)}, {}, {}))
    assert reasons == [BEFORE, because(ReasonCode.NO_SIGNING_KEY), ENCRYPTED]


def test_a_method_with_an_empty_list_of_keys_cannot():
    assert _plan(MANDATORY, Able({SMIME: ()}, {}, {SMIME: "s1"}))[0] == Refuse(FAILED)


def test_openpgp_comes_after_smime_and_signs_what_it_encrypts():
    only_pgp = Able({PGP: ("p1",)}, {SMIME: NO_CERTIFICATE}, {SMIME: "s1", PGP: "p2"})
    both = replace(only_pgp, keys={SMIME: ("k1",), PGP: ("p1",)}, unable={})
    by_pgp = Protect(PGP, ("p1",), Signer(PGP, "p2"))
    assert _plan(MANDATORY, only_pgp)[0] == by_pgp
    assert _plan(MANDATORY, both)[0] == Protect(SMIME, ("k1",), SIGNER)
    assert _plan(MANDATORY, both, smime=False)[0] == by_pgp
    assert _plan(replace(MANDATORY, size_bytes=2001), both, smime_max_bytes=2000)[0] == by_pgp
    assert _plan(replace(MANDATORY, size_bytes=2001), both, smime_max_bytes=2000, pgp_max_bytes=2000)[0] == Refuse(
        FAILED
    )
    assert _plan(MANDATORY, replace(only_pgp, signers={SMIME: "s1"}))[0] == Protect(PGP, ("p1",))
    assert _plan(NEVER, both)[0] == Clear(SIGNER)
    assert _plan(NEVER, both, smime=False)[0] == Clear(Signer(PGP, "p2"))


def test_a_mail_waits_for_keys_if_nothing_else_protects_it():
    soon = because(ReasonCode.TRANSIENT_FAILURE, detail="looking")
    awaited = Able({}, {}, {SMIME: "s1"}, awaited={SMIME: soon})
    for decision in (TRY, MANDATORY):
        assert _plan(decision, awaited) == (Defer(soon), [BEFORE])
        assert _plan(decision, replace(awaited, keys={SMIME: ("k",)}))[0] == Protect(SMIME, ("k",), SIGNER)
    assert _plan(NEVER, awaited)[0] == Clear(SIGNER)
    assert _plan(TRY, awaited, smime=False)[0] == Clear()
    assert _plan(MANDATORY, awaited, smime=False)[0] == Refuse(FAILED)
    assert _plan(replace(TRY, refuse=BEFORE), awaited)[0] == Refuse(BEFORE)


def test_a_method_that_is_off_neither_encrypts_nor_signs():
    assert _plan(TRY, BOTH, smime=False) == (Clear(), [BEFORE, OFF, NO_PGP, NO_METHOD, NO_SIGNER, CLEAR])
    assert _plan(NEVER, BOTH, smime=False) == (Clear(), [BEFORE, OFF, NO_SIGNER, CLEAR])
    assert _plan(NEVER, BOTH, smime=False, pgp=False) == (Clear(), [BEFORE, OFF, PGP_OFF, CLEAR])
    assert _plan(MANDATORY, BOTH, smime=False) == (Refuse(FAILED), [BEFORE, OFF, NO_PGP, NO_METHOD])


def test_a_mail_that_is_too_large_falls_through():
    fits, too_large = (replace(TRY, size_bytes=size) for size in (2000, 2001))
    assert _plan(fits, BOTH, smime_max_bytes=2000)[0] == Protect(SMIME, ("k1", "k2"), SIGNER)
    assert _plan(too_large, BOTH, smime_max_bytes=2000) == (
        Clear(),
        [BEFORE, LARGE, NO_PGP, NO_METHOD, NO_SIGNER, CLEAR],
    )
    must = replace(too_large, must_encrypt=True)
    assert _plan(must, BOTH, smime_max_bytes=2000) == (Refuse(FAILED), [BEFORE, LARGE, NO_PGP, NO_METHOD])


def test_a_mail_that_is_too_large_is_not_signed_either():
    large = replace(NEVER, size_bytes=2001)
    assert _plan(large, BOTH, smime_max_bytes=2000) == (Clear(), [BEFORE, LARGE, NO_SIGNER, CLEAR])


@pytest.mark.parametrize("null_sender", [False, True])
def test_on_failure_refuse(null_sender):
    made, reasons = _plan(MANDATORY, NEITHER, null_sender=null_sender)
    assert made == Refuse(FAILED)
    assert reasons == [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD]


@pytest.mark.parametrize("null_sender", [False, True])
def test_on_failure_quarantine(null_sender):
    made, reasons = _plan(replace(MANDATORY, on_failure=OnFailure.QUARANTINE), NEITHER, null_sender=null_sender)
    assert made == Hold(FAILED)
    assert reasons == [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD]


def test_what_is_to_be_held_is_unless_it_is_refused():
    assert _plan(replace(TRY, hold=BEFORE), BOTH) == (Hold(BEFORE), [BEFORE])
    assert _plan(replace(TRY, hold=FAILED, refuse=BEFORE), BOTH) == (Refuse(BEFORE), [BEFORE])


def test_on_failure_notify_tells_the_sender_if_there_is_one():
    notify = replace(MANDATORY, on_failure=OnFailure.NOTIFY)
    assert _plan(notify, NEITHER) == (Notify(FAILED), [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD])
    assert _plan(notify, NEITHER, null_sender=True) == (Refuse(FAILED), [BEFORE, NO_CERTIFICATE, NO_PGP, NO_METHOD])


def test_a_refusal_comes_before_everything():
    reason = finding_reason(BLOCK)
    assert _plan(replace(MANDATORY, refuse=reason, on_failure=OnFailure.NOTIFY), BOTH) == (Refuse(reason), [BEFORE])


def test_a_decision_that_must_and_does_not_try_is_not_sent():
    assert _plan(replace(MANDATORY, try_encrypt=False), BOTH) == (Refuse(FAILED), [BEFORE])


def test_delayed_findings_do_not_touch_a_protected_mail():
    assert _plan(TRY, BOTH, [BLOCK, MUST])[0] == Protect(SMIME, ("k1", "k2"), SIGNER)


def test_a_delayed_block_refuses_what_would_leave_in_clear():
    made, reasons = _plan(TRY, SIGNER_ONLY, [WARN, BLOCK])
    assert made == Refuse(finding_reason(BLOCK))
    assert reasons == [BEFORE, finding_reason(WARN), finding_reason(BLOCK)]


def test_a_delayed_demand_encrypts_what_would_leave_in_clear():
    made, reasons = _plan(NEVER, BOTH, [MUST])
    assert made == Protect(SMIME, ("k1", "k2"), SIGNER)
    assert reasons == [BEFORE, finding_reason(MUST), SIGNED, ENCRYPTED]
    made, reasons = _plan(TRY, SIGNER_ONLY, [MUST])
    assert made == Refuse(FAILED)
    assert reasons == [BEFORE, finding_reason(MUST), NO_CERTIFICATE, NO_PGP, NO_METHOD]
    notify = replace(TRY, on_failure=OnFailure.NOTIFY)
    assert _plan(notify, SIGNER_ONLY, [MUST])[0] == Notify(FAILED)
    assert _plan(notify, SIGNER_ONLY, [MUST], null_sender=True)[0] == Refuse(FAILED)


def test_a_delayed_warning_is_told():
    assert _plan(NEVER, SIGNER_ONLY, [WARN]) == (Clear(SIGNER), [BEFORE, finding_reason(WARN), SIGNED, CLEAR])
    assert _plan(TRY, SIGNER_ONLY, [WARN]) == (
        Clear(SIGNER),
        [BEFORE, finding_reason(WARN), NO_CERTIFICATE, NO_PGP, NO_METHOD, SIGNED, CLEAR],
    )


def test_a_delayed_demand_is_met_by_mail_that_came_encrypted():
    encrypted = replace(NEVER, already=Already.ENCRYPTED, sign=SignWish.NO)
    assert _plan(encrypted, BOTH, [MUST]) == (Clear(), [BEFORE, finding_reason(MUST)])
    assert _plan(encrypted, BOTH, [BLOCK])[0] == Refuse(finding_reason(BLOCK))


def test_equal_plans_may_have_different_reasons():
    one, _ = _plan(TRY, BOTH)
    other, _ = _plan(replace(TRY, reasons=()), BOTH)
    assert one == other
    assert hash(one) == hash(other)
    assert one.reasons != other.reasons
    assert _plan(TRY, SIGNER_ONLY)[0] == _plan(NEVER, SIGNER_ONLY)[0]
