"""Operations on the state of the gateway: its nodes, what waits, what ends soon; and what `mailseal check` says."""

from datetime import datetime
from enum import StrEnum

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from mailseal import __version__
from mailseal.store import console_jobs, gauges, nodes
from mailseal.store.configure import this_node
from mailseal.web.access import Area
from mailseal.web.api.authentication import needs
from mailseal.web.api.shapes import Shown
from mailseal.web.api.work import worked

router = Router()


class NodeShown(Shown):
    """A machine of the cluster."""

    name: str
    alive: bool = Field(description="Its job worker gave a sign of life within the last half minute.")
    heartbeat: datetime


class HeldCountShown(Shown):
    """Mails in the quarantine."""

    count: int
    by_reason: dict[str, int]
    oldest: datetime | None
    next_end: datetime | None = Field(description="When the next one expires.")


class HealthShown(Shown):
    """How the gateway is, as far as the database knows."""

    version: str
    node: str = Field(description="Which one answers.")
    nodes: list[NodeShown]
    held: HeldCountShown
    jobs_waiting: int = Field(description="Jobs of this node, or of any; at most 10000 of each are counted.")
    certificates_due: int = Field(description="How many certificates wait to be judged.")
    first_key_ends: datetime | None = Field(description="When the first of our own keys ends that nothing replaces.")
    keys_end_within_30_days: int


class CheckStatus(StrEnum):
    """How one thing stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class CheckShown(Shown):
    """One thing that must be right."""

    check: str
    status: CheckStatus
    text: str
    what_to_do: str


class ChecksShown(Shown):
    """What `mailseal check` says, run by the job worker as its own user."""

    findings: list[CheckShown]


@router.get("", response=HealthShown, auth=needs(Area.HEALTH), operation_id="get_health")
def get_health(request: HttpRequest) -> HealthShown:
    """How the gateway is: nodes, quarantine, jobs, keys."""
    held, expiry = gauges.held(), gauges.expiry()
    return HealthShown(
        version=__version__,
        node=this_node(),
        nodes=[NodeShown(name=one.name, alive=one.alive(), heartbeat=one.heartbeat) for one in nodes.list_nodes()],
        held=HeldCountShown(count=held.count, by_reason=dict(held.by_why), oldest=held.oldest, next_end=held.next_end),
        jobs_waiting=gauges.count_waiting(),
        certificates_due=gauges.certificates_due(),
        first_key_ends=expiry.first,
        keys_end_within_30_days=expiry.within_30_days,
    )


@router.post("/checks", response=worked(ChecksShown), auth=needs(Area.HEALTH), operation_id="run_checks")
def run_checks(request: HttpRequest) -> ChecksShown:
    """Have the job worker look at everything that must be right. It takes some seconds."""
    return ChecksShown(findings=[CheckShown(**one) for one in console_jobs.call("checks", {})])
