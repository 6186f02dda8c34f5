"""A made-on-the-fly PKI for tests, demo and bench (RFC 5280, RFC 5750): authorities, identities, CRLs, PKCS#12.

    root = Authority("Test Root")
    issuing = root.subordinate("Issuing CA")
    anna = issuing.issue("anna@example.com")            # RSA-2048, sign and encrypt
    bob = issuing.issue("bob@example.org", key="p256")
    crl_der = issuing.crl(revoked=[anna])

Times are frozen around NOW unless not_before/not_after are given. RSA keys come from a small pool per process, since
making one takes 40 ms: pass `fresh_key=True` where two certificates must not share a key.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailseal.smime.certificate import Certificate, parse_certificate

NOW = datetime(2026, 3, 15, 12, 0, 0, tzinfo=UTC)
"""The frozen clock."""

DAY = timedelta(days=1)
EMAIL_PROTECTION = ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string
ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string

AnyKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_CURVES = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1, "secp256k1": ec.SECP256K1}
_CURVES |= {"brainpoolP256r1": ec.BrainpoolP256R1, "brainpoolP384r1": ec.BrainpoolP384R1}
_CURVES |= {"brainpoolP512r1": ec.BrainpoolP512R1}
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_serials = itertools.count(0x1001)
_turns = itertools.count()
POOL_SIZE = 4


@cache
def _pooled(bits: int, slot: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def make_key(kind: str = "rsa2048", *, fresh: bool = False) -> AnyKey:
    """A private key: "rsa<bits>" (from a pool of four unless `fresh`), "p256", "p384", "p521", "ed25519"."""
    if kind.startswith("rsa"):
        bits = int(kind.removeprefix("rsa"))
        return rsa.generate_private_key(65537, bits) if fresh else _pooled(bits, next(_turns) % POOL_SIZE)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(_CURVES[kind]())


@dataclass(frozen=True)
class Identity:
    """An issued certificate with its key. `chain` is the DER of the CA certificates, issuer first, without the root."""

    certificate: Certificate
    x509: x509.Certificate
    key: AnyKey
    chain: tuple[bytes, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.der

    @property
    def pem(self) -> bytes:
        return self.x509.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def p12(self, password: bytes = b"secret", *, legacy: bool = False, name: str = "mailseal") -> bytes:
        return p12(self, password, legacy=legacy, name=name)


@dataclass(eq=False)
class Authority:
    """A CA: self-signed, or below `parent`. `key` as in `make_key`."""

    name: str
    key_kind: str = "p256"
    parent: Authority | None = None
    not_before: datetime = NOW - 3650 * DAY
    not_after: datetime = NOW + 3650 * DAY
    path_length: int | None = None
    name_constraints: x509.NameConstraints | None = None
    eku: Sequence[str] = ()
    usage: Sequence[str] = ("key_cert_sign", "crl_sign", "digital_signature")
    is_ca: bool = True
    key: AnyKey | None = None
    serial: int | None = None
    x509: x509.Certificate = field(init=False)
    certificate: Certificate = field(init=False)

    def __post_init__(self) -> None:
        if self.key is None:
            self.key = make_key(self.key_kind, fresh=True)
        self.x509 = (self.parent or self)._sign(
            subject=self.subject,
            key=self.key,
            not_before=self.not_before,
            not_after=self.not_after,
            serial=self.serial,
            extensions=[
                (x509.BasicConstraints(self.is_ca, self.path_length if self.is_ca else None), True),
                *_usage_extensions(self.usage, self.eku),
                *([(self.name_constraints, True)] if self.name_constraints else []),
            ],
        )
        self.certificate = parse_certificate(self.der)

    @property
    def subject(self) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mailseal Test"),
                x509.NameAttribute(NameOID.COMMON_NAME, self.name),
            ]
        )

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.x509.public_bytes(Encoding.PEM)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER from this CA upwards, without the root."""
        return () if self.parent is None else (self.der, *self.parent.chain)

    def subordinate(self, name: str, **parameters: object) -> Authority:
        """A CA certificate issued by this one; parameters as of Authority."""
        return Authority(name, parent=self, **parameters)

    def issue(
        self,
        email: str | Sequence[str] = (),
        *,
        key: str | AnyKey = "rsa2048",
        not_before: datetime = NOW - 30 * DAY,
        not_after: datetime = NOW + 365 * DAY,
        usage: Sequence[str] | None = ("digital_signature", "content_commitment", "key_encipherment", "key_agreement"),
        eku: Sequence[str] | None = (EMAIL_PROTECTION,),
        san: Sequence[x509.GeneralName] | None = None,
        common_name: str | None = None,
        subject: x509.Name | None = None,
        subject_emails: Sequence[str] = (),
        serial: int | None = None,
        extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
        fresh_key: bool = False,
        digest: hashes.HashAlgorithm | None = None,
    ) -> Identity:
        """An end-entity certificate for the addresses; `usage` or `eku` None leaves that extension out."""
        emails = [email] if isinstance(email, str) else list(email)
        private = make_key(key, fresh=fresh_key) if isinstance(key, str) else key
        names = [_email_name(one) for one in emails] if san is None else list(san)
        if isinstance(private, rsa.RSAPrivateKey) and usage is not None:
            usage = [one for one in usage if one != "key_agreement"]
        elif usage is not None:
            usage = [one for one in usage if one != "key_encipherment"]
        certificate = self._sign(
            subject=subject or _subject(common_name or (emails[0] if emails else "nobody"), subject_emails),
            key=private,
            not_before=not_before,
            not_after=not_after,
            serial=serial,
            digest=digest,
            extensions=[
                (x509.BasicConstraints(ca=False, path_length=None), True),
                *_usage_extensions(usage, eku),
                *([(x509.SubjectAlternativeName(names), False)] if names else []),
                *extra,
            ],
        )
        der = certificate.public_bytes(Encoding.DER)
        return Identity(parse_certificate(der), certificate, private, self.chain)

    def crl(
        self,
        revoked: Iterable[object] = (),
        *,
        number: int = 1,
        this_update: datetime = NOW - DAY,
        next_update: datetime = NOW + 6 * DAY,
        reason: x509.ReasonFlags | None = None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> bytes:
        """DER of a CRL; `revoked` holds serial numbers or anything with a `certificate`."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.subject)
            .last_update(this_update)
            .next_update(next_update)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        for one in revoked:
            serial = one if isinstance(one, int) else one.certificate.serial
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(this_update)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, _digest(self.key)).public_bytes(Encoding.DER)

    def _sign(
        self,
        *,
        subject: x509.Name,
        key: AnyKey,
        not_before: datetime,
        not_after: datetime,
        serial: int | None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]],
        digest: hashes.HashAlgorithm | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(next(_serials) if serial is None else serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.key, digest or _digest(self.key))


def p12(identity: Identity, password: bytes = b"secret", *, legacy: bool = False, name: str = "mailseal") -> bytes:
    """PKCS#12 with key, certificate and chain; PBES2 with AES-256, or with 3DES and SHA-1 for `legacy`."""
    encryption: object = NoEncryption()
    if password and legacy:
        encryption = (
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(2048)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())
            .build(password)
        )
    elif password:
        encryption = BestAvailableEncryption(password)
    chain = [x509.load_der_x509_certificate(one) for one in identity.chain]
    return pkcs12.serialize_key_and_certificates(name.encode(), identity.key, identity.x509, chain, encryption)


def pem_bundle(*members: object) -> bytes:
    """The PEM of everything that has a `pem`, one after the other."""
    return b"".join(member.pem for member in members)


def public_spki(key: AnyKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _digest(key: AnyKey) -> hashes.HashAlgorithm | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _email_name(email: str) -> x509.GeneralName:
    if email.isascii():
        return x509.RFC822Name(email)
    octets = email.encode()
    return x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9"), bytes([0x0C, len(octets)]) + octets)


def _subject(common_name: str, emails: Sequence[str]) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
            *(x509.NameAttribute(NameOID.EMAIL_ADDRESS, one) for one in emails),
        ]
    )


def _usage_extensions(usage: Sequence[str] | None, eku: Sequence[str] | None) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if usage is not None:
        found.append((x509.KeyUsage(**{name: name in usage for name in _USAGES}), True))
    if eku:
        found.append((x509.ExtendedKeyUsage([x509.ObjectIdentifier(one) for one in eku]), False))
    return found
