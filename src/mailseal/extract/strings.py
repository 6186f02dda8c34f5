"""Strings in octets of no known structure: runs of printable ASCII, and the same in UTF-16."""

import re

from mailseal.extract.walk import Walk
from mailseal.policy.inspection import GapReason, GapStatus

MIN_UNKNOWN = 6
MIN_MEDIA = 12
"""Shorter runs come about by chance in what is compressed."""

_PACKED = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
"""How archives begin that their programs find behind a picture, too; of zip, the end says so (`sniff`)."""
_ASCII = {least: re.compile(rb"[\t\r\n\x20-\x7e]{%d,}+" % least) for least in (MIN_UNKNOWN, MIN_MEDIA)}
_UTF16_LE = re.compile(rb"(?:[\t\r\n\x20-\x7e]\x00){6,}+")
_UTF16_BE = re.compile(rb"(?:\x00[\t\r\n\x20-\x7e]){6,}+")


def strings(octets: bytes, least: int = MIN_UNKNOWN) -> str:
    """Every run of at least so many characters, one a line."""
    return "\n".join(runs(octets, least))


def runs(octets: bytes, least: int = MIN_UNKNOWN) -> list[str]:
    """The same, each by itself."""
    found = [run.decode("ascii") for run in _ASCII[least].findall(octets)]
    if b"\0" in octets:
        found += [run.decode("utf-16-le") for run in _UTF16_LE.findall(octets)]
        found += [run.decode("utf-16-be") for run in _UTF16_BE.findall(octets)]
    return found


def say_appended(octets: bytes, walk: Walk) -> None:
    """An archive that stands in something else: behind a picture, in a program that unpacks itself."""
    for mark in _PACKED:
        at = octets.find(mark, 1)
        if at > 0:
            walk.descend(octets[at:], place="what is appended")


def read_unknown(octets: bytes, walk: Walk) -> None:
    """A file of no format that we know: its strings, and that it is not known."""
    walk.say(strings(octets), "strings")
    say_appended(octets, walk)
    walk.gap(GapStatus.PARTIAL, GapReason.UNKNOWN_FORMAT)


def read_certificate(octets: bytes, walk: Walk) -> None:
    """A certificate (X.509): its names are strings."""
    walk.say(strings(octets), "strings")
