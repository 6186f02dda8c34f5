"""String-to-key: a key out of a password (RFC 9580 §3.7), at a cost that is paid out of a `Work`."""

import os
import threading
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mailseal.openpgp.algorithms import HASHES, HashId, HashRow
from mailseal.openpgp.errors import PgpError, malformed, unsupported
from mailseal.openpgp.fields import Fields
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode

MAX_PASSWORD_OCTETS = 1024
WRITTEN_COUNT = 0xFF
"""The largest: 65,011,712 octets, a tenth of a second."""
WRITTEN_ARGON2 = (3, 4, 16)
"""Passes, lanes, and the logarithm of 64 MiB in KiB: what RFC 9106 §4 recommends second."""
_ITERATED_BLOCK_OCTETS = 1 << 16
_ONE_AT_A_TIME = threading.Lock()
"""OpenSSL calculates lanes by threads of one pool: two calculations of several lanes wait for each other for ever."""

SIMPLE, SALTED, ITERATED, ARGON2, GNU = 0, 1, 3, 4, 101


@dataclass(frozen=True, slots=True)
class S2k:
    """One specifier. `count` octets are hashed if it is iterated; `argon2` is passes, lanes, logarithm of the KiB."""

    kind: int
    hash: HashRow | None = None
    salt: bytes = field(default=b"", repr=False)
    count: int = 0
    argon2: tuple[int, int, int] = (0, 0, 0)

    def derive(self, password: bytes, octets: int, work: Work) -> bytes:
        """A key of so many octets; raises PgpError, TOO_LARGE when it would cost too much."""
        if len(password) > MAX_PASSWORD_OCTETS:
            raise PgpError(ReasonCode.TOO_LARGE, "the password is too long")
        if self.hash is None:
            return self._argon2(password, octets, work)
        given = self.salt + password
        count = max(self.count, len(given))
        key = b""
        while len(key) < octets:
            work.hash(count)
            # Another context for each further block of the key, after so many octets zero (RFC 9580 §3.7.1.1).
            context = self.hash.make(bytes(len(key) // self.hash.algorithm.digest_size))
            _repeat(context, given, count)
            key += context.digest()
        return key[:octets]

    def _argon2(self, password: bytes, octets: int, work: Work) -> bytes:
        passes, lanes, exponent = self.argon2
        kib = 1 << exponent
        if not passes or not lanes or kib < 8 * lanes:
            raise malformed("the parameters of the password are not possible")
        work.argon2(kib, passes)
        function = Argon2id(salt=self.salt, length=octets, iterations=passes, lanes=lanes, memory_cost=kib)
        try:
            with _ONE_AT_A_TIME:
                return function.derive(password)
        except MemoryError:
            raise PgpError(ReasonCode.TOO_LARGE, "there is not enough memory for the password") from None

    def write(self) -> bytes:
        """The octets of the specifier, for the two kinds that we write."""
        if self.hash is None:
            return bytes((ARGON2,)) + self.salt + bytes(self.argon2)
        return bytes((ITERATED, self.hash.id)) + self.salt + bytes((WRITTEN_COUNT,))


def _repeat(context: Any, given: bytes, count: int) -> None:
    """Hash `count` octets of what is given, over and over."""
    if not given:
        return
    block = given * (_ITERATED_BLOCK_OCTETS // len(given) + 1)
    for _ in range(count // len(block)):
        context.update(block)
    context.update(block[: count % len(block)])


def iterated() -> S2k:
    """Iterated and salted with SHA-256: what every program reads."""
    return S2k(ITERATED, HASHES[HashId.SHA256], os.urandom(8), _count(WRITTEN_COUNT))


def argon2() -> S2k:
    """Argon2 with 64 MiB: for keys of version 6, whose programs read it."""
    return S2k(ARGON2, salt=os.urandom(16), argon2=WRITTEN_ARGON2)


def read_s2k(fields: Fields) -> S2k:
    """The next specifier; raises PgpError, KEY_NOT_FOUND for the mark of GnuPG that the secret is elsewhere."""
    kind = fields.number()
    if kind == ARGON2:
        salt = fields.octets(16)
        passes, lanes, exponent = fields.octets(3)
        if exponent > 31:
            raise malformed("the parameters of the password are not possible")
        return S2k(ARGON2, salt=salt, argon2=(passes, lanes, exponent))
    if kind == GNU:
        raise PgpError(ReasonCode.KEY_NOT_FOUND, "the secret part is not here: it was left out, or is on a card")
    if kind not in (SIMPLE, SALTED, ITERATED):
        raise unsupported("a key derivation is not supported")
    row = HASHES.get(fields.number())
    if row is None:
        raise unsupported("the hash of a key derivation is not supported")
    salt = fields.octets(8) if kind != SIMPLE else b""
    return S2k(kind, row, salt, _count(fields.number()) if kind == ITERATED else 0)


def _count(coded: int) -> int:
    """RFC 9580 §3.7.1.3."""
    return 16 + (coded & 15) << (coded >> 4) + 6
