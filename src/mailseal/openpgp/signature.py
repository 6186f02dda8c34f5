"""Signatures (RFC 9580 §5.2): read as facts, and verified by the key that is said to have made them."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from mailseal.mail.message import Octets, with_crlf
from mailseal.openpgp.algorithms import HASHES, HashRow, KeyAlgorithm
from mailseal.openpgp.errors import PgpError, malformed, only_pgp_errors, unsupported
from mailseal.openpgp.fields import Fields
from mailseal.openpgp.key import PublicKey, hashed_key
from mailseal.openpgp.subpackets import Statements, read_hints, read_statements, split_subpackets
from mailseal.policy.reason import ReasonCode

MAX_SIGNATURE_OCTETS = 65_536
SALT_OCTETS = {8: 16, 9: 24, 10: 32, 11: 16, 12: 16, 14: 32}
"""Of a signature of version 6, by the number of its digest (RFC 9580 §9.5)."""
PKCS1V15 = padding.PKCS1v15()


class SignatureType(IntEnum):
    """What a signature says of what it is over (RFC 9580 §5.2.1)."""

    BINARY = 0x00
    TEXT = 0x01
    GENERIC = 0x10
    PERSONA = 0x11
    CASUAL = 0x12
    POSITIVE = 0x13
    SUBKEY_BINDING = 0x18
    PRIMARY_KEY_BINDING = 0x19
    DIRECT_KEY = 0x1F
    KEY_REVOCATION = 0x20
    SUBKEY_REVOCATION = 0x28
    CERTIFICATION_REVOCATION = 0x30


DOCUMENT = frozenset({SignatureType.BINARY, SignatureType.TEXT})
CERTIFICATION = frozenset({SignatureType.GENERIC, SignatureType.PERSONA, SignatureType.CASUAL, SignatureType.POSITIVE})


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature, unverified. `octets` is the body of its packet, `area` its hashed subpackets.

    `kind`, `algorithm` and `digest` are a SignatureType, a KeyAlgorithm, a HashId, or numbers that we do not know.
    `said` stands under the signature; `hints` do not, and may only help to find the key.
    """

    octets: bytes = field(repr=False)
    version: int
    kind: int
    algorithm: int
    digest: int
    area: bytes = field(repr=False)
    said: Statements
    hints: Statements
    head: bytes = field(repr=False)
    left: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    material: bytes = field(repr=False)
    created: datetime

    @property
    def expires(self) -> datetime | None:
        """When the signature itself does."""
        after = self.said.expires_after
        return self.created + timedelta(seconds=after) if after else None

    @property
    def issuer_fingerprint(self) -> str | None:
        """Of the key, primary or subkey, that is said to have made it."""
        return self.said.issuer_fingerprint or self.hints.issuer_fingerprint

    @property
    def issuer(self) -> str | None:
        """The fingerprint, or else the key ID."""
        return self.issuer_fingerprint or self.said.issuer_key_id or self.hints.issuer_key_id

    @property
    def embedded(self) -> tuple[bytes, ...]:
        """Bodies of signatures inside this one; each stands for itself."""
        return self.said.embedded + self.hints.embedded

    def names(self, public: PublicKey) -> bool:
        """Whether it says that this key made it."""
        return self.issuer in (public.fingerprint, public.key_id)


@only_pgp_errors
def read_signature(body: bytes | memoryview) -> Signature:
    """The body of a signature packet; raises PgpError, UNSUPPORTED_ALGORITHM for versions other than 4 and 6."""
    if len(body) > MAX_SIGNATURE_OCTETS:
        raise malformed("a signature is too large")
    fields = Fields(body)
    version = fields.number()
    if version not in (4, 6):
        raise unsupported(f"a signature of version {version} is not supported")
    kind, algorithm, digest = fields.number(), fields.number(), fields.number()
    size = 4 if version == 6 else 2
    area = fields.sized(size)
    head = fields.since(0)
    hints = read_hints(split_subpackets(fields.sized(size)))
    left = fields.octets(2)
    salt = fields.sized() if version == 6 else b""
    said = read_statements(split_subpackets(area))
    if said.created is None:
        raise malformed("a signature does not say when it was made")
    return Signature(
        octets=bytes(body),
        version=version,
        kind=kind,
        algorithm=algorithm,
        digest=digest,
        area=area,
        said=said,
        hints=hints,
        head=head,
        left=left,
        salt=salt,
        material=fields.rest(),
        created=said.created,
    )


def with_hints(signature: Signature, *subpackets: bytes) -> Signature:
    """The same signature with these for its unhashed subpackets, which do not stand under it."""
    area = b"".join(subpackets)
    size = 4 if signature.version == 6 else 2
    salt = bytes((len(signature.salt),)) + signature.salt if signature.version == 6 else b""
    behind = (len(area).to_bytes(size, "big"), area, signature.left, salt, signature.material)
    octets = signature.head + b"".join(behind)
    if octets == signature.octets:
        return signature
    return replace(signature, octets=octets, hints=read_hints(split_subpackets(area)))


def over_document(kind: int, content: Octets) -> tuple[Octets, ...]:
    """What a signature over data hashes; of text, with its line ends as CRLF (RFC 9580 §5.2.1.2)."""
    return (with_crlf(bytes(content)) if kind == SignatureType.TEXT else content,)


def over_user_id(version: int, primary: PublicKey, user_id: bytes) -> tuple[bytes, ...]:
    """What a certification of a user ID hashes; `version` is that of the signature (RFC 9580 §5.2.4)."""
    return hashed_key(version, primary.octets), b"\xb4" + len(user_id).to_bytes(4, "big"), user_id


def over_keys(version: int, *keys: PublicKey) -> tuple[bytes, ...]:
    """What a signature over the primary key, or over it and a subkey, hashes."""
    return tuple(hashed_key(version, one.octets) for one in keys)


def digest_of(row: HashRow, salt: bytes, hashed: Sequence[Octets], head: bytes) -> bytes:
    """The digest that is signed (RFC 9580 §5.2.4). `head` is the signature's beginning, hashed subpackets included."""
    made = row.make(salt)
    for one in hashed:
        made.update(one)
    made.update(head)
    made.update(head[:1] + b"\xff" + len(head).to_bytes(4, "big"))
    digest: bytes = made.digest()
    return digest


@only_pgp_errors
def verify_signature(signature: Signature, by: PublicKey, hashed: Sequence[Octets]) -> None:
    """Check that `by` made the signature over what it hashes; what the signature says is judged elsewhere.

    Raises PgpError: SIGNATURE_INVALID, UNSUPPORTED_ALGORITHM; SIGNATURE_WEAK if it holds, but by a broken digest.
    """
    row = _row(signature, by)
    digest = digest_of(row, signature.salt, hashed, signature.head)
    if not hmac.compare_digest(digest[:2], signature.left):
        raise _invalid()
    try:
        _VERIFIERS[KeyAlgorithm(by.algorithm)](by, Fields(signature.material), digest, row)
    except (InvalidSignature, ValueError):
        raise _invalid() from None
    except UnsupportedAlgorithm:
        raise unsupported("a signature by an algorithm that is not supported") from None
    _refuse_weak(row)


@only_pgp_errors
def believe_signature(signature: Signature, by: PublicKey) -> None:
    """What `verify_signature` says of a signature that has been verified before: raises as that does."""
    _refuse_weak(_row(signature, by))


def _row(signature: Signature, by: PublicKey) -> HashRow:
    """The digest of a signature that can be one by this key."""
    row = HASHES.get(signature.digest)
    if row is None or by.key is None or not by.can_sign:
        raise unsupported("a signature by an algorithm that is not supported")
    if signature.version != by.version or signature.algorithm not in _ALGORITHMS.get(by.algorithm, ()):
        raise _invalid()
    if signature.version == 6 and len(signature.salt) != SALT_OCTETS.get(signature.digest):
        raise _invalid()
    return row


def _refuse_weak(row: HashRow) -> None:
    if row.weak:
        raise PgpError(ReasonCode.SIGNATURE_WEAK, f"a signature by the broken digest {row.name}")


def verification_microseconds(by: PublicKey) -> int:
    """About how long it takes to check a signature by the key: of RSA up to a hundred times as long as of Ed25519."""
    match by.key:
        case None:
            return 0
        case rsa.RSAPublicKey():
            exponent_bits = by.key.public_numbers().e.bit_length()
            return 10 + (by.key.key_size // 512) ** 2 * max(exponent_bits, 17) // 17
        case _:
            return 120 if by.name in _FAST else 1000


_FAST = frozenset({"ed25519", "nistp256"})


def _invalid() -> PgpError:
    return PgpError(ReasonCode.SIGNATURE_INVALID, "a signature is not valid")


_ALGORITHMS: dict[int, tuple[int, ...]] = {
    # Either number may stand in the signature of an RSA key: the difference is deprecated (RFC 9580 §12.4).
    KeyAlgorithm.RSA: (KeyAlgorithm.RSA, KeyAlgorithm.RSA_SIGN_ONLY),
    KeyAlgorithm.RSA_SIGN_ONLY: (KeyAlgorithm.RSA, KeyAlgorithm.RSA_SIGN_ONLY),
    KeyAlgorithm.ECDSA: (KeyAlgorithm.ECDSA,),
    KeyAlgorithm.EDDSA_LEGACY: (KeyAlgorithm.EDDSA_LEGACY,),
    KeyAlgorithm.ED25519: (KeyAlgorithm.ED25519,),
    KeyAlgorithm.ED448: (KeyAlgorithm.ED448,),
}


def _rsa(by: PublicKey, material: Fields, digest: bytes, row: HashRow) -> None:
    if not isinstance(by.key, rsa.RSAPublicKey):
        raise _invalid()
    octets = (by.key.key_size + 7) // 8
    value = material.mpi().rjust(octets, b"\0")
    material.done()
    by.key.verify(value, digest, PKCS1V15, Prehashed(row.algorithm))


def _ecdsa(by: PublicKey, material: Fields, digest: bytes, row: HashRow) -> None:
    if not isinstance(by.key, ec.EllipticCurvePublicKey):
        raise _invalid()
    r, s = (int.from_bytes(material.mpi(), "big") for _ in range(2))
    material.done()
    by.key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(row.algorithm)))


def _eddsa(by: PublicKey, material: Fields, digest: bytes, _: HashRow) -> None:
    """Two integers, each of 32 octets without those that lead and are zero (RFC 9580 §5.2.3.3.1)."""
    if not isinstance(by.key, ed25519.Ed25519PublicKey):
        raise _invalid()
    value = b"".join(material.mpi().rjust(32, b"\0") for _ in range(2))
    material.done()
    by.key.verify(value, digest)


def _native(by: PublicKey, material: Fields, digest: bytes, _: HashRow) -> None:
    """RFC 9580 §5.2.3.4, §5.2.3.5."""
    if not isinstance(by.key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        raise _invalid()
    by.key.verify(material.rest(), digest)


_VERIFIERS: dict[KeyAlgorithm, Callable[[PublicKey, Fields, bytes, HashRow], None]] = {
    KeyAlgorithm.RSA: _rsa,
    KeyAlgorithm.RSA_SIGN_ONLY: _rsa,
    KeyAlgorithm.ECDSA: _ecdsa,
    KeyAlgorithm.EDDSA_LEGACY: _eddsa,
    KeyAlgorithm.ED25519: _native,
    KeyAlgorithm.ED448: _native,
}
