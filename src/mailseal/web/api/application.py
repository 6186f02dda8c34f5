"""The API as a whole: its operations, its failures, its description (OpenAPI 3.1)."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from mailseal import __version__
from mailseal.web.api import etag, failures
from mailseal.web.api.authentication import as_caller, closed
from mailseal.web.api.body import JsonParser
from mailseal.web.api.description import Description
from mailseal.web.api.routers import ROUTERS

DESCRIPTION = """\
Everything is JSON. Ask with `Authorization: Bearer` and a token, which an account makes for itself in the console.
A token may do what its account may, or less. Lists come in pages: ask for the next with `after` = `next` of the one
before. Times are ISO 8601 in UTC. Failures are problems (RFC 9457). What GET gives has an ETag: send it back as
`If-Match` with PUT and DELETE, and nothing that somebody else has changed meanwhile is overwritten (412)."""
_TAGGED = {"GET", "PUT"}


class Api(NinjaAPI):
    """Ninja's, with ETags."""

    def create_response(
        self,
        request: HttpRequest,
        data: Any,
        *,
        status: int | None = None,
        temporal_response: HttpResponse | None = None,
    ) -> HttpResponse:
        """What an operation returned, as JSON."""
        response = super().create_response(request, data, status=status, temporal_response=temporal_response)
        return etag.mark(request, response) if request.method in _TAGGED else response

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The name that it was given, or that of its function."""
        return operation.operation_id or operation.view_func.__name__

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """The description."""
        return Description(self, self.get_root_path(path_params or {}) if path_prefix is None else path_prefix)

    def operations(self) -> Iterator[Operation]:
        """All of them, with the guard of each."""
        for router in self._get_bound_routers():
            for view in router.path_operations.values():
                yield from view.operations


def build() -> Api:
    """The API with all its routers."""
    made = Api(
        title="Mailseal",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        urls_namespace="api",
        parser=JsonParser(),
        auth=closed,
    )
    failures.add_to(made)
    made.add_decorator(as_caller, mode="operation")
    for prefix, router in ROUTERS:
        made.add_router(prefix, router, tags=[prefix.strip("/")])
    return made


api = build()
