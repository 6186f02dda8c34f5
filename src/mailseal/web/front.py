"""What is looked at before Django: proxies (RFC 7239's elder X-Forwarded-For), the size of a request, the database.

What a proxy says is believed of proxies alone, and nothing of it goes on: what comes after sees one client address.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from mailseal.config import Network
from mailseal.store.transaction import unit_of_work
from mailseal.web.headers import HEADERS

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

_OF_PROXIES: Final = ("HTTP_X_FORWARDED", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_CLIENT_IP")
_MAX_HOPS: Final = 20
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Not TRACE (RFC 9110 §9.3.8): Django takes it for a GET."""


class Front:
    """Wraps the application. `behind_proxy`: whoever connects is a proxy, and has the TLS."""

    def __init__(
        self, application: Wsgi, *, max_bytes: int, trusted: Sequence[Network] = (), behind_proxy: bool = False
    ) -> None:
        self._application = application
        self._max_bytes = max_bytes
        self._trusted = trusted
        self._behind_proxy = behind_proxy

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        refused = self._refused(environ)
        if refused is not None:
            return _say(start_response, *refused)
        environ["REMOTE_ADDR"] = self._client(environ)
        environ["wsgi.url_scheme"] = "https"
        for name in [name for name in environ if name.startswith(_OF_PROXIES)]:
            del environ[name]
        return self._answer(environ, start_response)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with unit_of_work():
            answer = self._application(environ, start_response)
            try:
                yield from answer
            finally:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()

    def _refused(self, environ: Environ) -> tuple[HTTPStatus, str] | None:
        """Why it is not answered at all, and in words."""
        if self._behind_proxy and environ.get("HTTP_X_FORWARDED_PROTO") != "https":
            return HTTPStatus.BAD_REQUEST, "the proxy has to be asked by https, and to say so: X-Forwarded-Proto: https"
        if environ.get("REQUEST_METHOD") not in _METHODS:
            return HTTPStatus.NOT_IMPLEMENTED, "this method is not for anything here"
        if environ.get("HTTP_TRANSFER_ENCODING"):
            return HTTPStatus.LENGTH_REQUIRED, "a request has a Content-Length here"
        length = environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdecimal()):
            return HTTPStatus.BAD_REQUEST, "Content-Length is a number"
        if int(length) > self._max_bytes:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has {self._max_bytes >> 20} MiB at most"
        return None

    def _client(self, environ: Environ) -> str:
        """The address nearest to us that is no proxy of ours; "" if a proxy does not say."""
        peer = str(environ.get("REMOTE_ADDR") or "")
        if not self._behind_proxy and not self._is_trusted(peer):
            return peer
        said = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")[-_MAX_HOPS:]
        for one in reversed([word.strip() for word in said]):
            address = _address(one)
            if address is None:
                break
            peer = address
            if not self._is_trusted(peer):
                break
        return peer

    def _is_trusted(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(ipaddress.ip_address(address) in network for network in self._trusted)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _say(start_response: StartResponse, status: HTTPStatus, text: str) -> Iterable[bytes]:
    body = f"{status.value} {status.phrase}: {text}\n".encode()
    fields = HEADERS | {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    start_response(f"{status.value} {status.phrase}", list(fields.items()))
    return [body]
