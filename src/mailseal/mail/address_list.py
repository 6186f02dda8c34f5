"""Address lists of header fields: mailboxes, groups, comments, quoted strings, routes (RFC 5322 §3.4, §4.4).

Only an addr-spec in its place counts: never one in a display name, a comment, a group name or an encoded word. Where
readers differ (two angle brackets in one mailbox, an address behind one) every reading is returned, so that a caller
who needs exactly one address finds more than one.
"""

import re
from collections.abc import Iterator

from mailseal.mail.address import Address, AddressError
from mailseal.mail.content_type import end_of_comment

MAX_ADDRESSES = 1000

_PLAIN = r'[^\s"(),:;<>@\\\[\]]++'
_SIMPLE = re.compile(
    rf'[ \t]*+(?:(?:"[^"\\]*+"|[^"(),:;<>@\\\[\]]*+)[ \t]*+<({_PLAIN}@{_PLAIN})>|({_PLAIN}@{_PLAIN}))[ \t]*+(?:,|$)'
)
"""A mailbox without anything odd, up to its comma; every repeat is possessive, so it takes linear time."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|\[[^\[\]\\]*+\]|[ \t\r\n]+|[<>,;:]|[^\s"()<>,:;\[\]]+|.', re.DOTALL)


class _Mailbox:
    """The pieces of one list item while it is read."""

    __slots__ = ("angles", "inside", "outside")

    def __init__(self) -> None:
        self.outside: list[str] = []
        self.angles: list[str] = []
        self.inside: list[str] | None = None

    def add(self, text: str) -> None:
        (self.outside if self.inside is None else self.inside).append(text)

    def addresses(self) -> Iterator[str]:
        yield from self.angles
        rest = _joined(self.outside)
        if self.inside is None and rest:
            yield rest


def read_addresses(text: str) -> tuple[Address, ...]:
    """The addresses of an unfolded field value in order, at most MAX_ADDRESSES; what cannot be read is left out."""
    return tuple(one for one in read_mailboxes(text) if one is not None)


def read_mailboxes(text: str) -> tuple[Address | None, ...]:
    """As `read_addresses`, but None stands for a mailbox that cannot be read: a reader may be shown somebody there."""
    found: list[Address | None] = []
    position = 0
    while position < len(text) and len(found) < MAX_ADDRESSES:
        simple = _SIMPLE.match(text, position)
        if simple is None:
            break
        _append(found, simple[1] or simple[2])
        position = simple.end()
    for candidate in _candidates(text, position):
        if len(found) >= MAX_ADDRESSES:
            break
        _append(found, candidate)
    return tuple(found)


def _append(found: list[Address | None], text: str) -> None:
    try:
        found.append(Address.parse(text))
    except AddressError:
        found.append(None)


def _candidates(text: str, position: int) -> Iterator[str]:
    """What stands where an addr-spec stands. Ends with "" at a quote, comment or bracket that is not closed."""
    mailbox = _Mailbox()
    while position < len(text):
        if text[position] == "(":
            position = end_of_comment(text, position)
            if position < 0:
                yield ""
                return
            mailbox.add(" ")
            continue
        token = _TOKEN.match(text, position)
        if token is None or token[0] in {'"', "["}:
            yield ""
            return
        position = token.end()
        if token[0] in {",", ";"} and mailbox.inside is None:
            yield from mailbox.addresses()
            mailbox = _Mailbox()
        else:
            _take(mailbox, token[0])
    yield from mailbox.addresses()


def _take(mailbox: _Mailbox, piece: str) -> None:
    if piece == "<" and mailbox.inside is None:
        if not mailbox.angles:
            mailbox.outside.clear()  # the display name
        mailbox.inside = []
    elif piece == ">" and mailbox.inside is not None:
        mailbox.angles.append(_without_route(_joined(mailbox.inside)))
        mailbox.inside = None
    elif piece == ":" and mailbox.inside is None:
        mailbox.outside.clear()  # the name of a group
    else:
        mailbox.add(" " if piece.isspace() else piece)


def _without_route(text: str) -> str:
    """The addr-spec behind an old source route, as in "@a,@b:user@domain" (RFC 5322 §4.4)."""
    if text.startswith("@"):
        return text.partition(":")[2]
    return text


def _joined(items: list[str]) -> str:
    """The items as text: white space and comments are allowed around dots and the at sign only."""
    joined: list[str] = []
    gap = False
    for piece in items:
        if piece == " ":
            gap = True
            continue
        if gap and joined and joined[-1][-1] not in ".@" and piece[0] not in ".@":
            joined.append(" ")
        gap = False
        joined.append(piece)
    return "".join(joined)
