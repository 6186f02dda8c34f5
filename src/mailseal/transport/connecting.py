"""The socket to a next hop: a UNIX socket, or the first of its addresses that answers."""

import socket
import time
from contextlib import suppress

from mailseal.config import NextHop
from mailseal.transport.connection import LostError, SilentError
from mailseal.transport.resolver import Resolver


def connect(hop: NextHop, resolver: Resolver, deadline: float) -> socket.socket:
    """A connected socket that does not block; raises LostError, SilentError at the deadline."""
    try:
        found = _connect_tcp(hop, resolver, deadline) if hop.path is None else _connect_unix(str(hop.path), deadline)
    except TimeoutError as error:
        raise SilentError(f"cannot connect to the next hop: {error}") from None
    except OSError as error:
        raise LostError(f"cannot connect to the next hop: {error.strerror or error}") from None
    found.settimeout(0)
    return found


def _connect_unix(path: str, deadline: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_left(deadline))
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_tcp(hop: NextHop, resolver: Resolver, deadline: float) -> socket.socket:
    """To the first address that answers; each has its share of the time that is left."""
    *others, last = resolver.look_up(hop.host, hop.port, deadline)
    for number, place in enumerate(others):
        with suppress(OSError):
            return _without_delay(socket.create_connection(place, _left(deadline) / (len(others) + 1 - number)))
    return _without_delay(socket.create_connection(last, _left(deadline)))


def _without_delay(connection: socket.socket) -> socket.socket:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
