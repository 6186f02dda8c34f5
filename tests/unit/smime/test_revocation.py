"""CRLs: read, refused, verified, asked."""

import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.smime import crl, der
from mailseal.smime.certificate import Revocation
from mailseal.smime.revocation import MAX_CRL_OCTETS, NO_CRLS, CrlError, CrlSet, read_crl, verify_crl
from mailseal.smime.strict import DerError
from pki import DAY, NOW

CA = pki.Authority("CRL CA")
ANNA = CA.issue("anna@example.com", key="p256")
BOB = CA.issue("bob@example.com", key="p256")
CRL = CA.crl([ANNA], number=7, reason=x509.ReasonFlags.key_compromise)


def test_fields_and_entries():
    crl = read_crl(CRL)
    assert crl.issuer_der == CA.certificate.subject_der
    assert crl.issuer == CA.certificate.subject
    assert crl.aki == CA.certificate.ski
    assert crl.number == 7
    assert (crl.this_update, crl.next_update) == (NOW - DAY, NOW + 6 * DAY)
    assert crl.entry_count == 1
    assert list(crl.entries) == [(ANNA.certificate.serial, "keyCompromise", NOW - DAY)]
    assert list(crl.entries) == list(crl.entries)
    assert "der=" not in repr(crl)


def test_pem_and_empty():
    empty = CA.crl()
    pem = x509.load_der_x509_crl(empty).public_bytes(Encoding.PEM)
    assert read_crl(b"\n" + pem) == read_crl(empty)
    assert list(read_crl(pem).entries) == []
    for broken in (b"-----BEGIN CERTIFICATE-----", pem[:60], pem.replace(b"M", b"*")):
        with pytest.raises(CrlError):
            read_crl(broken)


def test_signature_by_the_issuer():
    crl = read_crl(CRL)
    assert verify_crl(crl, [ANNA.certificate, CA.certificate]) == CA.certificate
    with pytest.raises(CrlError, match="no certificate of the issuer"):
        verify_crl(crl, [ANNA.certificate])
    with pytest.raises(CrlError, match="not by the key of its issuer"):
        verify_crl(crl, [pki.Authority("CRL CA").certificate])
    assert verify_crl(crl, [pki.Authority("CRL CA").certificate, CA.certificate]) == CA.certificate


def test_rsa_issuer_and_key_of_another_kind():
    rsa = pki.Authority("CRL CA", "rsa2048")
    crl = read_crl(rsa.crl())
    assert verify_crl(crl, [CA.certificate, rsa.certificate]) == rsa.certificate
    with pytest.raises(CrlError):
        verify_crl(crl, [CA.certificate])
    with pytest.raises(CrlError):
        verify_crl(read_crl(CRL), [rsa.certificate])


@pytest.mark.parametrize(("algorithm", "by_pkcs1", "by_pss"), [(1, True, True), (7, False, False), (10, False, True)])
def test_an_rsa_key_made_for_one_purpose_signs_by_nothing_else(algorithm, by_pkcs1, by_pss):
    authority = pki.Authority("CRL CA", "rsa2048")
    known = pki.parse_certificate(
        authority.der.replace(bytes.fromhex("2a864886f70d010101"), bytes.fromhex(f"2a864886f70d0101{algorithm:02x}"))
    )
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
    builder = builder.last_update(NOW).next_update(NOW + DAY)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    for expected, way in ((by_pkcs1, None), (by_pss, pss)):
        der = builder.sign(authority.key, hashes.SHA256(), rsa_padding=way).public_bytes(Encoding.DER)
        if expected:
            assert verify_crl(read_crl(der), [known]) == known
        else:
            with pytest.raises(CrlError):
                verify_crl(read_crl(der), [known])


def test_an_issuer_with_an_ed25519_key():
    edwards = pki.Authority("CRL CA", "ed25519")
    crl = read_crl(edwards.crl())
    assert verify_crl(crl, [CA.certificate, edwards.certificate]) == edwards.certificate
    for wrong in (CA, pki.Authority("CRL CA", "ed25519")):
        with pytest.raises(CrlError):
            verify_crl(crl, [wrong.certificate])
    with pytest.raises(CrlError):
        verify_crl(read_crl(CRL), [edwards.certificate])


def test_issuer_must_be_allowed_to_sign_crls():
    other = pki.Authority("No CRLs", usage=["key_cert_sign"])
    with pytest.raises(CrlError, match="does not allow it to sign CRLs"):
        verify_crl(read_crl(other.crl()), [other.certificate])


def test_a_changed_crl():
    changed = bytearray(CRL)
    at = changed.index(ANNA.certificate.serial.to_bytes(2, "big"))
    changed[at + 1] ^= 1
    with pytest.raises(CrlError, match="not by the key"):
        verify_crl(read_crl(bytes(changed)), [CA.certificate])


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
    return x509.IssuingDistributionPoint(**(every | limits))


@pytest.mark.parametrize(
    ("extension", "text"),
    [
        (x509.DeltaCRLIndicator(3), "delta"),
        (scope(indirect_crl=True), "indirect"),
        (scope(only_contains_user_certs=True), "only a part"),
        (scope(only_contains_ca_certs=True), "only a part"),
        (scope(only_contains_attribute_certs=True), "only a part"),
        (scope(full_name=[x509.UniformResourceIdentifier("http://x.example/1.crl")]), "only a part"),
        (scope(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])), "only a part"),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), "not known here: 1.2.3.4"),
    ],
)
def test_what_must_not_be_read_as_complete(extension, text):
    with pytest.raises(CrlError, match=text):
        read_crl(CA.crl(extensions=[(extension, True)]))


def test_a_field_in_the_place_of_the_extensions():
    """What stands where the extensions stand is not read as something else."""
    whole = CA.crl()
    at = whole.index(b"\xa0", whole.index(b"\x17\x0d"))
    assert whole[at] == 0xA0
    with pytest.raises(CrlError, match="wrong place"):
        read_crl(whole[:at] + b"\xa1" + whole[at + 1 :])


def test_harmless_extensions_pass():
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert read_crl(CA.crl(extensions=[(unknown, False)])).entry_count == 0


@pytest.mark.parametrize(("flag", "critical"), [("", False), ("010100", False), ("0101ff", True)])
def test_what_an_extension_says_of_being_critical(flag, critical):
    """DER leaves the default out (X.690 §11.5); some write it all the same, and mean what they write."""
    inside = der.sequence(der.oid("1.2.3.4"), bytes.fromhex(flag), der.octet_string(b"value"))
    ((oid, found, start, end),) = crl._each_extension(inside, 0, len(inside))
    assert (oid, found, inside[start:end]) == ("1.2.3.4", critical, b"value")


@pytest.mark.parametrize(
    "parts", [(), (der.octet_string(b""),), (der.oid("1.2.3"), der.oid("1.2.3")), (der.oid("1.2.3"),) * 4]
)
def test_extensions_that_are_none(parts):
    inside = der.sequence(*parts)
    with pytest.raises(DerError):
        list(crl._each_extension(inside, 0, len(inside)))


def signed(*entries):
    builder = x509.CertificateRevocationListBuilder().issuer_name(CA.subject).last_update(NOW).next_update(NOW + DAY)
    for extension, critical in entries:
        entry = x509.RevokedCertificateBuilder().serial_number(5).revocation_date(NOW)
        builder = builder.add_revoked_certificate(entry.add_extension(extension, critical).build())
    return builder.sign(CA.key, pki._digest(CA.key)).public_bytes(Encoding.DER)


def test_critical_entry_extensions():
    issuer = x509.CertificateIssuer([x509.DirectoryName(CA.subject)])
    with pytest.raises(CrlError, match="indirect"):
        read_crl(signed((issuer, True)))
    with pytest.raises(CrlError, match="critical extension"):
        read_crl(signed((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)))
    assert list(read_crl(signed((x509.InvalidityDate(NOW), False))).entries) == [(5, None, NOW)]


def test_no_next_update():
    der = bytearray(CA.crl())
    # Turn nextUpdate into something that is no time: the CRL then has none in its place.
    at = der.index(b"\x17\x0d", der.index(b"\x17\x0d") + 2)
    der[at] = 0x13
    with pytest.raises(CrlError, match="no nextUpdate"):
        read_crl(bytes(der))


def test_too_large():
    with pytest.raises(CrlError, match="64 MiB"):
        read_crl(bytes(MAX_CRL_OCTETS + 1))


def status(crls, identity, authority=CA):
    return crls.status([identity.certificate, authority.certificate])


def test_set_in_memory():
    crls = CrlSet.build([read_crl(CRL)], [CA.certificate])
    assert status(crls, ANNA) == (Revocation.REVOKED, NOW + 6 * DAY)
    assert status(crls, BOB) == (Revocation.GOOD, NOW + 6 * DAY)
    assert status(crls, BOB, pki.Authority("CRL CA")) == (Revocation.UNKNOWN, None)
    assert status(NO_CRLS, ANNA) == (Revocation.UNKNOWN, None)


def test_a_crl_by_another_key_of_the_issuer_revokes_but_never_clears():
    signer = pki.Authority("CRL CA", usage=["crl_sign"])
    crls = CrlSet.build([read_crl(signer.crl([ANNA]))], [signer.certificate, CA.certificate])
    assert status(crls, ANNA)[0] is Revocation.REVOKED
    assert status(crls, BOB) == (Revocation.UNKNOWN, None)


def test_the_newest_crl_counts():
    newer = CA.crl([BOB], number=8, this_update=NOW, next_update=NOW + 9 * DAY)
    for order in ([CRL, newer], [newer, CRL]):
        crls = CrlSet.build(map(read_crl, order), [CA.certificate])
        assert status(crls, BOB) == (Revocation.REVOKED, NOW + 9 * DAY)
        assert status(crls, ANNA)[0] is Revocation.GOOD


def test_a_large_crl_is_read_in_bounded_time():
    der = CA.crl(range(10**6, 10**6 + 5000))
    began = time.process_time()
    crl = read_crl(der)
    assert len(list(crl.entries)) == crl.entry_count == 5000
    assert time.process_time() - began < 2


@given(st.binary(max_size=300))
def test_any_octets_raise_only_the_typed_error(data):
    with pytest.raises(CrlError):
        read_crl(data)


@given(st.integers(0, len(CRL) - 1), st.integers(1, 255))
def test_a_changed_crl_raises_the_typed_error_or_fails_to_verify(at, bits):
    changed = bytearray(CRL)
    changed[at] ^= bits
    with pytest.raises(CrlError):
        verify_crl(read_crl(bytes(changed)), [CA.certificate])


def test_a_crl_of_an_unknown_version_is_refused():
    version = CRL.index(b"\x02\x01\x01")
    changed = CRL[: version + 2] + b"\x00" + CRL[version + 3 :]
    with pytest.raises(CrlError):
        verify_crl(read_crl(changed), [CA.certificate])
