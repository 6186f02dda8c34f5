"""The server's side of a session without any I/O: octets in, replies and finished mails out (RFC 5321, RFC 2033).

Replies leave in the order of their commands: while a mail is being handled, what follows it waits (RFC 2920).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import ClassVar

from mailseal.mail import reply
from mailseal.mail.envelope import Client, Envelope, Protocol, Tls
from mailseal.mail.reply import Reply
from mailseal.transport.caps import Peer
from mailseal.transport.command import CommandError, Forwarded, read_mail, read_recipient, read_xforward, tame
from mailseal.transport.transaction import Delivery, House, Transaction

MAX_OUTPUT_REPLIES = 200
"""Replies that may wait to be written before the peer must read some."""

_NOT_MAIL = frozenset({b"GET", b"POST", b"PUT", b"CONNECT", b"OPTIONS", b"BDAT"})
"""Verbs behind which other octets than commands follow: the session cannot go on in step."""
_WITHOUT_TLS = frozenset({b"EHLO", b"LHLO", b"STARTTLS", b"NOOP", b"RSET", b"QUIT"})
"""What is answered before TLS where it is required (RFC 3207 §4)."""

logger = logging.getLogger(__name__)


class Phase(Enum):
    """What the octets that come are. CLOSED: the connection is to be closed once the output is written."""

    COMMAND = auto()
    CONTENT = auto()
    HANDLING = auto()
    SECURING = auto()
    CLOSED = auto()


COMMAND, CONTENT, HANDLING, SECURING, CLOSED = Phase
"""Looking a member up in its class costs more than the rest of a comparison."""


class Dialogue:
    """One session. The caller writes and clears `output`, and answers `delivery` when there is one.

    When `securing`, the caller writes the output, lets TLS begin and goes on with a new Dialogue: nothing that was said
    before counts any more (RFC 3207 §4.2).
    """

    __slots__ = (
        "_draining",
        "_dsn",
        "_errors",
        "_forwarded",
        "_helo",
        "_house",
        "_overlong",
        "_peer",
        "_pending",
        "_tls",
        "_transaction",
        "delivery",
        "output",
        "phase",
    )

    def __init__(self, house: House, peer: Peer, tls: Tls | None = None) -> None:
        self._house = house
        self._peer = peer
        self._tls = tls
        self.phase = COMMAND
        self._pending = b""
        self._overlong = False
        self._errors = 0
        self._helo: str | None = None
        self._dsn = False
        self._forwarded: Forwarded | None = None
        self._transaction: Transaction | None = None
        self._draining = False
        self.output: list[bytes] = []
        self.delivery: Delivery | None = None

    # what the connection does

    def greet(self) -> None:
        """Say 220."""
        keyword = "LMTP" if self._house.protocol is Protocol.LMTP else "ESMTP"
        self.output.append(f"220 {self._house.hostname} {keyword}\r\n".encode())

    @property
    def securing(self) -> bool:
        """STARTTLS has been answered with 220; the next octet belongs to the handshake."""
        return self.phase is SECURING and not self._pending

    @property
    def secure(self) -> bool:
        """TLS is in use."""
        return self._tls is not None

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
        transaction = self._transaction
        assert transaction is not None
        self.delivery = None
        expected = transaction.replies
        wire = b"".join([one.line() for one in replies])
        if len(replies) != expected or wire.count(b"\n") != expected or wire.count(b"\r") != expected:
            logger.error("the handler gave %d replies instead of %d, or one of several lines", len(replies), expected)
            wire = reply.DEFERRED.line() * expected
        self.output.append(wire)
        self.phase = COMMAND
        self._end_transaction()
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
            self._command(line[:-1])
            if newline + 1 < len(data) and self.phase is COMMAND and line[:4].upper() == b"DATA":
                # Content that did not wait for 354 would be read as commands after a refused DATA.
                self.bye(reply.NOT_MAIL)
            elif newline + 1 == len(data) and self.phase is SECURING:
                # Whatever stands behind the command was not protected: it is never looked at (`receive` ends it).
                self.output.append(reply.START_TLS.line())
        return newline + 1

    def _take_part_of_line(self, data: bytes, position: int) -> int:
        if len(data) - position <= self._house.caps.max_command_bytes and not self._overlong:
            return position
        self._overlong = True
        return len(data) - 1  # the last octet may be the CR of the line end

    def _take_content(self, data: bytes, position: int) -> int:
        transaction = self._transaction
        assert transaction is not None
        rest = transaction.feed(data[position:] if position else data)
        if rest is None:
            return len(data)
        result = transaction.finish()
        if isinstance(result, Reply):
            self.answer([result] * transaction.replies)
        else:
            self.phase = HANDLING
            self.delivery = Delivery(self._envelope(transaction), result)
        return len(data) - len(rest)

    def _envelope(self, transaction: Transaction) -> Envelope:
        sender, forwarded = transaction.sender, self._forwarded
        return Envelope(
            sender=sender.address,
            recipients=tuple(transaction.recipients),
            origin=self._peer.origin,
            protocol=self._house.protocol,
            client=forwarded.client if forwarded else Client(self._peer.address, None, self._helo),
            queue_id=forwarded.queue_id if forwarded else None,
            eight_bit=sender.eight_bit,
            smtputf8=sender.smtputf8,
            ret=sender.ret,
            envid=sender.envid,
            tls=self._tls,
        )

    # commands

    def _command(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        command = self._COMMANDS.get(verb)
        try:
            if self._house.tls_required and self._tls is None and verb not in _WITHOUT_TLS:
                self._refuse(reply.TLS_REQUIRED)
            elif command is not None:
                command(self, argument.decode())
            elif verb in _NOT_MAIL:
                self.bye(reply.NOT_MAIL)
            else:
                self._refuse(reply.COMMAND_UNKNOWN)
        except CommandError as error:
            self._refuse(error.reply)
        except UnicodeDecodeError:
            self._refuse(reply.COMMAND_NOT_TEXT)

    def _refuse(self, refusal: Reply) -> None:
        self._errors += 1
        if self._errors > self._house.caps.max_errors:
            self.bye(reply.TOO_MANY_ERRORS)
        else:
            self.output.append(refusal.line())

    def _lhlo(self, argument: str) -> None:
        self._hello(argument, Protocol.LMTP)
        self._say_extensions()

    def _ehlo(self, argument: str) -> None:
        self._hello(argument, Protocol.ESMTP)
        self._say_extensions()

    def _plain_helo(self, argument: str) -> None:
        self._hello(argument, Protocol.ESMTP)
        self._dsn = False
        self.output.append(f"250 {self._house.hostname}\r\n".encode())

    def _hello(self, argument: str, spoken: Protocol) -> None:
        if self._house.protocol is not spoken:  # RFC 2033 §4.1: LHLO instead of HELO and EHLO
            raise CommandError(reply.COMMAND_UNKNOWN)
        if not argument.strip():
            raise CommandError(reply.BAD_ARGUMENT)
        self._end_transaction()
        self._helo = tame(argument.strip())

    def _say_extensions(self) -> None:
        self._dsn = "DSN" in self._house.features()
        words = [self._house.hostname, "PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"]
        if self._dsn:
            words.append("DSN")
        if self._house.tls is not None and self._tls is None:
            words.append("STARTTLS")
        if self._peer.may_xforward:
            words.append("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")
        text = "".join(f"250-{word}\r\n" for word in words) + f"250 SIZE {self._house.caps.max_message_bytes}\r\n"
        self.output.append(text.encode())

    def _mail(self, argument: str) -> None:
        if self._helo is None or self._transaction is not None:
            raise CommandError(reply.BAD_SEQUENCE)
        sender = read_mail(argument, dsn=self._dsn)
        caps = self._house.caps
        if sender.size > caps.max_message_bytes:
            raise CommandError(reply.TOO_LARGE)
        # Octets count when they come: a few clients that only announce large mails must not shut out all others.
        if not self._house.load.has_room(sender.size, caps, self._peer):
            self.output.append(reply.TOO_BUSY.line())
            return
        self._transaction = Transaction(self._house, self._peer, sender)
        self.output.append(_SENDER_OK)

    def _rcpt(self, argument: str) -> None:
        transaction = self._transaction
        if transaction is None:
            raise CommandError(reply.BAD_SEQUENCE)
        if len(transaction.recipients) >= self._house.caps.max_recipients:
            self.output.append(reply.TOO_MANY_RECIPIENTS.line())
            return
        recipient = read_recipient(argument, dsn=self._dsn, smtputf8=transaction.sender.smtputf8)
        transaction.recipients.append(recipient)
        self.output.append(_RECIPIENT_OK)

    def _data(self, argument: str) -> None:
        _no_argument(argument)
        transaction = self._transaction
        if transaction is None:
            raise CommandError(reply.BAD_SEQUENCE)
        if not transaction.recipients:
            raise CommandError(reply.NO_RECIPIENTS)
        transaction.begin_content()
        self.phase = CONTENT
        self.output.append(_GO_AHEAD)

    def _rset(self, argument: str) -> None:
        _no_argument(argument)
        self._end_transaction()
        self.output.append(_OK)
        self._close_if_draining()

    def _noop(self, _argument: str) -> None:
        self.output.append(_OK)

    def _vrfy(self, argument: str) -> None:
        if not argument:
            raise CommandError(reply.BAD_ARGUMENT)
        self.output.append(reply.CANNOT_VERIFY.line())

    def _not_implemented(self, _argument: str) -> None:
        raise CommandError(reply.COMMAND_NOT_IMPLEMENTED)

    def _xforward(self, argument: str) -> None:
        if not self._peer.may_xforward:
            raise CommandError(reply.XFORWARD_DENIED)
        if self._transaction is not None:
            raise CommandError(reply.BAD_SEQUENCE)
        self._forwarded = read_xforward(argument, self._forwarded or Forwarded())
        self.output.append(_OK)

    def _starttls(self, argument: str) -> None:
        if self._house.tls is None:
            raise CommandError(reply.COMMAND_NOT_IMPLEMENTED)
        _no_argument(argument)
        if self._tls is not None:
            raise CommandError(reply.BAD_SEQUENCE)
        self._end_transaction()
        self.phase = SECURING

    def _quit(self, argument: str) -> None:
        _no_argument(argument)
        self.bye(reply.CLOSING)

    # ends

    def _end_transaction(self) -> None:
        transaction, self._transaction = self._transaction, None
        self._forwarded = None  # XFORWARD holds for one mail
        if transaction is not None:
            transaction.close()

    def _close_if_draining(self) -> None:
        if self._draining and self._transaction is None and self.phase is COMMAND:
            self.bye(reply.SHUTTING_DOWN)

    def _close(self) -> None:
        self.phase = CLOSED
        self._pending = b""
        self._end_transaction()

    _COMMANDS: ClassVar[Mapping[bytes, Callable[["Dialogue", str], None]]] = {
        b"LHLO": _lhlo,
        b"EHLO": _ehlo,
        b"HELO": _plain_helo,
        b"XFORWARD": _xforward,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"QUIT": _quit,
        b"VRFY": _vrfy,
        b"EXPN": _not_implemented,
        b"HELP": _not_implemented,
        b"STARTTLS": _starttls,
        b"AUTH": _not_implemented,
    }


def _no_argument(argument: str) -> None:
    if argument.strip():
        raise CommandError(reply.BAD_ARGUMENT)


_OK = reply.OK.line()
_SENDER_OK = reply.SENDER_OK.line()
_RECIPIENT_OK = reply.RECIPIENT_OK.line()
_GO_AHEAD = reply.GO_AHEAD.line()
