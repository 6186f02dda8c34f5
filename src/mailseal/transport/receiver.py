"""The receiver: accepts LMTP or SMTP connections and hands each mail to one handler (RFC 2033, RFC 5321)."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from mailseal.mail.envelope import Client, Origin
from mailseal.transport.caps import Peer
from mailseal.transport.session import READ_BYTES, Handler, Session
from mailseal.transport.transaction import House

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
OriginOf = Callable[[IpAddress | None], Origin]
"""The origin class of a client by its address; None for a UNIX socket."""

_ACCEPT_AGAIN_SECONDS = 0.5
_HESITATION_SECONDS = 0.0002
_LONGEST_HESITATION_SECONDS = 0.002
_ACCEPTED_AT_ONCE = 32
"""After a pause, which less busy workers have not used: so a crowd does not make others wait in the backlog."""

logger = logging.getLogger(__name__)


def origin_by_network(authorised: Sequence[Network]) -> OriginOf:
    """Clients in these networks are authorised, all others outside."""

    def origin(address: IpAddress | None) -> Origin:
        return Origin.AUTHORISED if address is not None and _within(address, authorised) else Origin.OUTSIDE

    return origin


def _within(address: IpAddress, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


class Receiver:
    """All connections of one kind (protocol, origin class). Used on one event loop.

    The handler runs once per mail, after its final dot; it may outlive the connection, so its effects may happen
    without the peer ever hearing of them. If it raises, every recipient gets 451.
    """

    def __init__(
        self,
        handler: Handler,
        house: House,
        origin: Origin | OriginOf,
        *,
        xforward_peers: Sequence[Network] = (),
        xforward_unix: bool = False,
    ) -> None:
        self.handler = handler
        self.house = house
        self.buffer = memoryview(bytearray(READ_BYTES))
        self._origin = origin
        self._xforward_peers = tuple(xforward_peers)
        self._xforward_unix = xforward_unix
        self._listening: list[socket.socket] = []
        self._sessions: set[Session] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._sweep_timer: asyncio.TimerHandle | None = None

    def listen(self, listening: socket.socket) -> None:
        """Accept connections from a listening socket, which now belongs to the receiver."""
        listening.setblocking(False)  # noqa: FBT003 -- the socket module's own signature
        self._listening.append(listening)
        loop = asyncio.get_running_loop()
        loop.add_reader(listening, self._called, listening)
        if self._sweep_timer is None:
            self._sweep()

    async def drain(self, deadline_seconds: float) -> int:
        """Accept no more, let mails under way finish, cut what is left at the deadline; how many were cut."""
        self._draining = True
        loop = asyncio.get_running_loop()
        for listening in self._listening:
            loop.remove_reader(listening)
            listening.close()
        self._listening.clear()
        for session in tuple(self._sessions):
            session.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), deadline_seconds)
        cut = len(self._sessions)
        for session in tuple(self._sessions):
            session.abort()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        return cut

    def joined(self, session: Session) -> None:
        """A connection is up."""
        self._sessions.add(session)
        self._empty.clear()
        if self._draining:
            asyncio.get_running_loop().call_soon(session.drain)

    def left(self, session: Session) -> None:
        """A connection is down and its last mail answered."""
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()

    def _called(self, listening: socket.socket) -> None:
        # Workers share the listening socket, and all of them are woken. Who has more connections hesitates longer, so
        # that the others come first: connections stay for long, and would else all be with whoever woke first.
        pause = min(self.house.load.connections * _HESITATION_SECONDS, _LONGEST_HESITATION_SECONDS)
        if pause == 0:
            self._accept(listening)
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(pause, self._accept_after_pause, listening)

    def _accept_after_pause(self, listening: socket.socket) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._called, listening)
            for _ in range(_ACCEPTED_AT_ONCE):
                if not self._accept(listening):
                    break

    def _accept(self, listening: socket.socket) -> bool:
        """Accept a connection; False when there is none, or none can be accepted now."""
        try:
            connection, address = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            logger.warning("cannot accept connections for a moment: %s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening)
            loop.call_later(_ACCEPT_AGAIN_SECONDS, self._accept_again, listening)
            return False
        connection.setblocking(False)  # noqa: FBT003 -- the socket module's own signature
        task = asyncio.get_running_loop().create_task(self._open(connection, address))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._called, listening)

    async def _open(self, connection: socket.socket, address: object) -> None:
        try:
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = self._peer(address)
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(partial(Session, self, peer), connection)
        except OSError as error:
            logger.info("a connection went before it began: %s", error)
            connection.close()

    def _peer(self, address: object) -> Peer:
        ip = _ip_address(address)
        origin = self._origin if isinstance(self._origin, Origin) else self._origin(ip)
        if ip is None:
            return Peer(Client().address, origin, self._xforward_unix)
        trusted = _within(ip, self._xforward_peers)  # a proxy, which speaks for many
        return Peer(str(ip), origin, trusted, None if trusted or origin is Origin.AUTHORISED else counted_by(ip))

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        caps = self.house.caps
        now = loop.time()
        for session in tuple(self._sessions):
            session.check(now)
        often = min(1.0, caps.idle_seconds / 4, caps.total_seconds / 4, caps.rate_window_seconds / 4)
        self._sweep_timer = loop.call_later(often, self._sweep)


def counted_by(ip: IpAddress) -> str:
    """An IPv4 address, or the /64 of an IPv6 address, which one host has for itself (RFC 4291 §2.5.4)."""
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))


def _ip_address(address: object) -> IpAddress | None:
    """The IP address in what `accept` gives; an IPv4 client of an IPv6 socket is an IPv4 client."""
    if not isinstance(address, tuple):
        return None
    ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip
