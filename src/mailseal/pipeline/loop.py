"""The loop header: by it the gateway knows a copy that it gave to its neighbour, should that send it here once more.

    X-Mailseal-Loop: v=1; t=1790000000; m=<MAC> <MAC> ...

One MAC (HMAC-SHA256, RFC 2104, cut to 128 bits) for each recipient of the transaction, over the time, Message-ID,
envelope sender, recipient and the body's SHA-256: the neighbour may split the recipients as it likes, and each part
verifies. MACs of nobody fill the field up, so that it does not say how many Bcc recipients there are.

It says "this copy has been through", for an hour, and nothing else: `policy.decide` looks at the mail itself before it
lets one pass that must be encrypted. A field that does not verify counts for nothing; none is sent on.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailseal.mail.address import Address
from mailseal.mail.header import encode_value, seen_names
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, HeaderField
from mailseal.ports import LoopKeys

NAME = "X-Mailseal-Loop"
VALID_SECONDS = 3600
SKEW_SECONDS = 300
"""How far the clocks of a cluster's nodes may be apart."""
MAX_FIELDS = 10
MAX_MACS = 4096
"""In one mail. One that has more was not made here."""
PADDED_TO = 32
"""The number of MACs is a multiple of it."""

_NAME = NAME.lower().encode("ascii")
_LABEL = b"mailseal loop 1"
_MAC_OCTETS = 16
_VALUE = re.compile(r"v=1; t=(\d{1,12}); m=([A-Za-z0-9_-]{22}(?: [A-Za-z0-9_-]{22})*+)")
_BLANKS = re.compile(r"[ \t]+")
_WINDOW = 1 << 20
"""More than any header has."""
_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\A\r?\n")


def loop_fields(root: Entity) -> list[HeaderField]:
    """The fields that are a loop header, or that some reader would take for one: none of them is sent on."""
    return [field for field in root.fields if seen_names(field.raw(root.buffer), _NAME)]


def loop_field(
    keys: LoopKeys,
    copy: Sequence[Octets],
    message_id: str,
    sender: Address | None,
    recipients: Iterable[Address],
    at: datetime,
) -> bytes:
    """The field for a copy (header, blank line, body) as it goes to the neighbour, CRLF at the end.

    Raises TransientError when no key is at hand.
    """
    time = int(at.timestamp())
    said = _Said(time, message_id, sender, _digest(_body_of(copy)))
    key = keys.known()[0]
    macs = {said.mac(key, one) for one in recipients}
    missing = -len(macs) % PADDED_TO
    macs |= {_text(secrets.token_bytes(_MAC_OCTETS)) for _ in range(missing)}
    return encode_value(NAME, f"v=1; t={time}; m={' '.join(sorted(macs))}")


class BeenThrough:
    """Asked of one mail: whether a recipient's copy of it has been through this gateway."""

    def __init__(self, root: Entity, sender: Address | None, at: datetime) -> None:
        self._root = root
        self._sender = sender
        self._claims = _claims(root, at)
        self._made: list[tuple[_Said, frozenset[str]]] | None = None

    def holds_for(self, recipient: Address, keys: LoopKeys) -> bool:
        """Whether a MAC of ours says so, not older than an hour; raises TransientError when no key is at hand."""
        if not self._claims:
            return False
        if self._made is None:
            message_id = self._root.header("message-id") or ""
            digest = _digest([self._root.body])
            self._made = [(_Said(time, message_id, self._sender, digest), macs) for time, macs in self._claims]
        wanted = [(said.mac(key, recipient), macs) for said, macs in self._made for key in keys.known()]
        return any(hmac.compare_digest(mac, one) for mac, macs in wanted for one in macs)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a MAC covers besides the recipient. `digest`: the body's SHA-256."""

    time: int
    message_id: str
    sender: Address | None
    digest: bytes

    def mac(self, key: bytes, recipient: Address) -> str:
        made = hmac.new(key, _LABEL, "sha256")
        sender = "" if self.sender is None else self.sender.key
        for part in (str(self.time), self.message_id, sender, recipient.key):
            octets = part.encode()
            made.update(len(octets).to_bytes(4, "big"))
            made.update(octets)
        made.update(self.digest)
        return _text(made.digest()[:_MAC_OCTETS])


def _claims(root: Entity, at: datetime) -> list[tuple[int, frozenset[str]]]:
    """Time and MACs of each field that is written as ours and not too old."""
    values = root.headers(NAME.lower())
    if len(values) > MAX_FIELDS:
        return []
    now, claims, left = at.timestamp(), [], MAX_MACS
    for value in values:
        match = _VALUE.fullmatch(_BLANKS.sub(" ", value))
        if match is None or not -SKEW_SECONDS <= now - int(match[1]) <= VALID_SECONDS:
            continue
        macs = frozenset(match[2].split(" "))
        left -= len(macs)
        if left < 0:
            return []
        claims.append((int(match[1]), macs))
    return claims


def _digest(body: Sequence[Octets]) -> bytes:
    """SHA-256 of a body without the line ends at its end, of which servers take some off and put some on."""
    pieces = [memoryview(one) for one in body]
    while pieces and not (end := _end_of_text(pieces[-1])):
        pieces.pop()
    digest = hashlib.sha256()
    for piece in pieces[:-1]:
        digest.update(piece)
    if pieces:
        digest.update(pieces[-1][:end])
    return digest.digest()


def _end_of_text(piece: memoryview) -> int:
    end = len(piece)
    while end:
        start = max(0, end - _WINDOW)
        kept = len(bytes(piece[start:end]).rstrip(b"\r\n"))
        if kept:
            return start + kept
        end = start
    return 0


def _body_of(copy: Sequence[Octets]) -> list[Octets]:
    """What stands behind the blank line; the header may be in several chunks."""
    head = b""
    for number, chunk in enumerate(copy):
        start = len(head)
        head += bytes(memoryview(chunk)[:_WINDOW])
        match = _BLANK_LINE.search(head)
        if match is not None:
            return [memoryview(chunk)[match.end() - start :], *copy[number + 1 :]]
    return []


def _text(mac: bytes) -> str:
    return urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")
