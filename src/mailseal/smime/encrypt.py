"""Make EnvelopedData (RFC 5652 §6) and AuthEnvelopedData (RFC 5083, RFC 5084) for RSA and EC recipients (RFC 5753)."""

import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers import CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Cipher
from mailseal.smime import algorithms, der
from mailseal.smime.algorithms import Mode
from mailseal.smime.certificate import Certificate, CertificateError, public_key
from mailseal.smime.errors import CmsError
from mailseal.smime.sign import issuer_and_serial

BLOCK_OCTETS = 16
NONCE_OCTETS = 12
TAG_OCTETS = 16
MAX_RECIPIENTS = 1000

_PKCS1V15 = padding.PKCS1v15()
_RSA_IDENTIFIER = der.sequence(algorithms.RSA_ENCRYPTION, der.NULL)
_VERSION_0, _VERSION_2, _VERSION_3 = der.integer(0), der.integer(2), der.integer(3)
_EC_IDENTIFIER = der.sequence(algorithms.EC_PUBLIC_KEY)


def encrypt(content: Sequence[Octets], recipients: Sequence[Certificate], cipher: Cipher) -> bytes:
    """ContentInfo with the content encrypted once and its key for every recipient, as DER.

    Raises CmsError when there is no recipient, there are too many, or one has a key that cannot receive.
    """
    if not recipients:
        raise CmsError(ReasonCode.NO_CERTIFICATE, "there is no recipient to encrypt to")
    if len(recipients) > MAX_RECIPIENTS:
        raise CmsError(ReasonCode.TOO_LARGE, "there are too many recipients")
    row = algorithms.WRITTEN_CIPHERS[cipher]
    key = os.urandom(row.key_octets)
    infos = [_recipient_info(key, one) for one in dict.fromkeys(recipients)]
    key_transport_only = all(info[0] == 0x30 for info in infos)
    if row.mode is Mode.GCM:
        # The content type is data and there are no attributes, so nothing is authenticated besides (RFC 5083 §2.1).
        encrypted, tag = _gcm(row.oid, key, content)
        kind, version, behind = algorithms.AUTH_ENVELOPED_DATA, _VERSION_0, [der.octet_string(tag)]
    else:
        encrypted, behind = _cbc(row.oid, key, content), []
        kind, version = algorithms.ENVELOPED_DATA, _VERSION_0 if key_transport_only else _VERSION_2
    enveloped = der.enclose(0x30, [version, der.set_of(infos), *encrypted, *behind])
    return b"".join(der.enclose(0x30, [kind, *der.enclose(0xA0, enveloped)]))


def _cbc(oid: bytes, key: bytes, content: Sequence[Octets]) -> list[Octets]:
    vector = os.urandom(BLOCK_OCTETS)
    encryptor = Primitive(AES(key), CBC(vector)).encryptor()
    missing = BLOCK_OCTETS - sum(map(len, content)) % BLOCK_OCTETS
    ciphertext = _run(encryptor, [*content, bytes((missing,)) * missing])
    return _encrypted_content(der.sequence(oid, der.octet_string(vector)), ciphertext)


def _gcm(oid: bytes, key: bytes, content: Sequence[Octets]) -> tuple[list[Octets], bytes]:
    nonce = os.urandom(NONCE_OCTETS)
    encryptor = Primitive(AES(key), GCM(nonce)).encryptor()
    ciphertext = _run(encryptor, content)
    parameters = der.sequence(der.octet_string(nonce), der.integer(TAG_OCTETS))
    return _encrypted_content(der.sequence(oid, parameters), ciphertext), encryptor.tag


def _run(encryptor: CipherContext, content: Sequence[Octets]) -> list[Octets]:
    pieces: list[Octets] = [encryptor.update(memoryview(octets)) for octets in content]
    pieces.append(encryptor.finalize())
    return pieces


def _encrypted_content(identifier: bytes, ciphertext: list[Octets]) -> list[Octets]:
    return der.enclose(0x30, [algorithms.DATA, identifier, *der.enclose(0x80, ciphertext)])


def _recipient_info(key: bytes, certificate: Certificate) -> bytes:
    try:
        public = public_key(certificate)
    except CertificateError as error:
        raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, str(error)) from error
    if isinstance(public, rsa.RSAPublicKey):
        return _key_transport(key, certificate, public)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "the certificate's key cannot be encrypted to")
    return _key_agreement(key, certificate, public)


def _key_transport(key: bytes, certificate: Certificate, public: rsa.RSAPublicKey) -> bytes:
    """KeyTransRecipientInfo (RFC 5652 §6.2.1)."""
    try:
        encrypted = public.encrypt(key, _PKCS1V15)
    except ValueError as error:
        raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "the RSA key cannot carry the content key") from error
    return der.sequence(_VERSION_0, issuer_and_serial(certificate), _RSA_IDENTIFIER, der.octet_string(encrypted))


def _key_agreement(key: bytes, certificate: Certificate, public: ec.EllipticCurvePublicKey) -> bytes:
    """KeyAgreeRecipientInfo with an ephemeral key (RFC 5753 §3.1)."""
    derivation, wrap = _agreement_for(public.curve.key_size, len(key))
    ephemeral = ec.generate_private_key(public.curve)
    kek = key_encryption_key(
        ephemeral.exchange(ec.ECDH(), public), derivation, wrap, algorithms.KEY_WRAPS[wrap], user_material=None
    )
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    originator = der.element(0xA0, der.element(0xA1, _EC_IDENTIFIER, der.bit_string(point)))
    encrypted_key = der.sequence(issuer_and_serial(certificate), der.octet_string(aes_key_wrap(kek, key)))
    identifier = der.sequence(derivation, der.sequence(wrap))
    return der.element(0xA1, _VERSION_3, originator, identifier, der.sequence(encrypted_key))


def _agreement_for(curve_bits: int, key_octets: int) -> tuple[bytes, bytes]:
    """Key derivation by the strength of the curve, key wrap by that of the content key (RFC 5753 §8)."""
    wrap = algorithms.AES128_WRAP if key_octets == 16 else algorithms.AES256_WRAP
    if curve_bits <= 256:
        return algorithms.STD_DH_SHA256_KDF, wrap
    if curve_bits <= 384:
        return algorithms.STD_DH_SHA384_KDF, wrap
    return algorithms.STD_DH_SHA512_KDF, wrap


def key_encryption_key(
    secret: bytes, derivation: bytes, wrap: bytes, octets: int, user_material: bytes | None
) -> bytes:
    """X9.63 over ECC-CMS-SharedInfo (RFC 5753 §7.2).

    `wrap`: the key wrap as an object identifier, or its whole AlgorithmIdentifier exactly as received.
    """
    key_info = der.sequence(wrap) if wrap[0] == 0x06 else wrap
    entity_info = der.element(0xA0, der.octet_string(user_material)) if user_material is not None else b""
    bits_info = der.element(0xA2, der.octet_string((octets * 8).to_bytes(4, "big")))
    shared = der.sequence(key_info, entity_info, bits_info)
    return X963KDF(algorithms.KEY_AGREEMENTS[derivation], octets, shared).derive(secret)
