"""Certificates and keys into files: PEM (RFC 7468), DER, PKCS#7 (RFC 5652), PKCS#12 (RFC 7292)."""

import os
from collections.abc import Sequence
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import KeySerializationEncryption, PrivateFormat, pkcs12

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.smime import ber, der, password_based, pem
from mailseal.smime.certificate import Certificate, CertificateError, public_key
from mailseal.smime.password_based import Work

MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 128
MAX_NAME_CHARS = 64
ITERATIONS = 200_000
"""Of the modern profile: for the key, for the certificates, and for the MAC, else guessing would begin there."""
LEGACY_ITERATIONS = 2048
"""As Windows and OpenSSL have always written."""

_SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.NULL)


class ExportingError(PermanentError):
    """It cannot be written in this form, or the password does not do."""


class Profile(StrEnum):
    """How a PKCS#12 file is protected.

    MODERN: AES-256 and SHA-256 (OpenSSL 1.1, NSS, JDK, Windows 10 1709, iOS 15 and later). LEGACY: triple DES and
    SHA-1, for older Outlook and iOS: only as strong as its password is long.
    """

    MODERN = "modern"
    LEGACY = "legacy"


def to_pem(certificates: Sequence[Certificate]) -> bytes:
    """All of them, one after the other."""
    return b"".join(pem.encode("CERTIFICATE", one.der) for one in certificates)


def to_der(certificates: Sequence[Certificate]) -> bytes:
    """One certificate; raises ExportingError for several."""
    if len(certificates) != 1:
        raise ExportingError("DER holds one certificate: take PEM or PKCS#7 for several")
    return certificates[0].der


def to_pkcs7(certificates: Sequence[Certificate]) -> bytes:
    """A SignedData without content and signers, in DER (RFC 5652 §5.1, RFC 8551 §3.2.2: certs-only)."""
    members = der.set_of((one.der for one in certificates), 0xA0)
    nothing = der.sequence(der.oid("1.2.840.113549.1.7.1"))
    signed = der.sequence(der.integer(1), der.set_of(()), nothing, members, der.set_of(()))
    return der.sequence(der.oid("1.2.840.113549.1.7.2"), der.element(0xA0, signed))


def to_pkcs12(
    certificate: Certificate,
    key: PrivateKey,
    others: Sequence[Certificate],
    password: bytes,
    *,
    profile: Profile = Profile.MODERN,
    name: str = "",
) -> bytes:
    """A certificate with its private key, and the certificates above it. Takes about half a second.

    `name`: what the reader's program calls it; else its address or subject. Raises ExportingError.
    """
    check_password(password)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ExportingError(f"a private key of the kind {certificate.key_algorithm} cannot be written into PKCS#12")
    try:
        if key.public_key() != public_key(certificate):
            raise ExportingError("the private key does not belong to the certificate")
        file = pkcs12.serialize_key_and_certificates(
            _friendly(name, certificate).encode(),
            key,
            x509.load_der_x509_certificate(certificate.der),
            [x509.load_der_x509_certificate(one.der) for one in others],
            _encryption(profile, password),
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, CertificateError):
        raise ExportingError("the certificate or its key cannot be written into PKCS#12") from None
    return _with_strong_mac(file, password) if profile is Profile.MODERN else file


def check_password(password: bytes) -> None:
    """Whether a PKCS#12 file with this password can be opened everywhere, and not by guessing; else ExportingError."""
    if not password:
        raise ExportingError("a file with a private key needs a password")
    if not all(0x20 <= octet < 0x7F for octet in password):
        # "ä" is one octet here, two there, and a program that takes another reading refuses the file.
        raise ExportingError("the password may have letters, digits and signs of ASCII only: others open it nowhere")
    if len(password) < MIN_PASSWORD_CHARS:
        raise ExportingError(f"the password is too short: at least {MIN_PASSWORD_CHARS} characters")
    if len(password) > MAX_PASSWORD_CHARS:
        raise ExportingError(f"the password is too long: at most {MAX_PASSWORD_CHARS} characters")


def _friendly(name: str, certificate: Certificate) -> str:
    emails = certificate.san_emails or certificate.subject_emails
    text = name or (emails[0] if emails else certificate.subject)
    return "".join(filter(str.isprintable, text))[:MAX_NAME_CHARS] or "certificate"


def _encryption(profile: Profile, password: bytes) -> KeySerializationEncryption:
    builder = PrivateFormat.PKCS12.encryption_builder()
    if profile is Profile.LEGACY:
        builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).kdf_rounds(LEGACY_ITERATIONS)
        return builder.hmac_hash(hashes.SHA1()).build(password)  # noqa: S303 -- all that readers of this profile know
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).kdf_rounds(ITERATIONS)
    return builder.hmac_hash(hashes.SHA256()).build(password)


def _with_strong_mac(file: bytes, password: bytes) -> bytes:
    """The file with a MAC as costly as its encryption: the library's takes 2048 iterations, which is where one would
    begin to guess.
    """
    version, safes, _ = ber.read(file).children
    content = ber.octets(ber.only_child(safes.children[1]))
    salt = os.urandom(16)
    (reading,) = password_based.readings(password)
    key = password_based.mac_key(reading, salt, ITERATIONS, Work(), "sha256")
    digest = der.sequence(_SHA256, der.octet_string(password_based.mac("sha256", key, content)))
    return der.sequence(
        version.whole, safes.whole, der.sequence(digest, der.octet_string(salt), der.integer(ITERATIONS))
    )
