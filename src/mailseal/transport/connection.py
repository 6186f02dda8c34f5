"""One client connection to a next hop: writes, reads replies, starts TLS; all within a deadline (RFC 5321, RFC 3207).

The socket does not block; `poll` waits. Below TLS it is the same socket: each of its calls says what it waits for.
"""

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from mailseal.errors import TransientError
from mailseal.mail.message import Octets
from mailseal.mail.reply import Reply
from mailseal.transport.replies import GarbageError, ReplyReader, passed_on

READ_BYTES = 65536
MAX_GATHERED_CHUNKS = 64
MAX_GATHERED_BYTES = 512 * 1024
TLS_WRITE_BYTES = 256 * 1024
"""What one call encrypts; it comes back when all of it is with the kernel."""

T = TypeVar("T")


class LostError(TransientError):
    """The connection is gone, or the deadline has passed. `reply` is what the server said before, if it did."""

    def __init__(self, text: str, reply: Reply | None = None) -> None:
        super().__init__(text)
        self.reply = reply


class SilentError(LostError):
    """Nothing came, or could be written, in time."""


class GreetingError(TransientError):
    """The next hop does not want to talk now."""


class TlsError(TransientError):
    """TLS does not come about. `certificate`: the server's does not verify; `ours`: a file of ours cannot be used."""

    def __init__(self, text: str, *, certificate: bool = False, ours: bool = False) -> None:
        super().__init__(text)
        self.certificate = certificate
        self.ours = ours


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What TLS has come to. `der`: the server's certificate."""

    version: str
    cipher: str
    der: bytes


class Connection:
    """One session with a next hop over a connected socket. `code, lines` are a reply as read.

    `features` are what EHLO offered last; `reusable` whether another mail may go over it; `since` when it began.
    """

    def __init__(self, connected: socket.socket, *, lmtp: bool) -> None:
        self.lmtp = lmtp
        self.reusable = True
        self.since = time.monotonic()
        self.idle_since = 0.0
        self.features: Mapping[str, str] = {}
        self._replies = ReplyReader()
        self._socket = connected
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    # ---- commands and replies

    def take_greeting(self, deadline: float) -> None:
        """What the server says first; raises LostError, GreetingError or GarbageError."""
        code, lines = self.read_reply(deadline)
        if code != 220:
            raise GreetingError(f"the next hop greets with {_quoted(code, lines)}")

    def hello(self, hostname: str, deadline: float) -> None:
        """Say EHLO or LHLO and learn what is offered; raises LostError, GreetingError or GarbageError."""
        code, lines = self.command(f"{'LHLO' if self.lmtp else 'EHLO'} {hostname}\r\n".encode(), deadline)
        if code in {500, 502} and not self.lmtp:
            code, lines = self.command(f"HELO {hostname}\r\n".encode(), deadline)
            lines = lines[:1]
        if code != 250:
            raise GreetingError(f"the next hop answers the greeting with {_quoted(code, lines)}")
        words = [line.decode("ascii", "replace").upper().partition(" ") for line in lines[1:]]
        self.features = {keyword: value.strip() for keyword, _, value in words}

    def command(self, line: bytes, deadline: float) -> tuple[int, list[bytes]]:
        """Write one command and read its reply."""
        self.send(line, deadline)
        return self.read_reply(deadline)

    def read_reply(self, deadline: float) -> tuple[int, list[bytes]]:
        """The next reply; raises LostError or GarbageError."""
        while (found := self._replies.next()) is None:
            if not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                self._await(select.POLLIN, deadline)  # it is seldom there already
            try:
                octets = self._when_ready(lambda: self._socket.recv(READ_BYTES), select.POLLIN, deadline)
            except OSError as error:
                raise LostError(f"cannot read from the next hop: {error.strerror}") from None
            if not octets:
                raise LostError("the next hop has closed the connection")
            self._replies.feed(octets)
        return found

    # ---- writing

    def send(self, octets: bytes, deadline: float) -> None:
        """Write octets that mostly fit into the socket buffer; raises as `write` does."""
        self._check_turn()
        try:
            sent = self._socket.send(octets)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            sent = 0
        except OSError as error:
            raise LostError(f"cannot write to the next hop: {error.strerror}") from None
        if sent < len(octets):
            self.write((memoryview(octets)[sent:],), deadline)

    def write(self, chunks: Iterable[Octets], deadline: float, patience_seconds: float | None = None) -> None:
        """Write all chunks, gathered into few system calls; raises LostError if even one octet could not be written:
        SilentError if the server takes nothing for `patience_seconds`, or at the deadline.

        Raises GarbageError, with nothing written, if the server speaks out of turn.
        """
        self._check_turn()
        waiting: deque[memoryview] = deque()
        source = iter(chunks)
        write = self._write_tls if isinstance(self._socket, ssl.SSLSocket) else self._write_plain
        try:
            while _fill(waiting, source):
                write(waiting, deadline, patience_seconds)
        except OSError as error:
            raise LostError(f"cannot write to the next hop: {error.strerror}") from None

    def _write_plain(self, waiting: deque[memoryview], deadline: float, patience_seconds: float | None) -> None:
        sent = self._when_ready(lambda: self._socket.sendmsg(waiting), select.POLLOUT, deadline, patience_seconds)
        _drop(waiting, sent)

    def _write_tls(self, waiting: deque[memoryview], deadline: float, patience_seconds: float | None) -> None:
        """A call that was interrupted has to be repeated with the same octets (SSL_write(3))."""
        piece = _piece(waiting)
        while len(piece):
            send = partial(self._socket.send, piece)
            sent = self._when_ready(send, select.POLLOUT, deadline, patience_seconds)
            piece = piece[sent:]

    def _check_turn(self) -> None:
        """A reply that is there before its command would be taken for the answer to it, and all others for the next."""
        if not self._replies.idle:
            raise GarbageError("the next hop answers what nobody asked")

    # ---- TLS

    def start_tls(self, context: ssl.SSLContext, name: str, deadline: float) -> None:
        """Shake hands and forget what was learnt before (RFC 3207 §4.2); raises TlsError, GarbageError.

        Octets that the server sent before TLS are an error, whoever put them there.
        """
        self._check_turn()
        self.features = {}
        try:
            wrapped = context.wrap_socket(self._socket, server_hostname=name or None, do_handshake_on_connect=False)
            self._socket = wrapped
            self._when_ready(wrapped.do_handshake, select.POLLIN, deadline)
        except ssl.SSLCertVerificationError as error:
            raise TlsError(
                f"the certificate of the next hop does not verify: {error.verify_message}", certificate=True
            ) from None
        except ssl.SSLError as error:
            raise TlsError(f"TLS with the next hop fails: {_words(error)}") from None
        except OSError as error:
            raise TlsError(f"the connection is lost while TLS begins: {error.strerror or error}") from None
        except ValueError:
            raise TlsError(f"{name} is no name that TLS can ask for") from None
        except SilentError:
            raise TlsError("the next hop does not answer in time while TLS begins") from None

    @property
    def tls(self) -> TlsFacts | None:
        """What TLS has come to, None in clear."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return None
        cipher = self._socket.cipher()
        der = self._socket.getpeercert(binary_form=True)
        return TlsFacts(self._socket.version() or "", cipher[0] if cipher else "", der or b"")

    # ---- between mails

    @property
    def fresh(self) -> bool:
        """The server has neither closed nor said anything (421) since the last reply."""
        if not self._replies.idle:
            return False
        if not self._poll.poll(0):
            return True
        if isinstance(self._socket, ssl.SSLSocket):
            try:
                self._socket.recv(1)
            except ssl.SSLWantReadError:
                return True  # a session ticket (RFC 8446 §4.6.1) is no word of SMTP
            except OSError:
                return False
        return False

    def close(self) -> None:
        """Close without a word."""
        self._socket.close()

    def quit(self) -> None:
        """Say QUIT and close; the reply is not waited for."""
        with suppress(OSError):
            self._socket.send(b"QUIT\r\n")
        self.close()

    # ---- waiting

    def _when_ready(
        self, act: Callable[[], T], events: int, deadline: float, patience_seconds: float | None = None
    ) -> T:
        """What `act` returns once it need not wait; plain sockets wait for `events`, TLS says itself for what."""
        while True:
            try:
                return act()
            except BlockingIOError:
                wanted = events
            except ssl.SSLWantReadError:
                wanted = select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            self._await(wanted, deadline, patience_seconds)

    def _await(self, events: int, deadline: float, patience_seconds: float | None = None) -> None:
        left = deadline - time.monotonic()
        if patience_seconds is not None:
            left = min(left, patience_seconds)
        if events != select.POLLIN:
            self._poll.modify(self._socket, events)
        try:
            if left <= 0 or not self._poll.poll(left * 1000 + 1):
                raise SilentError("the next hop does not answer in time")
        finally:
            if events != select.POLLIN:
                self._poll.modify(self._socket, select.POLLIN)


def _quoted(code: int, lines: list[bytes]) -> str:
    """What a server says before it knows anything of a mail."""
    said = passed_on(code, lines)
    return f"{code} {said.enhanced} {said.text}".replace("  ", " ").strip()


def _words(error: ssl.SSLError) -> str:
    return (error.reason or "the connection was closed").lower().replace("_", " ")


def _fill(waiting: deque[memoryview], source: Iterator[Octets]) -> bool:
    size = sum(map(len, waiting))
    while len(waiting) < MAX_GATHERED_CHUNKS and size < MAX_GATHERED_BYTES:
        chunk = next(source, None)
        if chunk is None:
            break
        if len(chunk):
            waiting.append(memoryview(chunk))
            size += len(chunk)
    return bool(waiting)


def _piece(waiting: deque[memoryview]) -> memoryview:
    """The next octets for one call; small chunks become one, so that each is not a record and a packet of its own."""
    first = waiting.popleft()
    if len(first) >= TLS_WRITE_BYTES // 2 or not waiting:
        return first
    taken, size = [first], len(first)
    while waiting and size + len(waiting[0]) <= TLS_WRITE_BYTES:
        taken.append(waiting.popleft())
        size += len(taken[-1])
    return memoryview(b"".join(taken))


def _drop(waiting: deque[memoryview], sent: int) -> None:
    while sent:
        first = waiting.popleft()
        if len(first) > sent:
            waiting.appendleft(first[sent:])
            return
        sent -= len(first)
