"""All KEKs at hand, used like one: the one that the database names seals, each opens what it sealed.

Which one seals is asked again every few seconds and after `forget`, since a process that went on with an old one would
seal what the rotation has just gone through. A KEK file that appears later is found by the first value that needs it.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from mailseal.keys.kek_places import Found
from mailseal.keys.sealing import Kek, KekFileError, KekMissingError, WrongKekError, sealed_by

ACTIVE_SECONDS: Final = 5.0
"""How long an answer to "which one seals" is believed."""
REREAD_SECONDS: Final = 2.0
"""How often, at most, an unknown id has the files read again."""


class KekRing:
    """Safe to share between threads. What was at hand once can be opened until the process ends."""

    def __init__(
        self,
        read: Callable[[], Found],
        active: Callable[[], str | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` reads the files, `active` asks the database; raises KekFileError when there is no KEK at all."""
        self._read = read
        self._ask_active = active
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Kek] = {}
        self._generation = 0
        self._active: tuple[float, str] | None = None
        self._read_at = float("-inf")
        self.found = Found((), ())
        self.refresh()
        if not self._known:
            raise _nothing(self.found)

    def __repr__(self) -> str:
        return f"KekRing(ids={sorted(self._known)!r})"

    @property
    def id(self) -> str:
        """The KEK that seals; raises KekMissingError and what asking the database raises."""
        known, generation = self._active, self._generation
        if known is not None and self._clock() - known[0] < ACTIVE_SECONDS:
            return known[1]
        asked_at, answer = self._clock(), self._ask_active()
        if answer is None:
            raise KekMissingError("the database names no KEK that seals", "run `mailseal init`")
        with self._lock:
            if generation == self._generation:
                self._active = asked_at, answer
        return answer

    def forget(self) -> None:
        """Ask anew which KEK seals, at the next use."""
        with self._lock:
            self._generation += 1
            self._active = None

    def refresh(self) -> frozenset[str]:
        """Read the files again; the ids of the KEKs that they hold now."""
        with self._lock:
            self._read_at = self._clock()
            self.found = self._read()
            self._known = self._known | {file.kek.id: file.kek for file in self.found.files}
        return frozenset(file.kek.id for file in self.found.files)

    def seal(self, plaintext: bytes, *, identity: bytes) -> bytes:
        """As of Kek; raises KekMissingError, and what asking the database raises."""
        return self.kek(self.id).seal(plaintext, identity=identity)

    def open(self, sealed: bytes, *, identity: bytes) -> bytes:
        """As of Kek, with the one that the value names."""
        name = sealed_by(bytes(sealed))
        kek = self._get(name)
        if kek is None:
            raise WrongKekError(
                f"a value is sealed with KEK {name}, which is not at hand",
                "copy its file from another node or a backup; `mailseal check` says where to",
            )
        return kek.open(sealed, identity=identity)

    def kek(self, kek_id: str) -> Kek:
        """One KEK by its id; raises KekMissingError."""
        kek = self._get(kek_id)
        if kek is None:
            raise KekMissingError(
                f"KEK {kek_id} is to seal, but is not at hand", "copy its file from another node or a backup"
            )
        return kek

    def _get(self, kek_id: str) -> Kek | None:
        kek = self._known.get(kek_id)
        if kek is None and self._clock() - self._read_at >= REREAD_SECONDS:
            self.refresh()
            kek = self._known.get(kek_id)
        return kek


def _nothing(found: Found) -> KekFileError:
    if found.problems:
        return found.problems[0]
    return KekFileError("there is no KEK", "`mailseal init` makes a first one; on another node, copy it from there")
