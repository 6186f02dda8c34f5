"""The extensions of a certificate that Mailseal reads (RFC 5280 §4.2, RFC 4262, RFC 9598); others are passed over."""

from collections.abc import Callable
from functools import lru_cache

from mailseal.smime.strict import (
    BIT_STRING,
    BOOLEAN,
    OCTET_STRING,
    OID,
    SEQUENCE,
    UTF8_STRING,
    DerError,
    Element,
    children,
    dotted,
    elements,
    only,
)

MAX_EMAIL_OCTETS = 254
MAX_EMAILS = 1000
MAX_PURPOSES_OCTETS = 4096
MAX_CAPABILITIES_OCTETS = 4096

_USAGES = (
    "digital_signature",
    "non_repudiation",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class Extensions:
    """The extensions that Mailseal reads (RFC 5280 §4.2); each may occur once."""

    __slots__ = ("aki", "capabilities", "crl_points", "emails", "extended_usage", "is_ca", "key_usage", "ski")

    def __init__(self) -> None:
        self.ski: bytes | None = None
        self.aki: bytes | None = None
        self.emails: list[str] = []
        self.key_usage: frozenset[str] | None = None
        self.extended_usage: frozenset[str] | None = None
        self.is_ca = False
        self.capabilities: bytes | None = None
        self.crl_points: bytes | None = None

    def read(self, der: bytes, explicit: Element) -> None:
        """Read the field [3] of a certificate; raises DerError."""
        seen: set[bytes] = set()
        start, end = only(der, explicit[2], explicit[3], SEQUENCE)
        for extension in elements(der, start, end):
            parts = children(der, extension)
            if not 2 <= len(parts) <= 3 or parts[0][0] != OID or parts[-1][0] != OCTET_STRING:
                raise DerError("an extension is malformed")
            oid = der[parts[0][2] : parts[0][3]]
            if oid in seen:
                # Two readers could each believe another one of them.
                raise DerError("an extension occurs twice")
            seen.add(oid)
            reader = _READERS.get(oid)
            if reader is not None:
                reader(self, der, parts[-1][2], parts[-1][3])


def _read_ski(into: Extensions, der: bytes, start: int, end: int) -> None:
    start, end = only(der, start, end, OCTET_STRING)
    into.ski = der[start:end]


def _read_aki(into: Extensions, der: bytes, start: int, end: int) -> None:
    for tag, _, content, stop in elements(der, *only(der, start, end, SEQUENCE)):
        if tag == 0x80:
            into.aki = der[content:stop]


def _read_key_usage(into: Extensions, der: bytes, start: int, end: int) -> None:
    start, end = only(der, start, end, BIT_STRING)
    into.key_usage = _usage(der[start:end])


def _read_extended_usage(into: Extensions, der: bytes, start: int, end: int) -> None:
    into.extended_usage = _purposes(der[start:end])


def _read_basic_constraints(into: Extensions, der: bytes, start: int, end: int) -> None:
    found = elements(der, *only(der, start, end, SEQUENCE))
    if found and found[0][0] == BOOLEAN:
        into.is_ca = der[found[0][2] : found[0][3]] != b"\x00"


def _read_alternative_names(into: Extensions, der: bytes, start: int, end: int) -> None:
    for tag, _, content, stop in elements(der, *only(der, start, end, SEQUENCE)):
        if tag == 0x81:
            text = der[content:stop].decode("ascii", "replace")
        elif tag == 0xA0:
            text = _smtp_utf8_mailbox(der, content, stop)
        else:
            continue
        if is_email(text):
            into.emails.append(text)
            if len(into.emails) > MAX_EMAILS:
                raise DerError("it has too many addresses")


def _read_capabilities(into: Extensions, der: bytes, start: int, end: int) -> None:
    """Hints only (RFC 4262 §1): too many of them are left alone."""
    if end - start <= MAX_CAPABILITIES_OCTETS:
        into.capabilities = der[start:end]


def _read_crl_points(into: Extensions, der: bytes, start: int, end: int) -> None:
    into.crl_points = der[start:end]


_READERS: dict[bytes, Callable[[Extensions, bytes, int, int], None]] = {
    bytes.fromhex("551d0e"): _read_ski,
    bytes.fromhex("551d23"): _read_aki,
    bytes.fromhex("551d0f"): _read_key_usage,
    bytes.fromhex("551d25"): _read_extended_usage,
    bytes.fromhex("551d13"): _read_basic_constraints,
    bytes.fromhex("551d11"): _read_alternative_names,
    bytes.fromhex("2a864886f70d01090f"): _read_capabilities,
    bytes.fromhex("551d1f"): _read_crl_points,
}


@lru_cache(maxsize=512)
def _usage(content: bytes) -> frozenset[str]:
    if not 1 <= len(content) <= 3 or content[0] > 7:
        raise DerError("the key usage is malformed")
    bits = int.from_bytes(content[1:].ljust(2, b"\x00"), "big")
    return frozenset(name for at, name in enumerate(_USAGES) if bits & (0x8000 >> at))


@lru_cache(maxsize=512)
def _purposes(der: bytes) -> frozenset[str]:
    if len(der) > MAX_PURPOSES_OCTETS:
        raise DerError("the extended key usage is too long")
    found = elements(der, *only(der, 0, len(der), SEQUENCE))
    if any(one[0] != OID for one in found):
        raise DerError("the extended key usage is malformed")
    return frozenset(dotted(der[content:stop]) for _, _, content, stop in found)


def _smtp_utf8_mailbox(der: bytes, start: int, end: int) -> str:
    """The address in an otherName of type id-on-SmtpUTF8Mailbox (RFC 9598), or nothing."""
    parts = elements(der, start, end)
    if len(parts) != 2 or dotted(der[parts[0][2] : parts[0][3]]) != "1.3.6.1.5.5.7.8.9" or parts[1][0] != 0xA0:
        return ""
    content, stop = only(der, parts[1][2], parts[1][3], UTF8_STRING)
    text = der[content:stop].decode("utf-8", "replace")
    # An ASCII address here would get round the rfc822Name constraints of the authorities (RFC 9598 §3).
    return "" if text.rpartition("@")[0].isascii() else text


def is_email(text: str) -> bool:
    """Whether the text of a certificate may be kept as an address: printable, with an @, of a possible length."""
    return 3 <= len(text) <= MAX_EMAIL_OCTETS and "@" in text and text.isprintable() and "\ufffd" not in text
