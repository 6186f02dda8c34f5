"""Session keys for the holders of keys (RFC 9580 §5.1): PKESK packets of versions 3 and 6, read and written.

By RSA, ECDH, X25519 and X448; ElGamal is not read.
"""

import hmac
import os
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from mailseal.keys import PrivateKey
from mailseal.openpgp import agreement
from mailseal.openpgp.agreement import AgreeingPrivateKey, AgreeingPublicKey
from mailseal.openpgp.algorithms import CIPHERS, CipherId, KeyAlgorithm
from mailseal.openpgp.errors import PgpError, malformed, only_pgp_errors, unsupported
from mailseal.openpgp.fields import Fields, checksum, write_mpi
from mailseal.openpgp.key import FINGERPRINT_OCTETS, PublicKey, key_id_of
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.policy.reason import ReasonCode

MAX_PACKET_OCTETS = 4096
"""Of a packet's body; RSA with 16,384 bits needs 2,100."""
_HIDDEN = "0" * 16
_PKCS1V15 = padding.PKCS1v15()
_SUM_OCTETS = 2
_WRAP_BLOCK_OCTETS = 8


@dataclass(frozen=True, slots=True)
class SessionKey:
    """A key of content. `cipher` is None where the content itself names it (SEIPD of version 2)."""

    octets: bytes = field(repr=False)
    cipher: int | None = None


def new_session_key(cipher: CipherId, *, named: bool) -> SessionKey:
    """One at random. `named`: it tells its cipher."""
    return SessionKey(os.urandom(CIPHERS[cipher].key_octets), cipher if named else None)


@dataclass(frozen=True, slots=True)
class Pkesk:
    """One encrypted session key. It names its reader by `key_id` and, in version 6, by `fingerprint`, in lower-case
    hex digits; both are "" when the reader is hidden.
    """

    version: int
    algorithm: int
    key_id: str
    fingerprint: str
    material: bytes = field(repr=False)

    @property
    def hidden(self) -> bool:
        """Whether it does not say whose it is."""
        return not self.key_id

    def names(self, public: PublicKey) -> bool:
        """Whether it is for this key."""
        if self.fingerprint:
            return self.fingerprint == public.fingerprint
        return self.key_id == public.key_id

    def may_be_for(self, public: PublicKey) -> bool:
        """Whether this key may open it: it names the key, or nobody."""
        return _plain(self.algorithm) == _plain(public.algorithm) and (self.hidden or self.names(public))


def _plain(algorithm: int) -> int:
    """Some write RSA for a key that is for nothing but encryption (RFC 9580 §12.4)."""
    return KeyAlgorithm.RSA if algorithm == KeyAlgorithm.RSA_ENCRYPT_ONLY else algorithm


def read_pkesk(body: bytes | memoryview) -> Pkesk:
    """A PKESK packet; raises PgpError, UNSUPPORTED_ALGORITHM for other versions."""
    if len(body) > MAX_PACKET_OCTETS:
        raise malformed("an encrypted session key is too large")
    fields = Fields(body)
    version = fields.number()
    if version == 3:
        key_id = fields.octets(8).hex()
        return Pkesk(3, fields.number(), "" if key_id == _HIDDEN else key_id, "", fields.rest())
    if version != 6:
        raise unsupported(f"an encrypted session key of version {version} is not supported")
    reader = fields.sized()
    algorithm, material = fields.number(), fields.rest()
    if not reader:
        return Pkesk(6, algorithm, "", "", material)
    key_version, fingerprint = reader[0], reader[1:].hex()
    if 2 * FINGERPRINT_OCTETS.get(key_version, 0) != len(fingerprint):
        raise unsupported(f"a session key for a key of version {key_version} is not supported")
    return Pkesk(6, algorithm, key_id_of(key_version, fingerprint), fingerprint, material)


@only_pgp_errors
def open_pkesk(pkesk: Pkesk, public: PublicKey, private: PrivateKey, substitute: SessionKey) -> SessionKey | None:
    """The session key; None if the key does not yield one. A TransientError of the key passes unchanged.

    RSA that fails, in whatever way, yields `substitute`, so that nobody learns what failed. The session key is like
    `substitute`: with a cipher, or without one and of the same length.
    """
    match private:
        case rsa.RSAPrivateKey():
            return _by_rsa(pkesk, private, substitute)
        case ed25519.Ed25519PrivateKey() | ed448.Ed448PrivateKey():
            return None
        case _:
            return _by_agreement(pkesk, public, private, substitute)


def _by_rsa(pkesk: Pkesk, private: rsa.RSAPrivateKey, substitute: SessionKey) -> SessionKey:
    """RFC 9580 §5.1.3."""
    encrypted = Fields(pkesk.material).mpi().rjust((private.key_size + 7) // 8, b"\0")
    try:
        # OpenSSL makes octets up itself when the padding is wrong.
        payload = private.decrypt(encrypted, _PKCS1V15)
    except ValueError:
        return substitute
    except UnsupportedAlgorithm as error:
        # Before the ciphertext is looked at: a token, say, that may not decrypt.
        raise unsupported("the key does not support this algorithm") from error
    return _read_payload(payload, substitute) or substitute


def _by_agreement(
    pkesk: Pkesk, public: PublicKey, private: AgreeingPrivateKey, substitute: SessionKey
) -> SessionKey | None:
    fields = Fields(pkesk.material)
    kek = agreement.received(public, private, fields)
    wrapped = Fields(fields.sized())
    native = agreement.is_native(public)
    cipher = wrapped.number() if native and substitute.cipher is not None else None
    try:
        unwrapped = aes_key_unwrap(kek, wrapped.rest())
    except InvalidUnwrap:
        return None
    if native:
        return _session_key(cipher, unwrapped, substitute)
    return _read_payload(_unpadded(unwrapped), substitute)


def _read_payload(payload: bytes, like: SessionKey) -> SessionKey | None:
    """What is encrypted (RFC 9580 §5.1.3): the cipher where it is named, the key, the sum of its octets."""
    start = 0 if like.cipher is None else 1
    key, check = payload[start:-_SUM_OCTETS], payload[-_SUM_OCTETS:]
    if not hmac.compare_digest(checksum(key), check):
        return None
    return _session_key(payload[0] if start else None, key, like)


def _session_key(cipher: int | None, key: bytes, like: SessionKey) -> SessionKey | None:
    if cipher is None:
        return SessionKey(key) if len(key) == len(like.octets) else None
    row = CIPHERS.get(cipher)
    if row is None and cipher in list(CipherId):
        raise unsupported("the cipher of the content is not supported")
    return SessionKey(key, cipher) if row is not None and len(key) == row.key_octets else None


@only_pgp_errors
def write_pkesk(session: SessionKey, public: PublicKey, *, hidden: bool = False) -> bytes:
    """The packet for one reader: of version 3 if the session key has a cipher, else of version 6.

    Raises PgpError, PGP_KEY_UNSUPPORTED when one cannot encrypt with the key.
    """
    material = _material(session, public)
    if session.cipher is not None:
        reader = bytes(8) if hidden else bytes.fromhex(public.key_id)
        return write_packet(Tag.PKESK, b"\3" + reader + bytes((public.algorithm,)) + material)
    reader = b"" if hidden else bytes((public.version,)) + bytes.fromhex(public.fingerprint)
    return write_packet(Tag.PKESK, bytes((6, len(reader))) + reader + bytes((public.algorithm,)) + material)


def _material(session: SessionKey, public: PublicKey) -> bytes:
    """The fields of the algorithm (RFC 9580 §5.1.3 to §5.1.7)."""
    cipher = b"" if session.cipher is None else bytes((session.cipher,))
    payload = cipher + session.octets + checksum(session.octets)
    if not public.can_encrypt:
        raise PgpError(ReasonCode.PGP_KEY_UNSUPPORTED, "nothing can be encrypted with the key of the reader")
    if isinstance(public.key, rsa.RSAPublicKey):
        return write_mpi(public.key.encrypt(payload, _PKCS1V15))
    assert isinstance(public.key, AgreeingPublicKey)
    point, kek = agreement.sent(public, public.key)
    if agreement.is_native(public):
        wrapped = cipher + aes_key_wrap(kek, session.octets)
    else:
        wrapped = aes_key_wrap(kek, _padded(payload))
    return point + bytes((len(wrapped),)) + wrapped


def _padded(payload: bytes) -> bytes:
    """RFC 9580 §11.5: to whole blocks, each octet that is added being the number of them."""
    missing = _WRAP_BLOCK_OCTETS - len(payload) % _WRAP_BLOCK_OCTETS
    return payload + bytes((missing,)) * missing


def _unpadded(padded: bytes) -> bytes:
    missing = padded[-1]
    if not missing or not padded.endswith(bytes((missing,)) * missing):
        raise malformed("the padding of the session key is wrong")
    return padded[:-missing]
