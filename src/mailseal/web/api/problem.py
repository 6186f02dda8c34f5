"""Problems: what went wrong, for programs and people (RFC 9457). No value of the request is repeated."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from pydantic import Field

from mailseal.web.api.shapes import Shown

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """One field of the request that cannot be taken. `place`: like `body.value` or `query.limit`."""

    place: str
    detail: str


class ProblemError(Exception):
    """An answer that is no success. `kind`: a name that never changes, for programs; `detail` is for people."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.faults = tuple(faults)
        self.headers = dict(headers or {})


def not_found(what: str) -> ProblemError:
    """There is no such thing, or the caller may not see it: the answer is the same."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"there is no such {what}", kind="not-found")


def conflict(detail: str, *, kind: str = "conflict") -> ProblemError:
    """What is asked for contradicts what is there."""
    return ProblemError(HTTPStatus.CONFLICT, detail, kind=kind)


def unfit(detail: str, *, place: str = "") -> ProblemError:
    """What was given cannot be meant."""
    faults = (Fault(place, detail),) if place else ()
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="invalid", faults=faults)


def unavailable(detail: str, *, kind: str = "unavailable") -> ProblemError:
    """Not now; asking again may help."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, kind=kind, headers=headers)


class FaultShown(Shown):
    """One field of the request that cannot be taken."""

    place: str
    detail: str


class ProblemShown(Shown):
    """A problem (RFC 9457)."""

    type: str = Field(description="A URN that names the kind of problem, or about:blank: the status says it all.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="A URN of this one answer; for a failure of ours the log has it too.")
    errors: list[FaultShown] = Field(description="Which fields of the request cannot be taken, and why.")


def respond(request: HttpRequest, problem: ProblemError, *, instance: str | None = None) -> HttpResponse:
    """The response that says it."""
    status = HTTPStatus(problem.status)
    body = {
        "type": f"urn:mailseal:problem:{problem.kind}" if problem.kind else "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": problem.detail,
        "instance": instance or new_instance(),
        "errors": [{"place": one.place, "detail": one.detail} for one in problem.faults],
    }
    response = HttpResponse(json.dumps(body), status=int(status), content_type=MEDIA_TYPE, headers=problem.headers)
    if request.method == "HEAD":
        response.content = b""
    return response


def new_instance() -> str:
    """A name for one answer."""
    return uuid4().urn
