"""What each failure means to the caller: the one place where errors become problems."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from mailseal.errors import PermanentError, TransientError
from mailseal.store.addresses import LockedAddressError
from mailseal.store.console_jobs import ActionFailed, StillRunning
from mailseal.store.overrides import LockedSettingError, StaleSettingsError
from mailseal.web.access import ForbiddenError
from mailseal.web.api.problem import Fault, ProblemError, new_instance, not_found, respond, unavailable, unfit
from mailseal.web.api.work import pending

logger = logging.getLogger(__name__)


def _invalid(error: ValidationError) -> ProblemError:
    faults = tuple(Fault(_place(one["loc"]), str(one["msg"])) for one in error.errors)
    detail = "the request does not fit; `errors` says where"
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="invalid", faults=faults)


PROBLEMS: Mapping[type[Exception], Callable[[Any], ProblemError]] = MappingProxyType(
    {
        ProblemError: lambda error: error,
        ForbiddenError: lambda error: ProblemError(HTTPStatus.FORBIDDEN, str(error), kind="forbidden"),
        StaleSettingsError: lambda error: ProblemError(HTTPStatus.PRECONDITION_FAILED, str(error), kind="stale"),
        LockedAddressError: lambda error: ProblemError(HTTPStatus.FORBIDDEN, str(error), kind="locked"),
        LockedSettingError: lambda error: ProblemError(HTTPStatus.FORBIDDEN, str(error), kind="locked"),
        ActionFailed: lambda error: unavailable(str(error)) if error.transient else unfit(str(error)),
        TransientError: lambda error: unavailable(str(error)),
        PermanentError: lambda error: unfit(str(error)),
        ValidationError: _invalid,
        HttpError: lambda error: ProblemError(error.status_code, str(error)),
        Http404: lambda _: not_found("thing"),
        UnreadablePostError: lambda _: ProblemError(HTTPStatus.BAD_REQUEST, "the body ended early"),
        RequestDataTooBig: lambda _: ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too large"),
    }
)
"""What an error is to the caller; the row of the nearest base class counts. The text of each is for people."""


def add_to(api: NinjaAPI) -> None:
    """Answer every failure of an operation."""
    api.add_exception_handler(Exception, answer)
    for kind in PROBLEMS:
        api.add_exception_handler(kind, answer)
    api.add_exception_handler(StillRunning, pending)


def answer(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """The response to a failure; one that nobody has thought of is logged, and only named to the caller."""
    assert isinstance(error, Exception)
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            return respond(request, PROBLEMS[kind](error))
    instance = new_instance()
    logger.error("unexpected failure of a request", exc_info=error, extra={"instance": instance})
    detail = "an unexpected failure; the log says more under the name of this instance"
    return respond(request, ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, detail, kind="failure"), instance=instance)


def _place(location: tuple[object, ...]) -> str:
    """Where a field stands: `body.hops.0`. The second part is the name of our own parameter for the body."""
    source, *rest = map(str, location)
    return ".".join([source, *(rest[1:] if source == "body" and len(rest) > 1 else rest)])
