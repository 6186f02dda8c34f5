"""Operations that the worker does, which has keys and parsers; it may take longer than somebody waits.

Such an operation is `response=worked(X)`: 202 names a resource where its result will be, for ten minutes.
"""

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import Field

from mailseal.store import console_jobs, jobs
from mailseal.store.console_jobs import ActionFailed, Done, Failed, StillRunning
from mailseal.store.jobs import State
from mailseal.web.api.authentication import needs
from mailseal.web.api.problem import RETRY_SECONDS, not_found
from mailseal.web.api.shapes import Shown

router = Router()
PATH = "/api/v1/work/"


class Pending(Shown):
    """The worker is at it."""

    work: str = Field(description="Ask for `/api/v1/work/` and this.")


class WorkShown(Shown):
    """What came of it."""

    state: Literal["running", "done"]
    value: Any = Field(description="When it is done: what the operation would have given.")


def worked(shown: type[Shown] | None) -> dict[int, type[Shown] | None]:
    """`response=` of an operation that the worker does."""
    return {204 if shown is None else 200: shown, 202: Pending}


def pending(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """The answer while the worker is at it."""
    assert isinstance(error, StillRunning)
    headers = {"Location": f"{PATH}{error.job}", "Retry-After": str(RETRY_SECONDS)}
    said = Pending(work=str(error.job)).model_dump_json()
    return HttpResponse(said, status=202, content_type="application/json", headers=headers)


@router.get("/{work}", response=WorkShown, auth=needs(None), operation_id="get_work")
def get_work(request: HttpRequest, work: UUID) -> WorkShown:
    """What came of something that the same account has asked the worker for."""
    match console_jobs.result(work):
        case Done(value):
            return WorkShown(state="done", value=value)
        case Failed(text, transient):
            raise ActionFailed(text, transient=transient)
        case None:
            job = jobs.find(work)
            if job is None or job.kind != console_jobs.CONSOLE or job.state not in {State.WAITING, State.RUNNING}:
                raise not_found("work, or it was not yours, or its result is gone")
            return WorkShown(state="running", value=None)
