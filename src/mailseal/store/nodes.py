"""Nodes of the cluster: signs of life, and taking over the jobs of a dead one (mta-ha, section 6)."""

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


@writes
def beat() -> None:
    """Say that this node is alive."""
    if not NodeRow.objects.filter(name=this_node()).update(heartbeat=utc_now()):
        NodeRow.objects.create(name=this_node())


@reads
def list_nodes() -> tuple[Node, ...]:
    """All nodes that ever gave a sign of life."""
    return tuple(Node(row.name, row.heartbeat, row.generation) for row in NodeRow.objects.order_by("name"))


def take_over_dead() -> int:
    """Take over the jobs of every other node that has been silent for too long; returns how many jobs moved."""
    limit = utc_now() - timedelta(seconds=DEAD_AFTER_SECONDS)
    dead = [node for node in list_nodes() if node.heartbeat < limit and node.name != this_node()]
    return sum(take_over(node) for node in dead)


def take_over(dead: Node) -> int:
    """Take over one node's jobs. Of several nodes that try, the one that raises the generation wins."""

    def work() -> int:
        won = NodeRow.objects.filter(name=dead.name, generation=dead.generation).update(
            generation=F("generation") + 1, heartbeat=utc_now()
        )
        return jobs.take_over(JobRow.objects.filter(node=dead.name), this_node()) if won else 0

    return run(work)
