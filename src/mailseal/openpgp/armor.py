"""ASCII armor (RFC 9580 §6), found in text, read and written, and the cleartext signature framework (§7).

A checksum is written, since readers in use want it, and never checked (§6.1).
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from mailseal.mail import base64_lines
from mailseal.mail.message import Octets
from mailseal.openpgp.crc24 import Crc24
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.policy.reason import ReasonCode

MESSAGE = "MESSAGE"
SIGNATURE = "SIGNATURE"
PUBLIC_KEY = "PUBLIC KEY BLOCK"
PRIVATE_KEY = "PRIVATE KEY BLOCK"
SIGNED_MESSAGE = "SIGNED MESSAGE"
KINDS = frozenset({MESSAGE, SIGNATURE, PUBLIC_KEY, PRIVATE_KEY})
"""What holds base64. A signed message is text with a signature behind it."""
ALL_KINDS = KINDS | {SIGNED_MESSAGE}
MAX_HEADERS = 64
_BEGIN = b"-----BEGIN PGP "
_BEGIN_LINE = re.compile(rb"-----BEGIN PGP ([A-Z ]{1,20})-----[ \t]*\r?\n")
_HEADER = re.compile(rb"([A-Za-z0-9-]{1,64}): ?([^\r\n]{0,998})\r?\n?")
_BLANK = re.compile(rb"[ \t]*\r?\n")
_CHECKSUM = re.compile(rb"(?:=[A-Za-z0-9+/]{4}|[\r\n]=[^=\s][^\r\n]{0,7})\s*\Z")
_LONGEST_CHECKSUM = 200
_WHITE = (b"\n", b"\r", b" ", b"\t")
_TRAILING = b" \t\r"
_WINDOW_OCTETS = 1 << 16
_ESCAPED = re.compile(rb"^(?=-|From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Armored:
    """One block: `kind` as in its first line, without "BEGIN PGP"; it stood from `start` to `end`."""

    kind: str
    headers: tuple[tuple[str, str], ...]
    octets: bytes = field(repr=False)
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cleartext:
    """A text with its signatures. `content` is what is signed and may be shown, no octet besides."""

    content: bytes = field(repr=False)
    signatures: bytes = field(repr=False)
    start: int
    end: int


def find_armor(text: bytes, start: int = 0, kinds: Collection[str] = ALL_KINDS) -> tuple[str, int] | None:
    """The kind of the next block that begins a line, and where; nothing is said of what is in it."""
    found = _begin(text, start, kinds)
    return None if found is None else (found[1].decode(), found.start())


def _begin(text: bytes, start: int, kinds: Collection[str]) -> re.Match[bytes] | None:
    while (start := text.find(_BEGIN, start)) >= 0:
        found = _BEGIN_LINE.match(text, start)
        if found is not None and found[1].decode() in kinds and (not start or text[start - 1] == 0x0A):
            return found
        start += 1
    return None


def read_armor(text: bytes, kinds: Collection[str] = KINDS, start: int = 0) -> Armored:
    """The next block of one of the kinds; whatever is before it is passed over. Raises PgpError."""
    found = _begin(text, start, kinds)
    if found is None:
        raise malformed("there is no armored block")
    headers, body = _headers(text, found.end())
    end_line = b"-----END PGP %b-----" % found[1]
    stop = text.find(end_line, body)
    if stop < 0:
        raise malformed("the armored block has no end")
    return Armored(found[1].decode(), headers, _decoded(text, body, stop), found.start(), stop + len(end_line))


def read_armored_blocks(text: bytes, kinds: Collection[str] = KINDS) -> Iterator[Armored]:
    """All blocks of these kinds in order; raises PgpError at one that cannot be read, or when there is none."""
    block = read_armor(text, kinds)
    yield block
    while find_armor(text, block.end, kinds) is not None:
        block = read_armor(text, kinds, block.end)
        yield block


def _headers(text: bytes, at: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """The armor headers (RFC 9580 §6.2.2), and where the base64 begins. A blank line that got lost is forgiven."""
    headers: list[tuple[str, str]] = []
    while (found := _HEADER.match(text, at)) is not None:
        if len(headers) >= MAX_HEADERS:
            raise PgpError(ReasonCode.TOO_LARGE, "the armored block has too many headers")
        headers.append((found[1].decode(), found[2].decode(errors="replace").strip()))
        at = found.end()
    return tuple(headers), at


def _decoded(text: bytes, start: int, stop: int) -> bytes:
    """The base64 between the two, its checksum left out. Not copied before it is decoded: it may be a large one."""
    tail = max(start, stop - _LONGEST_CHECKSUM)
    checksum = _CHECKSUM.search(text[tail:stop])
    if checksum is not None:
        stop = tail + checksum.start()
    try:
        octets = a2b_base64(memoryview(text)[start:stop])
    except Base64Error:
        raise malformed("the armored block is not base64") from None
    # The decoder passes over what is no base64, and over all behind padding: all that it did not use is white space.
    used = (len(octets) * 8 + 5) // 6
    unused = stop - start - used - -used % 4
    for one in _WHITE:
        if unused <= 0:
            break
        unused -= text.count(one, start, stop)
    if unused:
        raise malformed("the armored block is not base64")
    return octets


def write_armor(kind: str, octets: Iterable[Octets], *, checksum: bool = True) -> list[bytes]:
    """The block, in CRLF lines of at most 76 characters, in pieces. No checksum for what is new in RFC 9580 (§6.1)."""
    name = kind.encode()
    crc = Crc24()

    def counted() -> Iterator[Octets]:
        for piece in octets:
            crc.update(piece)
            yield piece

    lines = base64_lines.encode_all(counted() if checksum else octets)
    pieces = [b"-----BEGIN PGP %b-----\r\n\r\n" % name, *lines]
    if checksum:
        pieces.append(b"=%b\r\n" % b2a_base64(crc.digest(), newline=False))
    pieces.append(b"-----END PGP %b-----\r\n" % name)
    return pieces


def canonical_text(text: bytes) -> bytes:
    """The text as a cleartext signature covers it (RFC 9580 §7.2): CRLF between lines, no white space at their ends."""
    return b"\r\n".join(
        b"\r\n".join(line.rstrip(_TRAILING) for line in lines.split(b"\n")) for lines in _some_lines(text)
    )


def _some_lines(text: bytes) -> Iterator[bytes]:
    """The text bit by bit, cut at line ends, which are left out: all lines at once take ten times its room."""
    start = 0
    while (stop := text.find(b"\n", start + _WINDOW_OCTETS)) >= 0:
        yield text[start:stop]
        start = stop + 1
    yield text[start:]


def read_cleartext(text: bytes, start: int = 0) -> Cleartext:
    """The next signed message (RFC 9580 §7); raises PgpError."""
    found = _begin(text, start, {SIGNED_MESSAGE})
    if found is None:
        raise malformed("there is no signed message")
    headers, at = _headers(text, found.end())
    blank = _BLANK.match(text, at)
    if blank is None or any(name != "Hash" for name, _ in headers):
        # Whatever stands there is not signed, but would look as if it were.
        raise malformed("the signed message has something before its text")
    signatures = read_armor(text, {SIGNATURE}, blank.end())
    content = canonical_text(_without_escapes(text[blank.end() : signatures.start]))
    return Cleartext(content, signatures.octets, found.start(), signatures.end)


def _without_escapes(text: bytes) -> bytes:
    """The text as it was before dashes were escaped (RFC 9580 §7.2), without its last line end (§7.1)."""
    return b"\n".join(map(_unescaped, _some_lines(text.removesuffix(b"\n").removesuffix(b"\r"))))


def _unescaped(text: bytes) -> bytes:
    lines = text.split(b"\n")
    for at, line in enumerate(lines):
        if line.startswith(b"-"):
            if not line.startswith(b"- "):
                raise malformed("the signed message has a line that is not escaped")
            lines[at] = line[2:]
    return b"\n".join(lines)


def write_cleartext(text: bytes, signatures: bytes, digest: str) -> list[bytes]:
    """The framework around a text. `signatures` are packets over `canonical_text` of it, `digest` is like "SHA512"."""
    lines = _ESCAPED.sub(b"- ", canonical_text(text))
    head = b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: %b\r\n\r\n" % digest.encode()
    return [head, lines, b"\r\n", *write_armor(SIGNATURE, (signatures,))]
