"""The protect path: for each recipient the exact outcome, its reasons in order and its details."""

from dataclasses import replace

import pytest

from cms_samples import encrypted_entity, signed_entity
from mailseal.errors import PermanentError, TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.methods.smime import Smime
from mailseal.pipeline import process, process_mail
from mailseal.policy.model import Defer, Fate, MethodName, Notify, Outcome, Treatment
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import CipherChoice, DigestChoice, Mode, OnFailure, Settings
from mailseal.policy.text import render
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity
from pki import NOW
from stage import PARTNER, PARTNER_EC, SENDER, Interrupter, Stage, envelope, mail

BOB, CAROL, X = "bob@outside.example", "carol@outside.example", "x@elsewhere.example"
MUST = Settings(mode=Mode.MANDATORY)
OFF = Settings(mode=Mode.NEVER, sign=False)
SIGNER, BOBS, CAROLS = (one.certificate.fingerprint for one in (SENDER, PARTNER, PARTNER_EC))
HEAD = b"From: anna@inside.example\r\nTo: x@elsewhere.example\r\nMIME-Version: 1.0\r\n"
TEXT = b"Content-Type: text/plain\r\n\r\nThe canary sings.\r\n"

ALLOW = because(ReasonCode.MODE_ALLOW)
MANDATORY = because(ReasonCode.MODE_MANDATORY)
SIGNED_BY = because(ReasonCode.SIGNED_BY, method="smime", fingerprint=SIGNER)
NO_SIGNER = because(ReasonCode.NO_SIGNING_KEY, address="anna@inside.example")
PROTECTED = because(ReasonCode.PROTECTED_BY, method="smime")
NO_METHOD = because(ReasonCode.NO_USABLE_METHOD)
NO_CERTIFICATE = because(ReasonCode.NO_CERTIFICATE, address=X)
NO_PGP, NO_PGP_OF_BOB, NO_PGP_OF_CAROL = (because(ReasonCode.NO_PGP_KEY, address=one) for one in (X, BOB, CAROL))
CLEAR = because(ReasonCode.SENT_CLEAR)
FAILED = because(ReasonCode.MUST_ENCRYPT_FAILED)
CANNOT = because(ReasonCode.METHOD_FAILED, detail="cannot")
KEYS = (("algorithm", "aes256-cbc pkcs1v15"), ("keys", BOBS[:16]))
SIGNATURE = (("signer", SIGNER[:16]), ("signature", "rsa-pkcs1v15 sha256"))


def go(stage: Stage, raw: bytes, *recipients: str, **options: object) -> list[Outcome]:
    return process(envelope(*recipients, **options), Message(raw), stage.gateway())


def relayed(to: str, treatment: Treatment, reasons: tuple[Reason, ...], details: tuple = ()) -> Outcome:
    method = None if treatment is Treatment.PASSED else MethodName.SMIME
    return Outcome(Address.parse(to), Fate.RELAYED, reply.ACCEPTED, treatment, method, reasons, details)


def ended(to: str, fate: Fate, answer: reply.Reply, *reasons: Reason) -> Outcome:
    return Outcome(Address.parse(to), fate, answer, reasons=reasons)


def fail(monkeypatch, *names: str) -> None:
    def broken(*_: object) -> bytes:
        raise PermanentError("cannot")

    for name in names:
        monkeypatch.setattr(Smime, name, broken)


def test_with_and_without_a_key_to_sign():
    unsigned = Stage().know(PARTNER)
    assert go(unsigned, mail(), BOB, X) == [
        relayed(BOB, Treatment.ENCRYPTED, (ALLOW, NO_SIGNER, PROTECTED), KEYS),
        relayed(X, Treatment.PASSED, (ALLOW, NO_CERTIFICATE, NO_PGP, NO_METHOD, NO_SIGNER, CLEAR)),
    ]
    signed = Stage().know(PARTNER).own(SENDER)
    assert go(signed, mail(), BOB, X) == [
        relayed(BOB, Treatment.SIGNED_ENCRYPTED, (ALLOW, SIGNED_BY, PROTECTED), KEYS + SIGNATURE),
        relayed(X, Treatment.SIGNED, (ALLOW, NO_CERTIFICATE, NO_PGP, NO_METHOD, SIGNED_BY, CLEAR), SIGNATURE),
    ]
    assert [one.ret for one in (*unsigned.sent, *signed.sent)] == ["HDRS", None, "HDRS", None]


def test_additional_certificates_are_keys_too_and_one_that_is_gone_is_said():
    additional = Settings(additional_certificates=(CAROLS, "ab" * 32), smime_cipher=CipherChoice.AES128_GCM)
    (outcome,) = go(Stage(settings={"": additional}).know(PARTNER, PARTNER_EC), mail(), BOB)
    gone = because(ReasonCode.ADDITIONAL_CERTIFICATE_UNUSABLE, fingerprint="ab" * 32)
    details = (("algorithm", "aes128-gcm pkcs1v15"), ("keys", f"{BOBS[:16]} {CAROLS[:16]}"))
    assert outcome == relayed(BOB, Treatment.ENCRYPTED, (ALLOW, NO_SIGNER, PROTECTED, gone), details)


def test_refused_where_it_must_be_encrypted():
    stage = Stage(settings={X: MUST}).own(SENDER)
    refused = ended(X, Fate.REFUSED, reply.NOT_PROTECTED, MANDATORY, NO_CERTIFICATE, NO_PGP, NO_METHOD, FAILED)
    assert go(stage, mail(), X, BOB)[0] == refused
    assert len(stage.sent) == 1


def test_a_structure_that_cannot_be_trusted_switches_the_method_off_and_says_why():
    raw = b"Content-Type: text/plain\r\nContent-Type: text/html\r\n" + mail()
    clear, refused = go(Stage(settings={CAROL: MUST}).know(PARTNER, PARTNER_EC).own(SENDER), raw, BOB, CAROL)
    fault = clear.reasons[1]
    assert fault.code is ReasonCode.MESSAGE_UNREADABLE
    assert "Content-Type" in dict(fault.parameters)["detail"]
    assert clear == relayed(BOB, Treatment.PASSED, (ALLOW, fault, fault, NO_METHOD, fault, CLEAR))
    assert refused == ended(CAROL, Fate.REFUSED, reply.NOT_PROTECTED, MANDATORY, fault, fault, NO_METHOD, FAILED)


def test_keys_are_looked_up_only_where_they_are_wanted():
    off = Stage(settings={"": OFF}).know(PARTNER).own(SENDER)
    go(off, mail(), BOB)
    assert not {"of_recipient", "with_key_of", "pgp.of_recipient", "pgp.with_key_of"} & set(off.interrupt.names)
    outside = Stage().own(SENDER)
    (outcome,) = go(outside, mail(), X, origin=Origin.OUTSIDE)
    assert not {"with_key_of", "pgp.with_key_of"} & set(outside.interrupt.names)
    origin = because(ReasonCode.ORIGIN_OUTSIDE)
    assert outcome.reasons == (ALLOW, origin, NO_CERTIFICATE, NO_PGP, NO_METHOD, CLEAR)


def test_who_cannot_sign_is_told_by_the_reason():
    raw = mail(sender="anna@inside.example, dora@inside.example")
    (outcome,) = go(Stage().own(SENDER), raw, X)
    assert outcome.reasons == (ALLOW, NO_CERTIFICATE, NO_PGP, NO_METHOD, because(ReasonCode.MANY_FROM), CLEAR)


def test_a_protected_mail_is_left_alone():
    ciphertext = encrypted_entity([TEXT], [PARTNER.certificate], EncryptionForm())
    (outcome,) = go(Stage().know(PARTNER).own(SENDER), HEAD + ciphertext, BOB)
    assert outcome == relayed(BOB, Treatment.PASSED, (because(ReasonCode.ALREADY_ENCRYPTED),))
    signed = signed_entity(TEXT, SigningIdentity(SENDER.certificate, SENDER.key), SignatureForm(), at=NOW)
    (outcome,) = go(Stage().own(SENDER), HEAD + signed, X)
    already = because(ReasonCode.ALREADY_SIGNED)
    assert outcome == relayed(X, Treatment.PASSED, (ALLOW, already, NO_CERTIFICATE, NO_PGP, NO_METHOD, CLEAR))


CALENDAR = b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n"


def multipart(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(b"--" + kind + b"\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/%b; boundary=%b\r\n\r\n%b--%b--\r\n" % (kind, kind, body, kind)


@pytest.mark.parametrize(
    ("entity", "skipped"),
    [
        (TEXT, False),
        (CALENDAR, True),
        (CALENDAR.replace(b"; method=REQUEST", b""), False),
        (TEXT.replace(b"plain", b"plain; method=REQUEST"), False),
        (multipart(b"alternative", TEXT, CALENDAR), True),
        (multipart(b"mixed", multipart(b"alternative", TEXT, CALENDAR), TEXT), True),
        (multipart(b"mixed", TEXT), False),
        (multipart(b"related", CALENDAR), False),
    ],
)
def test_invitations_can_be_left_out(entity, skipped):
    stage = Stage(settings={"": Settings(skip_calendar=True)}).know(PARTNER).own(SENDER)
    (outcome,) = go(stage, HEAD + entity, BOB)
    assert (outcome.reasons[0] == because(ReasonCode.CALENDAR_SKIPPED)) is skipped
    assert outcome.treatment is (Treatment.PASSED if skipped else Treatment.SIGNED_ENCRYPTED)


def test_a_mail_may_be_as_large_as_the_limit():
    raw = mail()
    for limit, treatment in ((len(raw), Treatment.SIGNED_ENCRYPTED), (len(raw) - 1, Treatment.PASSED)):
        stage = Stage(settings={"": Settings(smime_max_bytes=limit)}).know(PARTNER).own(SENDER)
        assert go(stage, raw, BOB)[0].treatment is treatment


@pytest.mark.parametrize("recipient", [BOB, X])
def test_the_subject_is_changed_for_our_own_sender_only(recipient):
    asks = Stage(settings={"": Settings(sign_subject_trigger="[sign]")}).know(PARTNER)
    raw = mail(subject="[sign] Hello")
    go(asks, raw, recipient)
    go(asks.own(SENDER), raw, recipient)
    go(asks, raw, recipient, sender="eve@elsewhere.example")
    subjects = [b"\r\nSubject: Hello\r\n" in b"".join(one.chunks) for one in asks.sent]
    assert subjects == [True, True, False]


def test_a_copy_that_needs_no_change_is_not_put_together_anew():
    stage = Stage(settings={"": OFF})
    raw = mail()
    go(stage, raw, X)
    assert stage.sent[0].chunks[1:] == (raw,)


def test_recipients_in_to_and_cc_may_know_of_each_other():
    stage = Stage()
    others = ("h1@outside.example", "h2@outside.example", "h3@outside.example")
    for address in others:
        bobs = Stage().know(PARTNER).certificates_of[BOB]
        stage.certificates_of[address] = [replace(one, selected=True) for one in bobs]
    go(stage, mail(f"Cc: {others[1]}", to=others[0]), *others)
    assert [len(one.recipients) for one in stage.sent] == [2, 1]


def test_each_digest_has_a_signature_of_its_own():
    stage = Stage(settings={BOB: Settings(smime_digest=DigestChoice.SHA512)}).own(SENDER)
    outcomes = go(stage, mail(), BOB, X)
    assert [dict(one.details)["signature"] for one in outcomes] == ["rsa-pkcs1v15 sha512", "rsa-pkcs1v15 sha256"]
    micalg = [b"micalg=sha-512" in b"".join(one.chunks) for one in stage.sent]
    assert micalg == [True, False]


def test_a_report_from_the_null_sender_is_cut_and_said_to_be():
    report = multipart(b"report", TEXT, b"Content-Type: message/rfc822\r\n\r\n" + mail(body=b"CANARY"))
    for sender, cut in ((None, True), ("anna@inside.example", False)):
        stage = Stage(settings={"": OFF})
        (outcome,) = go(stage, HEAD + report, X, sender=sender)
        off = (because(ReasonCode.MODE_NEVER), because(ReasonCode.SIGNING_OFF), CLEAR)
        said = (because(ReasonCode.REPORT_CUT),) if cut else ()
        assert outcome == relayed(X, Treatment.PASSED, off + said)
        assert stage.sent[0].ret == ("HDRS" if cut else None)
        assert (b"CANARY" in stage.octets_sent()) is not cut


def test_whose_subject_may_be_logged():
    stage = Stage(settings={"": Settings(log_subject=True), X: Settings()}).know(PARTNER)
    done = process_mail(envelope(BOB, X), Message(mail()), stage.gateway(), b"a" * 32)
    assert done.subject_for == {Address.parse(BOB).key}
    assert done.subject == "Hello"


def test_what_failed_is_crossed_out_and_said(monkeypatch):
    fail(monkeypatch, "encrypt")
    stage = Stage(settings={CAROL: MUST}).know(PARTNER, PARTNER_EC).own(SENDER)
    assert go(stage, mail(), BOB, CAROL) == [
        relayed(BOB, Treatment.SIGNED, (ALLOW, CANNOT, NO_PGP_OF_BOB, NO_METHOD, SIGNED_BY, CLEAR), SIGNATURE),
        ended(CAROL, Fate.REFUSED, reply.NOT_PROTECTED, MANDATORY, CANNOT, NO_PGP_OF_CAROL, NO_METHOD, FAILED),
    ]


def test_what_failed_twice_is_crossed_out_twice(monkeypatch):
    fail(monkeypatch, "encrypt", "sign")
    stage = Stage(settings={CAROL: MUST}).know(PARTNER, PARTNER_EC).own(SENDER)
    assert go(stage, mail(), BOB, CAROL, X) == [
        relayed(BOB, Treatment.PASSED, (ALLOW, CANNOT, NO_PGP_OF_BOB, NO_METHOD, CANNOT, CLEAR)),
        ended(CAROL, Fate.REFUSED, reply.NOT_PROTECTED, MANDATORY, CANNOT, NO_PGP_OF_CAROL, NO_METHOD, FAILED),
        relayed(X, Treatment.PASSED, (ALLOW, NO_CERTIFICATE, NO_PGP, NO_METHOD, CANNOT, CLEAR)),
    ]


def test_a_key_that_is_not_at_hand_defers_and_says_what_was_planned():
    stage = Stage().know(PARTNER).own(SENDER)
    stage.keys.clear()
    away = because(ReasonCode.TRANSIENT_FAILURE, detail="the key is not at hand")
    reasons = (ALLOW, SIGNED_BY, PROTECTED, away)
    assert go(stage, mail(), BOB) == [ended(BOB, Fate.DEFERRED, reply.DEFERRED, *reasons)]


def test_a_lookup_that_fails_defers_this_recipient_only():
    stage = Stage(interrupt=Interrupter(1, lambda: TransientError("away"))).own(SENDER)
    stage.interrupt.calls = -go_until(Stage().own(SENDER), "of_recipient")
    first, second = go(stage, mail(), BOB, X)
    assert first == ended(BOB, Fate.DEFERRED, reply.DEFERRED, because(ReasonCode.TRANSIENT_FAILURE, detail="away"))
    assert second.fate is Fate.RELAYED


def go_until(stage: Stage, name: str) -> int:
    """How many port calls come before the first of this name."""
    go(stage, mail(), BOB, X)
    return stage.interrupt.names.index(name)


NOTIFYING = Settings(mode=Mode.MANDATORY, on_failure=OnFailure.NOTIFY)
NO_KEY = (MANDATORY, NO_CERTIFICATE, NO_PGP, NO_METHOD, FAILED)


def test_a_notice():
    stage = Stage(settings={"": NOTIFYING})
    assert go(stage, mail(), X) == [ended(X, Fate.NOTIFIED, reply.NOTIFIED, *NO_KEY)]
    ((_, _, report),) = stage.reports
    text = b" ".join(report.split())
    assert b"Reporting-MTA: dns; gw.inside.example" in text
    assert b" ".join(render(FAILED).encode().split()) in text
    assert reply.NOT_PROTECTED.text.encode() in text


def test_a_notice_that_cannot_be_given_now_defers():
    late = Stage(settings={"": NOTIFYING}, gateway_settings={"deadline_seconds": 0.0})
    out_of_time = because(ReasonCode.OUT_OF_TIME)
    assert go(late, mail(), X) == [ended(X, Fate.DEFERRED, reply.OUT_OF_TIME, *NO_KEY, out_of_time)]
    stage = Stage(settings={"": NOTIFYING}, interrupt=Interrupter(1, lambda: TransientError("away")))
    stage.interrupt.calls = -go_until(Stage(settings={"": NOTIFYING}), "failure")
    away = because(ReasonCode.TRANSIENT_FAILURE, detail="away")
    first, second = go(stage, mail(), X, BOB)
    assert first == ended(X, Fate.DEFERRED, reply.STORE_UNAVAILABLE, *NO_KEY, away)
    assert second.fate is Fate.NOTIFIED


@pytest.mark.parametrize("sender", [None, "anna@inside.example"])
def test_a_notice_that_nobody_could_get_is_a_refusal(monkeypatch, sender):
    monkeypatch.setattr("mailseal.pipeline.protect_path.plan", lambda *_, **__: Notify(FAILED, (MANDATORY,)))
    stage = Stage()
    fate, answer = (Fate.REFUSED, reply.NOT_PROTECTED) if sender is None else (Fate.NOTIFIED, reply.NOTIFIED)
    assert go(stage, mail(), X, sender=sender) == [ended(X, fate, answer, MANDATORY, FAILED)]
    assert len(stage.reports) == (sender is not None)


def test_a_plan_to_wait_defers(monkeypatch):
    monkeypatch.setattr("mailseal.pipeline.protect_path.plan", lambda *_, **__: Defer(NO_SIGNER, (MANDATORY,)))
    stage = Stage()
    assert go(stage, mail(), X) == [ended(X, Fate.DEFERRED, reply.DEFERRED, MANDATORY, NO_SIGNER)]
    assert not stage.sent
