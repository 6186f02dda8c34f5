"""Make signatures (RFC 9580 §5.2.3): version 4 by keys of version 4, version 6 by those of version 6."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from mailseal.keys import PrivateKey
from mailseal.mail.message import Octets
from mailseal.openpgp.algorithms import HASHES, HashId, HashRow, KeyAlgorithm
from mailseal.openpgp.errors import unsupported
from mailseal.openpgp.fields import write_mpi
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.signature import PKCS1V15, SALT_OCTETS, SignatureType, digest_of, over_document
from mailseal.openpgp.subpackets import Kind, fingerprint_body, seconds, write_subpacket

_ORDER = (HashId.SHA256, HashId.SHA384, HashId.SHA512)
_FLOORS = {
    "nistp384": HashId.SHA384,
    "nistp521": HashId.SHA512,
    "brainpoolP384r1": HashId.SHA384,
    "brainpoolP512r1": HashId.SHA512,
    "ed448": HashId.SHA512,
}


def digest_for(public: PublicKey, wanted: HashId = HashId.SHA256) -> HashId:
    """The digest of a signature: the wanted one, or one as long as the curve (RFC 9580 §5.2.3.2, §5.2.3.5)."""
    return max(_FLOORS.get(public.name, HashId.SHA256), wanted, key=_ORDER.index)


def sign_document(
    key: PrivateKey,
    public: PublicKey,
    content: Octets,
    *,
    at: datetime,
    text: bool = False,
    digest: HashId = HashId.SHA256,
    signers_user_id: str | None = None,
) -> bytes:
    """The packet of a signature over data, or over text, whose line ends do not matter; raises what `sign` raises.

    Text is not to have trailing white space or a bare CR: readers do not agree on them.
    """
    kind = SignatureType.TEXT if text else SignatureType.BINARY
    named = () if signers_user_id is None else (write_subpacket(Kind.SIGNERS_USER_ID, signers_user_id.encode()),)
    return sign(key, public, kind, over_document(kind, content), at=at, subpackets=named, digest=digest)


def sign(
    key: PrivateKey,
    public: PublicKey,
    kind: SignatureType,
    hashed: Sequence[Octets],
    *,
    at: datetime,
    subpackets: Sequence[bytes] = (),
    digest: HashId = HashId.SHA256,
) -> bytes:
    """The packet of a signature by `key`, whose public half is `public`, over what `over_...` gives.

    Raises PgpError when the key cannot make signatures, and what the key itself raises (TransientError).
    """
    row = HASHES[digest_for(public, digest)]
    head = _head(public, kind, row, at, subpackets)
    salt = secrets.token_bytes(SALT_OCTETS[row.id]) if public.version == 6 else b""
    value = digest_of(row, salt, hashed, head)
    unhashed = write_subpacket(Kind.ISSUER, bytes.fromhex(public.key_id)) if public.version == 4 else b""
    body = b"".join(
        (
            head,
            len(unhashed).to_bytes(4 if public.version == 6 else 2, "big"),
            unhashed,
            value[:2],
            bytes((len(salt),)) + salt if public.version == 6 else b"",
            _material(key, public, value, row),
        )
    )
    return write_packet(Tag.SIGNATURE, body)


def _head(public: PublicKey, kind: SignatureType, row: HashRow, at: datetime, subpackets: Sequence[bytes]) -> bytes:
    """What is hashed of the signature itself (RFC 9580 §5.2.3)."""
    area = b"".join(
        (
            write_subpacket(Kind.CREATED, seconds(int(at.timestamp())), critical=public.version == 6),
            write_subpacket(Kind.ISSUER_FINGERPRINT, fingerprint_body(public.fingerprint)),
            *subpackets,
        )
    )
    size = len(area).to_bytes(4 if public.version == 6 else 2, "big")
    return bytes((public.version, kind, public.algorithm, row.id)) + size + area


def _material(key: PrivateKey, public: PublicKey, digest: bytes, row: HashRow) -> bytes:
    make = _MAKERS.get(public.algorithm)
    if make is None or not public.can_sign:
        raise unsupported(f"a key like {public.name} does not sign")
    try:
        return make(key, digest, row)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise unsupported("the key cannot sign with this digest") from error


def _rsa(key: PrivateKey, digest: bytes, row: HashRow) -> bytes:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise unsupported("the private key is not the one of the public key")
    return write_mpi(key.sign(digest, PKCS1V15, Prehashed(row.algorithm)))


def _ecdsa(key: PrivateKey, digest: bytes, row: HashRow) -> bytes:
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise unsupported("the private key is not the one of the public key")
    return b"".join(map(write_mpi, decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(row.algorithm))))))


def _eddsa(key: PrivateKey, digest: bytes, row: HashRow) -> bytes:
    value = _native(key, digest, row)
    return write_mpi(value[:32]) + write_mpi(value[32:])


def _native(key: PrivateKey, digest: bytes, _: HashRow) -> bytes:
    if not isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        raise unsupported("the private key is not the one of the public key")
    return key.sign(digest)


_MAKERS: dict[int, Callable[[PrivateKey, bytes, HashRow], bytes]] = {
    KeyAlgorithm.RSA: _rsa,
    KeyAlgorithm.RSA_SIGN_ONLY: _rsa,
    KeyAlgorithm.ECDSA: _ecdsa,
    KeyAlgorithm.EDDSA_LEGACY: _eddsa,
    KeyAlgorithm.ED25519: _native,
    KeyAlgorithm.ED448: _native,
}
