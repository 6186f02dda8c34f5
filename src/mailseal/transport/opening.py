"""Opens a session with a next hop: connect, TLS as the hop needs it, EHLO, AUTH; then it is ready for MAIL."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from mailseal.config import NextHop, Protocol, Tls
from mailseal.errors import TransientError
from mailseal.transport.authentication import authenticate
from mailseal.transport.client_tls import ClientContexts
from mailseal.transport.connecting import connect
from mailseal.transport.connection import Connection, TlsError
from mailseal.transport.resolver import Resolver

logger = logging.getLogger(__name__)

PasswordOf = Callable[[str], bytes]
"""The password of a `NextHop.credential`; raises TransientError if there is none at hand."""


class NoPasswordError(TransientError):
    """A next hop wants a user, and nothing here knows a password."""


def no_passwords(name: str) -> bytes:
    """For a relay without a store."""
    raise NoPasswordError(f"no password is known for {name}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Until when (monotonic) the socket must be connected, and until when the session must be ready."""

    connected: float
    ready: float


class Opener:
    """Opens sessions as `hostname`. Any number of threads may use it at once."""

    def __init__(self, hostname: str, password_of: PasswordOf = no_passwords) -> None:
        self._hostname = hostname
        self._password_of = password_of
        self._resolver = Resolver()
        self._contexts = ClientContexts()
        self._in_clear: set[NextHop] = set()

    def open(self, hop: NextHop, limits: Limits, *, log_in: bool = True) -> Connection:
        """A session ready for MAIL. Raises TransientError: LostError, GreetingError, GarbageError, TlsError,
        AuthenticationError, or what the password's keeper raises.

        Opportunistic TLS that fails goes on in clear, on a new connection; not for want of a file of ours.
        """
        if hop.tls is not Tls.OPPORTUNISTIC:
            return self._open(hop, hop.tls, limits, log_in=log_in)
        try:
            opened = self._open(hop, Tls.OPPORTUNISTIC, _first_half(limits), log_in=log_in)
        except TlsError as error:
            if error.ours:
                raise
            if hop not in self._in_clear:  # once when it begins: otherwise it would be said of every connection
                logger.warning("next hop %s: %s; mail goes there in clear, as tls=opportunistic says", hop.place, error)
                self._in_clear.add(hop)
            # The time to connect may be over by now: what is left of the session's counts.
            return self._open(hop, Tls.OFF, Limits(limits.ready, limits.ready), log_in=log_in)
        if opened.tls is not None:
            self._in_clear.discard(hop)
        return opened

    def _open(self, hop: NextHop, tls: Tls, limits: Limits, *, log_in: bool) -> Connection:
        socket = connect(hop, self._resolver, limits.connected)
        connection = Connection(socket, lmtp=hop.protocol is Protocol.LMTP)
        try:
            if hop.implicit:
                connection.start_tls(self._contexts.of(hop, tls), hop.tls_name, limits.ready)
            connection.take_greeting(limits.ready)
            connection.hello(self._hostname, limits.ready)
            if tls is not Tls.OFF and not hop.implicit:
                self._start_tls(connection, hop, tls, limits.ready)
            if hop.user and log_in:
                self._log_in(connection, hop, tls, limits.ready)
        except BaseException:
            connection.close()
            raise
        return connection

    def _start_tls(self, connection: Connection, hop: NextHop, tls: Tls, deadline: float) -> None:
        """STARTTLS (RFC 3207); only opportunistic TLS does without."""
        context = self._contexts.of(hop, tls)
        refusal = ""
        if "STARTTLS" not in connection.features:
            refusal = "the next hop does not offer STARTTLS"
        elif (code := connection.command(b"STARTTLS\r\n", deadline)[0]) != 220:
            refusal = f"the next hop answers STARTTLS with {code}"
        if not refusal:
            connection.start_tls(context, hop.tls_name, deadline)
            connection.hello(self._hostname, deadline)
        elif tls is not Tls.OPPORTUNISTIC:
            raise TlsError(refusal)

    def _log_in(self, connection: Connection, hop: NextHop, tls: Tls, deadline: float) -> None:
        if not hop.local and tls is not Tls.VERIFIED:  # the configuration's reader says so too; here it must hold
            raise TlsError("a password is sent only to a next hop whose certificate was verified")
        authenticate(connection, hop.user, self._password_of(hop.credential), deadline)


def _first_half(limits: Limits) -> Limits:
    """So that there is time left for a second connection."""
    now = time.monotonic()
    return Limits(limits.connected, now + max(0.0, limits.ready - now) / 2)
