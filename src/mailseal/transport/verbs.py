"""What each verb does in a session, and what a client has said so far (RFC 5321 §4.1, RFC 2033, RFC 3207).

Without octets, phases and time: those are the dialogue's.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from mailseal.mail import reply
from mailseal.mail.envelope import Client, Envelope, Protocol, Tls
from mailseal.transport.caps import Peer
from mailseal.transport.command import CommandError, Forwarded, read_mail, read_recipient, read_xforward, tame
from mailseal.transport.transaction import House, Transaction

_WITHOUT_TLS = frozenset({b"EHLO", b"LHLO", b"STARTTLS", b"NOOP", b"RSET", b"QUIT"})
"""What is answered before TLS where it is required (RFC 3207 §4)."""

_OK = reply.OK.line()
_SENDER_OK = reply.SENDER_OK.line()
_RECIPIENT_OK = reply.RECIPIENT_OK.line()
_GO_AHEAD = reply.GO_AHEAD.line()
_START_TLS = reply.START_TLS.line()
_CLOSING = reply.CLOSING.line()


class Verbs:
    """The greeting, XFORWARD, and the transaction under way (None: none is)."""

    __slots__ = ("_dsn", "_forwarded", "_helo", "_house", "_peer", "tls", "transaction")

    def __init__(self, house: House, peer: Peer, tls: Tls | None) -> None:
        self._house = house
        self._peer = peer
        self.tls = tls
        self._helo: str | None = None
        self._dsn = False
        self._forwarded: Forwarded | None = None
        self.transaction: Transaction | None = None

    def obey(self, verb: bytes, argument: bytes) -> bytes:
        """The reply to a command (`verb` in upper case) that is taken; raises CommandError with the refusal."""
        if self._house.tls_required and self.tls is None and verb not in _WITHOUT_TLS:
            raise CommandError(reply.TLS_REQUIRED)
        command = self._COMMANDS.get(verb)
        if command is None:
            raise CommandError(reply.COMMAND_UNKNOWN)
        try:
            return command(self, argument.decode())
        except UnicodeDecodeError:
            raise CommandError(reply.COMMAND_NOT_TEXT) from None

    def envelope(self) -> Envelope:
        """That of the transaction under way."""
        transaction, forwarded = self.transaction, self._forwarded
        assert transaction is not None
        sender = transaction.sender
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
            tls=self.tls,
            submission=self._house.submission,
        )

    def end_transaction(self) -> None:
        """Let go of the mail, and of what XFORWARD said: that holds for one mail."""
        transaction, self.transaction = self.transaction, None
        self._forwarded = None
        if transaction is not None:
            transaction.close()

    # the greeting

    def _lhlo(self, argument: str) -> bytes:
        return self._hello(argument, Protocol.LMTP)

    def _ehlo(self, argument: str) -> bytes:
        return self._hello(argument, Protocol.ESMTP)

    def _hello(self, argument: str, spoken: Protocol) -> bytes:
        self._introduce(argument, spoken)
        house = self._house
        self._dsn = "DSN" in house.features()
        words = [house.hostname, "PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"]
        if self._dsn:
            words.append("DSN")
        if house.tls is not None and self.tls is None:
            words.append("STARTTLS")
        if self._peer.may_xforward:
            words.append("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")
        return ("".join(f"250-{word}\r\n" for word in words) + f"250 SIZE {house.caps.max_message_bytes}\r\n").encode()

    def _plain_helo(self, argument: str) -> bytes:
        self._introduce(argument, Protocol.ESMTP)
        self._dsn = False
        return f"250 {self._house.hostname}\r\n".encode()

    def _introduce(self, argument: str, spoken: Protocol) -> None:
        if self._house.protocol is not spoken:  # RFC 2033 §4.1: LHLO instead of HELO and EHLO
            raise CommandError(reply.COMMAND_UNKNOWN)
        if not argument.strip():
            raise CommandError(reply.BAD_ARGUMENT)
        self.end_transaction()
        self._helo = tame(argument.strip())

    # the mail

    def _xforward(self, argument: str) -> bytes:
        if not self._peer.may_xforward:
            raise CommandError(reply.XFORWARD_DENIED)
        if self.transaction is not None:
            raise CommandError(reply.BAD_SEQUENCE)
        self._forwarded = read_xforward(argument, self._forwarded or Forwarded())
        return _OK

    def _mail(self, argument: str) -> bytes:
        if self._helo is None or self.transaction is not None:
            raise CommandError(reply.BAD_SEQUENCE)
        sender = read_mail(argument, dsn=self._dsn)
        caps = self._house.caps
        if sender.size > caps.max_message_bytes:
            raise CommandError(reply.TOO_LARGE)
        # Octets count when they come: a few clients that only announce large mails must not shut out all others.
        if not self._house.load.has_room(sender.size, caps, self._peer):
            return reply.TOO_BUSY.line()
        self.transaction = Transaction(self._house, self._peer, sender)
        return _SENDER_OK

    def _rcpt(self, argument: str) -> bytes:
        transaction = self.transaction
        if transaction is None:
            raise CommandError(reply.BAD_SEQUENCE)
        if len(transaction.recipients) >= self._house.caps.max_recipients:
            return reply.TOO_MANY_RECIPIENTS.line()
        recipient = read_recipient(argument, dsn=self._dsn, smtputf8=transaction.sender.smtputf8)
        transaction.recipients.append(recipient)
        return _RECIPIENT_OK

    def _data(self, argument: str) -> bytes:
        _no_argument(argument)
        if self.transaction is None:
            raise CommandError(reply.BAD_SEQUENCE)
        if not self.transaction.recipients:
            raise CommandError(reply.NO_RECIPIENTS)
        self.transaction.begin_content()
        return _GO_AHEAD

    def _rset(self, argument: str) -> bytes:
        _no_argument(argument)
        self.end_transaction()
        return _OK

    # the rest

    def _noop(self, _argument: str) -> bytes:
        return _OK

    def _vrfy(self, argument: str) -> bytes:
        if not argument:
            raise CommandError(reply.BAD_ARGUMENT)
        return reply.CANNOT_VERIFY.line()

    def _not_implemented(self, _argument: str) -> bytes:
        raise CommandError(reply.COMMAND_NOT_IMPLEMENTED)

    def _starttls(self, argument: str) -> bytes:
        if self._house.tls is None:
            raise CommandError(reply.COMMAND_NOT_IMPLEMENTED)
        _no_argument(argument)
        if self.tls is not None:
            raise CommandError(reply.BAD_SEQUENCE)
        self.end_transaction()
        return _START_TLS

    def _quit(self, argument: str) -> bytes:
        _no_argument(argument)
        return _CLOSING

    _COMMANDS: ClassVar[Mapping[bytes, Callable[["Verbs", str], bytes]]] = {
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
