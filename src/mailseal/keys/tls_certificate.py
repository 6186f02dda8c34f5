"""Certificates of our own servers: key, request (RFC 2986), and the chain that is shown (RFC 5280, RFC 9525)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailseal.errors import PermanentError
from mailseal.keys.password_work import TooMuchWorkError, encrypted_key
from mailseal.keys.software import SOUND_RSA_BITS
from mailseal.mail.address import AddressError, domain_to_ascii

MAX_PEM_OCTETS = 128 * 1024
MAX_CERTIFICATES = 10
MAX_NAMES = 50
SELF_SIGNED_DAYS = 365
BACKDATED = timedelta(hours=1)
"""A browser whose clock is a little behind takes a new certificate too."""
SERVER_CURVES = ("secp256r1", "secp384r1")

ServerKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class TlsCertificateError(PermanentError):
    """A name, certificate, chain or key that a server cannot use. The text never holds any of a key."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A server's certificate and those of its issuers. `pem`: the server's own first, nothing else in it."""

    pem: bytes
    names: tuple[str, ...]
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new key on P-256, which every browser and mail server reads."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ServerKey) -> bytes:
    """PKCS #8 PEM without a password, to be sealed or written to a file of mode 0600 at once."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(pem: bytes, password: bytes | None = None) -> ServerKey:
    """A key from outside, checked in full; raises TlsCertificateError."""
    if len(pem) > MAX_PEM_OCTETS:
        raise TlsCertificateError("that is too large to be a private key")
    try:
        encrypted = encrypted_key(pem)
        key = load_pem_private_key(pem, password) if encrypted is None else load_der_private_key(encrypted, password)
    except TooMuchWorkError as error:
        raise TlsCertificateError(str(error)) from None
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        raise TlsCertificateError(
            "the private key cannot be read: PEM is expected, and its password if it has one"
        ) from None
    if isinstance(key, rsa.RSAPrivateKey) and SOUND_RSA_BITS <= key.key_size <= 4096:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in SERVER_CURVES:
        return key
    raise TlsCertificateError("a server's key is RSA of 2048 to 4096 bits, or on the curve P-256 or P-384")


def server_names(names: Sequence[str]) -> tuple[str, ...]:
    """Host names as A-labels in lower case, and IP addresses; raises TlsCertificateError."""
    found = dict.fromkeys(_name(one.strip()) for one in names if one.strip())
    if not 1 <= len(found) <= MAX_NAMES:
        raise TlsCertificateError(f"a certificate is for 1 to {MAX_NAMES} names")
    return tuple(found)


def self_signed(key: ServerKey, names: Sequence[str], now: datetime) -> Chain:
    """A certificate that only says which key this is: a browser asks before it believes it."""
    checked = server_names(names)
    subject = _subject(checked)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(_alternative_names(checked), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return read_chain(builder.sign(key, SHA256()).public_bytes(Encoding.PEM), key)


def request(key: ServerKey, names: Sequence[str]) -> bytes:
    """A certificate signing request, PEM; raises TlsCertificateError."""
    checked = server_names(names)
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(checked))
    signed = builder.add_extension(_alternative_names(checked), critical=False).sign(key, SHA256())
    return signed.public_bytes(Encoding.PEM)


def read_chain(pem: bytes, key: ServerKey) -> Chain:
    """A chain from outside for this key, the server's own certificate first; raises TlsCertificateError."""
    if len(pem) > MAX_PEM_OCTETS:
        raise TlsCertificateError("that is too large to be a chain of certificates")
    try:
        found = x509.load_pem_x509_certificates(pem)
        own = [one for one in found if one.public_key() == key.public_key()]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TlsCertificateError("the certificates cannot be read: PEM is expected") from None
    if len(found) > MAX_CERTIFICATES:
        raise TlsCertificateError(f"a chain has {MAX_CERTIFICATES} certificates at most")
    if not own:
        raise TlsCertificateError("none of the certificates belongs to the private key")
    chain = _ordered(own[0], [one for one in found if one != own[0]])
    names = _names_of(own[0])
    if not names:
        raise TlsCertificateError("the certificate names no host (subjectAltName), so nobody would accept it")
    return Chain(
        b"".join(one.public_bytes(Encoding.PEM) for one in chain),
        names,
        own[0].issuer.rfc4514_string(),
        hashlib.sha256(own[0].public_bytes(Encoding.DER)).hexdigest(),
        own[0].not_valid_before_utc,
        own[0].not_valid_after_utc,
    )


def _ordered(own: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """The server's own, then each one's issuer (RFC 8446 §4.4.2); what belongs to no place is left out."""
    chain = [own]
    while others:
        last = chain[-1]
        issuer = next((one for one in others if one.subject == last.issuer and one != last), None)
        if issuer is None:
            break
        others.remove(issuer)
        chain.append(issuer)
    return chain


def _name(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    star = "*." if text.startswith("*.") else ""
    try:
        return star + domain_to_ascii(text.removeprefix("*."))
    except AddressError as error:
        raise TlsCertificateError(f"{text[:100]!r} is no name of a host: {error}") from None


def _subject(names: Sequence[str]) -> x509.Name:
    """One name of the first host, if it fits (RFC 5280, ub-common-name)."""
    short = [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= 64 else []
    return x509.Name(short)


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(one) for one in names])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses: list[IPv4Address | IPv6Address] = [
        one for one in found.get_values_for_type(x509.IPAddress) if isinstance(one, IPv4Address | IPv6Address)
    ]
    return (*found.get_values_for_type(x509.DNSName), *map(str, addresses))
