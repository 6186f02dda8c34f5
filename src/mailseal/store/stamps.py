"""Stamps: counters per (scope, node) that tell every process which of its caches are old (architecture, section 4).

A change bumps its scope in the same transaction. Mail workers poll each second; one that could not poll for 10 s
must not trust what it cached and answers 451.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from django.db.models import F

from mailseal.store.configure import this_node
from mailseal.store.models import StampRow
from mailseal.store.transaction import run, select

POLL_SECONDS = 1.0
STALE_SECONDS = 10.0


class Scope(StrEnum):
    """What can change. Candidates (certificates seen in mail) bump none: caches forget them by age.

    `EDITS` is cached by nobody: changes of what somebody has seen come one after the other by it.
    """

    SETTINGS = "settings"
    KEYS = "keys"
    KEKS = "keks"
    TLS = "tls"
    LOGINS = "logins"
    PATTERNS = "patterns"
    EDITS = "edits"


def bump(scope: Scope) -> None:
    """Say that a scope changed; part of the transaction it is called in."""
    run(lambda: _bump(scope, this_node()))


def bump_alone(scope: Scope) -> None:
    """`bump`, in a row that all nodes share: of two transactions that do so one waits for the other, or begins again.

    For what must not be decided twice; it comes first in the transaction, before what the decision depends on is read.
    """
    run(lambda: _bump(scope, ""))


def _bump(scope: Scope, node: str) -> None:
    one_more = {"value": F("value") + 1}
    StampRow.objects.update_or_create(scope=scope, node=node, defaults=one_more, create_defaults={"value": 1})


def stamps() -> dict[tuple[str, str], int]:
    """All stamps, by (scope, node)."""
    return {(scope, node): value for scope, node, value in select("SELECT scope, node, value FROM store_stamp", ())}


class StampWatch:
    """Polls the stamps and clears the caches of each scope that changed.

    >>> watch = StampWatch({Scope.SETTINGS: [directory.clear], Scope.KEYS: [certificates.clear]})  # doctest: +SKIP
    """

    def __init__(self, clear: Mapping[Scope, Sequence[Callable[[], None]]]) -> None:
        self._clear = clear
        self._seen: dict[tuple[str, str], int] | None = None
        self._polled_at = float("-inf")

    def poll(self, now: float) -> frozenset[str]:
        """Clear what changed and return its scopes; `now` is monotonic. Raises StoreUnavailable."""
        found = stamps()
        changed: frozenset[str] = frozenset(self._clear)
        if self._seen is not None:
            changed = frozenset(scope for (scope, _), _ in found.items() ^ self._seen.items())
        for scope, clearers in self._clear.items():
            if scope in changed:
                for clear in clearers:
                    clear()
        self._seen = found
        self._polled_at = now
        return changed

    def fresh(self, now: float) -> bool:
        """Whether the last successful poll is recent enough for the caches to be used."""
        return now - self._polled_at < STALE_SECONDS
