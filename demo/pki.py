"""The demo's made-up PKI: a root, an issuing CA and people for each company (RFC 5280, RFC 5750)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Holder:
    """A certificate with its key; `chain` are the CAs above it without the root."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key as PEM, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def for_server(self) -> bytes:
        """Certificate, the CAs below the root, and the key as PEM."""
        return self.pem + b"".join(one.public_bytes(Encoding.PEM) for one in self.chain) + self.key_pem

    def pkcs12(self, password: str) -> bytes:
        """Key, certificate and chain as a mail program exports them."""
        name = self.certificate.subject.rfc4514_string().encode()
        sealed = BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(name, self.key, self.certificate, self.chain, sealed)


class Authority:
    """A company's root with one issuing CA below it."""

    def __init__(self, organisation: str) -> None:
        self.organisation = organisation
        now = datetime.now(UTC).replace(microsecond=0)
        self._span = (now - timedelta(hours=1), now + timedelta(days=365))
        self.root = self._authority("Root CA", None)
        self.issuing = self._authority("Mail CA", self.root)

    def person(self, name: str, address: str, *, curve: bool = False) -> Holder:
        """A certificate for one address: RSA 2048, or P-256."""
        key: Key = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
        usage = ("digital_signature", "key_agreement" if curve else "key_encipherment")
        extensions = (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(*usage), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
            (x509.SubjectAlternativeName([x509.RFC822Name(address)]), False),
        )
        certificate = self._sign(self._name(name), key, self.issuing, extensions)
        return Holder(certificate, key, (self.issuing.certificate,))

    def server(self, name: str) -> Holder:
        """A certificate for the TLS of a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage("digital_signature"), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectAlternativeName([x509.DNSName(name)]), False),
        )
        return Holder(self._sign(self._name(name), key, self.issuing, extensions), key, (self.issuing.certificate,))

    def _authority(self, name: str, parent: Holder | None) -> Holder:
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = (
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (_usage("key_cert_sign", "crl_sign"), True),
        )
        return Holder(self._sign(self._name(f"{self.organisation} {name}"), key, parent, extensions), key)

    def _name(self, common_name: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )

    def _sign(
        self,
        subject: x509.Name,
        key: Key,
        issuer: Holder | None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._span[0])
            .not_valid_after(self._span[1])
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(signer, hashes.SHA256())


def _usage(*names: str) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in names for name in every})
