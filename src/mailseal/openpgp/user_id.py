"""The mailbox that a user ID names (RFC 9580 §5.11): `Name <local@domain>`, `<local@domain>`, or the address alone.

A user ID is a text that anybody may choose. One that could be read in two ways names nobody.
"""

import unicodedata
from functools import lru_cache

from mailseal.mail.address import Address, AddressError

_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what is shown."""


@lru_cache(maxsize=4096)
def address_of(user_id: bytes) -> Address | None:
    """The one mailbox, or None."""
    try:
        text = user_id.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "=?" in text or not _is_harmless(text):
        return None
    name, bracket, rest = text.partition("<")
    if not bracket:
        return _mailbox(text.strip(" "))
    address, end, behind = rest.partition(">")
    if not end or behind.strip(" ") or "<" in address:
        return None
    found = _mailbox(address)
    # Some write the address as the name, too; any other "@" in a name may be meant to be read as an address.
    return found if "@" not in name or _mailbox(name.strip(' "')) == found else None


def _is_harmless(text: str) -> bool:
    if text.isascii():
        return text.isprintable()
    return not any(one in _DIRECTIONS or unicodedata.category(one) in _CONTROLS for one in text)


def _mailbox(text: str) -> Address | None:
    if text.count("@") != 1 or '"' in text:
        return None
    if not text.isascii() and any(unicodedata.category(one) == "Cf" for one in text):
        return None
    try:
        return Address.parse(text)
    except AddressError:
        return None
