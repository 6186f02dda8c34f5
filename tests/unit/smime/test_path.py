"""Certification paths: what is trusted, what is not, until when, and at what cost."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.policy.reason import ReasonCode
from mailseal.smime.certificate import CertificateError, Revocation, parse_certificate
from mailseal.smime.path import validate
from mailseal.smime.revocation import NO_CRLS
from pki import DAY, NOW

GRACE = 7 * DAY
ROOT = pki.Authority("Path Root")
ISSUING = ROOT.subordinate("Path CA")
ANNA = ISSUING.issue("anna@example.com", key="p256")


@dataclass
class Rows:
    """Revocation facts by (issuer, serial); GOOD until `next_update` for issuers that are listed."""

    issuers: list = field(default_factory=list)
    revoked: set = field(default_factory=set)
    next_update: dict = field(default_factory=dict)

    def status(self, path):
        one, issuer = path[:2]
        if issuer not in self.issuers:
            return Revocation.UNKNOWN, None
        state = Revocation.REVOKED if (issuer.fingerprint, one.serial) in self.revoked else Revocation.GOOD
        return state, self.next_update.get(issuer, NOW + 3 * DAY)


def judge(identity, intermediates=(ISSUING,), roots=(ROOT,), revocations=NO_CRLS, at=NOW):
    return validate(
        identity.certificate,
        [one.certificate for one in intermediates],
        [one.certificate for one in roots],
        revocations,
        at,
        crl_grace=GRACE,
    )


def test_a_good_path():
    verdict = judge(ANNA)
    assert verdict.trusted
    assert verdict.reason is None
    assert verdict.revocation is Revocation.UNKNOWN
    assert verdict.revocation_until is None
    assert (verdict.valid_from, verdict.valid_until) == (ANNA.certificate.not_before, ANNA.certificate.not_after)


def test_bounds_are_the_narrowest_of_the_path():
    narrow = ROOT.subordinate("Narrow CA", not_before=NOW - DAY, not_after=NOW + DAY)
    verdict = judge(narrow.issue("a@b.de", key="p256"), [narrow])
    assert (verdict.valid_from, verdict.valid_until) == (NOW - DAY, NOW + DAY)
    short = pki.Authority("Short Root", not_after=NOW + 2 * DAY)
    assert judge(short.issue("a@b.de", key="p256"), [], [short]).valid_until == NOW + 2 * DAY


@pytest.mark.parametrize(
    ("intermediates", "roots"), [((), (ROOT,)), ((ISSUING,), ()), ((ISSUING,), (pki.Authority("Path Root"),))]
)
def test_without_a_way_to_a_root(intermediates, roots):
    verdict = judge(ANNA, intermediates, roots)
    assert (verdict.trusted, verdict.reason) == (False, ReasonCode.CERTIFICATE_UNTRUSTED)
    assert verdict.valid_until == ANNA.certificate.not_after


def test_a_trusted_leaf_is_its_own_path():
    assert judge(ROOT, [], [ROOT]).trusted
    assert judge(ROOT, [], [ROOT]).revocation is Revocation.GOOD


def test_every_key_type_and_rsa_authorities():
    root = pki.Authority("RSA Root", "rsa2048")
    for kind in ("rsa2048", "p384", "p521"):
        assert judge(root.issue("a@b.de", key=kind), [], [root]).trusted


def test_an_expired_certificate_is_judged_inside_its_validity():
    old = ISSUING.issue("a@b.de", key="p256", not_before=NOW - 50 * DAY, not_after=NOW - 10 * DAY)
    verdict = judge(old)
    assert verdict.trusted
    assert verdict.valid_until == NOW - 10 * DAY
    young = ISSUING.issue("a@b.de", key="p256", not_before=NOW + DAY)
    assert judge(young).trusted
    assert judge(young).valid_from == NOW + DAY


@pytest.mark.parametrize("which", ["root", "intermediate"])
def test_an_expired_authority(which):
    bounds = {"not_before": NOW - 50 * DAY, "not_after": NOW - DAY}
    root = pki.Authority("Old Root", **(bounds if which == "root" else {}))
    between = root.subordinate("Old CA", **(bounds if which == "intermediate" else {}))
    verdict = judge(between.issue("a@b.de", key="p256"), [between], [root])
    assert (verdict.trusted, verdict.reason) == (False, ReasonCode.CERTIFICATE_EXPIRED)


def test_an_authority_not_yet_valid():
    between = ROOT.subordinate("Young CA", not_before=NOW + DAY)
    assert judge(between.issue("a@b.de", key="p256"), [between]).reason is ReasonCode.CERTIFICATE_NOT_YET_VALID


@pytest.mark.parametrize(
    ("eku", "trusted"),
    [
        (None, True),
        ((pki.EMAIL_PROTECTION,), True),
        ((pki.ANY_USAGE,), True),
        (("1.3.6.1.5.5.7.3.1",), False),
        (("1.3.6.1.5.5.7.3.1", pki.EMAIL_PROTECTION), True),
    ],
)
def test_email_purpose_of_the_leaf(eku, trusted):
    verdict = judge(ISSUING.issue("a@b.de", key="p256", eku=eku))
    assert verdict.trusted is trusted
    assert verdict.reason is (None if trusted else ReasonCode.CERTIFICATE_WRONG_USAGE)


def test_email_purpose_of_an_authority_binds_what_it_issues():
    web = ROOT.subordinate("Web CA", eku=["1.3.6.1.5.5.7.3.1"])
    assert judge(web.issue("a@b.de", key="p256"), [web]).reason is ReasonCode.CERTIFICATE_WRONG_USAGE
    mail = ROOT.subordinate("Mail CA", eku=[pki.EMAIL_PROTECTION])
    assert judge(mail.issue("a@b.de", key="p256"), [mail]).trusted


def test_an_end_entity_cannot_issue():
    fake = ROOT.subordinate("No CA", is_ca=False)
    assert not judge(fake.issue("a@b.de", key="p256"), [fake]).trusted
    no_signing = ROOT.subordinate("No Signing CA", usage=["digital_signature"])
    assert not judge(no_signing.issue("a@b.de", key="p256"), [no_signing]).trusted


def test_path_length_constraints_of_root_and_intermediate():
    for root, between in (
        (pki.Authority("Length Root", path_length=0), None),
        (pki.Authority("Length Root"), 0),
    ):
        first = root.subordinate("First", path_length=between)
        second = first.subordinate("Second")
        assert not judge(second.issue("a@b.de", key="p256"), [first, second], [root]).trusted


@pytest.mark.parametrize("at_root", [True, False])
def test_name_constraints(at_root):
    only = x509.NameConstraints([x509.RFC822Name("example.com")], None)
    root = pki.Authority("Constrained Root", name_constraints=only if at_root else None)
    between = root.subordinate("Constrained CA", name_constraints=None if at_root else only)
    assert judge(between.issue("a@example.com", key="p256"), [between], [root]).trusted
    assert not judge(between.issue("a@example.org", key="p256"), [between], [root]).trusted
    assert not judge(between.issue("jürgen@example.org", key="p256"), [between], [root]).trusted


def test_an_unknown_critical_extension():
    extra = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]
    assert not judge(ISSUING.issue("a@b.de", key="p256", extra=extra)).trusted


def test_an_authority_with_a_small_key_is_not_trusted():
    small = pki.Authority("Small Root", "rsa1024")
    assert not judge(small.issue("a@b.de", key="p256"), [], [small]).trusted


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"is_ca": False}, ReasonCode.CERTIFICATE_UNTRUSTED),
        ({"usage": ("digital_signature",)}, ReasonCode.CERTIFICATE_UNTRUSTED),
        ({"eku": ("1.3.6.1.5.5.7.3.1",)}, ReasonCode.CERTIFICATE_WRONG_USAGE),
    ],
)
def test_a_root_that_is_no_authority_for_mail_issues_nothing(options, reason):
    root = pki.Authority("Odd Root", **options)
    verdict = judge(root.issue("anna@example.com", key="p256"), intermediates=(), roots=(root,))
    assert (verdict.trusted, verdict.reason) == (False, reason)


def test_cross_certificates_and_several_roots():
    other = pki.Authority("Other Root")
    cross = pki.Authority("Path Root", parent=other, key=ROOT.key)
    assert judge(ANNA, [ISSUING, cross], [other]).trusted
    assert judge(ANNA, [ISSUING, cross], [other, ROOT]).trusted
    # Two authorities that certify each other are a circle, not a path.
    back = pki.Authority("Other Root", parent=ROOT, key=other.key)
    assert not judge(ANNA, [ISSUING, cross, back], [pki.Authority("Third Root")]).trusted


def test_a_root_renewed_under_the_same_name():
    renewed = pki.Authority("Path Root", key=ROOT.key, not_before=NOW - DAY)
    assert judge(ANNA, [ISSUING], [renewed]).trusted
    assert judge(ANNA, [ISSUING], [pki.Authority("Path Root"), ROOT]).trusted


def test_names_compare_without_case_and_spaces():
    shouting = pki.Authority("PATH   CA", parent=ROOT, key=ISSUING.key)
    assert judge(ANNA, [shouting]).trusted


# revocation


def rows(*authorities, revoked=(), next_update=None):
    found = Rows([one.certificate for one in authorities])
    found.revoked = {(issuer.certificate.fingerprint, one.certificate.serial) for issuer, one in revoked}
    found.next_update = {one.certificate: at for one, at in (next_update or {}).items()}
    return found


def test_good_needs_an_answer_for_every_certificate_of_the_path():
    assert judge(ANNA, revocations=rows(ISSUING)).revocation is Revocation.UNKNOWN
    assert judge(ANNA, revocations=rows(ROOT)).revocation is Revocation.UNKNOWN
    verdict = judge(ANNA, revocations=rows(ISSUING, ROOT))
    assert verdict.revocation is Revocation.GOOD
    assert verdict.revocation_until == NOW + 3 * DAY + GRACE


def test_revocation_until_is_the_earliest():
    facts = rows(ISSUING, ROOT, next_update={ROOT: NOW + DAY})
    assert judge(ANNA, revocations=facts).revocation_until == NOW + DAY + GRACE


def test_grace_after_next_update():
    facts = rows(ISSUING, ROOT, next_update={ISSUING: NOW - GRACE})
    assert judge(ANNA, revocations=facts).revocation is Revocation.GOOD
    facts = rows(ISSUING, ROOT, next_update={ISSUING: NOW - GRACE - timedelta(seconds=1)})
    assert judge(ANNA, revocations=facts).revocation is Revocation.UNKNOWN


@pytest.mark.parametrize("stale", [False, True])
def test_revoked_leaf_and_revoked_authority(stale):
    old = {ISSUING: NOW - 99 * DAY, ROOT: NOW - 99 * DAY} if stale else {}
    for issuer, one in ((ISSUING, ANNA), (ROOT, ISSUING)):
        verdict = judge(ANNA, revocations=rows(ISSUING, ROOT, revoked=[(issuer, one)], next_update=old))
        assert verdict.trusted
        assert verdict.revocation is Revocation.REVOKED
        assert verdict.revocation_until is None


def test_a_path_round_a_revoked_cross_certificate_counts():
    other = pki.Authority("Second Root")
    cross = pki.Authority("Path CA", parent=other, key=ISSUING.key)
    facts = rows(ISSUING, ROOT, other, revoked=[(ROOT, ISSUING)])
    assert judge(ANNA, [ISSUING], [ROOT], facts).revocation is Revocation.REVOKED
    facts.issuers.append(cross.certificate)
    assert judge(ANNA, [ISSUING, cross], [ROOT, other], facts).revocation is Revocation.GOOD


@given(st.sampled_from([ANNA, ISSUING]), st.data())
def test_changed_certificates_never_become_trusted_or_raise(victim, data):
    changed = bytearray(victim.der)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        parsed = parse_certificate(bytes(changed))
    except CertificateError:
        return
    leaf = parsed if victim is ANNA else ANNA.certificate
    between = parsed if victim is ISSUING else ISSUING.certificate
    verdict = validate(leaf, [between], [ROOT.certificate], NO_CRLS, NOW, crl_grace=GRACE)
    assert not verdict.trusted


def test_an_address_in_the_subject_does_not_get_round_name_constraints():
    """The library compares emailAddress only where there is no subjectAltName at all; addresses are read from it so."""
    only = x509.NameConstraints([x509.RFC822Name("example.com")], None)
    between = ROOT.subordinate("Constrained CA", name_constraints=only)
    for address, trusted in (("a@example.com", True), ("boss@example.org", False)):
        alone = between.issue(key="p256", subject_emails=[address])
        assert judge(alone, [between]).trusted is trusted
        beside = between.issue(key="p256", subject_emails=[address], san=[x509.DNSName("example.com")])
        assert not judge(beside, [between]).trusted
    free = ROOT.subordinate("Free CA")
    assert judge(free.issue(key="p256", subject_emails=["a@b.de"], san=[x509.DNSName("b.de")]), [free]).trusted


@pytest.mark.parametrize(("algorithm", "trusted"), [(1, True), (7, False), (10, False)])
def test_an_authority_whose_rsa_key_is_made_for_something_else(algorithm, trusted):
    """A key for RSASSA-PSS makes no PKCS#1 v1.5 signatures, one for RSAES-OAEP none at all (RFC 4055 §1.2)."""
    root = pki.Authority("RSA Root", "rsa2048")
    named = bytes.fromhex("2a864886f70d0101")
    known = pki.parse_certificate(root.der.replace(named + b"\x01", named + bytes([algorithm])))
    leaf = root.issue("a@b.de", key="p256").certificate
    assert validate(leaf, [], [known], NO_CRLS, NOW, crl_grace=GRACE).trusted is trusted


@pytest.mark.parametrize(
    ("excluded", "address"),
    [
        ("boss@example.com", "BOSS@example.com"),
        ("boss@example.com", '"boss"@Example.com'),
        ("xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("XN--bcher-kva.example", "a@xn--BCHER-kva.example"),
        (".xn--bcher-kva.example", "a@b.xn--bcher-kva.example"),
    ],
)
@pytest.mark.parametrize("place", ["san", "subject", "above"])
def test_an_excluded_address_is_excluded_however_it_is_written(excluded, address, place):
    limits = x509.NameConstraints(None, [x509.RFC822Name(excluded)])
    between = top = ROOT.subordinate("Excluding CA", name_constraints=limits)
    if place == "above":
        between = top.subordinate("Excluding Sub CA")
    named = {"subject_emails": [address]} if place == "subject" else {"email": address}
    assert judge(between.issue("other@example.org", key="p256"), [between, top]).trusted
    assert not judge(between.issue(key="p256", **named), [between, top]).trusted
