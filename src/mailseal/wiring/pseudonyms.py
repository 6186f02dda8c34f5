"""Names for addresses in logs that can be followed, but not turned back or guessed (HMAC, RFC 2104).

The key is made from the KEK that seals, so that the nodes of a cluster write the same names and nothing more has to be
kept. After a rotation of the KEK the names are others.
"""

import hmac

from mailseal.errors import MailsealError
from mailseal.keys.kek_ring import KekRing
from mailseal.mail.address import Address

UNKNOWN = "unknown"
"""Stands for every address while it cannot be said which KEK seals."""
_PURPOSE = b"addresses in logs"
_DIGITS = 16


class Pseudonyms:
    """Safe to share between threads."""

    def __init__(self, kek: KekRing) -> None:
        self._kek = kek
        self._key: tuple[str, bytes] | None = None

    def of(self, address: Address) -> str:
        """The name of an address: 16 hexadecimal digits; never raises MailsealError."""
        try:
            kek_id = self._kek.id
            known = self._key
            if known is None or known[0] != kek_id:
                known = self._key = kek_id, self._kek.kek(kek_id).derive(_PURPOSE)
        except MailsealError:
            return UNKNOWN
        return hmac.digest(known[1], address.key.encode(), "sha256").hex()[:_DIGITS]
