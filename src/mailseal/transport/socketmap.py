"""The socketmap protocol, by which Postfix asks for one value of a table at a time (socketmap_table(5)).

    request  netstring of `name key`
    reply    netstring of `OK value`, `NOTFOUND `, `TEMP why`, or `PERM why`

TEMP defers the mail, as a lost connection does; NOTFOUND is an answer: it may let a mail go its way.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from mailseal.errors import PermanentError
from mailseal.transport.callers import BadCallError

MAX_REQUEST_BYTES = 10_000
"""Postfix's lines, and so what it asks for, have 2,048 octets (line_length_limit)."""
MAX_REPLY_BYTES = 100_000
"""More Postfix does not take."""
_LENGTH = re.compile(rb"(0|[1-9][0-9]{0,4}):")
_MAX_LENGTH_OCTETS = 6
_PLAIN = re.compile(r"[^\x20-\x7e\x80-\U0010ffff]")


class Kind(StrEnum):
    """What a reply begins with."""

    OK = "OK"
    NOT_FOUND = "NOTFOUND"
    TEMP = "TEMP"
    PERM = "PERM"


class ReplyTooLongError(PermanentError):
    """A value is longer than Postfix takes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: a value, or why there is none."""

    kind: Kind
    text: str = ""

    def encode(self) -> bytes:
        """As it is sent; raises ReplyTooLongError. The text cannot end a line of a log."""
        said = f"{self.kind} {_PLAIN.sub('?', self.text)}".encode("utf-8", "replace")
        if len(said) > MAX_REPLY_BYTES:
            raise ReplyTooLongError(f"a reply has {len(said)} octets, and Postfix takes {MAX_REPLY_BYTES}")
        return netstring(said)


NOT_FOUND = Reply(Kind.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Question:
    """A key of the table of that name; octets that are no UTF-8 are kept as surrogate escapes (PEP 383)."""

    table: str
    key: str


def netstring(octets: bytes) -> bytes:
    """Octets with their length before them (https://cr.yp.to/proto/netstrings.txt)."""
    return b"%d:%s," % (len(octets), octets)


class SocketmapDialogue:
    """Reads the questions of one connection."""

    greeting = b""

    def __init__(self) -> None:
        self._octets = bytearray()

    @property
    def unfinished(self) -> bool:
        """As of Dialogue."""
        return bool(self._octets)

    def feed(self, octets: bytes) -> None:
        """As of Dialogue."""
        self._octets += octets

    def turn(self) -> Question | None:
        """The next question; raises BadCallError for what is no netstring, or a longer one than Postfix could mean."""
        head = _LENGTH.match(self._octets)
        if head is None:
            if len(self._octets) >= _MAX_LENGTH_OCTETS or not _may_be_length(self._octets):
                raise BadCallError("what was said begins no netstring")
            return None
        length = int(head[1])
        if length > MAX_REQUEST_BYTES:
            raise BadCallError(f"a question has {length} octets, more than {MAX_REQUEST_BYTES}")
        end = head.end() + length
        if len(self._octets) <= end:
            return None
        if self._octets[end] != ord(","):
            raise BadCallError("a netstring does not end with a comma")
        said = bytes(self._octets[head.end() : end])
        del self._octets[: end + 1]
        table, blank, key = said.partition(b" ")
        if not blank:
            raise BadCallError("a question has no key")
        return Question(table.decode("utf-8", "surrogateescape"), key.decode("utf-8", "surrogateescape"))


def _may_be_length(octets: bytes | bytearray) -> bool:
    return not octets or (octets.isdigit() and (octets == b"0" or not octets.startswith(b"0")))
