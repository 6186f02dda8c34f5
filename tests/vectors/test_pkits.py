"""NIST PKITS: every test of path validation, under each of its settings, and the signed mails that go with them."""

import pytest

from mailseal.mail.mime import parse
from mailseal.policy.reason import ReasonCode
from mailseal.smime import path
from mailseal.smime.message import signed_parts
from mailseal.smime.verify import read_signed, verify
from vectors import pkits

CASES = pkits.cases()

STRICTER_THAN_NIST = {"4.1.4", "4.1.5"}
"""DSA with SHA-1, which NIST holds valid: SHA-1 is broken, and S/MIME knows DSA as history only (RFC 8550 §4.3)."""

OPENSSL_DISAGREES = {
    "4.1.4": "accepts DSA with SHA-1, asked for no level of security: see STRICTER_THAN_NIST",
    "4.14.30": "finds no status for a CRL issuer whose own certificate is covered by its own CRL only",
}
"""Where `openssl verify` 3.0 says otherwise than our engine, and why."""


def test_the_table_is_whole():
    sizes = {"1": 6, "2": 8, "3": 11, "4": 21, "5": 8, "6": 17, "7": 5, "8": 20, "9": 8, "10": 14, "11": 11}
    sizes |= {"12": 10, "13": 38, "14": 35, "15": 10, "16": 2}
    numbers = {case.number for case in CASES}
    assert numbers == {f"4.{section}.{test}" for section, size in sizes.items() for test in range(1, size + 1)}
    assert len(CASES) == len(set(CASES)) == 249
    # NIST's verdict is in the name, but for those tests whose settings decide.
    for case in CASES:
        if case.certificate.startswith("Invalid"):
            assert case.expected != "valid"
        elif case.certificate.startswith("Valid") and not case.settings and case.number not in STRICTER_THAN_NIST:
            assert case.expected == "valid"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_path_validation(case, monkeypatch):
    monkeypatch.setattr(path, "POLICIES", pkits.policies(case.settings))
    assert pkits.judged(case.certificate) == case.expected


def test_openssl_as_the_second_opinion(tmp_path):
    differing = set()
    for settings in {case.settings for case in CASES}:
        some = [case for case in CASES if case.settings == settings]
        accepted = pkits.openssl_accepts(tmp_path, {case.certificate for case in some}, settings)
        differing |= {case.number for case in some if (case.certificate in accepted) != (case.expected == "valid")}
    assert differing == set(OPENSSL_DISAGREES)


MAILS = sorted((pkits.FOLDER / "smime").glob("*.eml"))
DSA_MAILS = {
    "SignedValidDSASignaturesTest4",
    "SignedValidDSAParameterInheritanceTest5",
    "SignedInvalidDSASignatureTest6",
}
"""Signed with DSA, which is not supported."""


def test_the_mails_are_all_there():
    assert len(MAILS) == 224
    assert {file.stem for file in MAILS} > DSA_MAILS


@pytest.mark.parametrize("file", MAILS, ids=lambda file: file.stem)
def test_the_signature_of_a_mail(file):
    """The signature alone: whether its certificate is worth anything is the affair of the tests above."""
    parsed = parse(file.read_bytes())
    assert parsed.fault is None
    content, cms = signed_parts(parsed.root)
    (check,) = verify(read_signed(cms), content)
    if file.stem in DSA_MAILS:
        assert (check.verified, check.reason) == (False, ReasonCode.UNSUPPORTED_ALGORITHM)
    else:
        assert (check.verified, check.reason) == (True, None)
        (changed,) = verify(read_signed(cms), bytes(content).replace(b"sample", b"simple"))
        assert changed.reason is ReasonCode.SIGNATURE_INVALID
