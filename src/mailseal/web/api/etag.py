"""ETags: whether somebody has changed meanwhile what one saw (RFC 9110 §8.8.3, §13.1). A strong one, of the content."""

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags
from ninja.responses import NinjaJSONEncoder

from mailseal.store.stamps import Scope, bump_alone
from mailseal.store.transaction import run
from mailseal.web.api.problem import ProblemError
from mailseal.web.api.shapes import Shown

T = TypeVar("T")


def of(shown: Shown) -> str:
    """The tag under which GET gave this."""
    return _of_content(json.dumps(shown.model_dump(), cls=NinjaJSONEncoder).encode())


def change(request: HttpRequest, shown: Callable[[], Shown], write: Callable[[], T]) -> T:
    """Write in one transaction, if what is shown now is what the caller has seen (`If-Match`, if it is there).

    Raises ProblemError (412), and what the two raise.
    """

    def work() -> T:
        if "If-Match" in request.headers:
            bump_alone(Scope.EDITS)  # of two who have seen the same, the second waits for the first
        require(request, shown)
        return write()

    return run(work)


def require(request: HttpRequest, shown: Callable[[], Shown]) -> None:
    """Raise ProblemError (412) unless the caller has seen what is shown now, or does not say what they have seen."""
    wanted = request.headers.get("If-Match")
    if wanted is None:
        return
    now = of(shown())
    if wanted.strip() != "*" and now not in parse_etags(wanted):
        detail = "somebody has changed it meanwhile: get it again, and decide again"
        raise ProblemError(HTTPStatus.PRECONDITION_FAILED, detail, kind="stale")


def mark(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response with its tag; without content when the caller has that already (`If-None-Match`)."""
    tag = _of_content(response.content)
    response.headers["ETag"] = tag
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if request.method == "GET" and (tag in known or "*" in known):
        unchanged = HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
        del unchanged.headers["Content-Type"]
        return unchanged
    return response


def _of_content(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
