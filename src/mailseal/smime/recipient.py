"""Read RecipientInfos (RFC 5652 §6.2) and unwrap the content key from one: RSA (RFC 8017) and ECDH (RFC 5753)."""

from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from mailseal.keys import PrivateKey
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber
from mailseal.smime.ber import Element, Fields
from mailseal.smime.certificate import Certificate
from mailseal.smime.encrypt import key_encryption_key
from mailseal.smime.errors import CmsError, malformed, only_cms_errors
from mailseal.smime.rsa_parameters import algorithm_identifier, oaep

MAX_RECIPIENTS = 1000
_PKCS1V15 = padding.PKCS1v15()


class RecipientKind(StrEnum):
    """The way by which the content key reaches a recipient."""

    KEY_TRANSPORT = "key-transport"
    KEY_AGREEMENT = "key-agreement"


@dataclass(frozen=True, slots=True)
class RecipientId:
    """Whom a RecipientInfo is for: `issuer_der` and `serial`, or `ski`."""

    kind: RecipientKind
    issuer_der: bytes | None = field(repr=False)
    serial: int | None
    ski: bytes | None

    def fits(self, certificate: Certificate) -> bool:
        """Whether it names this certificate."""
        if self.ski is not None:
            return self.ski == certificate.ski
        return self.serial == certificate.serial and self.issuer_der == certificate.issuer_der


@dataclass(frozen=True, slots=True)
class Originator:
    """The sender's part of a key agreement: ephemeral point, user keying material, key encryption algorithm."""

    point: bytes
    user_material: bytes | None
    derivation: bytes
    wrap: Element | None


@dataclass(frozen=True, slots=True)
class RecipientInfo:
    """One wrapped content key. `originator` is set for key agreement, `algorithm` for key transport."""

    id: RecipientId
    encrypted_key: bytes
    algorithm: Element
    originator: Originator | None = None

    def unwrap(self, key: PrivateKey, substitute: bytes) -> bytes | None:
        """The content key; None if the key agreement does not yield one.

        RSA that fails, in whatever way, yields `substitute`, so that nobody learns what failed (RFC 3218).
        """
        if self.originator is None:
            return self._transported(key, substitute)
        # Wrapping adds eight octets (RFC 3394 §2.2.1); unwrapping what a whole mail is long would take seconds.
        if len(self.encrypted_key) != len(substitute) + 8:
            return None
        return _agreed(self.originator, self.encrypted_key, key)

    def _transported(self, key: PrivateKey, substitute: bytes) -> bytes | None:
        if not isinstance(key, rsa.RSAPrivateKey):
            return None
        scheme = _transport_padding(self.algorithm)
        try:
            content_key = key.decrypt(self.encrypted_key, scheme)
        except ValueError:
            return substitute
        except UnsupportedAlgorithm as error:
            # Before the ciphertext is looked at: a token, say, that knows OAEP with SHA-1 only.
            raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key does not support this algorithm") from error
        return content_key if len(content_key) == len(substitute) else substitute


def read_recipients(infos: Element) -> list[RecipientInfo]:
    """The recipients of a RecipientInfos SET whose kinds we know; the others are left out."""
    elements = infos.children
    if infos.tag != ber.SET or len(elements) > MAX_RECIPIENTS:
        raise malformed("recipients are expected, 1,000 at most")
    found: list[RecipientInfo] = []
    for info in elements:
        if info.tag == ber.SEQUENCE:
            found.append(_key_transport(Fields(info)))
        elif info.tag == 0xA1:
            found += _key_agreement(Fields(info, 0xA1))
        if len(found) > MAX_RECIPIENTS:
            raise CmsError(ReasonCode.TOO_LARGE, "there are too many recipients")
    return found


def issuer_and_serial(element: Element) -> tuple[bytes, int]:
    """IssuerAndSerialNumber: the issuer as received."""
    fields = Fields(element)
    return fields.take(ber.SEQUENCE).whole, ber.integer(fields.take())


def _key_transport(fields: Fields) -> RecipientInfo:
    fields.take(ber.INTEGER)  # version
    by_key = fields.optional(0x80, 0xA0)
    if by_key is not None:
        name = RecipientId(RecipientKind.KEY_TRANSPORT, None, None, ber.octets(by_key, 0x80))
    else:
        name = RecipientId(RecipientKind.KEY_TRANSPORT, *issuer_and_serial(fields.take(ber.SEQUENCE)), None)
    algorithm = fields.take(ber.SEQUENCE)
    return RecipientInfo(name, ber.octets(fields.take()), algorithm)


def _key_agreement(fields: Fields) -> list[RecipientInfo]:
    fields.take(ber.INTEGER)  # version
    point = _point(ber.only_child(fields.take(0xA0)))
    material = fields.optional(0xA1)
    algorithm = fields.take(ber.SEQUENCE)
    derivation, wrap = algorithm_identifier(algorithm)
    user_material = ber.octets(ber.only_child(material)) if material else None
    originator = Originator(point, user_material, derivation, wrap)
    found = []
    for one in fields.take(ber.SEQUENCE).children:
        encrypted = Fields(one)
        name = _agreement_id(encrypted.take(ber.SEQUENCE, 0xA0))
        found.append(RecipientInfo(name, ber.octets(encrypted.take()), algorithm, originator))
    return found


def _point(originator: Element) -> bytes:
    """The ephemeral point; empty for a sender named by certificate (static key agreement), which we do not do."""
    if originator.tag != 0xA1:
        return b""
    fields = Fields(originator, 0xA1)
    fields.take(ber.SEQUENCE)
    return ber.bits(fields.take())


def _agreement_id(element: Element) -> RecipientId:
    if element.tag == ber.SEQUENCE:
        return RecipientId(RecipientKind.KEY_AGREEMENT, *issuer_and_serial(element), None)
    ski = ber.octets(Fields(element, 0xA0).take())
    return RecipientId(RecipientKind.KEY_AGREEMENT, None, None, ski)


def _transport_padding(algorithm: Element) -> padding.PKCS1v15 | padding.OAEP:
    kind, parameters = algorithm_identifier(algorithm)
    if kind == algorithms.RSA_ENCRYPTION:
        return _PKCS1V15
    if kind == algorithms.RSAES_OAEP:
        return only_cms_errors(oaep)(parameters)
    raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key transport algorithm is not supported")


def _agreed(originator: Originator, encrypted_key: bytes, key: PrivateKey) -> bytes | None:
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    wrap = algorithm_identifier(originator.wrap)[0] if originator.wrap is not None else b""
    octets = algorithms.KEY_WRAPS.get(wrap)
    if originator.wrap is None or octets is None or originator.derivation not in algorithms.KEY_AGREEMENTS:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key agreement algorithm is not supported")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, originator.point)
        secret = key.exchange(ec.ECDH(), public)
    except ValueError:
        return None
    kek = key_encryption_key(
        secret, originator.derivation, originator.wrap.whole, octets, user_material=originator.user_material
    )
    try:
        return aes_key_unwrap(kek, encrypted_key)
    except (InvalidUnwrap, ValueError):
        return None
