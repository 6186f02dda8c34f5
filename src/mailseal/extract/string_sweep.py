"""The strings of a binary stream, whatever its structure: runs of characters in UTF-16LE or in eight bits.

A safety net under the readers of Microsoft's formats, which know where most text stands. Scripts beyond Greek and
Cyrillic are left to those readers: in UTF-16 nearly every pair of octets is some ideograph.
"""

import re
from collections.abc import Iterator

MIN_CHARACTERS = 4
"""Shorter runs are noise."""
LONG = 12
"""Of eight bits, shorter ones come about by chance in pictures."""

_WIDE = re.compile(rb"(?:[\t\x20-\x7e\xa0-\xff]\x00|[\x00-\xff][\x01-\x05]|[\x10-\x3a]\x20){4,}+")
_NARROW = re.compile(rb"(?:[\t\x20-\x7e]++[\xa0-\xff]{0,3}+)++")


def strings(octets: bytes, least: int = MIN_CHARACTERS) -> Iterator[str]:
    """Every run of two octets a character, then those of one octet that have at least so many."""
    for run in _WIDE.finditer(octets):
        yield run.group().decode("utf-16-le", "replace")
    for run in _NARROW.finditer(octets):
        if run.end() - run.start() >= least:
            yield run.group().decode("cp1252", "replace")


def sweep(octets: bytes, least: int = MIN_CHARACTERS) -> str:
    """The strings of a stream, one a line."""
    return "\n".join(strings(octets, least))
