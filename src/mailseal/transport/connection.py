"""One client connection to a next hop: connect, greet, write, read replies; all within a deadline (RFC 5321, RFC 2033).

The socket does not block; `poll` waits. TLS would be a second class with this one's `write` and `read_reply`.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mailseal.errors import TransientError
from mailseal.mail.message import Octets
from mailseal.mail.reply import Reply
from mailseal.transport.replies import GarbageError, ReplyReader

READ_BYTES = 65536
MAX_GATHERED_CHUNKS = 64
MAX_GATHERED_BYTES = 512 * 1024


class NextHop(Protocol):
    """Where to connect: a UNIX socket (`path`), or TCP."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """TCP port."""

    @property
    def path(self) -> Path | None:
        """UNIX socket, or None for TCP."""

    @property
    def protocol(self) -> str:
        """`smtp` or `lmtp`."""


class LostError(TransientError):
    """The connection is gone, or the deadline has passed. `reply` is what the server said before, if it did."""

    def __init__(self, text: str, reply: Reply | None = None) -> None:
        super().__init__(text)
        self.reply = reply


class GreetingError(TransientError):
    """The next hop does not want to talk now."""


class Connection:
    """One session with a next hop, greeted and ready for MAIL. `code, lines` are a reply as read."""

    def __init__(self, hop: NextHop, hostname: str, deadline: float) -> None:
        """Connect and say EHLO or LHLO; raises LostError, GreetingError or GarbageError."""
        self.lmtp = hop.protocol == "lmtp"
        self.reusable = True
        self.idle_since = 0.0
        self._replies = ReplyReader()
        self._socket = _connect(hop, deadline)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        try:
            self.features = self._greet(hostname, deadline)
        except BaseException:
            self.close()
            raise

    def _greet(self, hostname: str, deadline: float) -> Mapping[str, str]:
        code, _ = self.read_reply(deadline)
        if code != 220:
            raise GreetingError(f"the next hop greets with {code}")
        code, lines = self.command(f"{'LHLO' if self.lmtp else 'EHLO'} {hostname}\r\n".encode(), deadline)
        if code in {500, 502} and not self.lmtp:
            code, lines = self.command(f"HELO {hostname}\r\n".encode(), deadline)
            lines = lines[:1]
        if code != 250:
            raise GreetingError(f"the next hop answers the greeting with {code}")
        words = [line.decode("ascii", "replace").upper().partition(" ") for line in lines[1:]]
        return {keyword: value.strip() for keyword, _, value in words}

    def command(self, line: bytes, deadline: float) -> tuple[int, list[bytes]]:
        """Write one command and read its reply."""
        self.send(line, deadline)
        return self.read_reply(deadline)

    def send(self, octets: bytes, deadline: float) -> None:
        """Write octets that mostly fit into the socket buffer; raises as `write` does."""
        self._check_turn()
        try:
            sent = self._socket.send(octets)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise LostError(f"cannot write to the next hop: {error.strerror}") from None
        if sent < len(octets):
            self.write((memoryview(octets)[sent:],), deadline)

    def write(self, chunks: Iterable[Octets], deadline: float) -> None:
        """Write all chunks, gathered into few system calls; raises LostError if even one octet could not be written.

        Raises GarbageError, with nothing written, if the server speaks out of turn.
        """
        self._check_turn()
        waiting: deque[memoryview] = deque()
        source = iter(chunks)
        while _fill(waiting, source):
            try:
                sent = self._socket.sendmsg(waiting)
            except BlockingIOError:
                self._await_writable(deadline)
                continue
            except OSError as error:
                raise LostError(f"cannot write to the next hop: {error.strerror}") from None
            _drop(waiting, sent)

    def _check_turn(self) -> None:
        """A reply that is there before its command would be taken for the answer to it, and all others for the next."""
        if not self._replies.idle:
            raise GarbageError("the next hop answers what nobody asked")

    def read_reply(self, deadline: float) -> tuple[int, list[bytes]]:
        """The next reply; raises LostError or GarbageError."""
        while (found := self._replies.next()) is None:
            self._await(deadline)
            try:
                octets = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise LostError(f"cannot read from the next hop: {error.strerror}") from None
            if not octets:
                raise LostError("the next hop has closed the connection")
            self._replies.feed(octets)
        return found

    @property
    def fresh(self) -> bool:
        """The server has neither closed nor said anything (421) since the last reply."""
        return self._replies.idle and not self._poll.poll(0)

    def close(self) -> None:
        """Close without a word."""
        self._socket.close()

    def quit(self) -> None:
        """Say QUIT and close; the reply is not waited for."""
        with suppress(OSError):
            self._socket.send(b"QUIT\r\n")
        self.close()

    def _await_writable(self, deadline: float) -> None:
        self._poll.modify(self._socket, select.POLLOUT)
        try:
            self._await(deadline)
        finally:
            self._poll.modify(self._socket, select.POLLIN)

    def _await(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not self._poll.poll(left * 1000 + 1):
            raise LostError("the next hop does not answer in time")


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


def _drop(waiting: deque[memoryview], sent: int) -> None:
    while sent:
        first = waiting.popleft()
        if len(first) > sent:
            waiting.appendleft(first[sent:])
            return
        sent -= len(first)


def _connect(hop: NextHop, deadline: float) -> socket.socket:
    try:
        if hop.path is not None:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.settimeout(_left(deadline))
                connection.connect(str(hop.path))
            except BaseException:
                connection.close()
                raise
        else:
            connection = _connect_tcp(hop, deadline)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise LostError(f"cannot connect to the next hop: {error.strerror or error}") from None
    connection.settimeout(0)
    return connection


def _connect_tcp(hop: NextHop, deadline: float) -> socket.socket:
    """To the first address that answers; each has its share of the time that is left."""
    found = socket.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM)
    *others, last = dict.fromkeys((str(address[0]), hop.port) for *_, address in found)
    for number, place in enumerate(others):
        with suppress(OSError):
            return socket.create_connection(place, _left(deadline) / (len(others) + 1 - number))
    return socket.create_connection(last, _left(deadline))


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
