"""How much may be spent on opening and checking what somebody else made: it says itself what its parts cost."""

from mailseal.openpgp.errors import PgpError
from mailseal.policy.reason import ReasonCode

MAX_ATTEMPTS = 64
"""Session keys tried: each costs a private-key operation or a password, and a pass over the content."""
MAX_SLOW_OCTETS = 128 * 1024 * 1024
"""Content decrypted by a cipher of old, like triple DES: 30 MB a second."""
MAX_DIGESTED_OCTETS = 1 << 29
"""Content, once for each signature and each certificate that may have made it: a GB takes Sequoia some two seconds, in
which no other thread runs."""
MAX_HASHED_OCTETS = 1 << 30
"""Of passwords: what sixteen of the largest iterated specifiers take."""
MAX_ARGON2_KIB = 1 << 21
"""2 GiB of memory: what RFC 9106 §4 and with it RFC 9580 §3.7.1.4 recommend first."""
MAX_ARGON2_PASSES_KIB = 1 << 23
"""Passes over the memory times its size: some ten seconds."""
MAX_VERIFICATION_MICROSECONDS = 100_000
"""Of a certificate's self-signatures, about: a hundred by a key of the slower curves, a thousand by RSA-4096."""


class Work:
    """What is left, for one locked key, for one message, or for all the layers of one mail.

    Every method pays for what comes next, and raises PgpError, TOO_LARGE, when there is not enough.
    """

    def __init__(
        self,
        *,
        attempts: int = MAX_ATTEMPTS,
        slow_octets: int = MAX_SLOW_OCTETS,
        digested_octets: int = MAX_DIGESTED_OCTETS,
        hashed_octets: int = MAX_HASHED_OCTETS,
        argon2_kib: int = MAX_ARGON2_KIB,
    ) -> None:
        self._attempts = attempts
        self._slow_octets = slow_octets
        self._digested_octets = digested_octets
        self._hashed_octets = hashed_octets
        self._argon2_kib = argon2_kib
        self._argon2_passes_kib = MAX_ARGON2_PASSES_KIB
        self._verification_microseconds = MAX_VERIFICATION_MICROSECONDS

    def attempt(self) -> None:
        """One more session key."""
        self._attempts = _left(self._attempts - 1)

    def decrypt_slowly(self, octets: int) -> None:
        """So many octets by a cipher of old."""
        self._slow_octets = _left(self._slow_octets - octets)

    def digest(self, octets: int) -> None:
        """So many octets for a signature."""
        self._digested_octets = _left(self._digested_octets - octets)

    def hash(self, octets: int) -> None:
        """So many octets for a password."""
        self._hashed_octets = _left(self._hashed_octets - octets)

    def argon2(self, kib: int, passes: int) -> None:
        """Passes over so much memory for a password."""
        if kib > self._argon2_kib:
            raise PgpError(ReasonCode.TOO_LARGE, "the password asks for more memory than is allowed")
        self._argon2_passes_kib = _left(self._argon2_passes_kib - kib * passes)

    def verify(self, microseconds: int) -> None:
        """One more signature, by a key that takes about so long (`signature.verification_microseconds`)."""
        self._verification_microseconds = _left(self._verification_microseconds - microseconds)


def _left(amount: int) -> int:
    if amount < 0:
        raise PgpError(ReasonCode.TOO_LARGE, "more work is asked for than is allowed")
    return amount
