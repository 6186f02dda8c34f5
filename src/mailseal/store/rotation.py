"""From one KEK to the next: every node has the new one, it seals, everything is sealed anew, the old one may go."""

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from mailseal.keys.kek_ring import KekRing
from mailseal.store import keks, nodes, rewrap
from mailseal.store.audit import record
from mailseal.store.configure import this_node
from mailseal.store.keks import KekStateError
from mailseal.store.models import KekRow
from mailseal.store.nodes import Node
from mailseal.store.rewrap import Pass
from mailseal.store.row import utc_now
from mailseal.store.stamps import STALE_SECONDS, Scope, bump_alone
from mailseal.store.transaction import writes

SETTLE_SECONDS = STALE_SECONDS
"""For so long after the activation some process may still seal with the KEK before."""
GRACE_SECONDS = 60
"""More than that and the longest transaction together: a KEK retired after it seals nothing any more."""

_BETWEEN_SECONDS = 0.5


@writes
def begin(kek_id: str, *, without: Collection[str] = ()) -> None:
    """Have a KEK seal, in one commit, if every node can open what it seals; raises KekStateError.

    `without` names nodes that are dead and need not have it. The caller has made sure that this node has it.
    """
    _check_nodes(kek_id, nodes.list_nodes(), without)
    keks.activate(kek_id)


def _check_nodes(kek_id: str, known: Collection[Node], without: Collection[str]) -> None:
    others = [node for node in known if node.name != this_node() or node.alive()]
    lacking = [node.name for node in others if node.alive() and kek_id not in node.keks]
    if lacking:
        raise KekStateError(
            f"KEK {kek_id} is not at hand on {', '.join(lacking)}",
            "copy its file there (mode 0400, the role's user); each says so within "
            f"{nodes.HEARTBEAT_SECONDS} s: `mailseal key list`",
        )
    alive = {node.name for node in others if node.alive()}
    if wrong := sorted(set(without) & alive):
        raise KekStateError(f"{', '.join(wrong)} is alive, and has the KEK", "leave --without-node out")
    if unknown := sorted(set(without) - {node.name for node in known}):
        raise KekStateError(f"there is no node {', '.join(unknown)}", "`mailseal key list` shows all")
    dead = [node.name for node in others if not node.alive() and node.name not in without]
    if dead:
        raise KekStateError(
            f"{', '.join(dead)} gave no sign of life for {nodes.DEAD_AFTER_SECONDS} s, so that nobody knows whether "
            "the KEK is there",
            "start it; or, if it needs the KEK only when it comes back, --without-node NAME",
        )


def finish(
    ring: KekRing,
    kek_id: str,
    progress: Callable[[Pass], None],
    *,
    after_pass: Callable[[Pass], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Pass:
    """Seal everything with the KEK that seals, until nothing else is left and nothing else comes.

    What one run left undone the next does. Returns the last way through, with the rows that do not open. Raises
    KekStateError when another KEK has been activated meanwhile, KekMissingError and StoreUnavailable.
    """
    settled_at = time.monotonic() + _unsettled_seconds(kek_id)
    while True:
        is_settled = time.monotonic() >= settled_at
        if keks.active() != kek_id:
            raise KekStateError(f"another KEK has been activated since; {kek_id} no longer seals", "rotate to that one")
        done = rewrap.rewrap(ring, kek_id, progress)
        after_pass(done)
        if is_settled and not done.moved and not done.missed:
            return done
        sleep(min(_BETWEEN_SECONDS, max(settled_at - time.monotonic(), 0.0)))


def _unsettled_seconds(kek_id: str) -> float:
    """By the clock of whoever activated it, which may be behind or ahead of ours."""
    activated = {info.kek_id: info.activated for info in keks.list_keks()}.get(kek_id)
    since = (utc_now() - activated).total_seconds() if activated else 0.0
    return max(0.0, min(SETTLE_SECONDS, SETTLE_SECONDS - since))


@writes
def retire(kek_id: str) -> None:
    """Mark a KEK as one that seals nothing and never will; raises KekStateError."""
    bump_alone(Scope.KEKS)
    if kek_id == keks.active():
        raise KekStateError(f"KEK {kek_id} is the one that seals", "`mailseal key new`, then `mailseal key rotate`")
    row, _ = KekRow.objects.get_or_create(kek_id=kek_id)
    if row.retired is not None:
        return
    if left := rewrap.count_by_kek().get(kek_id, 0):
        raise KekStateError(
            f"{left} values are sealed with KEK {kek_id}",
            "`mailseal key rotate` seals them anew; `mailseal check` names those that do not open",
        )
    wait = GRACE_SECONDS - (utc_now() - _replaced(row)).total_seconds()
    if wait > 0:
        raise KekStateError(
            f"KEK {kek_id} sealed until a moment ago, and a process may not have noticed",
            f"try again in {int(min(wait, GRACE_SECONDS)) + 1} s",
        )
    row.retired = utc_now()
    row.save()
    record("keys", "retire-kek", kek_id)


def _replaced(row: KekRow) -> datetime:
    """When the next one was activated; long ago for one that never sealed."""
    if row.activated is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    after = KekRow.objects.filter(activated__gt=row.activated).order_by("activated").first()
    return after.activated if after is not None and after.activated else row.activated
