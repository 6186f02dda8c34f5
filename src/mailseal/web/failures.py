"""Pages for what fails under way: what is away for a moment (503, and what to do), and what nobody thought of (500).

They ask no database, and name an unexpected failure by an ID under which the log says where it happened, never more.
"""

import logging
import sys
from http import HTTPStatus
from uuid import uuid4

from django.db.utils import Error
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from mailseal.errors import MailsealError, PermanentError
from mailseal.store.console_jobs import ActionFailed
from mailseal.store.trouble import Trouble, classify, unavailable
from mailseal.web.told import told

RETRY_SECONDS = 10

logger = logging.getLogger(__name__)


def server_error(_request: HttpRequest) -> HttpResponse:
    """Django's handler500: called while the exception is being handled."""
    error = sys.exc_info()[1]
    if isinstance(error, Error) and classify(error) is not Trouble.BUG:
        error = unavailable(error)
    if isinstance(error, PermanentError) and not (isinstance(error, ActionFailed) and error.transient):
        return _page("cannot.html", HTTPStatus.UNPROCESSABLE_ENTITY, text=told(str(error)))
    if isinstance(error, MailsealError):
        response = _page("503.html", HTTPStatus.SERVICE_UNAVAILABLE, text=told(str(error)))
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    failure = uuid4().hex
    logger.error("unexpected failure of a page", exc_info=error, extra={"instance": failure})
    return _page("500.html", HTTPStatus.INTERNAL_SERVER_ERROR, failure=failure)


def _page(template: str, status: HTTPStatus, **context: str) -> HttpResponse:
    return HttpResponse(render_to_string(template, context), status=status)
