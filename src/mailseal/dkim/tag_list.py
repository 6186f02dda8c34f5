"""Tag lists: `name=value; name=value` (RFC 6376 §3.2; UTF-8 in values by RFC 8616)."""

import base64
import binascii
import re
from collections.abc import Mapping

from mailseal.errors import PermanentError

MAX_CHARS = 16_384
MAX_TAGS = 50

_FWS = " \t\r\n"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VALUE = re.compile(r"[!-:<-~ \t\r\n\u00a0-\ud7ff\ue000-\U0010ffff]*")
_NUMBER = re.compile(r"[0-9]{1,12}")
_SPACE = dict.fromkeys(map(ord, _FWS))


class TagError(PermanentError):
    """The text is no tag list, or a tag has a value that it cannot have."""


def parse_tags(text: str) -> dict[str, str]:
    """The tags in order, white space around values taken off; raises TagError, also for a tag that comes twice."""
    if len(text) > MAX_CHARS:
        raise TagError("a tag list is too long")
    specs = text.split(";")
    if not specs[-1].strip(_FWS):
        specs.pop()
    if not 0 < len(specs) <= MAX_TAGS:
        raise TagError("a tag list has no tag, or too many")
    tags: dict[str, str] = {}
    for spec in specs:
        name, equals, value = spec.partition("=")
        name, value = name.strip(_FWS), value.strip(_FWS)
        if not equals or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise TagError("a tag list cannot be read")
        if name in tags:
            raise TagError(f"the tag {name[:20]} comes twice")
        tags[name] = value
    return tags


def required(tags: Mapping[str, str], name: str) -> str:
    """The value of a tag that has to be there and not empty; raises TagError."""
    value = tags.get(name)
    if not value:
        raise TagError(f"the tag {name} is missing")
    return value


def base64_of(tags: Mapping[str, str], name: str) -> bytes:
    """The octets of a tag in base64, which may be folded anywhere; raises TagError."""
    try:
        return base64.b64decode(required(tags, name).translate(_SPACE), validate=True)
    except (binascii.Error, ValueError):
        raise TagError(f"the tag {name} is not base64") from None


def number_of(tags: Mapping[str, str], name: str) -> int | None:
    """The value of a tag that is a number; None if it is not there. Raises TagError."""
    if name not in tags:
        return None
    if not _NUMBER.fullmatch(tags[name]):
        raise TagError(f"the tag {name} is not a number")
    return int(tags[name])


def words_of(tags: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The values of a tag that is a list with colons, white space around them taken off; () if it is not there."""
    if name not in tags:
        return ()
    return tuple(word.strip(_FWS) for word in tags[name].split(":"))
