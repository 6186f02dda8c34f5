"""Sequoia 2, by its Python package, as referee for keys of version 6 (RFC 9580), which neither gpg nor sqop know.

It goes by the clock of the machine.
"""

from datetime import UTC, datetime, timedelta
from itertools import product

import pysequoia
import pytest

from harness.pgp_people import BODY, NIST, TEXT, decrypting, person
from harness.referees import changed
from mailseal.openpgp import armor
from mailseal.openpgp.algorithms import AeadId
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate, read_certificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.form import EncryptionForm, Reader, form_for
from mailseal.openpgp.importing import read_transferable
from mailseal.openpgp.inner import write_literal, write_signed
from mailseal.openpgp.message import encrypt_message, read_encrypted
from mailseal.openpgp.select import encryption_components, why_not_encrypt
from mailseal.openpgp.sign import sign_document
from mailseal.openpgp.validity import features, stated
from mailseal.openpgp.verify import check_signatures, split_signatures
from mailseal.policy.reason import ReasonCode
from pki import NOW

SUITES = ("Cv25519", "Cv448", "P256", "P384", "P521")
KINDS = ("rsa2048", "ed25519", "ed448", *NIST)
LIMIT = 1_000_000
DETACHED, CLEARTEXT = pysequoia.SignatureMode.DETACHED, pysequoia.SignatureMode.CLEAR


def now() -> datetime:
    return datetime.now(UTC)


def secret(kind: str) -> pysequoia.Tsk:
    return pysequoia.Tsk.from_bytes(person(kind, 6).secret)


def check(content: bytes, octets: bytes, certificate):
    (found,) = check_signatures(content, split_signatures(octets), lambda _: [certificate], now())
    return found.verified, found.reason


def verified(content: bytes, signature: bytes, kind: str) -> list[str]:
    """By whom, as it says."""
    known = [pysequoia.Cert.from_bytes(person(kind, 6).octets)]
    done = pysequoia.verify(bytes=content, store=lambda _: known, signature=pysequoia.Sig.from_bytes(signature))
    return [one.certificate for one in done.valid_sigs]


@pytest.mark.parametrize("kind", KINDS)
def test_signatures(kind):
    (public, private), certificate = person(kind, 6).keys[0], person(kind, 6).certificate
    for text in (False, True):
        signature = sign_document(private, public, BODY, at=NOW, text=text)
        assert verified(BODY, signature, kind) == [public.fingerprint]
        with pytest.raises(RuntimeError):
            verified(changed(BODY), signature, kind)
    theirs = armor.read_armor(pysequoia.sign(secret(kind).signer(), BODY, mode=DETACHED)).octets
    assert check(BODY, theirs, certificate) == (True, None)
    assert check(changed(BODY), theirs, certificate) == (False, ReasonCode.SIGNATURE_INVALID)
    text = armor.read_cleartext(pysequoia.sign(secret(kind).signer(), armor.canonical_text(TEXT), mode=CLEARTEXT))
    assert check(text.content, text.signatures, certificate) == (True, None)


@pytest.mark.parametrize("kind", KINDS)
def test_messages(kind):
    public, private = person(kind, 6).keys[0]
    signature = sign_document(private, public, BODY, at=NOW)
    known = [pysequoia.Cert.from_bytes(person(kind, 6).octets)]
    for aead in (None, *AeadId):
        packets = write_signed(write_literal([BODY]), [signature])
        octets = b"".join(encrypt_message(packets, [Reader(decrypting(kind, 6)[0])], EncryptionForm(aead)))
        done = pysequoia.decrypt(octets, decryptor=secret(kind).decryptor(), store=lambda _: known)
        assert (bytes(done.bytes), [one.certificate for one in done.valid_sigs]) == (BODY, [public.fingerprint])
        with pytest.raises(RuntimeError):
            pysequoia.decrypt(changed(octets), decryptor=secret(kind).decryptor())
    theirs = armor.read_armor(pysequoia.encrypt(BODY, known, secret(kind).signer())).octets
    message = read_encrypted(theirs)
    assert (message.algorithm, message.integrity, message.recipients[0].version) == ("aes256-ocb", "aead", 6)
    inner = message.open([decrypting(kind, 6)], max_bytes=LIMIT).inner
    assert inner.literal == BODY
    assert check(BODY, b"".join(inner.signatures), person(kind, 6).certificate) == (True, None)
    with pytest.raises(PgpError) as raised:
        read_encrypted(changed(theirs)).open([decrypting(kind, 6)], max_bytes=LIMIT)
    assert raised.value.reason is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize(("suite", "profile"), [*product(SUITES, ("RFC9580", "RFC4880"))])
def test_keys_of_its_own(suite, profile):
    tsk = pysequoia.Tsk.generate(
        "Berta <berta@example.org>",
        profile=getattr(pysequoia.Profile, profile),
        cipher_suite=getattr(pysequoia.CipherSuite, suite),
    )
    found = read_transferable(bytes(tsk), lambda: "")
    certificate = found.certificate
    assert (certificate.omissions, certificate.disputed, len(found.keys)) == ((), False, len(certificate.components))
    stored = StoredPgpCertificate(certificate, PgpTrust.TRUSTED, selected=True)
    at = now() + timedelta(seconds=2)
    assert why_not_encrypt(stored, None, at) is None
    v2 = bool(features(certificate, at) & 8)
    suites = stated(certificate, at, lambda says: says.aeads, ())
    readers = [Reader(one.public, v2, suites) for one in encryption_components(stored, at)]
    form = form_for(readers)
    # A session key of version 6 goes to no key of version 4, whatever that says it reads.
    assert (form.aead is AeadId.OCB) is (profile == "RFC9580")
    octets = b"".join(encrypt_message(write_literal([BODY]), readers, form))
    assert bytes(pysequoia.decrypt(octets, decryptor=tsk.decryptor()).bytes) == BODY
    theirs = armor.read_armor(pysequoia.encrypt(BODY, [tsk.extract_certificate()], tsk.signer())).octets
    inner = read_encrypted(theirs).open(found.keys, max_bytes=LIMIT).inner
    assert inner.literal == BODY
    assert check(BODY, b"".join(inner.signatures), certificate) == (True, None)


@pytest.mark.parametrize("suite", ["MLDSA65_Ed25519", "MLDSA87_Ed448"])
def test_keys_of_tomorrow_are_read_and_not_used(suite):
    tsk = pysequoia.Tsk.generate(
        "Berta <berta@example.org>",
        profile=pysequoia.Profile.RFC9580,
        cipher_suite=getattr(pysequoia.CipherSuite, suite),
    )
    certificate = read_certificate(bytes(tsk.extract_certificate()))
    stored = StoredPgpCertificate(certificate, PgpTrust.TRUSTED, selected=True)
    against = why_not_encrypt(stored, None, now() + timedelta(seconds=2))
    assert against is not None
    assert against.code is ReasonCode.PGP_KEY_UNSUPPORTED
