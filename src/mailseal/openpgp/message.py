"""Encrypted messages (RFC 9580 §10.3): session keys for their readers, then the content; read, opened, written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TypeVar

from mailseal.keys import PrivateKey
from mailseal.mail.message import Octets
from mailseal.openpgp.algorithms import CIPHERS
from mailseal.openpgp.encryption import EncryptedData, encrypted, failed, read_encrypted_data
from mailseal.openpgp.errors import PgpError, malformed, only_pgp_errors, unsupported
from mailseal.openpgp.form import EncryptionForm, Reader
from mailseal.openpgp.inner import MAX_AROUND_OCTETS, Inner, read_inner, too_large, write_compressed
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.packet import ENCRYPTED_TAGS, Packet, Tag, read_packets
from mailseal.openpgp.password import Skesk, open_skesk, read_skesk, write_skesk
from mailseal.openpgp.session_key import Pkesk, SessionKey, new_session_key, open_pkesk, read_pkesk, write_pkesk
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode

MAX_READERS = 1000
"""To whom we write."""
MAX_PACKETS = 4000
_TOLD = frozenset({ReasonCode.UNSUPPORTED_ALGORITHM, ReasonCode.TOO_LARGE})
"""What may be said of a failure: it tells nothing of what a key made of a ciphertext."""
_T = TypeVar("_T")
_Way = tuple[PublicKey | None, Callable[[], SessionKey | None]]
"""Whose key is tried, and how a session key comes of it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What an encrypted message held. `algorithm` like "aes256-cfb"; `weak`: by a cipher of old.

    `key`: the one that opened it; None: a password did.
    """

    inner: Inner
    algorithm: str
    weak: bool
    key: PublicKey | None


@dataclass(frozen=True, slots=True)
class Encrypted:
    """An encrypted message and its readers: `recipients` by keys, `passwords` by how many passwords.

    `integrity` is "mdc", "aead" or "none"; `algorithm` like "aes256-ocb", or "" where only the session key tells.
    """

    recipients: tuple[Pkesk, ...]
    _skesks: tuple[Skesk, ...] = field(repr=False)
    _data: EncryptedData = field(repr=False)

    @property
    def passwords(self) -> int:
        """How many passwords open it."""
        return len(self._skesks)

    @property
    def integrity(self) -> str:
        """What tells that the content is unchanged."""
        return self._data.integrity

    @property
    def algorithm(self) -> str:
        """Of the content."""
        return self._data.algorithm

    @property
    def keeps_secret(self) -> bool:
        """Whether it counts as encrypted: to somebody's key, and not by what is refused when it is opened."""
        return bool(self.recipients) and self.integrity != "none"

    def fits(self, public: PublicKey) -> bool:
        """Whether this key may open it: it is encrypted to it, or to somebody hidden who has such a key."""
        return any(one.may_be_for(public) for one in self.recipients)

    def open(
        self,
        keys: Sequence[tuple[PublicKey, PrivateKey]],
        passwords: Sequence[str] = (),
        *,
        max_bytes: int,
        work: Work | None = None,
    ) -> Opened:
        """The content; nothing of it before all of it was checked.

        Raises PgpError: NO_INTEGRITY, TOO_LARGE, KEY_NOT_FOUND, UNSUPPORTED_ALGORITHM; DECRYPTION_FAILED, with one
        text whatever failed; MALFORMED for content that was decrypted and is not one message. What a key raises
        besides, a TransientError, passes unchanged.
        """
        if self.integrity == "none":
            self._data.decrypt(self._data.substitute())  # which says why not
        # Twice: the tags of the smallest chunks alone are a quarter of the content.
        if self._data.size > 2 * max_bytes + MAX_AROUND_OCTETS:
            raise too_large()
        session, key, plain = self._first(keys, passwords, work or Work())
        row = CIPHERS.get(session.cipher or 0)
        algorithm = self.algorithm or (f"{row.name}-cfb" if row is not None else "")
        return Opened(read_inner(plain, max_bytes), algorithm, row is not None and row.weak, key)

    def _first(
        self, keys: Sequence[tuple[PublicKey, PrivateKey]], passwords: Sequence[str], work: Work
    ) -> tuple[SessionKey, PublicKey | None, memoryview]:
        """The first session key that decrypts the content, whose it is, and the content."""
        ways = [*self._by_keys(keys), *self._by_passwords(passwords, work)]
        if not ways:
            raise PgpError(ReasonCode.KEY_NOT_FOUND, "the content is encrypted to none of the keys")
        failure: PgpError | None = None
        for key, way in ways:
            work.attempt()
            try:
                session = way()
                if session is not None:
                    if _is_weak(session):
                        work.decrypt_slowly(self._data.size)
                    return session, key, self._data.decrypt(session)
            except PgpError as error:
                if error.reason in _TOLD:
                    failure = error
        raise failure or failed()

    def _by_keys(self, keys: Sequence[tuple[PublicKey, PrivateKey]]) -> Iterator[_Way]:
        """Those which name a key first; then those which are hidden."""
        data = self._data
        for hidden in (False, True):
            for public, private in keys:
                for one in self.recipients:
                    if one.hidden is hidden and one.may_be_for(public) and one.version in data.key_versions:
                        # The substitute is made before the key is used: success and failure take the same way.
                        yield public, partial(open_pkesk, one, public, private, data.substitute())

    def _by_passwords(self, passwords: Sequence[str], work: Work) -> Iterator[_Way]:
        data = self._data
        for password in passwords:
            for one in self._skesks:
                if one.version in data.key_versions:
                    yield None, partial(open_skesk, one, password, data.substitute(), work)


def _is_weak(session: SessionKey) -> bool:
    return session.cipher is not None and CIPHERS[session.cipher].weak


@only_pgp_errors
def read_encrypted(octets: Octets) -> Encrypted:
    """Read an encrypted message, binary; raises PgpError.

    Session keys that cannot be read are passed over (RFC 9580 §10.3.2.1): they may be for somebody else.
    """
    pkesks: list[Pkesk] = []
    skesks: list[Skesk] = []
    data: Packet | None = None
    for packet in read_packets(octets, max_packets=MAX_PACKETS):
        if packet.ignored:
            continue
        if data is not None:
            raise malformed("something follows the encrypted content")
        if packet.tag in ENCRYPTED_TAGS:
            data = packet
        elif packet.tag == Tag.PKESK:
            pkesks += _readable(read_pkesk, packet)
        elif packet.tag == Tag.SKESK:
            skesks += _readable(read_skesk, packet)
        else:
            raise malformed("an encrypted message holds something that is neither a session key nor encrypted")
    if data is None:
        raise malformed("this is not an encrypted message")
    return Encrypted(tuple(pkesks), tuple(skesks), read_encrypted_data(data))


def _readable(read: Callable[[memoryview], _T], packet: Packet) -> list[_T]:
    try:
        return [read(packet.body)]
    except PgpError:
        return []


def encrypt_message(
    content: Sequence[Octets], readers: Sequence[Reader], form: EncryptionForm, passwords: Sequence[str] = ()
) -> Iterator[bytes]:
    """The packets of `inner`, encrypted once and their session key for every reader and password; in pieces.

    Raises PgpError when there is no reader, there are too many, one has a key that cannot encrypt, or the form is one
    that a reader of the kind cannot read.
    """
    keys = {reader.key.fingerprint: reader for reader in readers}
    if not keys and not passwords:
        raise PgpError(ReasonCode.NO_PGP_KEY, "there is nobody to encrypt to")
    if len(keys) + len(passwords) > MAX_READERS:
        raise PgpError(ReasonCode.TOO_LARGE, "there are too many readers")
    if form.aead is not None and any(reader.key.version != 6 for reader in keys.values()):
        raise unsupported("a reader has no key for the newer form of encryption")
    session = new_session_key(form.cipher, named=form.aead is None)
    keys_written = [write_pkesk(session, reader.key, hidden=reader.hidden) for reader in keys.values()]
    passwords_written = [write_skesk(session, password) for password in passwords]
    inside = write_compressed(content, form.compression)
    return chain((b"".join((*keys_written, *passwords_written)),), encrypted(inside, session, form))
