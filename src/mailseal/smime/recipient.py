"""Read RecipientInfos (RFC 5652 §6.2): for whom each is, and how its content key is unwrapped."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mailseal.keys import PrivateKey
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber
from mailseal.smime.ber import Element, Fields
from mailseal.smime.certificate import Certificate
from mailseal.smime.errors import CmsError, only_cms_errors
from mailseal.smime.rsa_parameters import algorithm_identifier, oaep
from mailseal.smime.secret import Secret, SharedKey

_PKCS1V15 = padding.PKCS1v15()


class RecipientKind(StrEnum):
    """The way by which the content key reaches a recipient."""

    KEY_TRANSPORT = "key-transport"
    KEY_AGREEMENT = "key-agreement"
    SHARED_KEY = "shared-key"
    PASSWORD = "password"  # noqa: S105 - the name of a kind


BY_CERTIFICATE = frozenset({RecipientKind.KEY_TRANSPORT, RecipientKind.KEY_AGREEMENT})


@dataclass(frozen=True, slots=True)
class RecipientId:
    """Whom a RecipientInfo is for: `issuer_der` and `serial`, or `ski`, or the `key_id` of a shared key."""

    kind: RecipientKind
    issuer_der: bytes | None = field(default=None, repr=False)
    serial: int | None = None
    ski: bytes | None = None
    key_id: bytes | None = None

    def fits(self, certificate: Certificate) -> bool:
        """Whether it names this certificate."""
        if self.ski is not None:
            return self.ski == certificate.ski
        return self.serial == certificate.serial and self.issuer_der == certificate.issuer_der

    def fits_secret(self, secret: Secret) -> bool:
        """Whether it is for somebody with a secret like this."""
        if isinstance(secret, SharedKey):
            return self.kind is RecipientKind.SHARED_KEY and secret.id in (None, self.key_id)
        return self.kind is RecipientKind.PASSWORD


class RecipientInfo(Protocol):
    """One wrapped content key."""

    @property
    def id(self) -> RecipientId:
        """For whom it is."""

    def unwrap(self, secret: PrivateKey | Secret, substitute: bytes) -> bytes | None:
        """The content key, of as many octets as `substitute`; None if the secret does not yield one."""


@dataclass(frozen=True, slots=True)
class KeyTransport:
    """KeyTransRecipientInfo (RFC 5652 §6.2.1): by RSA (RFC 8017)."""

    id: RecipientId
    encrypted_key: bytes = field(repr=False)
    algorithm: Element = field(repr=False)

    @property
    def by_oaep(self) -> bool:
        """Whether its padding is RSAES-OAEP."""
        return algorithm_identifier(self.algorithm)[0] == algorithms.RSAES_OAEP

    def unwrap(self, secret: PrivateKey | Secret, substitute: bytes) -> bytes | None:
        """RSA that fails, in whatever way, yields `substitute`, so that nobody learns what failed (RFC 3218)."""
        if not isinstance(secret, rsa.RSAPrivateKey):
            return None
        scheme = _transport_padding(self.algorithm)
        try:
            content_key = secret.decrypt(self.encrypted_key, scheme)
        except ValueError:
            return substitute
        except UnsupportedAlgorithm as error:
            # Before the ciphertext is looked at: a token, say, that knows OAEP with SHA-1 only.
            raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key does not support this algorithm") from error
        return content_key if len(content_key) == len(substitute) else substitute


def issuer_and_serial(element: Element) -> tuple[bytes, int]:
    """IssuerAndSerialNumber: the issuer as received."""
    fields = Fields(element)
    return fields.take(ber.SEQUENCE).whole, ber.integer(fields.take())


def key_transport(fields: Fields) -> KeyTransport:
    """Read one."""
    fields.take(ber.INTEGER)  # version
    by_key = fields.optional(0x80, 0xA0)
    if by_key is not None:
        name = RecipientId(RecipientKind.KEY_TRANSPORT, ski=ber.octets(by_key, 0x80))
    else:
        name = RecipientId(RecipientKind.KEY_TRANSPORT, *issuer_and_serial(fields.take(ber.SEQUENCE)))
    algorithm = fields.take(ber.SEQUENCE)
    return KeyTransport(name, ber.octets(fields.take()), algorithm)


def _transport_padding(algorithm: Element) -> padding.PKCS1v15 | padding.OAEP:
    kind, parameters = algorithm_identifier(algorithm)
    if kind == algorithms.RSA_ENCRYPTION:
        return _PKCS1V15
    if kind == algorithms.RSAES_OAEP:
        return only_cms_errors(oaep)(parameters)
    raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key transport algorithm is not supported")
