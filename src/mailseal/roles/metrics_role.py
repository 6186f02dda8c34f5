"""The metrics role: answers GET /metrics and GET /healthz (RFC 9112), read-only, without KEK and database.

One request per connection, few connections, little time for each: whoever asks slowly or much keeps nobody out, and no
mail waits for it.
"""

import asyncio
import logging
from http import HTTPStatus

from mailseal.config import METRICS, Config, listeners
from mailseal.roles.child import Inheritance, inherit
from mailseal.roles.lifetime import Lifetime
from mailseal.roles.listening import bind
from mailseal.roles.logs import configure
from mailseal.roles.metrics_page import WELL, Page

MAX_CONNECTIONS = 20
MAX_REQUEST_BYTES = 8 * 1024
PATIENCE_SECONDS = 10.0
"""For a request and for its answer to be read."""
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

logger = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Answer until told to end; raises MailsealError when the role cannot start."""
    configure(config.log, "metrics")
    inheritance = inherit()
    if not inheritance.supervised and METRICS not in inheritance.sockets:
        place = listeners(config).get(METRICS)
        if place is None:
            logger.warning("metrics.listen is off: there is nothing to do")
            return
        inheritance.sockets[METRICS] = bind(place, config.listen.socket_group)
    asyncio.run(MetricsRole(Page(config)).serve(inheritance))


class MetricsRole:
    """One process that listens for questions."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._asking: dict[asyncio.Timeout, None] = {}

    async def serve(self, inheritance: Inheritance) -> None:
        """Listen, say so, and end."""
        lifetime = Lifetime(inheritance, drain_seconds=0)
        server = await asyncio.start_server(
            self._ask, sock=inheritance.sockets[METRICS], limit=MAX_REQUEST_BYTES, backlog=MAX_CONNECTIONS
        )
        inheritance.ready()
        await lifetime.wait()
        server.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        patience = asyncio.timeout(PATIENCE_SECONDS)
        try:
            async with patience:
                self._admit(patience)
                writer.write(self.answer(await reader.readuntil(b"\r\n\r\n")))
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who asks like that gets no answer
        except Exception as error:  # noqa: BLE001 -- the next one may be answered
            logger.error("a question could not be answered: %s", type(error).__name__)
        finally:
            self._asking.pop(patience, None)
            writer.transport.abort()  # closed, it would wait for who does not read

    def _admit(self, patience: asyncio.Timeout) -> None:
        """One more; the one that has been there for longest makes room."""
        if len(self._asking) >= MAX_CONNECTIONS:
            longest = next(iter(self._asking))
            del self._asking[longest]
            if not longest.expired():
                longest.reschedule(0.0)
        self._asking[patience] = None

    def answer(self, request: bytes) -> bytes:
        """The whole response to the head of a request."""
        words = request.partition(b"\r\n")[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST)
        method, target = words[0], words[1].partition(b"?")[0]
        if target not in {b"/metrics", b"/healthz"}:
            return _response(HTTPStatus.NOT_FOUND)
        if method != b"GET":
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, fields="Allow: GET\r\n")
        if target == b"/metrics":
            return _response(HTTPStatus.OK, self._page.render(), kind=PROMETHEUS)
        word = self._page.health()
        status = HTTPStatus.OK if word == WELL else HTTPStatus.SERVICE_UNAVAILABLE
        return _response(status, f"{word}\n".encode())


def _response(status: HTTPStatus, body: bytes | None = None, *, kind: str = TEXT, fields: str = "") -> bytes:
    content = f"{status.phrase}\n".encode() if body is None else body
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{fields}Connection: close\r\n\r\n"
    )
    return head.encode() + content
