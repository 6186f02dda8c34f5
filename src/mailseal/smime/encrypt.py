"""Make EnvelopedData (RFC 5652 §6) and AuthEnvelopedData (RFC 5083, RFC 5084) for RSA and EC recipients (RFC 5753,
RFC 8418).
"""

import os
from collections.abc import Iterator, Sequence

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers import CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailseal.mail.base64_lines import WINDOW_OCTETS
from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import KeyTransport
from mailseal.smime import algorithms, der
from mailseal.smime.algorithms import Mode
from mailseal.smime.certificate import Certificate, CertificateError, public_key
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm
from mailseal.smime.sign import issuer_and_serial

BLOCK_OCTETS = 16
NONCE_OCTETS = 12
TAG_OCTETS = 16
MAX_RECIPIENTS = 1000

_VERSION_0, _VERSION_2, _VERSION_3 = der.integer(0), der.integer(2), der.integer(3)
_EC_IDENTIFIER = der.sequence(algorithms.EC_PUBLIC_KEY)
_X25519_IDENTIFIER = der.sequence(algorithms.X25519)


def encrypt(content: Sequence[Octets], recipients: Sequence[Certificate], form: EncryptionForm) -> bytes:
    """ContentInfo with the content encrypted once and its key for every recipient, as DER.

    Raises CmsError when there is no recipient, there are too many, or one has a key that cannot receive.
    """
    return b"".join(encrypted(content, recipients, form))


def encrypted(content: Sequence[Octets], recipients: Sequence[Certificate], form: EncryptionForm) -> Iterator[bytes]:
    """What `encrypt` makes, piece by piece, so that who writes it on need not hold it; raises what `encrypt` raises."""
    if not recipients:
        raise CmsError(ReasonCode.NO_CERTIFICATE, "there is no recipient to encrypt to")
    if len(recipients) > MAX_RECIPIENTS:
        raise CmsError(ReasonCode.TOO_LARGE, "there are too many recipients")
    row = algorithms.WRITTEN_CIPHERS[form.cipher]
    key = os.urandom(row.key_octets)
    infos = [_recipient_info(key, one, form.key_transport) for one in dict.fromkeys(recipients)]
    write = _gcm if row.mode is Mode.GCM else _cbc
    yield from write(row.oid, key, infos, content)


def _gcm(oid: bytes, key: bytes, infos: Sequence[bytes], content: Sequence[Octets]) -> Iterator[bytes]:
    """AuthEnvelopedData (RFC 5083 §2.1): of type data and without attributes, so nothing is authenticated besides."""
    nonce = os.urandom(NONCE_OCTETS)
    encryptor = Primitive(AES(key), GCM(nonce)).encryptor()
    identifier = der.sequence(oid, der.sequence(der.octet_string(nonce), der.integer(TAG_OCTETS)))
    fields = (algorithms.AUTH_ENVELOPED_DATA, _VERSION_0 + der.set_of(infos), algorithms.DATA + identifier)
    yield _heading(fields, sum(map(len, content)), len(der.octet_string(bytes(TAG_OCTETS))))
    yield from _ciphertext(encryptor, content)
    yield encryptor.finalize() + der.octet_string(encryptor.tag)


def _cbc(oid: bytes, key: bytes, infos: Sequence[bytes], content: Sequence[Octets]) -> Iterator[bytes]:
    """EnvelopedData (RFC 5652 §6.1)."""
    vector = os.urandom(BLOCK_OCTETS)
    encryptor = Primitive(AES(key), CBC(vector)).encryptor()
    length = sum(map(len, content))
    missing = BLOCK_OCTETS - length % BLOCK_OCTETS
    version = _VERSION_0 if all(info[0] == 0x30 for info in infos) else _VERSION_2
    identifier = der.sequence(oid, der.octet_string(vector))
    fields = (algorithms.ENVELOPED_DATA, version + der.set_of(infos), algorithms.DATA + identifier)
    yield _heading(fields, length + missing, 0)
    yield from _ciphertext(encryptor, content)
    yield encryptor.update(bytes((missing,)) * missing) + encryptor.finalize()


def _heading(fields: tuple[bytes, bytes, bytes], length: int, behind: int) -> bytes:
    """All that is before a ciphertext of `length` octets; `behind` are the octets that EnvelopedData has after it.

    `fields`: what comes first in ContentInfo, in EnvelopedData, and in EncryptedContentInfo.
    """
    outer, enveloped, content = fields
    octets = b""
    for tag, before, after in ((0x80, b"", 0), (0x30, content, 0), (0x30, enveloped, behind), (0xA0, b"", 0)):
        length += len(before) + after
        start = der.header(tag, length)
        length += len(start)
        octets = start + before + octets
    return der.header(0x30, len(outer) + length) + outer + octets


def _ciphertext(encryptor: CipherContext, content: Sequence[Octets]) -> Iterator[bytes]:
    for octets in content:
        view = memoryview(octets)
        for start in range(0, len(view), WINDOW_OCTETS):
            yield encryptor.update(view[start : start + WINDOW_OCTETS])


def encryption_algorithms(recipients: Sequence[Certificate], form: EncryptionForm) -> str:
    """What the log says of a ciphertext, like "aes256-gcm oaep-sha256"; how keys are agreed follows from the keys."""
    used = {_transport_to(one, form.key_transport) for one in recipients if one.key_algorithm.startswith("rsa")}
    return " ".join((form.cipher, *(one for one in KeyTransport if one in used)))


def _transport_to(certificate: Certificate, wanted: KeyTransport) -> KeyTransport:
    """A key for RSAES-OAEP only (RFC 4055 §4) gets nothing else."""
    only_oaep = certificate.key_algorithm.startswith("rsa-oaep")
    return KeyTransport.OAEP_SHA256 if only_oaep and wanted is KeyTransport.PKCS1V15 else wanted


def _recipient_info(key: bytes, certificate: Certificate, transport: KeyTransport) -> bytes:
    try:
        public = public_key(certificate)
    except CertificateError as error:
        raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, str(error)) from error
    match public:
        case rsa.RSAPublicKey() if certificate.key_algorithm.startswith("rsa-pss"):
            raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "a key for RSASSA-PSS only signs")
        case rsa.RSAPublicKey():
            return _key_transport(key, certificate, public, transport)
        case ec.EllipticCurvePublicKey():
            return _key_agreement(key, certificate, public)
        case x25519.X25519PublicKey():
            return _montgomery_agreement(key, certificate, public)
        case ed25519.Ed25519PublicKey():
            raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "a key on Ed25519 only signs")


def _key_transport(key: bytes, certificate: Certificate, public: rsa.RSAPublicKey, transport: KeyTransport) -> bytes:
    """KeyTransRecipientInfo (RFC 5652 §6.2.1)."""
    identifier, scheme = algorithms.WRITTEN_KEY_TRANSPORTS[_transport_to(certificate, transport)]
    try:
        encrypted = public.encrypt(key, scheme)
    except ValueError as error:
        raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "the RSA key cannot carry the content key") from error
    return der.sequence(_VERSION_0, issuer_and_serial(certificate), identifier, der.octet_string(encrypted))


def _key_agreement(key: bytes, certificate: Certificate, public: ec.EllipticCurvePublicKey) -> bytes:
    """With an ephemeral key on the curve of the recipient's (RFC 5753 §3.1)."""
    wrap = algorithms.WRAP_BY_OCTETS[len(key)]
    derivation = _derivation_for(public.curve.key_size)
    ephemeral = ec.generate_private_key(public.curve)
    secret = ephemeral.exchange(ec.ECDH(), public)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    kek = key_encryption_key(secret, derivation, wrap, len(key), user_material=None)
    return _agreed(key, kek, certificate, (derivation, wrap), (_EC_IDENTIFIER, point))


def _montgomery_agreement(key: bytes, certificate: Certificate, public: x25519.X25519PublicKey) -> bytes:
    """With an ephemeral key on Curve25519 (RFC 8418 §3)."""
    wrap = algorithms.WRAP_BY_OCTETS[len(key)]
    derivation = algorithms.STD_DH_HKDF_SHA256
    ephemeral = x25519.X25519PrivateKey.generate()
    secret = ephemeral.exchange(public)
    point = ephemeral.public_key().public_bytes_raw()
    kek = key_encryption_key(secret, derivation, wrap, len(key), user_material=None)
    return _agreed(key, kek, certificate, (derivation, wrap), (_X25519_IDENTIFIER, point))


def _agreed(
    key: bytes, kek: bytes, certificate: Certificate, algorithm: tuple[bytes, bytes], originator: tuple[bytes, bytes]
) -> bytes:
    """KeyAgreeRecipientInfo (RFC 5652 §6.2.2). `algorithm`: derivation, wrap; `originator`: its identifier, point."""
    derivation, wrap = algorithm
    identifier, point = originator
    sender = der.element(0xA0, der.element(0xA1, identifier, der.bit_string(point)))
    encrypted_key = der.sequence(issuer_and_serial(certificate), der.octet_string(aes_key_wrap(kek, key)))
    agreement = der.sequence(derivation, der.sequence(wrap))
    return der.element(0xA1, _VERSION_3, sender, agreement, der.sequence(encrypted_key))


def _derivation_for(curve_bits: int) -> bytes:
    """Key derivation by the strength of the curve (RFC 5753 §8)."""
    if curve_bits <= 256:
        return algorithms.STD_DH_SHA256_KDF
    return algorithms.STD_DH_SHA384_KDF if curve_bits <= 384 else algorithms.STD_DH_SHA512_KDF


def key_encryption_key(
    secret: bytes, derivation: bytes, wrap: bytes, octets: int, user_material: bytes | None
) -> bytes:
    """X9.63 (RFC 5753 §7.2) or HKDF (RFC 8418 §2.2) over ECC-CMS-SharedInfo.

    `wrap`: the key wrap as an object identifier, or its whole AlgorithmIdentifier exactly as received.
    """
    key_info = der.sequence(wrap) if wrap[0] == 0x06 else wrap
    entity_info = der.element(0xA0, der.octet_string(user_material)) if user_material is not None else b""
    bits_info = der.element(0xA2, der.octet_string((octets * 8).to_bytes(4, "big")))
    shared = der.sequence(key_info, entity_info, bits_info)
    if derivation in algorithms.HKDF_AGREEMENTS:
        return HKDF(algorithms.HKDF_AGREEMENTS[derivation], octets, user_material, shared).derive(secret)
    return X963KDF(algorithms.KEY_AGREEMENTS[derivation], octets, shared).derive(secret)
