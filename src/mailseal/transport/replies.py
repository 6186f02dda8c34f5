"""Replies as a client reads them from the wire (RFC 5321 §4.2), bounded and made safe to pass on."""

import re

from mailseal.errors import TransientError
from mailseal.mail.reply import Reply

MAX_LINE_BYTES = 4096
MAX_LINES = 200
MAX_TEXT_CHARACTERS = 400

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)")
_UNPRINTABLE = re.compile(r"[^ -~]")


class GarbageError(TransientError):
    """The server says something that is no reply, or more than a client must take."""


class ReplyReader:
    """Cuts octets into replies. Multi-line replies become one line."""

    __slots__ = ("_lines", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []

    @property
    def idle(self) -> bool:
        """No octet waits."""
        return not self._rest and not self._lines

    def feed(self, octets: bytes) -> None:
        """Take octets from the server."""
        self._rest = self._rest + octets if self._rest else octets

    def next(self) -> tuple[int, list[bytes]] | None:
        """Code and text lines of the next reply, None if it is not there in full; raises GarbageError."""
        while (end := self._rest.find(b"\n")) >= 0:
            line = self._rest[:end]
            self._rest = self._rest[end + 1 :]
            found = _LINE.fullmatch(line[:-1] if line.endswith(b"\r") else line)
            if found is None or end > MAX_LINE_BYTES or len(self._lines) >= MAX_LINES:
                raise GarbageError("the next hop's reply is malformed or too long")
            self._lines.append(found[3] or b"")
            if found[2] != b"-":
                lines, self._lines = self._lines, []
                return int(found[1]), lines
        if len(self._rest) > MAX_LINE_BYTES:
            raise GarbageError("the next hop's reply is too long")
        return None


def passed_on(code: int, lines: list[bytes]) -> Reply:
    """A reply of the next hop as one line of printable ASCII, for our own client.

    421 becomes 451: it would say that our connection closes. A status of another class than the code's is dropped.
    """
    text = _UNPRINTABLE.sub("?", " / ".join(line.decode("ascii", "replace") for line in lines))[:MAX_TEXT_CHARACTERS]
    enhanced = ""
    if (found := _ENHANCED.match(text)) is not None:
        if found[1][0] == str(code)[0]:
            enhanced = found[1]
        text = text[found.end() :]
    return Reply(451 if code == 421 else code, enhanced, text)
