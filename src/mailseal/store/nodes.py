"""Nodes of the cluster: signs of life, and taking over the jobs of a dead one (mta-ha, section 6)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F

from mailseal.store import jobs
from mailseal.store.configure import this_node
from mailseal.store.models import JobRow, NodeRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import reads, run, writes

HEARTBEAT_SECONDS = 5
DEAD_AFTER_SECONDS = 30
"""More than the cluster's own time-outs and the difference of the clocks together."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node and its last sign of life."""

    name: str
    heartbeat: datetime
    generation: int
    keks: frozenset[str] = frozenset()

    def alive(self) -> bool:
        """Whether it gave a sign of life lately; one from the future is of a clock that says nothing."""
        return abs(utc_now() - self.heartbeat) <= timedelta(seconds=DEAD_AFTER_SECONDS)


@writes
def beat(keks: Iterable[str] = ()) -> None:
    """Say that this node is alive, and which KEKs all its processes can open."""
    values = {"heartbeat": utc_now(), "keks": " ".join(sorted(keks))}
    NodeRow.objects.update_or_create(name=this_node(), defaults=values)


@reads
def list_nodes() -> tuple[Node, ...]:
    """All nodes that ever gave a sign of life."""
    rows = NodeRow.objects.order_by("name")
    return tuple(Node(row.name, row.heartbeat, row.generation, frozenset(row.keks.split())) for row in rows)


def take_over(dead: Node) -> int:
    """Take over one node's jobs. Of several nodes that try, the one that raises the generation wins.

    Its heartbeat stays as it is: whoever asks for signs of life must not take ours for its own.
    """
    rows = JobRow.objects.filter(node=dead.name, state__in=(jobs.State.WAITING, jobs.State.RUNNING))

    def work() -> int:
        if not rows.exists():
            return 0
        won = NodeRow.objects.filter(name=dead.name, generation=dead.generation).update(generation=F("generation") + 1)
        return jobs.take_over(rows, this_node()) if won else 0

    return run(work)
