"""A small SMTP or LMTP server that keeps every transaction (envelope and octets) and misbehaves when told to.

With a `tls` context it offers STARTTLS; `Transaction.tls` is then the protocol version that a mail came by, or None.

with Sink() as sink:
    sink.rcpt_replies["bob@example.org"] = "550 5.1.1 unknown"
    ... a client sends to 127.0.0.1:sink.port ...
    [mail] = sink.wait(1)
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from harness.folder import free_port
from harness.waiting import PATIENCE_SECONDS

FEATURES = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
LHLO_ONLY = ("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",)


@dataclass
class Transaction:
    """One mail as it came. `recipients` are the accepted ones; parameters are upper-case, as sent."""

    sender: str
    parameters: tuple[str, ...]
    recipients: tuple[str, ...]
    recipient_parameters: tuple[tuple[str, ...], ...]
    octets: bytes
    xforward: dict[str, str]
    tls: str | None = None
    at: float = field(default_factory=time.monotonic)

    @property
    def header(self) -> bytes:
        return self.octets.partition(b"\r\n\r\n")[0] + b"\r\n"

    @property
    def body(self) -> bytes:
        return self.octets.partition(b"\r\n\r\n")[2]

    def fields(self, name: str) -> list[str]:
        """The unfolded values of a header field."""
        unfolded = self.header.replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ").decode("utf-8", "replace")
        wanted = name.lower() + ":"
        return [line[len(wanted) :].strip() for line in unfolded.split("\r\n") if line.lower().startswith(wanted)]


class Sink:
    """Listens at once on `host` (or a UNIX socket); one thread a connection. Faults may be set at any time."""

    def __init__(
        self,
        *,
        lmtp: bool = False,
        path: Path | None = None,
        features: tuple[str, ...] = FEATURES,
        on_mail: Callable[[Transaction], list[str]] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.tls = tls
        self.lmtp = lmtp
        self.path = path
        self.features = features
        self.on_mail = on_mail
        self.rcpt_replies: dict[str, str] = {}
        self.data_reply = "250 2.0.0 kept"
        self.data_delay_seconds = 0.0
        self.delays = False
        """Whether a mail has come that is not answered yet."""
        self.drops_after_data = 0
        self.port = port or (0 if path else free_port())
        self._kept: list[Transaction] = []
        self._cleared = 0
        self._answered = 0
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- what came

    @property
    def mails(self) -> list[Transaction]:
        with self._changed:
            return list(self._kept)

    def wait(self, count: int, *, seconds: float = PATIENCE_SECONDS) -> list[Transaction]:
        """The mails once at least `count` have come; fails with what is there otherwise."""
        return self.wait_for(lambda kept: len(kept) >= count, f"{count} mails", seconds=seconds)

    def wait_for(
        self, enough: Callable[[list[Transaction]], bool], what: str, *, seconds: float = PATIENCE_SECONDS
    ) -> list[Transaction]:
        with self._changed:
            came = self._changed.wait_for(lambda: enough(self._kept), seconds)
            kept = list(self._kept)
        assert came, f"{what} did not come in {seconds} s; there are {[one.recipients for one in kept]}"
        return kept

    def clear(self) -> None:
        """Forget mails and faults, and the mails that are coming in."""
        with self._changed:
            self._kept.clear()
            self._cleared += 1
            self._changed.notify_all()
        self.rcpt_replies.clear()
        self.data_reply = "250 2.0.0 kept"
        self.data_delay_seconds = 0.0
        self.drops_after_data = 0

    def answer(self) -> None:
        """Take the mails that are delayed, now."""
        with self._changed:
            self.data_delay_seconds = 0.0
            self._answered += 1
            self._changed.notify_all()

    # ---- up and down

    def up(self) -> None:
        if self._listener is not None:
            return
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.path))
            self.path.chmod(0o666)
        else:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
        listener.listen(100)
        self._listener = listener
        self._start(self._accept, listener)

    def down(self) -> None:
        """Refuse connections and drop the open ones; `up` listens on the same port again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self.down()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[[socket.socket], None], argument: socket.socket) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=(argument,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            _Session(self, connection).run()
        self._connections.discard(connection)

    def keep(self, mail: Transaction) -> list[str]:
        """Take a mail; the replies to its end, or none to drop the connection. A dropped mail is kept too."""
        with self._changed:
            began, answered = self._cleared, self._answered
            self.delays = bool(self.data_delay_seconds)
            self._changed.wait_for(
                lambda: (self._cleared, self._answered) != (began, answered), self.data_delay_seconds
            )
            self.delays = False
        replies = self.on_mail(mail) if self.on_mail else [self.data_reply] * (len(mail.recipients) if self.lmtp else 1)
        with self._changed:
            if self._cleared == began and (all(reply.startswith("2") for reply in replies) or self.on_mail):
                self._kept.append(mail)
            self._changed.notify_all()
            if self.drops_after_data > 0:
                self.drops_after_data -= 1
                return []
        return replies


class _Session:
    def __init__(self, sink: Sink, connection: socket.socket) -> None:
        self.sink = sink
        self.connection = connection
        self.stream = connection.makefile("rwb")
        self.xforward: dict[str, str] = {}
        self._reset()

    def _reset(self) -> None:
        self.sender: str | None = None
        self.parameters: tuple[str, ...] = ()
        self.recipients: list[tuple[str, tuple[str, ...]]] = []

    def say(self, *lines: str) -> None:
        for line in lines:
            self.stream.write(line.encode() + b"\r\n")
        self.stream.flush()

    def run(self) -> None:
        try:
            self._converse()
        finally:
            with contextlib.suppress(OSError):
                self.stream.close()
            self.connection.close()

    def _converse(self) -> None:
        self.say("220 sink.example ready")
        while line := self.stream.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 2.0.0 bye")
                return
            answer = getattr(self, f"do_{verb.lower()}", None)
            if answer is None:
                self.say("500 5.5.1 unknown")
            elif answer(rest) is False:
                return

    def do_ehlo(self, _: str) -> None:
        self._hello(self.sink.features)

    def do_lhlo(self, _: str) -> None:
        self._hello(self.sink.features + LHLO_ONLY)

    def do_starttls(self, _: str) -> bool:
        if self.sink.tls is None or isinstance(self.connection, ssl.SSLSocket):
            self.say("502 5.5.1 no")
            return True
        self.say("220 2.0.0 go ahead")
        self.stream.close()
        self.connection = self.sink.tls.wrap_socket(self.connection, server_side=True)
        self.stream = self.connection.makefile("rwb")
        self._reset()
        return True

    def _hello(self, features: tuple[str, ...]) -> None:
        if self.sink.tls is not None and not isinstance(self.connection, ssl.SSLSocket):
            features = ("STARTTLS", *features)
        *most, last = ("sink.example", *features)
        self.say(*(f"250-{feature}" for feature in most), f"250 {last}")

    def do_helo(self, _: str) -> None:
        self.say("250 sink.example")

    def do_noop(self, _: str) -> None:
        self.say("250 2.0.0 ok")

    def do_rset(self, _: str) -> None:
        self._reset()
        self.say("250 2.0.0 ok")

    def do_xforward(self, rest: str) -> None:
        self.xforward |= dict(pair.split("=", 1) for pair in rest.split())
        self.say("250 2.0.0 ok")

    def do_mail(self, rest: str) -> None:
        self._reset()
        self.sender, self.parameters = _path(rest)
        self.say("250 2.1.0 ok")

    def do_rcpt(self, rest: str) -> None:
        address, parameters = _path(rest)
        reply = self.sink.rcpt_replies.get(address.lower(), "250 2.1.5 ok")
        if reply.startswith("2"):
            self.recipients.append((address, parameters))
        self.say(reply)

    def do_data(self, _: str) -> bool:
        if not self.recipients or self.sender is None:
            self.say("503 5.5.1 no recipients")
            return True
        self.say("354 go ahead")
        octets = self._content()
        if octets is None:
            return False
        mail = Transaction(
            self.sender,
            self.parameters,
            tuple(address for address, _ in self.recipients),
            tuple(parameters for _, parameters in self.recipients),
            octets,
            dict(self.xforward),
            self.connection.version() if isinstance(self.connection, ssl.SSLSocket) else None,
        )
        self._reset()
        replies = self.sink.keep(mail)
        self.say(*replies)
        return bool(replies)

    def _content(self) -> bytes | None:
        lines: list[bytes] = []
        while line := self.stream.readline():
            fresh = not lines or lines[-1].endswith(b"\r\n")
            if fresh and line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if fresh and line.startswith(b".") else line)
        return None


def _path(argument: str) -> tuple[str, tuple[str, ...]]:
    """`FROM:<a@b> X=1 Y` as the address and the parameters."""
    _, _, rest = argument.partition("<")
    address, _, parameters = rest.partition(">")
    return address, tuple(parameters.split())
