"""CRLs that cover a part: by distribution point, kind of certificate, reason; delta CRLs; and who may sign them."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.smime import crl_issuers, revocation, strict
from mailseal.smime.certificate import Revocation
from mailseal.smime.crl_issuers import trusted_crls
from mailseal.smime.crl_points import ALL_REASONS, COMPLETE, read_points
from mailseal.smime.path import validate
from mailseal.smime.revocation import CrlError, CrlSet, may_sign_crls, read_crl, verify_crl
from mailseal.smime.strict import DerError
from pki import DAY, NOW

ROOT = pki.Authority("Scope Root")
CA = ROOT.subordinate("Scope CA")
SUB = CA.subordinate("Scope Sub CA")
URI = x509.UniformResourceIdentifier("http://crl.example/1.crl")
OTHER = x509.UniformResourceIdentifier("http://crl.example/2.crl")
NOTHING = timedelta(0)


def points(*names, reasons=None, issuer=None):
    one = x509.DistributionPoint(list(names) or None, None, reasons, issuer)
    return [(x509.CRLDistributionPoints([one]), False)]


ANNA = CA.issue("anna@example.com", key="p256")
BOB = CA.issue("bob@example.com", key="p256", extra=points(URI))


def scope(**limits):
    every = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return [(x509.IssuingDistributionPoint(**(every | limits)), True)]


def crl_set(*ders, issuers=(CA,)):
    return CrlSet.build([read_crl(der, partial=True) for der in ders], [one.certificate for one in issuers])


def state(crls, *path):
    return crls.status([one.certificate for one in path])[0]


def part(revoked=(), **limits):
    return CA.crl(revoked, extensions=scope(**limits))


def test_scope_is_read():
    found = read_crl(part(full_name=[URI], only_contains_user_certs=True), partial=True).scope
    assert (found.users_only, found.authorities_only, found.attributes_only, found.indirect) == (True, *[False] * 3)
    assert len(found.names) == 1
    assert found.reasons == ALL_REASONS
    assert read_crl(CA.crl(), partial=True).scope == COMPLETE


def test_only_users_or_only_authorities():
    assert state(crl_set(part(only_contains_user_certs=True)), ANNA, CA, ROOT) is Revocation.GOOD
    assert state(crl_set(part(only_contains_user_certs=True)), SUB, CA, ROOT) is Revocation.UNKNOWN
    assert state(crl_set(part(only_contains_ca_certs=True)), SUB, CA, ROOT) is Revocation.GOOD
    assert state(crl_set(part(only_contains_ca_certs=True)), ANNA, CA, ROOT) is Revocation.UNKNOWN


def test_attribute_certificates_have_serial_numbers_of_their_own():
    crls = crl_set(part([ANNA], only_contains_attribute_certs=True))
    assert state(crls, ANNA, CA, ROOT) is Revocation.UNKNOWN


def test_a_distribution_point_clears_its_own():
    assert state(crl_set(part(full_name=[URI])), BOB, CA, ROOT) is Revocation.GOOD
    assert state(crl_set(part(full_name=[OTHER, URI])), BOB, CA, ROOT) is Revocation.GOOD
    assert state(crl_set(part(full_name=[OTHER])), BOB, CA, ROOT) is Revocation.UNKNOWN
    assert state(crl_set(part(full_name=[URI])), ANNA, CA, ROOT) is Revocation.UNKNOWN
    assert state(crl_set(CA.crl()), BOB, CA, ROOT) is Revocation.GOOD


def test_what_the_issuer_lists_is_revoked_wherever_it_is_listed():
    assert state(crl_set(part([BOB], full_name=[OTHER])), BOB, CA, ROOT) is Revocation.REVOKED


def test_reasons_must_be_covered_together():
    some = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise})
    others = frozenset(one for one in x509.ReasonFlags if one.name not in {"unspecified", "remove_from_crl"}) - some
    first, second = part(only_some_reasons=some), part(only_some_reasons=others)
    assert state(crl_set(first), ANNA, CA, ROOT) is Revocation.UNKNOWN
    assert state(crl_set(first, second), ANNA, CA, ROOT) is Revocation.GOOD


def test_a_distribution_point_may_be_for_some_reasons():
    """What the certificate says of the point limits what its CRL tells (RFC 5280 §6.3.3 (d))."""
    compromise = frozenset({x509.ReasonFlags.key_compromise})
    asking = CA.issue("g@example.com", key="p256", extra=points(URI, reasons=compromise))
    at_the_point = part(full_name=[URI])
    assert state(crl_set(at_the_point), asking, CA, ROOT) is Revocation.UNKNOWN
    assert state(crl_set(at_the_point, CA.crl()), asking, CA, ROOT) is Revocation.GOOD
    assert state(crl_set(part([asking], full_name=[URI])), asking, CA, ROOT) is Revocation.REVOKED


def test_the_bound_is_that_of_the_longest_lived_crls_that_are_needed():
    short = CA.crl(next_update=NOW + DAY, extensions=scope(only_contains_user_certs=True))
    crls = crl_set(short, CA.crl(next_update=NOW + 5 * DAY))
    assert crls.status([ANNA.certificate, CA.certificate, ROOT.certificate]) == (Revocation.GOOD, NOW + 5 * DAY)


# delta CRLs


def delta(base, revoked=(), *, number=9, reason=None, this_update=NOW, next_update=NOW + DAY):
    return CA.crl(
        revoked,
        number=number,
        this_update=this_update,
        next_update=next_update,
        reason=reason,
        extensions=[(x509.DeltaCRLIndicator(base), True)],
    )


def test_a_delta_adds_and_takes_back():
    complete = CA.crl([ANNA], number=5, reason=x509.ReasonFlags.certificate_hold)
    assert state(crl_set(complete, delta(5, [BOB])), BOB, CA, ROOT) is Revocation.REVOKED
    assert state(crl_set(complete, delta(5, [BOB])), ANNA, CA, ROOT) is Revocation.REVOKED
    released = delta(5, [ANNA], reason=x509.ReasonFlags.remove_from_crl)
    assert state(crl_set(complete, released), ANNA, CA, ROOT) is Revocation.GOOD


@pytest.mark.parametrize(("base", "number"), [(6, 9), (4, 5)])
def test_a_delta_that_does_not_go_with_the_complete_one_takes_nothing_back(base, number):
    complete = CA.crl([ANNA], number=5, reason=x509.ReasonFlags.certificate_hold)
    released = delta(base, [ANNA], number=number, reason=x509.ReasonFlags.remove_from_crl)
    assert state(crl_set(complete, released), ANNA, CA, ROOT) is Revocation.REVOKED
    assert state(crl_set(complete, delta(base, [BOB], number=number)), BOB, CA, ROOT) is Revocation.REVOKED


def test_a_delta_alone_lists_and_clears_nothing():
    assert state(crl_set(delta(5, [BOB])), BOB, CA, ROOT) is Revocation.REVOKED
    assert state(crl_set(delta(5, [BOB])), ANNA, CA, ROOT) is Revocation.UNKNOWN


# who may sign


def trusted(*ders, known=(CA,), roots=(ROOT,)):
    crls = [read_crl(der, partial=True) for der in ders]
    return trusted_crls(
        crls, [one.certificate for one in known], [one.certificate for one in roots], NOW, crl_grace=NOTHING
    )


def second_key(root, name="Scope CA"):
    return root.subordinate(name, usage=["crl_sign"], is_ca=False)


def test_a_second_key_of_the_issuer_clears_while_it_is_good_itself():
    signer = second_key(ROOT)
    known = (CA, signer)
    assert state(trusted(signer.crl(), known=known), ANNA, CA, ROOT) is Revocation.UNKNOWN
    assert state(trusted(signer.crl(), ROOT.crl(), known=known), ANNA, CA, ROOT) is Revocation.GOOD
    assert state(trusted(signer.crl(), ROOT.crl([signer]), known=known), ANNA, CA, ROOT) is Revocation.UNKNOWN
    assert state(trusted(signer.crl([ANNA]), ROOT.crl([signer]), known=known), ANNA, CA, ROOT) is Revocation.REVOKED


def test_a_signer_need_not_be_for_mail():
    web = ("1.3.6.1.5.5.7.3.1",)
    authority = ROOT.subordinate("Web Authority", eku=web)
    signer = authority.subordinate("Scope CA", usage=["crl_sign"], is_ca=False, eku=web)
    crls = trusted(signer.crl(), authority.crl(), ROOT.crl(), known=(CA, authority, signer))
    assert state(crls, ANNA, CA, ROOT) is Revocation.GOOD


def test_a_signer_under_another_root_clears_nothing():
    elsewhere = pki.Authority("Elsewhere")
    signer = second_key(elsewhere)
    crls = trusted(signer.crl(), elsewhere.crl(), known=(CA, signer), roots=(ROOT, elsewhere))
    assert state(crls, ANNA, CA, ROOT) is Revocation.UNKNOWN
    assert state(crls, ANNA, CA, elsewhere) is Revocation.GOOD


def test_a_signer_without_a_path_says_nothing():
    stranger = pki.Authority("Scope CA", usage=["crl_sign"])
    crls = trusted(stranger.crl([ANNA]), known=(CA, stranger))
    assert state(crls, ANNA, CA, ROOT) is Revocation.UNKNOWN


def test_the_clearing_ends_with_the_signer():
    signer = ROOT.subordinate("Scope CA", usage=["crl_sign"], is_ca=False, not_after=NOW + 2 * DAY)
    crls = trusted(signer.crl(next_update=NOW + 5 * DAY), ROOT.crl(next_update=NOW + 5 * DAY), known=(CA, signer))
    assert crls.status([ANNA.certificate, CA.certificate, ROOT.certificate]) == (Revocation.GOOD, NOW + 2 * DAY)
    gone = ROOT.subordinate("Scope CA", usage=["crl_sign"], is_ca=False, not_after=NOW - DAY)
    late = trusted(gone.crl(next_update=NOW + 5 * DAY), ROOT.crl(), known=(CA, gone))
    verdict = validate(ANNA.certificate, [CA.certificate], [ROOT.certificate], late, NOW, crl_grace=NOTHING)
    assert verdict.revocation is Revocation.UNKNOWN


def test_the_grace_is_counted_once():
    """For a signer that ends, and for its own CRL, which is late: not for both, one after the other."""
    signer = ROOT.subordinate("Scope CA", usage=["crl_sign"], is_ca=False, not_after=NOW + 2 * DAY)
    pool = [CA.certificate, signer.certificate]
    lists = [read_crl(one.crl(next_update=NOW + 9 * DAY)) for one in (signer, ROOT)]
    crls = trusted_crls(lists, pool, [ROOT.certificate], NOW, crl_grace=DAY)
    verdict = validate(ANNA.certificate, pool, [ROOT.certificate], crls, NOW, crl_grace=DAY)
    assert (verdict.revocation, verdict.revocation_until) == (Revocation.GOOD, NOW + 2 * DAY)


def test_signers_that_answer_for_each_other():
    """A CRL may answer for its own signer; one that another signer revokes is believed no longer."""
    first, second = second_key(CA), second_key(CA)
    known = (CA, first, second)
    assert state(trusted(first.crl(), ROOT.crl(), known=known), ANNA, CA, ROOT) is Revocation.GOOD
    crls = trusted(first.crl([second]), second.crl(), ROOT.crl(), known=known)
    assert state(crls, ANNA, CA, ROOT) is Revocation.GOOD
    assert state(crls, second, CA, ROOT) is Revocation.REVOKED
    both = trusted(first.crl([second]), second.crl([first]), ROOT.crl(), known=known)
    assert state(both, ANNA, CA, ROOT) is Revocation.UNKNOWN


def test_without_an_end_of_the_rounds_nothing_is_cleared(monkeypatch):
    monkeypatch.setattr(crl_issuers, "MAX_ROUNDS", 0)
    signer = second_key(ROOT)
    crls = trusted(signer.crl(), ROOT.crl(), known=(CA, signer))
    assert state(crls, ANNA, CA, ROOT) is Revocation.UNKNOWN


def test_a_crl_of_the_future_does_not_count():
    soon = CA.crl([ANNA], number=9, this_update=NOW + DAY, next_update=NOW + 9 * DAY)
    assert state(trusted(soon, CA.crl()), ANNA, CA, ROOT) is Revocation.GOOD
    assert trusted(soon).lists == ()


def test_an_indirect_crl_speaks_only_for_those_who_name_its_issuer():
    signer = ROOT.subordinate("CRL Service")
    name = [x509.DirectoryName(signer.subject)]
    asking = CA.issue("c@example.com", key="p256", extra=points(issuer=name))
    listed = x509.RevokedCertificateBuilder().serial_number(asking.certificate.serial).revocation_date(NOW)
    listed = listed.add_extension(x509.CertificateIssuer([x509.DirectoryName(CA.subject)]), critical=True)
    builder = x509.CertificateRevocationListBuilder().issuer_name(signer.subject).last_update(NOW - DAY)
    builder = builder.next_update(NOW + DAY).add_extension(*scope(indirect_crl=True)[0])
    plain = builder.sign(signer.key, pki._digest(signer.key)).public_bytes(pki.Encoding.DER)
    listing = builder.add_revoked_certificate(listed.build()).sign(signer.key, pki._digest(signer.key))
    known = (CA, signer)
    assert state(trusted(plain, ROOT.crl(), known=known), asking, CA, ROOT) is Revocation.GOOD
    assert state(trusted(plain, ROOT.crl(), known=known), ANNA, CA, ROOT) is Revocation.UNKNOWN
    crls = trusted(listing.public_bytes(pki.Encoding.DER), ROOT.crl(), known=known)
    assert state(crls, asking, CA, ROOT) is Revocation.REVOKED
    # The same serial number of another issuer is another certificate.
    other = signer.issue("d@example.com", key="p256", serial=asking.certificate.serial)
    assert state(crls, other, signer, ROOT) is Revocation.GOOD


def test_few_certificates_are_tried_for_a_signature(monkeypatch):
    tried = []
    real = revocation._verify
    monkeypatch.setattr(revocation, "_verify", lambda *given: (tried.append(given), real(*given))[1])
    crowd = [pki.Authority("Scope CA").certificate for _ in range(60)]
    with pytest.raises(CrlError):
        verify_crl(read_crl(CA.crl()), crowd)
    assert len(tried) == revocation.MAX_SIGNERS
    # The key identifier puts the right one first.
    assert verify_crl(read_crl(CA.crl()), [*crowd, CA.certificate]) == CA.certificate


def test_a_signer_with_a_key_of_no_use_does_not_stop_the_others():
    der = CA.certificate.der.replace(CA.certificate.spki_der[-64:], b"\xff" * 64)
    broken = pki.parse_certificate(der)
    assert verify_crl(read_crl(CA.crl()), [broken, CA.certificate]) == CA.certificate


@pytest.mark.parametrize("der", [b"", b"\x30\x03\x30\x01\x00", b"\x30\x04\x30\x02\xa0\x00", b"\x30\x02\x05\x00"])
def test_distribution_points_that_cannot_be_read(der):
    with pytest.raises(DerError):
        read_points(der, CA.certificate.subject_der)
    crls = crl_set(CA.crl())
    extra = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.31"), der or b"\x00"), False)]
    assert state(crls, CA.issue("e@example.com", key="p256", extra=extra), CA, ROOT) is Revocation.GOOD


@given(st.binary(max_size=200))
def test_any_octets_as_distribution_points_raise_only_the_typed_error(data):
    try:
        found = read_points(data, CA.certificate.subject_der)
    except DerError:
        return
    assert isinstance(found, tuple)


PARTS = [
    part([ANNA], full_name=[URI], only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})),
    delta(5, [ANNA]),
]


@given(st.sampled_from(PARTS), st.data())
def test_a_changed_partial_crl_raises_the_typed_error_or_fails_to_verify(der, data):
    changed = bytearray(der)
    changed[data.draw(st.integers(0, len(der) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CrlError):
        verify_crl(read_crl(bytes(changed), partial=True), [CA.certificate])


def test_an_issuer_whose_name_cannot_be_read_is_passed_over():
    """A BMPString of an odd number of octets: shown as hex, equal to no other name."""
    odd = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "abc", _type=x509.name._ASN1Type.PrintableString)])
    strange = CA.issue("a@example.com", key="p256", subject=odd)
    der = strange.der.replace(b"\x13\x03abc", b"\x1e\x03abc")
    assert verify_crl(read_crl(CA.crl()), [pki.parse_certificate(der), CA.certificate]) == CA.certificate


def test_a_name_relative_to_the_issuer():
    relative = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CRL 1")])
    one = x509.DistributionPoint(None, relative, None, None)
    asking = CA.issue("f@example.com", key="p256", extra=[(x509.CRLDistributionPoints([one]), False)])
    full = x509.Name([*CA.subject, *relative])
    assert state(crl_set(part(full_name=[x509.DirectoryName(full)])), asking, CA, ROOT) is Revocation.GOOD
    assert state(crl_set(part(relative_name=relative)), asking, CA, ROOT) is Revocation.GOOD
    assert state(crl_set(part(full_name=[URI])), asking, CA, ROOT) is Revocation.UNKNOWN
    # Every certificate also has the point that is called like its issuer (RFC 5280 §6.3.3).
    assert state(crl_set(part(full_name=[x509.DirectoryName(CA.subject)])), asking, CA, ROOT) is Revocation.GOOD


def test_deltas_that_go_with_a_later_complete_crl_hide_no_earlier_ones():
    """What a delta with a later base leaves out stands in a complete CRL that is not here."""
    complete, earlier = (
        CA.crl(number=10, this_update=NOW - 5 * DAY),
        delta(10, [ANNA], number=12, this_update=NOW - 3 * DAY),
    )
    later = delta(14, number=15, this_update=NOW - DAY)
    assert state(crl_set(complete), ANNA, CA, ROOT) is Revocation.GOOD
    assert state(crl_set(complete, later), ANNA, CA, ROOT) is Revocation.GOOD
    for ders in ([complete, earlier], [complete, earlier, later], [later, earlier]):
        assert state(crl_set(*ders), ANNA, CA, ROOT) is Revocation.REVOKED
    taken_back = delta(10, number=13, this_update=NOW - 2 * DAY)
    assert state(crl_set(complete, earlier, taken_back, later), ANNA, CA, ROOT) is Revocation.GOOD


def test_a_crl_for_ever():
    """9999-12-31 23:59:59 is a nextUpdate that has no time after it, so no grace either."""
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    crls = [read_crl(one.crl(next_update=never)) for one in (ROOT, CA)]
    authorities, roots = [CA.certificate], [ROOT.certificate]
    found = trusted_crls(crls, authorities, roots, NOW, crl_grace=7 * DAY)
    verdict = validate(ANNA.certificate, authorities, roots, found, NOW, crl_grace=7 * DAY)
    assert (verdict.revocation, verdict.revocation_until) == (Revocation.GOOD, never)


def test_elements_are_not_read_by_the_million():
    """Eight mebibytes of empty elements were 800 MiB of memory."""
    many = b"\5\0" * (strict.MAX_ELEMENTS + 1)
    with pytest.raises(CrlError, match="too many elements"):
        read_crl(b"\x30\x83" + len(many).to_bytes(3, "big") + many)


def test_a_certificate_in_the_name_of_an_authority_signs_no_crl_without_the_usage():
    """Any authority below the root can issue it; only one that says cRLSign was meant for that."""
    other = ROOT.subordinate("Another CA")
    for usage, usable in ((None, False), (["digital_signature"], False), (["crl_sign"], True)):
        signer = other.issue(key="p256", subject=CA.subject, usage=usage, eku=None)
        assert may_sign_crls(signer.certificate) is usable
    authority = ROOT.subordinate("CA without usages", usage=None)
    assert may_sign_crls(authority.certificate)
