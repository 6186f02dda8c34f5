"""Operations on jobs: what the worker has to do (`store.jobs`)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from mailseal.store import jobs
from mailseal.store.jobs import JobSummary, State
from mailseal.web.access import Area
from mailseal.web.api.authentication import needs
from mailseal.web.api.paging import ITEMS, After, Limit, Page, after_id, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Shown

router = Router()


class JobState(StrEnum):
    """Where a job is; `failed`: given up."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobShown(Shown):
    """A job. What it is about is not told: that may be anybody's mail."""

    id: str
    kind: str
    node: str = Field(description='The node that has to do it; "" for any.')
    state: JobState
    attempts: int
    run_at: datetime
    error: str


@router.get("", response=Page[JobShown], auth=needs(Area.JOBS), operation_id="list_jobs")
def list_jobs(
    request: HttpRequest,
    state: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[JobShown]:
    """Jobs, the newest first."""
    wanted = None if state is None else State[state.name]
    rows = jobs.list_jobs(state=wanted, before=after_id(after), limit=limit + 1)
    return page(rows, limit, show=_shown, key=lambda one: one.id)


@router.get("/{job}", response=JobShown, auth=needs(Area.JOBS), operation_id="get_job")
def get_job(request: HttpRequest, job: UUID) -> JobShown:
    """One job."""
    found = jobs.find(job)
    if found is None:
        raise not_found("job")
    return _shown(found)


def _shown(one: JobSummary) -> JobShown:
    return JobShown(
        id=str(one.id),
        kind=one.kind,
        node=one.node,
        state=JobState[one.state.name],
        attempts=one.attempts,
        run_at=one.run_at,
        error=one.error,
    )
