"""A mail whose structure readers do not agree on: all that any of them may see, without a structure.

Every line that may be a delimiter cuts, every type and encoding that a piece is given is tried, and the whole is read
as text, as HTML, and for what is base64 anywhere in it.
"""

import binascii
import re
from collections.abc import Iterator, Sequence

from mailseal.extract.plain import read_html, read_text
from mailseal.extract.text import is_known, readings
from mailseal.extract.transfer import base64_runs, from_base64, say_fragment
from mailseal.extract.walk import Walk
from mailseal.mail.encoded_word import decode_words, one_line
from mailseal.policy.inspection import GapReason, GapStatus

_BARE_DELIMITER = re.compile(rb"(?:^|[\r\n])--[^\r\n]{1,250}(?=[\r\n]|\Z)")
_HEADER_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n")
_TYPE = re.compile(rb"^content-type[ \t]*:[ \t\r\n]*([!-9<-~]+)", re.IGNORECASE | re.MULTILINE)
_ENCODING = re.compile(rb"^content-transfer-encoding[ \t]*:[ \t\r\n]*\"?([a-z0-9-]+)", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.MULTILINE)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_WORD = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?((?:[^?\r\n]|\?(?!=)){0,300}+)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
_MAX_HEADER = 1 << 18


def say_loosely(octets: bytes, walk: Walk, why: str) -> None:
    """Read a mail in every way. Raises OverBudgetError."""
    walk.gap(GapStatus.PARTIAL, GapReason.AMBIGUOUS, why)
    header_end = _HEADER_END.search(octets, 0, _MAX_HEADER)
    header = octets[: header_end.start() if header_end else _MAX_HEADER]
    fields = list(_FIELD.finditer(header))
    say_fields([one[1].decode("ascii").lower() for one in fields], [one[0] for one in fields], walk)
    say_pieces(octets, walk)
    read_text(octets, walk.into("", place="as it stands"))
    read_html(octets, walk.into("", place="as HTML"))
    plain = binascii.a2b_qp(octets)
    if plain != octets:
        read_html(plain, walk.into("", place="as quoted-printable"))
    for run in base64_runs(octets):
        say_fragment(run, walk, "as base64")


def say_pieces(octets: bytes, walk: Walk, place: str = "piece") -> None:
    """What stands between lines that may be delimiters, each as a part of its own. Raises OverBudgetError."""
    for number, piece in enumerate(_pieces(octets), 1):
        _read_piece(piece, walk, f"{place} {number}")


def _pieces(octets: bytes) -> Iterator[bytes]:
    at = 0
    for found in _BARE_DELIMITER.finditer(octets):
        yield octets[at : found.start()]
        at = found.end()
    yield octets[at:]


def _read_piece(piece: bytes, walk: Walk, place: str) -> None:
    """One piece in each encoding and type that its own header may say, or in those that it may have without."""
    piece = piece.lstrip(b"\r\n")
    end = _HEADER_END.search(piece, 0, _MAX_HEADER)
    header, body = (piece[: end.start()], piece[end.end() :]) if end else (b"", piece)
    lines = header.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    types = dict.fromkeys(one.decode("ascii").lower() for one in _TYPE.findall(lines))
    encodings = {one.lower() for one in _ENCODING.findall(lines)}
    if header:
        walk.say("\n".join(_values(header)), f"{place}: header")
    if not body.strip():
        return
    bodies = {body: None} if not encodings or encodings - {b"base64", b"quoted-printable"} else {}
    if b"base64" in encodings or len(encodings) > 1:
        bodies[from_base64(body)] = None
    if b"quoted-printable" in encodings or len(encodings) > 1:
        bodies[binascii.a2b_qp(body)] = None
    kind = next((one for one in types if not one.startswith("multipart/")), "")
    for octets in bodies:
        walk.descend(octets, "", kind, place)
        if len(types) > 1:
            read_html(octets, walk.into("", place=place))


def say_fields(names: Sequence[str], fields: Sequence[bytes], walk: Walk, together: str = "") -> None:
    """Header fields, decoded and as they stand; those of a part as one passage. Raises OverBudgetError."""
    unknown = [one for field in fields for one in _WORD.findall(field.decode("latin-1")) if not is_known(one[0])]
    if unknown:
        walk.gap(GapStatus.PARTIAL, GapReason.UNSUPPORTED, "the charset of a word is not known", together or "header")
    if together:
        walk.say("\n".join(dict.fromkeys(value for field in fields for value in _values(field))), together)
        return
    for name, field in zip(names, fields, strict=True):
        for value in _values(field.partition(b":")[2] if name else field):
            walk.say(value, "subject" if name == "subject" else f"header {name}".strip())


def _values(field: bytes) -> list[str]:
    """What a field says: decoded, and as it stands where that is different (RFC 2047)."""
    found: dict[str, None] = {}
    for reading in readings(field):
        for value in _FOLD.sub("", reading).splitlines():
            found[decode_words(value)] = None
            if "=?" in value:
                found[one_line(_WORD.sub(_decoded, _BETWEEN_WORDS.sub("", value)))] = None
            found[one_line(value)] = None
    return [one.strip() for one in found if one.strip()]


def _decoded(word: re.Match[str]) -> str:
    """An encoded word as lenient readers take it: with "?" in it, in a charset of a rare or unknown name."""
    octets = word[3].encode("utf-8", "replace")
    if word[2] in "bB":
        return readings(from_base64(octets), word[1])[0]
    return readings(binascii.a2b_qp(octets, header=True), word[1])[0]
