"""Calendars and cards (RFC 5545, RFC 6350): folded lines joined, values without their escapes and encodings."""

import binascii
import re

from mailseal.extract.walk import Walk

_BEGIN = re.compile(r"^[ \t\ufeff]*BEGIN:V[A-Z]", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(r"\r?\n[ \t]")
_QUOTED = re.compile(r"ENCODING=\"?QUOTED-PRINTABLE|;QUOTED-PRINTABLE[;:]", re.IGNORECASE)
_BASE64 = re.compile(r"ENCODING=\"?(?:b|base64)\b[^:\r\n]{0,200}:([A-Za-z0-9+/=]{8,})", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([nN\\;,])")
_HEAD = 65_536


def say_card(text: str, walk: Walk) -> None:
    """Another reading of a text that is a calendar or a card. Raises OverBudgetError."""
    if _BEGIN.search(text, 0, _HEAD) is None:
        return
    unfolded = _FOLD.sub("", text)
    walk.say(_ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], unfolded), "unfolded")
    if _QUOTED.search(unfolded):  # of vCard 2.1: such lines go on behind "=", and are not folded
        walk.say(binascii.a2b_qp(text.encode("utf-8", "replace")).decode("utf-8", "replace"), "quoted-printable")
    for letters in _BASE64.findall(unfolded):
        walk.descend(binascii.a2b_base64(letters[: len(letters) // 4 * 4]), place="value")
