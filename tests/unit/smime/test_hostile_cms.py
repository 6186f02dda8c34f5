"""Structures that no honest program writes: what must not verify, and what must not cost time or memory."""

import hashlib
import os
import time
import tracemalloc
import zlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cms_samples import identity, people
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, der
from mailseal.smime.certificate import CertificateError, parse_certificate
from mailseal.smime.compress import decompress
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity, sign
from mailseal.smime.signed import MAX_KEPT_OCTETS, _short_certificate, read_signed
from mailseal.smime.verify import verify
from pki import NOW, Authority

SHA256 = "2.16.840.1.101.3.4.2.1"


def signer_info(signature, attributes=b"", algorithm="1.2.840.113549.1.1.1"):
    certificate = people()["rsa2048"].certificate
    name = der.sequence(certificate.issuer_der, der.integer(certificate.serial))
    digest, scheme = der.sequence(der.oid(SHA256)), der.sequence(der.oid(algorithm))
    return der.sequence(der.integer(1), name, digest, attributes, scheme, der.octet_string(signature))


def signed_data(content, *signers, certificates=None, content_type=algorithms.DATA):
    inside = [der.element(0xA0, der.octet_string(content))] if content is not None else []
    certificates = certificates or [people()["rsa2048"].der]
    fields = (
        der.integer(1),
        der.element(0x31),
        der.sequence(content_type, *inside),
        der.element(0xA0, *certificates),
        der.element(0x31, *signers),
    )
    return der.sequence(algorithms.SIGNED_DATA, der.element(0xA0, der.sequence(*fields)))


def attributes_for(content, content_type=algorithms.DATA):
    digest = der.octet_string(hashlib.sha256(content).digest())
    return der.set_of(
        der.sequence(kind, der.element(0x31, value))
        for kind, value in ((algorithms.CONTENT_TYPE, content_type), (algorithms.MESSAGE_DIGEST, digest))
    )


def rsa_signature(octets):
    return people()["rsa2048"].key.sign(octets, padding.PKCS1v15(), hashes.SHA256())


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def test_signed_attributes_shown_with_a_bare_lf_are_no_content():
    # The signature of some mail, its attributes taken off and shown as the mail: their CRLF stands there as LF.
    number = 0
    while True:
        attributes = attributes_for(b"%d\r\n" % number)
        shown = attributes.replace(b"\r\n", b"\n")
        if shown != attributes and shown.replace(b"\n", b"\r\n") == attributes:
            break
        number += 1
    signed = read_signed(signed_data(None, signer_info(rsa_signature(attributes))))
    assert [verify(signed, content)[0].verified for content in (attributes, shown)] == [False, False]


def test_only_data_is_a_mail():
    timestamp = der.oid("1.2.840.113549.1.9.16.1.4")
    for content_type, verified in ((algorithms.DATA, True), (timestamp, False)):
        attributes = attributes_for(b"octets", content_type)
        signer = signer_info(rsa_signature(attributes), b"\xa0" + attributes[1:])
        check = verify(read_signed(signed_data(b"octets", signer, content_type=content_type)), None)[0]
        assert check.verified is verified


def test_a_small_key_makes_a_weak_signature():
    person = Authority("Root").issue("a@example.org", key="rsa1024")
    octets = sign(b"x\r\n", SigningIdentity(person.certificate, person.key), SignatureForm(), at=NOW)
    check = verify(read_signed(octets), b"x\r\n")[0]
    assert (check.verified, check.weak, check.reason) == (True, True, ReasonCode.SIGNATURE_WEAK)


def test_content_is_hashed_once_for_all_signers_without_attributes():
    content = os.urandom(4_000_000)
    twins = [people()["rsa2048"].der[:-4] + bytes((0, 0, 0, at)) for at in range(4)]
    good = signed_data(content, signer_info(rsa_signature(content)))
    assert verify(read_signed(good), None)[0].reason is None
    signed = read_signed(signed_data(content, *[signer_info(bytes(256))] * 32, certificates=twins))
    assert seconds(lambda: verify(signed, None)) < 1  # was 2.5 s


def test_what_follows_the_end_of_compressed_content_costs_nothing():
    pieces = [der.octet_string(bytes(60))] * 30_000
    content = der.element(0x24, der.octet_string(zlib.compress(b"x" * 100)), *pieces)
    encapsulated = der.sequence(algorithms.DATA, der.element(0xA0, content))
    inside = der.sequence(der.integer(0), der.sequence(algorithms.ZLIB), encapsulated)
    octets = der.sequence(algorithms.COMPRESSED_DATA, der.element(0xA0, inside))
    assert decompress(octets, 1000) == b"x" * 100
    assert seconds(lambda: decompress(octets, 1000)) < 1  # was 3.7 s


def test_a_wrapped_key_has_the_length_of_one(monkeypatch):
    person = people()["p256"]
    octets = encrypt([b"x"], [person.certificate], EncryptionForm())
    monkeypatch.setattr("mailseal.smime.key_wrap.aes_key_unwrap", lambda *_: pytest.fail("unwrapped"))
    enveloped = read_enveloped(octets)
    object.__setattr__(enveloped._infos[0], "encrypted_key", bytes(1_000_008))
    with pytest.raises(CmsError) as caught:
        enveloped.decrypt([(person.certificate, person.key)], 1000)
    assert caught.value.reason is ReasonCode.DECRYPTION_FAILED


def test_a_large_certificate_is_not_kept():
    _short_certificate.cache_clear()
    octets = sign(b"x", identity("p256"), SignatureForm(), at=NOW)
    assert len(read_signed(octets).certificates) > 1
    kept = _short_certificate.cache_info().currsize
    large = der.element(0x30, bytes(MAX_KEPT_OCTETS))
    read_signed(signed_data(b"x", signer_info(b"x"), certificates=[large]))
    assert _short_certificate.cache_info().currsize == kept > 0


def rewritten(change):
    """A certificate whose fields went through `change`; its signature does not hold."""
    certificate = ber.read(people()["p256"].der)
    fields = change([one.whole for one in certificate.children[0].children])
    return der.sequence(der.sequence(*fields), *(one.whole for one in certificate.children[1:]))


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: [*fields, der.NULL],
        lambda fields: [*fields[:-1], der.NULL, fields[-1]],
        lambda fields: [*fields, fields[-1]],
        lambda fields: [*fields[:-1], fields[-1], b"\x81\x02\0\1"],
        lambda fields: [*fields[:-1], b"\xa4" + fields[-1][1:]],
    ],
)
def test_extensions_in_a_wrong_place_are_not_passed_over(change):
    assert parse_certificate(rewritten(list)).extended_usage
    with pytest.raises(CertificateError):
        parse_certificate(rewritten(change))


def test_unique_identifiers_are_known():
    parsed = parse_certificate(rewritten(lambda fields: [*fields[:-1], b"\x81\x02\0\1", b"\x82\x02\0\1", fields[-1]]))
    assert parsed.extended_usage


def test_very_many_purposes_are_refused():
    purposes = der.sequence(*(der.oid(f"1.3.{number}.99999") for number in range(2000)))
    extension = der.sequence(der.oid("2.5.29.37"), der.octet_string(purposes))
    octets = rewritten(lambda fields: [*fields[:-1], der.element(0xA3, der.sequence(extension))])
    with pytest.raises(CertificateError):
        parse_certificate(octets)


READERS = (read_enveloped, read_signed, lambda octets: decompress(octets, 1000))


@pytest.mark.parametrize("tag", [0x24, 0x30, 0x31, 0xA0])
@pytest.mark.parametrize("indefinite", [False, True])
@pytest.mark.parametrize("depth", [60, 70, 100_000])
def test_deep_ber_costs_nothing(tag, indefinite, depth):
    if indefinite:
        nest = bytes((tag, 0x80)) * depth + b"\0\0" * depth
    else:
        nest = b""
        for _ in range(min(depth, 1000)):
            nest = der.element(tag, nest)
    for kind in (algorithms.ENVELOPED_DATA, algorithms.SIGNED_DATA, algorithms.COMPRESSED_DATA):
        for octets in (nest, der.sequence(kind, der.element(0xA0, nest))):
            for read in READERS:
                start = time.process_time()
                with pytest.raises(CmsError):
                    read(octets)
                assert time.process_time() - start < 1


@pytest.mark.parametrize("where", range(6))
def test_deep_ber_in_every_place(where):
    """In place of each field of an envelope: its tag stays, so that the reader goes on into it."""
    octets = encrypt([b"x"], [people()["p256"].certificate], EncryptionForm())
    paths = [(1, 0, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1), (1, 0, 1, 0, 2), (1, 0, 1, 0, 3, 0), (1, 0, 2, 1)]
    target = ber.read(octets)
    for step in paths[where]:
        target = target.children[step]
    deep = bytes((target.tag | 0x20, 0x80)) * 1 + b"\x30\x80" * 5000 + b"\0\0" * 5001
    changed = replaced(ber.read(octets), target, deep)
    person = people()["p256"]
    with pytest.raises(CmsError):
        read_enveloped(changed).decrypt([(person.certificate, person.key)], 1000)


def replaced(element, target, octets):
    if element.start == target.start and element.end == target.end:
        return octets
    if not element.tag & ber.CONSTRUCTED:
        return element.whole
    return der.element(element.tag, *(replaced(one, target, octets) for one in element.children))


def test_reading_a_thousand_recipients_takes_little_memory():
    everyone = [people()["rsa2048"].certificate] * 1
    info = ber.read(encrypt([b"x"], everyone, EncryptionForm())).children[1].children[0].children[1].children[0].whole
    row = algorithms.CIPHERS_BY_NAME["aes256-cbc"]
    content = der.sequence(
        algorithms.DATA, der.sequence(row.oid, der.octet_string(bytes(16))), der.element(0x80, bytes(16))
    )
    inside = der.sequence(der.integer(0), der.element(0x31, *[info] * 1000), content)
    octets = der.sequence(algorithms.ENVELOPED_DATA, der.element(0xA0, inside))
    tracemalloc.start()
    try:
        assert len(read_enveloped(octets).recipients) == 1000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(octets)
