"""The Autocrypt header field: a mail that brings its sender's key along (Autocrypt Level 1, §2.1)."""

import binascii
import re
from binascii import b2a_base64
from dataclasses import dataclass, field

from mailseal.mail.address import Address, AddressError

NAME = "Autocrypt"
MAX_KEY_OCTETS = 65_536
MAX_WRITTEN_OCTETS = 10_240
"""Autocrypt Level 1 §2.1: what is sent should be no larger."""
_ATTRIBUTE = re.compile(r"\s*([A-Za-z_-]+)\s*=\s*([^;]*)(?:;|\Z)")
_KNOWN = ("addr", "prefer-encrypt", "keydata")
_PLAIN = re.compile(r"[!#-:<-~]+")
_LINE = 72


@dataclass(frozen=True, slots=True)
class Autocrypt:
    """What one field says. `keydata` is a transferable public key in binary; whose it is has not been looked at."""

    address: Address
    keydata: bytes = field(repr=False)
    prefers_encryption: bool = False


def read_autocrypt(value: str) -> Autocrypt | None:
    """One unfolded field value; None for one that is to be ignored. Never raises."""
    found: dict[str, str] = {}
    position = 0
    while position < len(value):
        attribute = _ATTRIBUTE.match(value, position)
        if attribute is None or attribute[1].lower() in found:
            return None
        name = attribute[1].lower()
        if name not in _KNOWN and not name.startswith("_"):
            return None  # an attribute that must be understood, and is not
        found[name] = attribute[2].strip()
        position = attribute.end()
    try:
        address = Address.parse(found["addr"])
        keydata = binascii.a2b_base64("".join(found["keydata"].split()), strict_mode=True)
    except (KeyError, AddressError, ValueError):
        return None
    if not 0 < len(keydata) <= MAX_KEY_OCTETS:
        return None
    return Autocrypt(address, keydata, found.get("prefer-encrypt") == "mutual")


def write_autocrypt(address: Address, keydata: bytes) -> str | None:
    """The value of a field that brings this key; None for what a field cannot say, or is too large to always send."""
    if len(keydata) > MAX_WRITTEN_OCTETS or not _PLAIN.fullmatch(str(address)):
        return None
    text = b2a_base64(keydata, newline=False).decode("ascii")
    # White space for the field to be folded at; readers take it out again.
    lines = " ".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))
    return f"addr={address}; prefer-encrypt=mutual; keydata= {lines}"
