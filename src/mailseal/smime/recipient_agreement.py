"""KeyAgreeRecipientInfo (RFC 5652 §6.2.2): by ECDH on NIST and Brainpool curves (RFC 5753) and X25519 (RFC 8418)."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, x25519

from mailseal.keys import PrivateKey
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber
from mailseal.smime.ber import Element, Fields
from mailseal.smime.encrypt import key_encryption_key
from mailseal.smime.errors import CmsError, only_cms_errors
from mailseal.smime.key_wrap import key_wrap
from mailseal.smime.recipient import RecipientId, RecipientKind, issuer_and_serial
from mailseal.smime.rsa_parameters import algorithm_identifier
from mailseal.smime.secret import Secret


@dataclass(frozen=True, slots=True)
class Originator:
    """The sender's part of a key agreement: ephemeral point, user keying material, key encryption algorithm."""

    point: bytes
    user_material: bytes | None
    derivation: bytes
    wrap: Element | None


@dataclass(frozen=True, slots=True)
class KeyAgreement:
    """The content key for one recipient. All of one structure have the `originator` in common."""

    id: RecipientId
    encrypted_key: bytes = field(repr=False)
    originator: Originator = field(repr=False)

    @only_cms_errors
    def unwrap(self, secret: PrivateKey | Secret, substitute: bytes) -> bytes | None:
        """The content key; None if the agreement does not yield one."""
        if not isinstance(secret, ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey):
            return None
        originator = self.originator
        known = (
            originator.derivation in algorithms.KEY_AGREEMENTS or originator.derivation in algorithms.HKDF_AGREEMENTS
        )
        if originator.wrap is None or not known:
            raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key agreement algorithm is not supported")
        wrap = key_wrap(originator.wrap)
        agreed = _agreed(secret, originator.point)
        if agreed is None:
            return None
        kek = key_encryption_key(
            agreed, originator.derivation, originator.wrap.whole, wrap.octets, user_material=originator.user_material
        )
        return wrap.unwrap(kek, self.encrypted_key, len(substitute))


def _agreed(key: ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey, point: bytes) -> bytes | None:
    """None for a point that is not on the key's curve; on Curve25519, one of small order (RFC 8418 §2)."""
    try:
        if isinstance(key, x25519.X25519PrivateKey):
            return key.exchange(x25519.X25519PublicKey.from_public_bytes(point))
        return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point))
    except ValueError:
        return None


def key_agreement(fields: Fields) -> list[KeyAgreement]:
    """Read one structure: an entry for each of its recipients."""
    fields.take(ber.INTEGER)  # version
    point = _point(ber.only_child(fields.take(0xA0)))
    material = fields.optional(0xA1)
    derivation, wrap = algorithm_identifier(fields.take(ber.SEQUENCE))
    user_material = ber.octets(ber.only_child(material)) if material else None
    originator = Originator(point, user_material, derivation, wrap)
    found = []
    for one in fields.take(ber.SEQUENCE).children:
        encrypted = Fields(one)
        name = _agreement_id(encrypted.take(ber.SEQUENCE, 0xA0))
        found.append(KeyAgreement(name, ber.octets(encrypted.take()), originator))
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
        return RecipientId(RecipientKind.KEY_AGREEMENT, *issuer_and_serial(element))
    return RecipientId(RecipientKind.KEY_AGREEMENT, ski=ber.octets(Fields(element, 0xA0).take()))
