"""Selection: the questions of the mail path, answered from stored verdicts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519

import pki
from mailseal.mail.address import Address
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import NewKey, RevocationUnknown, Settings
from mailseal.smime.certificate import CtlEntry, Revocation, StoredCertificate, Verdict
from mailseal.smime.select import (
    addresses_of,
    newest_first,
    revocation_at,
    speaks_for,
    why_not_encrypt,
    why_not_sign,
    why_not_trust_signer,
)
from pki import DAY, NOW

CA = pki.Authority("Select CA")
ADDRESS = Address.parse("anna@example.com")
SETTINGS = Settings()
STRICT = replace(SETTINGS, revocation_unknown=RevocationUnknown.UNUSABLE)
LEGACY = replace(SETTINGS, legacy_subject_email=True)


def good(certificate):
    return Verdict(True, None, certificate.not_before, certificate.not_after, Revocation.GOOD, NOW + DAY)


def stored(identity=None, *, verdict=None, **fields):
    certificate = (identity or CA.issue("anna@example.com", key="p256")).certificate
    return StoredCertificate(certificate, replace(good(certificate), **(verdict or {})), has_key=True, **fields)


QUESTIONS = {
    "encrypt": lambda one, settings, at: why_not_encrypt(one, ADDRESS, settings, at),
    "sign": lambda one, settings, at: why_not_sign(one, ADDRESS, settings, at),
    "signer": lambda one, settings, at: why_not_trust_signer(one, at, settings),
}


def codes(one, settings=SETTINGS, at=NOW):
    answers = {name: ask(one, settings, at) for name, ask in QUESTIONS.items()}
    return {name: answer and answer.code for name, answer in answers.items()}


def everywhere(code):
    return dict.fromkeys(QUESTIONS, code)


def test_usable():
    assert codes(stored()) == everywhere(None)
    assert codes(stored(CA.issue("ANNA@Example.COM"))) == everywhere(None)


UNTRUSTED = {"trusted": False, "reason": ReasonCode.CERTIFICATE_UNTRUSTED}
REVOKED = {"revocation": Revocation.REVOKED, "revocation_until": None}


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (UNTRUSTED, ReasonCode.CERTIFICATE_UNTRUSTED),
        ({"trusted": False, "reason": None}, ReasonCode.CERTIFICATE_UNTRUSTED),
        ({"trusted": False, "reason": ReasonCode.CERTIFICATE_WRONG_USAGE}, ReasonCode.CERTIFICATE_WRONG_USAGE),
        (REVOKED, ReasonCode.CERTIFICATE_REVOKED),
        (REVOKED | UNTRUSTED, ReasonCode.CERTIFICATE_REVOKED),
        ({"valid_until": NOW - DAY}, ReasonCode.CERTIFICATE_EXPIRED),
        ({"valid_from": NOW + DAY}, ReasonCode.CERTIFICATE_NOT_YET_VALID),
    ],
)
def test_verdicts_and_a_ctl_allow(verdict, code):
    assert codes(stored(verdict=verdict)) == everywhere(code)
    assert codes(stored(verdict=verdict, ctl=CtlEntry.ALLOW)) == everywhere(None)
    assert codes(stored(verdict=verdict, ctl=CtlEntry.ALLOW_EXPIRED)) == everywhere(None)
    assert codes(stored(verdict=verdict, ctl=CtlEntry.DENY)) == everywhere(ReasonCode.CERTIFICATE_DENIED)
    assert codes(stored(verdict=verdict, selected=True)) == everywhere(code)


def test_a_ctl_deny_beats_all():
    assert codes(stored(ctl=CtlEntry.DENY, selected=True)) == everywhere(ReasonCode.CERTIFICATE_DENIED)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (NOW - 31 * DAY, ReasonCode.CERTIFICATE_NOT_YET_VALID),
        (NOW + 366 * DAY, ReasonCode.CERTIFICATE_EXPIRED),
    ],
)
def test_own_validity(at, code):
    assert codes(stored(), at=at) == everywhere(code)
    assert codes(stored(ctl=CtlEntry.ALLOW), at=at) == everywhere(code)
    assert codes(stored(ctl=CtlEntry.ALLOW_EXPIRED), at=at) == everywhere(None)


def test_the_bounds_themselves_are_inside():
    one = stored()
    assert codes(one, at=one.certificate.not_before) == everywhere(None)
    assert codes(one, at=one.certificate.not_after) == everywhere(None)


@pytest.mark.parametrize(
    "verdict",
    [
        {"revocation": Revocation.UNKNOWN, "revocation_until": None},
        {"revocation_until": NOW - timedelta(seconds=1)},
    ],
)
def test_unknown_revocation(verdict):
    one = stored(verdict=verdict)
    assert revocation_at(one, NOW) is Revocation.UNKNOWN
    assert codes(one) == everywhere(None)
    assert codes(one, STRICT) == everywhere(ReasonCode.CERTIFICATE_REVOCATION_UNKNOWN)
    assert codes(replace(one, ctl=CtlEntry.ALLOW), STRICT) == everywhere(None)


def test_known_revocation_satisfies_the_strict_setting():
    assert codes(stored(), STRICT) == everywhere(None)
    assert codes(stored(verdict={"revocation_until": NOW}), STRICT) == everywhere(None)
    assert codes(stored(verdict={"revocation_until": None}), STRICT) == everywhere(None)
    assert revocation_at(stored(verdict=REVOKED), NOW) is Revocation.REVOKED


ALL = {"encrypt", "sign", "signer"}


@pytest.mark.parametrize(
    ("key", "usage", "eku", "fit"),
    [
        ("rsa2048", None, None, ALL),
        ("p256", None, None, ALL),
        ("rsa2048", ("key_encipherment",), None, {"encrypt"}),
        ("p256", ("key_agreement",), None, {"encrypt"}),
        ("p256", ("data_encipherment",), None, set()),
        ("rsa2048", ("data_encipherment",), None, set()),
        ("p384", ("digital_signature",), None, {"sign", "signer"}),
        ("rsa2048", ("content_commitment",), None, {"sign", "signer"}),
        ("rsa2048", None, ("1.3.6.1.5.5.7.3.1",), set()),
        ("rsa2048", None, (pki.ANY_USAGE,), ALL),
        ("rsa2048", None, (pki.EMAIL_PROTECTION, "1.3.6.1.5.5.7.3.1"), ALL),
    ],
)
def test_usage(key, usage, eku, fit):
    answers = codes(stored(CA.issue("anna@example.com", key=key, usage=usage, eku=eku)))
    assert answers == {name: None if name in fit else ReasonCode.CERTIFICATE_WRONG_USAGE for name in QUESTIONS}
    allowed = codes(stored(CA.issue("anna@example.com", key=key, usage=usage, eku=eku), ctl=CtlEntry.ALLOW))
    assert allowed == answers


@pytest.mark.parametrize("kind", ["rsa1024", "secp256k1"])
def test_keys_of_no_use(kind):
    answers = codes(stored(CA.issue("anna@example.com", key=kind)))
    assert answers["encrypt"] is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY
    assert answers["sign"] is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY


def test_ed25519_signs_and_x25519_receives():
    unsupported, wrong = ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, ReasonCode.CERTIFICATE_WRONG_USAGE
    assert of_key("ed25519") == {"encrypt": unsupported, "sign": None, "signer": None}
    key = x25519.X25519PrivateKey.generate()
    assert of_key(key, usage=("key_agreement",)) == {"encrypt": None, "sign": wrong, "signer": wrong}
    assert of_key(key, usage=None)["sign"] is unsupported
    assert of_key(key, usage=("data_encipherment",))["encrypt"] is wrong


def of_key(key, **options):
    return codes(stored(CA.issue("anna@example.com", key=key, **options)))


@pytest.mark.parametrize("kind", ["brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1", "p521"])
def test_curves_of_use(kind):
    assert codes(stored(CA.issue("anna@example.com", key=kind))) == everywhere(None)


def test_a_new_key_for_a_known_address_by_setting():
    strict = replace(SETTINGS, new_key_for_known_address=NewKey.UNUSABLE)
    conflict = stored(conflict=True)
    assert codes(conflict) == everywhere(None)
    assert codes(conflict, strict) == everywhere(None) | {"encrypt": ReasonCode.CERTIFICATE_NEW_KEY}
    assert codes(replace(conflict, selected=True), strict) == everywhere(None)
    assert codes(stored(), strict) == everywhere(None)


def test_address():
    other = CA.issue("bob@example.com", key="p256")
    wrong = ReasonCode.CERTIFICATE_WRONG_ADDRESS
    assert codes(stored(other)) == {"encrypt": wrong, "sign": wrong, "signer": None}
    assert codes(stored(other, selected=True)) == everywhere(None)
    assert why_not_encrypt(stored(), None, SETTINGS, NOW).code is wrong
    assert why_not_encrypt(stored(selected=True), None, SETTINGS, NOW) is None


def test_legacy_subject_address():
    old = stored(CA.issue(key="p256", subject_emails=["anna@example.com"]))
    assert codes(old)["encrypt"] is ReasonCode.CERTIFICATE_WRONG_ADDRESS
    assert codes(old, LEGACY) == everywhere(None)
    both = CA.issue("bob@example.com", key="p256", subject_emails=["anna@example.com"])
    assert codes(stored(both), LEGACY)["encrypt"] is ReasonCode.CERTIFICATE_WRONG_ADDRESS
    assert addresses_of(both.certificate, legacy_subject_email=True) == ("bob@example.com",)


def test_a_san_that_is_no_address_matches_nobody():
    assert codes(stored(CA.issue("a b@example.com", key="p256")))["encrypt"] is ReasonCode.CERTIFICATE_WRONG_ADDRESS


def test_signing_needs_the_key():
    assert why_not_sign(replace(stored(), has_key=False), ADDRESS, SETTINGS, NOW).code is ReasonCode.NO_SIGNING_KEY
    assert why_not_encrypt(replace(stored(), has_key=False), ADDRESS, SETTINGS, NOW) is None


def test_reasons_name_the_certificate():
    one = stored(verdict=UNTRUSTED)
    assert why_not_encrypt(one, ADDRESS, SETTINGS, NOW).parameters == (("fingerprint", one.certificate.fingerprint),)


def test_newest_first():
    ages = [stored(CA.issue("anna@example.com", key="p256", not_before=NOW - days * DAY)) for days in (3, 1, 2)]
    assert [one.certificate.not_before for one in newest_first(ages)] == [NOW - DAY, NOW - 2 * DAY, NOW - 3 * DAY]
    twins = [stored(CA.issue("anna@example.com", key="p256", not_before=NOW - DAY)) for _ in range(3)]
    assert newest_first(twins) == newest_first(reversed(twins))


@pytest.mark.parametrize(
    ("in_certificate", "asked", "speaks"),
    [
        ("Kate@x.test", "kate@X.test", True),
        ("jÖrg@x.test", "jörg@x.test", True),
        ("\u212aate@x.test", "kate@x.test", False),
        ("stra\u00dfe@x.test", "strasse@x.test", False),
        ("no address", "kate@x.test", False),
    ],
)
def test_an_address_beyond_ascii_speaks_for_none_within(in_certificate, asked, speaks):
    assert speaks_for(["other@x.test", in_certificate], Address.parse(asked)) is speaks
