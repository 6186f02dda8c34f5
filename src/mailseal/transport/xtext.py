"""xtext, the encoding of values in ESMTP parameters (RFC 3461 §4; Postfix XFORWARD)."""

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*")
_UNITEXT = re.compile(r"(?:[!-*,-<>-~\u0080-\U0010ffff]|\+[0-9A-Fa-f]{2})*")
_HEX = re.compile(rb"\+([0-9A-Fa-f]{2})")


def is_xtext(text: str, *, unicode: bool = False) -> bool:
    """True if `text` is xtext; with `unicode`, characters beyond ASCII may stand for themselves (RFC 6533 §3)."""
    return (_UNITEXT if unicode else _XTEXT).fullmatch(text) is not None


def decode_xtext(text: str) -> str:
    """The text behind xtext; octets that are not UTF-8 become U+FFFD."""
    if "+" not in text:
        return text
    octets = _HEX.sub(lambda found: bytes((int(found[1], 16),)), text.encode())
    return octets.decode("utf-8", "replace")
