"""DKIM on the protect path: the last change of every copy, only for who may sign for the domain of From."""

from dataclasses import replace

import pytest

from dkim_keys import Records, ec_key, ed25519_key, rsa_key
from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import DkimKey
from mailseal.dkim.verify import Result, verify
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.pipeline import process
from mailseal.pipeline.domain_signature import own_mail_signed
from mailseal.pipeline.explain import explain
from mailseal.policy.model import Fate, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Mode, Settings
from pki import NOW
from stage import PARTNER, SENDER, Stage, envelope, mail

RSA = DkimKey("inside.example", "r", rsa_key())
ED = DkimKey("inside.example", "e", ed25519_key())
DNS = Records(RSA, ED)


def send(raw=None, *to, stage=None, keys=(RSA, ED), records=DNS, settings=None, **options):
    """The outcome, the copies sent and the verdicts on each."""
    stage = stage or Stage()
    stage.settings |= {"": Settings(**(settings or {}))}
    stage.sign_for_domains(*keys)
    given = envelope(*(to or ("bob@outside.example",)), **{k: v for k, v in options.items() if k != "submission"})
    if "submission" in options:
        given = replace(given, submission=options["submission"])
    outcomes = process(given, Message(raw or mail()), stage.gateway())
    copies = [b"".join(one.chunks[1:]) for one in stage.sent]
    return outcomes, copies, [verify(Mail.of_entity(parse(one).root), records, NOW) for one in copies]


def signers(verdicts):
    return [(one.result, one.domain, one.selector) for one in verdicts]


BOTH = [(Result.PASS, "inside.example", "r"), (Result.PASS, "inside.example", "e")]


def test_mail_in_clear_is_signed_and_else_stays_as_it_came():
    raw = mail()
    (outcome,), (copy,), (verdicts,) = send(raw)
    assert signers(verdicts) == BOTH
    assert copy.endswith(raw)
    assert outcome.treatment is Treatment.PASSED
    assert ("dkim", "inside.example r rsa-sha256") in outcome.details
    assert ("dkim", "inside.example e ed25519-sha256") in outcome.details


@pytest.mark.parametrize(("mode", "treatment"), [
    (Mode.NEVER, Treatment.SIGNED), (Mode.MANDATORY, Treatment.SIGNED_ENCRYPTED),
])  # fmt: skip
def test_what_is_signed_or_encrypted_is_signed_after_that(mode, treatment):
    stage = Stage().know(PARTNER).own(SENDER)
    (outcome,), (copy,), (verdicts,) = send(stage=stage, settings={"mode": mode})
    assert outcome.treatment is treatment
    assert signers(verdicts) == BOTH
    assert copy.startswith(b"DKIM-Signature: ")


def test_every_copy_has_a_signature_of_its_own():
    stage = Stage().know(PARTNER)
    stage.settings["bob@outside.example"] = Settings(mode=Mode.MANDATORY)
    raw = mail(to="bob@outside.example, nobody@outside.example")
    _, copies, verdicts = send(raw, "bob@outside.example", "nobody@outside.example", stage=stage)
    assert len(copies) == 2
    assert [signers(one) for one in verdicts] == [BOTH, BOTH]


def test_a_changed_subject_is_signed_as_it_leaves():
    stage = Stage().know(PARTNER)
    _, (copy,), (verdicts,) = send(mail(subject="[encrypt] Hello"), stage=stage)
    assert b"\r\nSubject: Hello\r\n" in copy
    assert signers(verdicts) == BOTH


@pytest.mark.parametrize("options", [
    {"origin": Origin.OUTSIDE},
    {"sender": "eve@elsewhere.example"},
    {"submission": True, "raw": mail(sender="other@inside.example")},
    {"submission": True, "sender": None},
    {"raw": mail(sender="eve@elsewhere.example")},
    {"raw": mail("From: eve@elsewhere.example")},
    {"raw": mail(sender="anna@inside.example, eve@elsewhere.example")},
    {"raw": mail(sender="anna@")},
    {"settings": {"dkim_sign": False}},
    {"keys": ()},
    {"keys": (DkimKey("example", "s", ed25519_key()), DkimKey("sub.inside.example", "s", ed25519_key()))},
])  # fmt: skip
def test_who_is_not_signed_for(options):
    raw = options.pop("raw", mail())
    outcomes, copies, verdicts = send(raw, **options)
    assert outcomes[0].fate is Fate.RELAYED
    assert copies == [raw]
    assert verdicts == [()]
    assert not any(one.code is ReasonCode.DKIM_NOT_SIGNED for one in outcomes[0].reasons)


@pytest.mark.parametrize("options", [
    {"sender": None}, {"submission": True}, {"raw": mail(sender="other@inside.example")},
])  # fmt: skip
def test_who_is_signed_for(options):
    raw = options.pop("raw", mail())
    _, _, (verdicts,) = send(raw, **options)
    assert signers(verdicts) == BOTH


def test_the_domain_above_signs_where_there_is_no_other():
    stage = Stage(internal={"a.b.inside.example"})
    options = {"stage": stage, "sender": "anna@a.b.inside.example"}
    _, _, (verdicts,) = send(mail(sender="anna@a.b.inside.example"), **options)
    assert signers(verdicts) == BOTH


def test_the_recipient_may_decline():
    stage = Stage()
    stage.settings["outside.example"] = Settings(dkim_sign=False)
    _, (copy,), _ = send(stage=stage)
    assert copy == mail()


def test_a_signature_may_expire():
    _, (copy,), (verdicts,) = send(settings={"dkim_valid_days": 7})
    assert f"x={int(NOW.timestamp()) + 7 * 86400};".encode() in copy
    assert signers(verdicts) == BOTH


def test_a_key_that_is_not_at_hand_defers():
    stage = Stage()
    stage.domain_keys.signing = raising(TransientError("the KEK is missing"))
    (outcome,), copies, _ = send(stage=stage)
    assert outcome.fate is Fate.DEFERRED
    assert copies == []


@pytest.mark.parametrize("fault", ["port", "key", "mail"])
def test_what_can_never_be_signed_leaves_unsigned_and_the_log_says_so(fault):
    stage = Stage().know(PARTNER)
    keys, raw = (RSA,), mail()
    if fault == "port":
        stage.domain_keys.signing = raising(PermanentError("never"))
    elif fault == "key":
        stage.domain_keys.keys.append(DkimKey("inside.example", "x", ec_key()))
        keys = ()
    else:
        raw = mail(*(f"References: <{number}@a>" for number in range(60)))
    (outcome,), _, (verdicts,) = send(raw, stage=stage, keys=keys, settings={"mode": Mode.ALLOW})
    assert outcome.treatment is Treatment.ENCRYPTED, "the method that encrypts is not crossed out by that"
    assert verdicts == ()
    assert any(one.code is ReasonCode.DKIM_NOT_SIGNED for one in outcome.reasons)


def raising(error):
    def raise_it(*_):
        raise error

    return raise_it


def test_explaining_tells_of_it():
    stage = Stage().sign_for_domains(ED)
    (told,) = explain(envelope("bob@outside.example"), Message(mail()), stage.gateway())
    assert ("dkim", "inside.example e ed25519-sha256") in told.details


def test_what_the_gateway_writes_itself():
    stage = Stage().sign_for_domains(ED)
    report = mail(sender="Mail Delivery System <MAILER-DAEMON@gw.inside.example>")
    signed = b"".join(own_mail_signed(stage.gateway(), report, NOW))
    assert signed.endswith(report)
    (verdict,) = verify(Mail.of_entity(parse(signed).root), DNS, NOW)
    assert verdict.result is Result.PASS
    for other in (mail(sender="x@elsewhere.example"), mail("From: b@inside.example"), b"\0: x\r\n\r\n"):
        assert own_mail_signed(stage.gateway(), other, NOW) == (other,)
    assert own_mail_signed(Stage().gateway(), report, NOW) == (report,)
