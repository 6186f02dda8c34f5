"""What `mailseal check` said last, of each node: every node looks at itself now and then, as a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailseal.store import jobs
from mailseal.store.configure import this_node
from mailseal.store.finding_models import FindingsRow
from mailseal.store.jobs import State
from mailseal.store.models import JobRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import reads, writes

CHECK = "check"
EVERY_SECONDS = 900
FIRST_AFTER = timedelta(minutes=2)
"""A gateway that starts has better things to do, and is not whole yet."""
OK, FAIL = "ok", "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must be right. `status`: ok, warn or fail."""

    check: str
    status: str
    text: str
    what_to_do: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Those of a node, as they were at a time."""

    node: str
    at: datetime
    all: tuple[Finding, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """Those that are not right, the gravest first."""
        return tuple(sorted((one for one in self.all if one.status != OK), key=lambda one: one.status != FAIL))


@writes
def keep(found: Sequence[Mapping[str, str]]) -> None:
    """Keep what was found of this node, instead of what was before."""
    FindingsRow.objects.update_or_create(node=this_node(), defaults={"at": utc_now(), "findings": list(found)})


@reads
def last() -> tuple[Findings, ...]:
    """Of all nodes, by name."""
    rows = FindingsRow.objects.order_by("node")
    return tuple(Findings(row.node, row.at, tuple(Finding(**one) for one in row.findings)) for row in rows)


def ensure() -> None:
    """Have this node look at itself now and then."""
    jobs.ensure_recurring(CHECK, this_node(), EVERY_SECONDS, node=this_node(), first=utc_now() + FIRST_AFTER)


@writes
def look_now() -> None:
    """Have all nodes look as soon as they can."""
    JobRow.objects.filter(kind=CHECK, state=State.WAITING).update(run_at=utc_now())


@writes
def forget(node: str) -> None:
    """Forget a node that looks at itself no more; one that comes back begins anew."""
    jobs.drop_recurring(CHECK, node)
    FindingsRow.objects.filter(node=node).delete()
