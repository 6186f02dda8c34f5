"""The body of a request: JSON of a bounded size (RFC 8259), read only after the caller has been let in."""

import base64
import json
from http import HTTPStatus
from typing import Annotated, Any, NoReturn

from django.http import HttpRequest
from ninja.parser import Parser
from pydantic import BeforeValidator, WithJsonSchema

from mailseal.web.api.problem import ProblemError

MAX_BODY_BYTES = 1024 * 1024
MAX_FILE_BYTES = 25 * 1024 * 1024
MAX_VALUES = 200_000
"""In a body, by its brackets and commas; Base64 has none. Ten million take half a minute, and nobody is answered."""
FILE_BODY_BYTES = MAX_FILE_BYTES * 4 // 3 + MAX_BODY_BYTES
"""For operations that take a file: its Base64, and the rest."""


def _octets(text: object) -> bytes:
    """The octets of Base64; blanks and ends of lines in it are nothing. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("a file is a text, its Base64")  # noqa: TRY004 -- what Pydantic tells the caller as a fault
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError("that is not Base64 (RFC 4648 §4)") from None


File = Annotated[
    bytes,
    BeforeValidator(_octets),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "description": "A file, in Base64 (RFC 4648 §4)."}),
]
"""A file in a body: bytes for us, Base64 for the caller. Its operation needs `body_bytes=FILE_BODY_BYTES`."""


def read(request: HttpRequest, most_bytes: int) -> None:
    """Read the body; raises ProblemError when it is too long, or no JSON by its own account."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > most_bytes:
        raise _too_long(most_bytes)
    octets = request.read(most_bytes + 1)
    if len(octets) > most_bytes:
        raise _too_long(most_bytes)
    if octets and request.content_type != "application/json":
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body has to be application/json")
    # Where Django itself puts what it has read; its own bound would be one for all operations.
    request._body = octets  # noqa: SLF001


def _too_long(most_bytes: int) -> ProblemError:
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {most_bytes} octets")


class JsonParser(Parser):
    """Takes what RFC 8259 calls JSON, and no more."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """The value of the body; whatever is raised is answered with 400."""
        octets = request.body
        if sum(map(octets.count, b"[{,")) > MAX_VALUES:
            raise ValueError("too many values")
        value: dict[str, Any] = json.loads(octets, parse_constant=_refuse)
        return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
