"""What is answered without TLS: a CA's look for a proof (RFC 8555 §8.3); everybody else is sent on to https."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from mailseal.store import tls_identities
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.web.front import Environ, StartResponse, Wsgi

CHALLENGE: Final = "/.well-known/acme-challenge/"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
HTTPS_PORT: Final = 443


class Doors:
    """One application for what comes in by some sockets, by host and port, and another for all else."""

    def __init__(self, application: Wsgi, others: Mapping[tuple[str, str], Wsgi]) -> None:
        self._application = application
        self._others = others

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        door = str(environ.get("SERVER_NAME")), str(environ.get("SERVER_PORT"))
        return self._others.get(door, self._application)(environ, start_response)


class Plain:
    """The application without TLS. `hosts`: ours, in lower case; nobody is sent on to any other."""

    def __init__(self, hosts: Iterable[str], https_port: int) -> None:
        self._hosts = frozenset(hosts)
        self._port = "" if https_port == HTTPS_PORT else f":{https_port}"

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith(CHALLENGE):
            return _proof(path.removeprefix(CHALLENGE), start_response)
        host = str(environ.get("HTTP_HOST", "")).lower().rpartition("@")[2]
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        if name not in self._hosts or environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            return _say(start_response, HTTPStatus.BAD_REQUEST, "this is asked by https")
        query = str(environ.get("QUERY_STRING", ""))
        target = f"https://{name}{self._port}{quote(path, safe='/%')}" + (
            f"?{quote(query, safe='=&%+')}" if query else ""
        )
        return _say(start_response, HTTPStatus.PERMANENT_REDIRECT, "this is asked by https", {"Location": target})


def _proof(token: str, start_response: StartResponse) -> Iterable[bytes]:
    if not _TOKEN.fullmatch(token):
        return _say(start_response, HTTPStatus.NOT_FOUND, "nothing here")
    try:
        with unit_of_work():
            answer = tls_identities.published(token)
    except StoreUnavailable:
        return _say(start_response, HTTPStatus.SERVICE_UNAVAILABLE, "not now")
    if answer is None:
        return _say(start_response, HTTPStatus.NOT_FOUND, "nothing here")
    return _say(start_response, HTTPStatus.OK, answer, {"Content-Type": "application/octet-stream"})


def _say(
    start_response: StartResponse, status: HTTPStatus, text: str, more: Mapping[str, Any] | None = None
) -> Iterable[bytes]:
    body = text.encode()
    fields = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **(more or {}),
    }
    start_response(f"{status.value} {status.phrase}", list(fields.items()))
    return [body]
