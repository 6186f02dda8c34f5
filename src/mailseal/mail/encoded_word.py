"""Encoded words in header values: read and written (RFC 2047); charsets from a closed list.

Reading never raises: what cannot be decoded stays as it stands. Some of Python's codecs are slow or no charsets at
all (punycode, unicode_escape), so only charsets that mail uses are looked up.
"""

import binascii
import codecs
import re
from base64 import b64encode

_CHARSET = re.compile(
    r"""
    (us-)?ascii | utf-?8 | utf-7 | utf-16(le|be)? | latin-?1 | iso[-_]8859[-_]\d{1,2}(-[ei])? | koi8-[ru] | macintosh
    | windows-(125\d|874) | (cp|ibm)(125\d|437|850|866|874|932|949) | tis-620
    | gb2312 | gbk | gb18030 | hz-gb-2312 | big5(-hkscs)? | euc-(jp|kr) | shift[-_]jis | sjis | ks_c_5601-1987
    | iso-2022-(jp(-1|-2|-2004)?|kr)
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"=\?([!-)+->@-~]{1,60})(?:\*[!->@-~]{0,40})?\?([bBqQ])\?([ !->@-~]*)\?=")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_WINDOW_OCTETS = 1 << 16
_MAX_WORD = 75
_FRAME = len("=?utf-8?q??=")


def decode_text(octets: bytes, charset: str) -> str | None:
    """Octets of a named charset as text, U+FFFD for what does not fit; None for a charset that mail does not use."""
    codec = _codec(charset)
    if codec is None:
        return None
    try:
        return octets.decode(codec, "replace")
    except (LookupError, UnicodeError):
        return None


def is_text_in(octets: bytes, charset: str) -> bool:
    """Whether a named charset is one that mail uses, and the octets are characters of it."""
    codec = _codec(charset)
    if codec is None:
        return False
    try:
        decoder = codecs.getincrementaldecoder(codec)()
        for start in range(0, len(octets), _WINDOW_OCTETS):  # all of it at once may take four times the room
            decoder.decode(octets[start : start + _WINDOW_OCTETS])
        decoder.decode(b"", final=True)
    except (LookupError, UnicodeError):
        return False
    return True


def _codec(charset: str) -> str | None:
    name = charset.lower()
    if not _CHARSET.fullmatch(name):
        return None
    # How the text runs, not what it says (RFC 1556).
    return name[:-2] if name.startswith("iso") and name.endswith(("-e", "-i")) else name


def one_line(text: str) -> str:
    """The text without line ends, other controls and lone surrogates: each run of them becomes one space."""
    return _CONTROLS.sub(" ", text)


def decode_words(text: str) -> str:
    """Unstructured text with its encoded words decoded (RFC 2047 §6); one line, whatever they encode."""
    if "=?" not in text:
        return one_line(text)
    pieces: list[str] = []
    pending = b""  # octets of adjacent words of one charset: some senders split a character between words
    charset = ""
    position = 0
    for word in _WORD.finditer(text):
        octets = _word_octets(word[2], word[3])
        if octets is None or decode_text(b"", word[1]) is None:
            continue
        between = text[position : word.start()]
        adjacent = bool(charset) and not between.strip(" \t")
        if not (adjacent and word[1].lower() == charset):
            pieces.append(_decoded(pending, charset))
            pending, charset = b"", word[1].lower()
        if not adjacent:
            pieces.append(between)
        pending += octets
        position = word.end()
    pieces.extend((_decoded(pending, charset), text[position:]))
    return one_line("".join(pieces))


def _decoded(octets: bytes, charset: str) -> str:
    return (decode_text(octets, charset) or "") if octets else ""


def _word_octets(encoding: str, payload: str) -> bytes | None:
    raw = payload.encode("ascii")
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    try:
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
    except binascii.Error:
        return None


def encode_words(text: str, first_room: int) -> list[bytes]:
    """The text as UTF-8 encoded words of at most 75 octets, the first at most `first_room` if that leaves room.

    Words are split between characters (RFC 2047 §5). Joined by folding white space they decode to the text.
    """
    quoted = sum(byte not in _Q_SAFE and byte != 0x20 for byte in text.encode(errors="replace")) * 3 <= len(text)
    cost = _q_cost if quoted else _b_cost
    words: list[bytes] = []
    run: list[bytes] = []
    used = 0
    room = (min(first_room, _MAX_WORD) if first_room >= _FRAME + 12 else _MAX_WORD) - _FRAME
    for character in text:
        octets = character.encode(errors="replace")
        needed = cost(octets)
        if run and used + needed > (room if quoted else room // 4 * 3):
            words.append(_word(b"".join(run), quoted=quoted))
            run, used, room = [], 0, _MAX_WORD - _FRAME
        run.append(octets)
        used += needed
    words.append(_word(b"".join(run), quoted=quoted))
    return words


def _q_cost(octets: bytes) -> int:
    return sum(1 if byte in _Q_SAFE or byte == 0x20 else 3 for byte in octets)


def _b_cost(octets: bytes) -> int:
    return len(octets)


def _word(octets: bytes, *, quoted: bool) -> bytes:
    if not quoted:
        return b"=?utf-8?b?%s?=" % b64encode(octets)
    body = b"".join(b"_" if byte == 0x20 else bytes((byte,)) if byte in _Q_SAFE else b"=%02X" % byte for byte in octets)
    return b"=?utf-8?q?%s?=" % body
