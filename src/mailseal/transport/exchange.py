"""One mail on one client connection: commands pipelined, a verdict per recipient (RFC 5321, RFC 2920, RFC 2033)."""

import time
from collections.abc import Mapping
from dataclasses import replace

from mailseal.errors import PermanentError
from mailseal.mail import reply
from mailseal.mail.envelope import Recipient
from mailseal.mail.reply import Reply
from mailseal.ports import Transfer
from mailseal.transport.connection import Connection, LostError
from mailseal.transport.replies import GarbageError, passed_on
from mailseal.transport.stuffing import is_ascii, stuffed

BATCH_COMMANDS = 100
"""Commands written before their replies are read: few enough to fit in the socket buffers (RFC 2920 §3.1)."""

_CLEAN_UP_SECONDS = 5.0


class UnsafeEnvelopeError(PermanentError):
    """A value of the envelope would break out of its command line."""


class Exchange:
    """Sends `transfer` on `connection`. Sets `connection.reusable` to False when the session cannot go on.

    Before the final dot the next hop may be silent for `patience_seconds`; its last word is waited for to the deadline.
    """

    def __init__(self, connection: Connection, transfer: Transfer, deadline: float, patience_seconds: float) -> None:
        self._connection = connection
        self._transfer = transfer
        self._deadline = deadline
        self._patience_seconds = patience_seconds
        self._mail: Reply | None = None
        self._verdicts: list[Reply | None] = []

    def run(self) -> list[Reply]:
        """One reply per recipient. Raises LostError or GarbageError only if the next hop has taken nothing."""
        features = self._connection.features
        if "SMTPUTF8" not in features and _is_internationalised(self._transfer):
            return [reply.NEXT_HOP_WITHOUT_SMTPUTF8] * len(self._transfer.recipients)
        commands = envelope_commands(self._transfer, features)
        try:
            go_ahead = self._send_envelope(commands, BATCH_COMMANDS if "PIPELINING" in features else 1)
            if go_ahead and None in self._verdicts:
                self._send_content()
            elif go_ahead or self._mail is None:
                self._clean_up(go_ahead=go_ahead)
        except BaseException:
            self._connection.reusable = False
            raise
        verdicts = [verdict or reply.OUTCOME_UNKNOWN for verdict in self._verdicts]
        return verdicts if "DSN" in features else _without_dsn(verdicts, self._transfer)

    # the envelope

    def _send_envelope(self, commands: list[bytes], batch_commands: int) -> bool:
        """Fills the verdicts, None for those accepted so far; True when DATA got 354."""
        last = len(commands) - 1
        for start in range(0, len(commands), batch_commands):
            batch = commands[start : start + batch_commands]
            if self._mail is not None or (start == last and None not in self._verdicts):
                break
            self._connection.send(b"".join(batch), self._soon())
            for position in range(start, start + len(batch)):
                code, lines = self._read()
                if position == last:
                    return self._take_data_reply(code, lines)
                self._take_reply(position, code, lines)
        missing = len(self._transfer.recipients) - len(self._verdicts)
        self._verdicts.extend([self._mail] * missing)
        return False

    def _take_reply(self, position: int, code: int, lines: list[bytes]) -> None:
        if code // 100 == 3:
            raise GarbageError("the next hop answers a command with 3xx")
        refusal = None if code // 100 == 2 else passed_on(code, lines)
        if position == 0:
            self._mail = refusal
        else:
            self._verdicts.append(self._mail or refusal)

    def _take_data_reply(self, code: int, lines: list[bytes]) -> bool:
        if code == 354:
            return True
        if code < 400:
            raise GarbageError("the next hop answers DATA with neither 354 nor a refusal")
        refusal = passed_on(code, lines)
        self._verdicts = [verdict or refusal for verdict in self._verdicts]
        return False

    def _clean_up(self, *, go_ahead: bool) -> None:
        """End a transaction in which no recipient is left, so that the connection can be used again."""
        connection, deadline = self._connection, min(self._soon(), time.monotonic() + _CLEAN_UP_SECONDS)
        if go_ahead and connection.lmtp:
            # RFC 2033 §4.2 forbids this 354: how many replies would follow the dot is anyone's guess
            connection.reusable = False
            return
        try:
            code, _ = connection.command(b".\r\n" if go_ahead else b"RSET\r\n", deadline)  # RFC 2920 §3.1
        except (LostError, GarbageError):
            connection.reusable = False
        else:  # RSET has one answer (RFC 5321 §4.1.1.5): another one is that to a command before it
            connection.reusable = code // 100 == 2 or (go_ahead and code // 100 == 5)

    # the content

    def _send_content(self) -> None:
        connection = self._connection
        try:
            connection.write(stuffed(self._transfer.chunks), self._deadline, self._patience_seconds)
        except LostError as error:
            # Not all octets are out, so the final dot is not: nothing is accepted. Perhaps the server said why.
            connection.reusable = False
            self._take_last_words(error)
            return
        try:
            self._take_final_replies()
        except (LostError, GarbageError):
            connection.reusable = False

    def _take_final_replies(self) -> None:
        verdict: Reply | None = None
        for position, before in enumerate(self._verdicts):
            if before is not None:
                continue
            if verdict is None or self._connection.lmtp:
                code, lines = self._connection.read_reply(self._deadline)
                if code // 100 == 3:
                    raise GarbageError("the next hop answers the mail with 3xx")
                verdict = passed_on(code, lines)
                if code == 421:
                    self._connection.reusable = False
            self._verdicts[position] = verdict

    def _take_last_words(self, error: LostError) -> None:
        """A refusal in the middle of the content is an answer; anything else raises the error again."""
        try:
            code, lines = self._connection.read_reply(time.monotonic() + 0.01)
        except (LostError, GarbageError):
            raise error from None
        if code < 400:
            raise error
        if code == 421:
            raise LostError(str(error), passed_on(code, lines)) from None
        self._verdicts = [verdict or passed_on(code, lines) for verdict in self._verdicts]

    def _read(self) -> tuple[int, list[bytes]]:
        code, lines = self._connection.read_reply(self._soon())
        if code == 421:
            raise LostError("the next hop closes the session", passed_on(code, lines))
        return code, lines

    def _soon(self) -> float:
        return min(self._deadline, time.monotonic() + self._patience_seconds)


def _without_dsn(verdicts: list[Reply], transfer: Transfer) -> list[Reply]:
    """Marks the copies whose wish for a report of success has ended here."""
    pairs = zip(verdicts, transfer.recipients, strict=True)
    return [replace(one, without_dsn=True) if one.accepted and to.wants_success else one for one, to in pairs]


def _needs_smtputf8(transfer: Transfer) -> bool:
    return transfer.smtputf8 or not _has_ascii_envelope(transfer)


def _is_internationalised(transfer: Transfer) -> bool:
    """Whether it must not go to a server without SMTPUTF8 (RFC 6531 §3.2). Some clients ask for that with every mail:
    one that is ASCII from end to end needs it not.
    """
    if not _has_ascii_envelope(transfer):
        return True
    return transfer.smtputf8 and not all(map(is_ascii, transfer.chunks))


def _has_ascii_envelope(transfer: Transfer) -> bool:
    if not (transfer.sender is None or transfer.sender.local.isascii()):
        return False
    return all(one.address.local.isascii() and (one.orcpt or "").isascii() for one in transfer.recipients)


def envelope_commands(transfer: Transfer, features: Mapping[str, str]) -> list[bytes]:
    """MAIL, each RCPT, DATA, with the parameters that the next hop offers; raises UnsafeEnvelopeError."""
    dsn = "DSN" in features
    lines = [_mail_line(transfer, features)]
    lines += [_rcpt_line(recipient, dsn=dsn) for recipient in transfer.recipients]
    lines.append("DATA\r\n")
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise UnsafeEnvelopeError("an address or parameter has a line end in it")
    try:
        return [line.encode() for line in lines]
    except UnicodeEncodeError:
        raise UnsafeEnvelopeError("an address or parameter is not text") from None


def _mail_line(transfer: Transfer, features: Mapping[str, str]) -> str:
    words = [f"MAIL FROM:<{transfer.sender or ''}>"]
    if "SIZE" in features:
        words.append(f"SIZE={sum(map(len, transfer.chunks))}")
    if transfer.eight_bit and "8BITMIME" in features:
        words.append("BODY=8BITMIME")
    if "SMTPUTF8" in features and _needs_smtputf8(transfer):
        words.append("SMTPUTF8")
    if "DSN" in features:
        if transfer.ret:
            words.append(f"RET={transfer.ret}")
        if transfer.envid:
            words.append(f"ENVID={transfer.envid}")
    return " ".join(words) + "\r\n"


def _rcpt_line(recipient: Recipient, *, dsn: bool) -> str:
    line = f"RCPT TO:<{recipient.address}>"
    if dsn and recipient.notify:
        line += f" NOTIFY={recipient.notify}"
    if dsn and recipient.orcpt:
        line += f" ORCPT={recipient.orcpt}"
    return line + "\r\n"
