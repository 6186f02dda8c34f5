"""Transfer encodings (RFC 2045 §6): one reading of a body that is as it should be, else all that readers make."""

import binascii
import re

from mailseal.extract.sniff import Format, formats
from mailseal.extract.strings import strings
from mailseal.extract.walk import Walk
from mailseal.mail.entity import IDENTITY_ENCODINGS, Entity
from mailseal.policy.inspection import GapReason, GapStatus

_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t]*\Z)")
_SOFT_BREAK = re.compile(rb"=[ \t]*+(?:\r\n?|\n|\Z)")
_ONE_ENCODING = re.compile(r"\s*(?:\([^()]*\)\s*)*[^\s;()]*\s*(?:\([^()]*\)\s*)*;?\s*")
_PADDING = re.compile(rb"=[=\s]*+")
_SPACES = b" \t\r\n\v\f"
_NOT_BASE64 = bytes({*range(256)} - {*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", *_SPACES})
_UUENCODE = frozenset({"x-uuencode", "uuencode", "x-uue"})
_BASE64_RUN = re.compile(rb"(?:[A-Za-z0-9+/]{40,}+={0,2}[ \t]*\r?\n?)+(?:[A-Za-z0-9+/]++={0,2})?")
_LEAST_LETTERS = 8
_MAX_PADDED = 100_000
"""Pieces of base64 with padding between them that are told apart; the rest is read as one."""


def decoded_readings(entity: Entity, walk: Walk, place: str) -> tuple[bytes, ...]:
    """The octets that a body can be, without doubles. Raises OverBudgetError."""
    body = bytes(entity.body)
    encoding = entity.transfer_encoding
    if not _ONE_ENCODING.fullmatch(entity.header("content-transfer-encoding") or ""):
        encoding = "ambiguous"
    if encoding in IDENTITY_ENCODINGS or encoding in _UUENCODE:
        return (body,)
    if encoding == "base64":
        found = (from_base64(body),) if entity.is_exactly_encoded() else (from_base64(body), body)
        say_behind_padding(body, walk, place)
        return found
    if encoding == "quoted-printable":
        decoded = from_quoted_printable(body)
        return (decoded, body) if _BAD_ESCAPE.search(body) else (decoded,)
    walk.gap(GapStatus.PARTIAL, GapReason.AMBIGUOUS, "the transfer encoding is unknown", place)
    return tuple(dict.fromkeys((body, from_base64(body), from_quoted_printable(body))))


def from_quoted_printable(body: bytes) -> bytes:
    """As lenient readers; white space at the end of a line is none of it (RFC 2045 §6.7)."""
    return binascii.a2b_qp(_SOFT_BREAK.sub(b"", body))


def from_base64(body: bytes) -> bytes:
    """As lenient readers: what is no letter is passed over, an end in the middle is cut off."""
    letters = _PADDING.split(body.translate(None, _NOT_BASE64), maxsplit=1)[0].translate(None, _SPACES)
    return _decoded(letters)


def say_behind_padding(body: bytes, walk: Walk, place: str) -> None:
    """What some readers decode behind the first padding, or across it. Raises OverBudgetError."""
    letters = body.translate(None, _NOT_BASE64).rstrip(b"=" + _SPACES)
    pieces = [one.translate(None, b"=" + _SPACES) for one in _PADDING.split(letters, _MAX_PADDED)]
    if sum(map(len, pieces[1:])) < _LEAST_LETTERS:
        return
    apart = b"".join(map(_decoded, pieces))
    across = _decoded(b"".join(pieces))
    for octets in (apart, across):
        say_fragment(octets, walk, f"{place}, behind the padding")


def base64_runs(octets: bytes) -> list[bytes]:
    """All that may be base64 anywhere in octets, decoded."""
    return [from_base64(found[0]) for found in _BASE64_RUN.finditer(octets)]


def say_fragment(octets: bytes, walk: Walk, place: str) -> None:
    """What a reading yields that may be none: a file if it looks like one, else its strings. Raises OverBudgetError."""
    if formats(octets) == (Format.UNKNOWN,):
        walk.say(strings(octets), place)
    else:
        walk.descend(octets, "", place=place)


def _decoded(letters: bytes) -> bytes:
    over = len(letters) % 4
    return binascii.a2b_base64(
        letters[: len(letters) - over] + (letters[-over:] + b"=" * (4 - over) if over > 1 else b"")
    )
