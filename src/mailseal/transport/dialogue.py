"""The server's side of a session without any I/O: octets in, replies and finished mails out (RFC 5321, RFC 2033).

Replies leave in the order of their commands: while a mail is being handled, what follows it waits (RFC 2920).
"""

import logging
from collections.abc import Mapping, Sequence
from enum import Enum, auto

from mailseal.mail import reply
from mailseal.mail.envelope import Protocol, Tls
from mailseal.mail.reply import Reply
from mailseal.transport.caps import Peer
from mailseal.transport.command import CommandError
from mailseal.transport.transaction import Delivery, House
from mailseal.transport.verbs import Verbs

MAX_OUTPUT_REPLIES = 200
"""Replies that may wait to be written before the peer must read some."""

_NOT_MAIL = frozenset({b"GET", b"POST", b"PUT", b"CONNECT", b"OPTIONS", b"BDAT"})
"""Verbs behind which other octets than commands follow: the session cannot go on in step."""

logger = logging.getLogger(__name__)


class Phase(Enum):
    """What the octets that come are. SECURING: the next one belongs to the handshake. CLOSED: the connection is to be
    closed once the output is written.
    """

    COMMAND = auto()
    CONTENT = auto()
    HANDLING = auto()
    SECURING = auto()
    CLOSED = auto()


COMMAND, CONTENT, HANDLING, SECURING, CLOSED = Phase
"""Looking a member up in its class costs more than the rest of a comparison."""

_AFTER: Mapping[bytes, Phase] = {b"DATA": CONTENT, b"STARTTLS": SECURING, b"QUIT": CLOSED}
"""What comes after a command that was taken; after all others a command."""


class Dialogue:
    """One session. The caller writes and clears `output`, and answers `delivery` when there is one.

    When SECURING, the caller writes the output, lets TLS begin and goes on with a new Dialogue: nothing that was said
    before counts any more (RFC 3207 §4.2).
    """

    __slots__ = (
        "_draining",
        "_errors",
        "_house",
        "_overlong",
        "_pending",
        "_verbs",
        "delivery",
        "output",
        "phase",
    )

    def __init__(self, house: House, peer: Peer, tls: Tls | None = None) -> None:
        self._house = house
        self._verbs = Verbs(house, peer, tls)
        self.phase = COMMAND
        self._pending = b""
        self._overlong = False
        self._errors = 0
        self._draining = False
        self.output: list[bytes] = []
        self.delivery: Delivery | None = None

    # what the connection does

    def greet(self) -> None:
        """Say 220."""
        keyword = "LMTP" if self._house.protocol is Protocol.LMTP else "ESMTP"
        self.output.append(f"220 {self._house.hostname} {keyword}\r\n".encode())

    @property
    def secure(self) -> bool:
        """TLS is in use."""
        return self._verbs.tls is not None

    @property
    def waiting_bytes(self) -> int:
        """Octets that came and are not looked at yet."""
        return len(self._pending)

    @property
    def stalled(self) -> bool:
        """`receive(b"")` goes on once the output is written."""
        return len(self.output) >= MAX_OUTPUT_REPLIES

    def receive(self, octets: bytes) -> None:
        """Take octets from the peer."""
        data = self._pending + octets if self._pending else octets
        position, end, output = 0, len(data), self.output
        while position < end and len(output) < MAX_OUTPUT_REPLIES:
            if self.phase is COMMAND:
                after = self._take_line(data, position)
                if after == position:
                    break
                position = after
            elif self.phase is CONTENT:
                position = self._take_content(data, position)
            elif self.phase is HANDLING:
                break
            else:
                if self.phase is SECURING:
                    self.bye(reply.NOTHING_AFTER_STARTTLS)
                position = end
        self._pending = data[position:] if position else data

    def answer(self, replies: Sequence[Reply]) -> None:
        """Answer the delivery: one reply per recipient (LMTP), or exactly one (SMTP)."""
        transaction = self._verbs.transaction
        assert transaction is not None
        self.delivery = None
        expected = transaction.replies
        wire = b"".join([one.line() for one in replies])
        if len(replies) != expected or wire.count(b"\n") != expected or wire.count(b"\r") != expected:
            logger.error("the handler gave %d replies instead of %d, or one of several lines", len(replies), expected)
            wire = reply.DEFERRED.line() * expected
        self.output.append(wire)
        self.phase = COMMAND
        self._verbs.end_transaction()
        self._close_if_draining()

    def bye(self, last: Reply) -> None:
        """Say `last` (421) and end the session; not while a mail is being handled."""
        if self.phase is not CLOSED:
            self.output.append(last.line())
            self._close()

    def drain(self) -> None:
        """End the session as soon as no mail is under way."""
        self._draining = True
        self._close_if_draining()

    def abandon(self) -> None:
        """The peer is gone: forget a mail whose final dot has not come."""
        if self.phase is HANDLING:
            self._pending = b""
        else:
            self._close()

    # lines and content

    def _take_line(self, data: bytes, position: int) -> int:
        newline = data.find(b"\n", position)
        if newline < 0:
            return self._take_part_of_line(data, position)
        line = data[position:newline]
        if not line.endswith(b"\r"):
            self.bye(reply.COMMAND_BARE_LF)
        elif self._overlong or len(line) >= self._house.caps.max_command_bytes:
            self._overlong = False
            self._refuse(reply.COMMAND_TOO_LONG)
        else:
            self._command(line[:-1], alone=newline + 1 == len(data))
        return newline + 1

    def _take_part_of_line(self, data: bytes, position: int) -> int:
        if len(data) - position <= self._house.caps.max_command_bytes and not self._overlong:
            return position
        self._overlong = True
        return len(data) - 1  # the last octet may be the CR of the line end

    def _take_content(self, data: bytes, position: int) -> int:
        transaction = self._verbs.transaction
        assert transaction is not None
        rest = transaction.feed(data[position:] if position else data)
        if rest is None:
            return len(data)
        result = transaction.finish()
        if isinstance(result, Reply):
            self.answer([result] * transaction.replies)
        else:
            self.phase = HANDLING
            self.delivery = Delivery(self._verbs.envelope(), result)
        return len(data) - len(rest)

    def _command(self, line: bytes, *, alone: bool) -> None:
        """Carry out a command; `alone`: nothing has come behind it yet."""
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        if verb in _NOT_MAIL:
            self.bye(reply.NOT_MAIL)
            return
        try:
            said = self._verbs.obey(verb, argument)
        except CommandError as error:
            self._refuse(error.reply)
            if verb == b"DATA" and not alone:
                # Content that did not wait for 354 would be read as commands.
                self.bye(reply.NOT_MAIL)
            return
        if verb == b"STARTTLS" and not alone:
            # Whatever stands behind it was not protected: it is never looked at.
            self.bye(reply.NOTHING_AFTER_STARTTLS)
            return
        self.output.append(said)
        self.phase = _AFTER.get(verb, COMMAND)
        if self.phase is CLOSED:
            self._close()
        elif self._draining:
            self._close_if_draining()

    def _refuse(self, refusal: Reply) -> None:
        self._errors += 1
        if self._errors > self._house.caps.max_errors:
            self.bye(reply.TOO_MANY_ERRORS)
        else:
            self.output.append(refusal.line())

    # ends

    def _close_if_draining(self) -> None:
        if self._draining and self._verbs.transaction is None and self.phase is COMMAND:
            self.bye(reply.SHUTTING_DOWN)

    def _close(self) -> None:
        self.phase = CLOSED
        self._pending = b""
        self._verbs.end_transaction()
