"""The keys of the loop header and of the mark of notices: made from the KEKs (HKDF, RFC 5869), the same on every node.

Nothing more has to be kept, copied or rotated: the KEK that seals gives the key that writes, and a new one gives
another. The KEKs before it, which every node still has for a while, verify what was written before the change.
"""

from collections.abc import Sequence

from mailseal.keys.kek_ring import KekRing

LOOP, NOTICE = b"loop header", b"notice"
"""What a key is for: no key is for two purposes."""


class KekLoopKeys:
    """Implements `ports.LoopKeys`. Safe to share between threads."""

    def __init__(self, kek: KekRing, purpose: bytes = LOOP) -> None:
        self._kek = kek
        self._purpose = purpose
        self._made: dict[str, bytes] = {}

    def known(self) -> Sequence[bytes]:
        """That of the KEK that seals, then those of all others at hand; raises SealError, StoreUnavailable."""
        active = self._kek.id
        ids = dict.fromkeys((active, *(file.kek.id for file in self._kek.found.files)))
        return [self._of(kek_id) for kek_id in ids]

    def _of(self, kek_id: str) -> bytes:
        made = self._made.get(kek_id)
        if made is None:
            made = self._made[kek_id] = self._kek.kek(kek_id).derive(self._purpose)
        return made
