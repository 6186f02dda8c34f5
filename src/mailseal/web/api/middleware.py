"""Below the API's URLs everything that fails is a problem (RFC 9457), also what Django answers before an operation."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponseBase

from mailseal.web.api.problem import MEDIA_TYPE, ProblemError, respond

PREFIX = "/api/v1/"
_KEPT = ("Allow", "Retry-After")
_DETAILS = {
    HTTPStatus.BAD_REQUEST: "the request cannot be understood",
    HTTPStatus.NOT_FOUND: "there is nothing here; /api/v1/openapi.json says what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this method is not for this resource",
}


class Problems:
    """Middleware: failures below `PREFIX` are problems."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        response = self._get_response(request)
        status = response.status_code
        if not request.path_info.startswith(PREFIX) or status < HTTPStatus.BAD_REQUEST:
            return response
        if response.headers.get("Content-Type") == MEDIA_TYPE:
            return response
        detail = _DETAILS.get(HTTPStatus(status), HTTPStatus(status).phrase.lower())
        kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
        return respond(request, ProblemError(status, detail, headers=kept))
