"""The subpackets of a signature (RFC 9580 §5.2.3.7): what they say, and how they are written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NamedTuple

from mailseal.openpgp.component import Features, KeyFlags
from mailseal.openpgp.errors import malformed
from mailseal.openpgp.packet import packet_header

MAX_SUBPACKETS = 128
"""Of one signature's area; gpg writes ten."""
MAX_EMBEDDED = 4
MAX_SECONDS = 0xFFFF_FFFF
MAX_TEXT_OCTETS = 2048
MAX_RECIPIENTS = 64


class Kind(IntEnum):
    """Subpacket types that are understood: one of another type that is critical makes its signature invalid."""

    CREATED = 2
    EXPIRES = 3
    EXPORTABLE = 4
    TRUST = 5
    REVOCABLE = 7
    KEY_EXPIRES = 9
    CIPHERS = 11
    REVOCATION_KEY = 12
    ISSUER = 16
    NOTATION = 20
    DIGESTS = 21
    COMPRESSIONS = 22
    KEY_SERVER_PREFERENCES = 23
    KEY_SERVER = 24
    PRIMARY_USER_ID = 25
    POLICY_URI = 26
    KEY_FLAGS = 27
    SIGNERS_USER_ID = 28
    REVOCATION_REASON = 29
    FEATURES = 30
    TARGET = 31
    EMBEDDED = 32
    ISSUER_FINGERPRINT = 33
    RECIPIENT = 35
    AEADS = 39


class Subpacket(NamedTuple):
    """One subpacket as it stands; `kind` is a Kind or a number that we do not know."""

    kind: int
    critical: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Statements:
    """What one area says; None, empty or False: it does not. Where it says a thing twice, the last one counts.

    `..._after` are seconds, of the key behind its creation. `embedded` are bodies of signature packets, `recipients`
    fingerprints, `ciphers`, `digests` and `compressions` numbers in order of preference, `aeads` pairs (cipher, mode).
    `understood`: nothing critical is unknown.
    """

    created: datetime | None = None
    expires_after: int | None = None
    exportable: bool = True
    key_expires_after: int | None = None
    ciphers: tuple[int, ...] | None = None
    issuer_key_id: str | None = None
    digests: tuple[int, ...] | None = None
    compressions: tuple[int, ...] | None = None
    primary_user_id: bool = False
    flags: KeyFlags | None = None
    signers_user_id: str | None = None
    revocation: tuple[int, str] | None = None
    features: Features | None = None
    issuer_fingerprint: str | None = None
    aeads: tuple[tuple[int, int], ...] | None = None
    embedded: tuple[bytes, ...] = ()
    recipients: tuple[str, ...] = ()
    understood: bool = True


def split_subpackets(area: bytes) -> list[Subpacket]:
    """The subpackets of an area (RFC 9580 §5.2.3.7); raises PgpError."""
    found: list[Subpacket] = []
    at, octets = 0, len(area)
    while at < octets:
        length, at = _length(area, at)
        end = at + length
        if not length or len(found) >= MAX_SUBPACKETS:
            raise malformed("a signature has an empty subpacket, or too many")
        if end > octets:
            raise malformed("a subpacket ends too early")
        kind = area[at]
        found.append(Subpacket(kind & 0x7F, kind >= 0x80, area[at + 1 : end]))
        at = end
    return found


def _length(area: bytes, at: int) -> tuple[int, int]:
    """The length that stands there, and where the subpacket begins; a cut one is too long for what is left."""
    first = area[at]
    if first < 192:
        return first, at + 1
    if first < 255:
        return (first - 192 << 8) + (area[at + 1] if at + 1 < len(area) else 0) + 192, at + 2
    return int.from_bytes(area[at + 1 : at + 5], "big"), at + 5


def read_statements(found: Sequence[Subpacket]) -> Statements:
    """What the subpackets of a hashed area say; raises PgpError."""
    said: dict[str, Any] = {}
    for one in found:
        reader = _READERS.get(one.kind)
        if reader is not None:
            name, read = reader
            said[name] = read(one.body)
        elif one.kind in _LISTS:
            name, read, most = _LISTS[one.kind]
            said[name] = (*said.get(name, ()), read(one.body))[:most]
        if one.critical and not _understood(one):
            said["understood"] = False
    return Statements(**said)


def read_hints(found: Sequence[Subpacket]) -> Statements:
    """What may be taken from an unhashed area: who signed, and what is a signature itself (RFC 9580 §5.2.3.7)."""
    return read_statements([one for one in found if one.kind in _UNHASHED])


_UNHASHED = frozenset({Kind.ISSUER, Kind.ISSUER_FINGERPRINT, Kind.EMBEDDED})
_KINDS = frozenset(Kind)


def _understood(one: Subpacket) -> bool:
    return one.kind in _KINDS and one.kind != Kind.NOTATION  # there is no notation that we know


def _number(octets: int) -> Callable[[bytes], int]:
    def read(body: bytes) -> int:
        if len(body) != octets:
            raise malformed("a subpacket has another length than its type")
        return int.from_bytes(body, "big")

    return read


def _time(body: bytes) -> datetime:
    return datetime.fromtimestamp(_number(4)(body), UTC)


def _flag(body: bytes) -> bool:
    return _number(1)(body) != 0


def _bits(body: bytes) -> int:
    """Flags come least octet first, and how many octets does not matter."""
    return int.from_bytes(body[:4], "little")


def _fingerprint(body: bytes) -> str:
    if (body[:1], len(body)) not in _FINGERPRINTS:
        raise malformed("a fingerprint has not the length of its version")
    return body[1:].hex()


_FINGERPRINTS = {(b"\x04", 21), (b"\x06", 33)}


def _key_id(body: bytes) -> str:
    if len(body) != 8:
        raise malformed("a key ID has not eight octets")
    return body.hex()


def _text(body: bytes) -> str:
    return body[:MAX_TEXT_OCTETS].decode("utf-8", "replace")


def _pairs(body: bytes) -> tuple[tuple[int, int], ...]:
    return tuple(zip(body[::2], body[1::2], strict=False))


_READERS: dict[int, tuple[str, Callable[[bytes], Any]]] = {
    Kind.CREATED: ("created", _time),
    Kind.EXPIRES: ("expires_after", _number(4)),
    Kind.EXPORTABLE: ("exportable", _flag),
    Kind.KEY_EXPIRES: ("key_expires_after", _number(4)),
    Kind.CIPHERS: ("ciphers", tuple),
    Kind.ISSUER: ("issuer_key_id", _key_id),
    Kind.DIGESTS: ("digests", tuple),
    Kind.COMPRESSIONS: ("compressions", tuple),
    Kind.PRIMARY_USER_ID: ("primary_user_id", _flag),
    Kind.KEY_FLAGS: ("flags", lambda body: KeyFlags(_bits(body))),
    Kind.SIGNERS_USER_ID: ("signers_user_id", _text),
    Kind.REVOCATION_REASON: ("revocation", lambda body: (body[0], _text(body[1:])) if body else (0, "")),
    Kind.FEATURES: ("features", lambda body: Features(_bits(body))),
    Kind.ISSUER_FINGERPRINT: ("issuer_fingerprint", _fingerprint),
    Kind.AEADS: ("aeads", _pairs),
}


_LISTS: dict[int, tuple[str, Callable[[bytes], Any], int]] = {
    Kind.EMBEDDED: ("embedded", bytes, MAX_EMBEDDED),
    Kind.RECIPIENT: ("recipients", _fingerprint, MAX_RECIPIENTS),
}
"""What may be there several times."""


def write_subpacket(kind: int, body: bytes, *, critical: bool = False) -> bytes:
    """One subpacket; its length is written as that of a packet."""
    return packet_header(0, len(body) + 1)[1:] + bytes((kind | (0x80 if critical else 0),)) + body


def seconds(value: int) -> bytes:
    """A time or a duration, for a subpacket's body."""
    return value.to_bytes(4, "big")


def fingerprint_body(fingerprint: str) -> bytes:
    """A fingerprint behind the version of its key (RFC 9580 §5.2.3.35)."""
    return bytes((4 if len(fingerprint) == 40 else 6,)) + bytes.fromhex(fingerprint)
