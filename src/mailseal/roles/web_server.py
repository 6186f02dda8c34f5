"""The HTTP server of the web role: gunicorn's threads, with a bound in time and number for whoever asks (RFC 9112).

A connection that says nothing holds no thread. One that is slow is cut off: its head has `HEAD_SECONDS`, its body and
the reading of the answer as long as a slow line needs. Of one client a part of the threads at most works at a time, the
rest waits, so that nobody keeps others out.
"""

import contextlib
import logging
import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from gunicorn.config import Config as ServerConfig
from gunicorn.http import errors, get_parser
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

from mailseal.roles.log_lines import places
from mailseal.web.headers import HEADERS

HEAD_SECONDS: Final = 10.0
"""For the TLS handshake and the head of a request."""
ANSWER_SECONDS: Final = 45.0
"""For reading a request's body, answering it, and the answer being read; and more for a large body."""
SLOWEST_BYTES_PER_SECOND: Final = 128 * 1024
IDLE_SECONDS: Final = 10
"""For which a connection without a request is kept."""
MAX_CONNECTIONS: Final = 500
MAX_OF_ONE_CLIENT: Final = 50
MAX_LINE_BYTES: Final = 8190
MAX_FIELDS: Final = 100
_V6_NETWORK_BITS: Final = 64

logger = logging.getLogger(__name__)

Wsgi = Callable[..., Any]
_STATUS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    (errors.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED),
    (errors.ParseException, HTTPStatus.BAD_REQUEST),
)


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve. `tls`: the context for the next handshake, None for a proxy behind a UNIX socket.

    `plain`: the names of the sockets that have no TLS all the same.
    """

    threads: int
    drain_seconds: float
    tls: Callable[[], ssl.SSLContext] | None
    each_second: Callable[[], None]
    ready: Callable[[], None]
    plain: frozenset[Any] = frozenset()


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """One connection; `leash` is a second descriptor of it, by which it is cut off whatever a thread does with it."""

    initialized: bool
    sock: socket.socket

    def __init__(self, cfg: ServerConfig, sock: socket.socket, client: Any, server: Any, serving: Serving) -> None:
        super().__init__(cfg, sock, client, server)
        self._serving = serving
        self.leash = socket.socket(fileno=os.dup(sock.fileno()))
        self.cut_at = float("inf")
        self.of_client = client_of(client)

    def init(self) -> None:
        """In a thread: the handshake, if there is TLS."""
        if self.initialized:
            return
        self.initialized = True
        self.sock.settimeout(None)
        if self._serving.tls is not None and self.server not in self._serving.plain:
            self.sock = self._serving.tls().wrap_socket(self.sock, server_side=True)
        self.parser = get_parser(self.cfg, self.sock, self.client)

    def has_asked(self) -> bool:
        """Whether something of a request is here already; in a thread, after the handshake."""
        self.data_ready = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0
        return bool(self.wait_for_data(0))

    def cut(self) -> None:
        """Whoever reads or writes gets an end of file."""
        with contextlib.suppress(OSError):
            self.leash.shutdown(socket.SHUT_RDWR)

    def close(self, graceful: bool = False) -> None:  # noqa: FBT001, FBT002 -- gunicorn's signature
        """Close both descriptors."""
        with contextlib.suppress(OSError):
            super().close(graceful)
        self.leash.close()


@dataclass(slots=True)
class _Client:
    """What one client has: connections, those that a thread works on, those that wait for one."""

    connections: int = 0
    working: int = 0
    waiting: deque[Connection] = field(default_factory=deque)


class Server(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """One process with some threads. `init_process` serves until told to end."""

    def __init__(self, application: Wsgi, sockets: list[socket.socket], serving: Serving) -> None:
        cfg = _server_config(serving)
        self._application = application
        self._serving = serving
        self._at_once = max(2, serving.threads // 4)
        self._clients: dict[str, _Client] = {}
        self._open: set[Connection] = set()
        super().__init__(0, os.getppid(), sockets, None, 0, cfg, ServerLog())

    def load_wsgi(self) -> None:
        """Nothing to load: it was given."""
        self.wsgi = self._application

    def init_signals(self) -> None:
        """Only in the main thread, where they are handled; the role sets its own."""

    def notify(self) -> None:
        """Called each second at least."""
        self._serving.each_second()
        now = time.monotonic()
        for connection in [one for one in self._open if one.cut_at <= now]:
            connection.cut_at = float("inf")
            connection.cut()

    def is_parent_alive(self) -> bool:
        """The role watches that itself."""
        return True

    def run(self) -> None:
        """Serve until `end`."""
        self._serving.ready()
        try:
            super().run()
        finally:
            self.tmp.close()
            for descriptor in self.PIPE:
                os.close(descriptor)

    def end(self) -> None:
        """Take no more, and end when what is at hand is answered. May be called by a signal handler."""
        self.alive = False
        if self.poller is not None:
            self.method_queue.defer(lambda: None)  # wakes it

    # ---- in the main thread

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, and wait until it says something."""
        try:
            sock, address = listener.accept()
        except OSError:
            return  # it has gone again, or there are no descriptors left for a moment
        try:
            if sock.family != socket.AF_UNIX:
                # Head and body are written one after the other; held back for an acknowledgement, the body takes 40 ms.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self.cfg, sock, address, listener.getsockname(), self._serving)
        except OSError:
            sock.close()
            return
        self.nr_conns += 1
        client = self._clients.setdefault(connection.of_client, _Client())
        client.connections += 1
        self._open.add(connection)
        if connection.of_client and client.connections > MAX_OF_ONE_CLIENT:
            self._forget(connection)
            return
        connection.timeout = time.monotonic() + IDLE_SECONDS
        self.pending_conns.append(connection)
        readable = partial(self.on_pending_socket_readable, connection)
        self.poller.register(connection.sock, 1, readable)

    def enqueue_req(self, conn: Connection) -> None:
        """Have a thread work on it, as soon as its client has fewer of them."""
        client = self._clients[conn.of_client]
        conn.cut_at = time.monotonic() + HEAD_SECONDS
        if conn.of_client and client.working >= self._at_once:
            client.waiting.append(conn)
            return
        self._begin(client, conn)

    def _begin(self, client: _Client, conn: Connection) -> None:
        client.working += 1
        conn.cut_at = time.monotonic() + HEAD_SECONDS
        super().enqueue_req(conn)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """A thread is done with it."""
        conn.cut_at = float("inf")
        client = self._clients[conn.of_client]
        client.working -= 1
        before = self.nr_conns
        super().finish_request(conn, fs)
        if self.nr_conns < before:
            self._gone(conn)
        while client.waiting and client.working < self._at_once:
            self._begin(client, client.waiting.popleft())

    def murder_keepalived(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 -- gunicorn's signature
        """Close those that were kept long enough."""
        before = list(self.keepalived_conns)
        super().murder_keepalived(force)
        self._gone_of(before, self.keepalived_conns)

    def murder_pending(self) -> None:
        """Close those that have said nothing for long."""
        before = list(self.pending_conns)
        super().murder_pending()
        self._gone_of(before, self.pending_conns)

    def _gone_of(self, before: list[Connection], after: deque[Connection]) -> None:
        if len(before) != len(after):
            left = set(after)
            for one in before:
                if one not in left:
                    self._gone(one)

    def _forget(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()
        self._gone(conn)

    def _gone(self, conn: Connection) -> None:
        self._open.discard(conn)
        client = self._clients[conn.of_client]
        client.connections -= 1
        if client.connections <= 0 and not client.working:
            self._clients.pop(conn.of_client, None)

    # ---- in a thread

    def handle(self, conn: Connection) -> Any:
        """The handshake, and what is asked; whoever says nothing after the handshake holds no thread."""
        if not conn.initialized:
            try:
                conn.init()
            except OSError:  # that is no TLS, or nothing that we speak
                return False
            if not conn.has_asked():
                return _DEFER
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Its head is read: it has time for the rest."""
        conn.cut_at = time.monotonic() + ANSWER_SECONDS + _length_of(req) / SLOWEST_BYTES_PER_SECOND
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:  # noqa: ARG002 -- gunicorn's signature
        """A request that cannot be read gets a status and nothing of what it said, nor does the log."""
        if isinstance(exc, ssl.SSLError):
            return
        status = next((status for kind, status in _STATUS if isinstance(exc, kind)), None)
        if status is None:
            logger.error("a request could not be answered: %s", places(exc))
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        with contextlib.suppress(OSError):
            client.sendall(plain_answer(status))


def plain_answer(status: HTTPStatus) -> bytes:
    """A whole response that says its status alone."""
    body = f"{status.value} {status.phrase}\n".encode()
    fields = HEADERS | {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + body


def client_of(address: Any) -> str:
    """Whom the bounds are for: an IPv4 address or an IPv6 network; "" is a proxy behind a UNIX socket: no bounds."""
    if not isinstance(address, tuple):
        return ""
    found = ip_address(address[0].partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{int(found) >> (128 - _V6_NETWORK_BITS):x}/64"
    return str(found)


def _length_of(req: Any) -> int:
    for name, value in req.headers:
        if name == "CONTENT-LENGTH" and value.isdecimal():
            return int(value)
    return 0


def _server_config(serving: Serving) -> ServerConfig:
    cfg = ServerConfig()
    for name, value in {
        "threads": serving.threads,
        "worker_connections": MAX_CONNECTIONS,
        "keepalive": IDLE_SECONDS,
        "graceful_timeout": int(serving.drain_seconds),
        "limit_request_line": MAX_LINE_BYTES,
        "limit_request_fields": MAX_FIELDS,
        "limit_request_field_size": MAX_LINE_BYTES,
        # Who stands in front is looked at in `web.front`, and there alone.
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "forwarder_headers": "",
        "http_protocols": "h1",
        "umask": 0o077,
    }.items():
        cfg.set(name, value)
    return cfg


class ServerLog:
    """What gunicorn says: as ours, without texts of exceptions; of requests nothing."""

    def debug(self, *_: object, **__: object) -> None:
        """Nothing of interest."""

    info = access = debug

    def close_on_exec(self) -> None:
        """Nothing is started."""

    def reopen_files(self) -> None:
        """There are none."""

    def warning(self, text: str, *_: object, **__: object) -> None:
        """Its words, without what it says them of."""
        logger.warning("the web server: %s", text)

    def exception(self, text: str, *_: object, **__: object) -> None:
        """As `warning`; the exception is logged where it is answered."""
        logger.error("the web server: %s", text)

    error = critical = exception
