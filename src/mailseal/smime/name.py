"""Distinguished names as text (RFC 4514), with everything that a log or header must not see written as hex pairs."""

import unicodedata
from functools import lru_cache

from asn1crypto import x509 as asn1

from mailseal.smime.strict import (
    IA5_STRING,
    OID,
    SEQUENCE,
    SET,
    UTF8_STRING,
    DerError,
    children,
    dotted,
    elements,
    only,
)

MAX_NAME_OCTETS = 8192
MAX_COMPARED = 2048
"""Octets of a name that is compared, and its characters once those that stand for several are taken apart: each costs
4 µs, whoever sends a mail brings dozens of names, and a real one has some hundred.
"""

EMAIL_ADDRESS = "1.2.840.113549.1.9.1"

_KEYWORDS = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.42": "GN",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    EMAIL_ADDRESS: "emailAddress",
}
_CODECS = {
    UTF8_STRING: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as everyone writes it
    IA5_STRING: "ascii",
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
_SPECIAL = frozenset('"+,;<>\\=')


@lru_cache(maxsize=1024)
def read_name(der: bytes) -> tuple[str, tuple[str, ...]]:
    """(RFC 4514 text, values of emailAddress) of a whole DER Name; raises DerError."""
    if len(der) > MAX_NAME_OCTETS:
        raise DerError("a distinguished name is too long")
    start, end = only(der, 0, len(der), SEQUENCE)
    relative: list[str] = []
    emails: list[str] = []
    for rdn in elements(der, start, end):
        values: list[str] = []
        for attribute in children(der, rdn, SET):
            kind, value, plain = _attribute(der, children(der, attribute, SEQUENCE))
            values.append(f"{_KEYWORDS.get(kind, kind)}={value}")
            if kind == EMAIL_ADDRESS and plain is not None:
                emails.append(plain)
        relative.append("+".join(values))
    return ",".join(reversed(relative)), tuple(emails)


@lru_cache(maxsize=4096)
def letters_of(name: str) -> str:
    """Equal for names that RFC 5280 §7.1 calls equal, and some more: letters and digits, case-folded. For look-ups."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


@lru_cache(maxsize=4096)
def normalised(der: bytes) -> str:
    """A text that equal names share, whatever their case, spaces and string types (RFC 5280 §7.1); raises DerError."""
    if len(der) > MAX_COMPARED or len(unicodedata.normalize("NFKC", read_name(der)[0])) > MAX_COMPARED:
        raise DerError("a distinguished name is too long")
    try:
        return str(asn1.Name.load(der, strict=True).hashable)
    except Exception:  # noqa: BLE001 - asn1crypto raises whatever a hostile name provokes
        raise DerError("a distinguished name is malformed") from None


def same_name(one: bytes, other: bytes) -> bool:
    """Whether two DER names are equal; one that cannot be read is equal to itself only."""
    if one == other:
        return True
    try:
        return normalised(one) == normalised(other)
    except DerError:
        return False


def _attribute(der: bytes, parts: list[tuple[int, int, int, int]]) -> tuple[str, str, str | None]:
    if len(parts) != 2 or parts[0][0] != OID:
        raise DerError("a distinguished name has a malformed attribute")
    (_, _, start, end), (tag, whole, content, stop) = parts
    kind = dotted(der[start:end])
    codec = _CODECS.get(tag)
    if codec is not None:
        try:
            text = der[content:stop].decode(codec)
            return kind, _escape(text), text
        except UnicodeDecodeError:
            pass
    return kind, "#" + der[whole:stop].hex(), None


def _escape(text: str) -> str:
    if text.isalnum():
        return text
    shown = [_character(one) for one in text]
    if shown and text[0] in " #":
        shown[0] = "\\" + text[0]
    if len(shown) > 1 and text[-1] == " ":
        shown[-1] = "\\ "
    return "".join(shown)


def _character(one: str) -> str:
    if one in _SPECIAL:
        return "\\" + one
    if one.isprintable():
        return one
    return "".join(f"\\{octet:02X}" for octet in one.encode("utf-8", "surrogatepass"))
