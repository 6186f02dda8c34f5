"""A mailbox address: local part as given, domain as lower-case A-label (RFC 5321 §4.1.2, RFC 5890, RFC 6531)."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from mailseal.errors import PermanentError

MAX_ADDRESS_OCTETS = 254
MAX_LOCAL_OCTETS = 64
MAX_DOMAIN_CHARS = 253

_UTF8 = r"\u00a0-\u2027\u202f-\ud7ff\ue000-\ufffc\U00010000-\U0010ffff"  # no controls, surrogates, U+FFFD
_ATEXT = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\-{_UTF8}]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED_STRING = re.compile(rf'"(?:[\x20\x21\x23-\x5b\x5d-\x7e{_UTF8}]|\\[\x20-\x7e])*"')
_QUOTED_PAIR = re.compile(r"\\(.)")
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?")
_LITERAL = re.compile(r"\[(?:[0-9.]{7,15}|ipv6:[0-9a-f:.]{2,45})\]")


class AddressError(PermanentError):
    """The text is not a mailbox address."""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox. Two addresses are equal when their `key` is: the local part compares case-folded, without needless
    quotes (RFC 5321 §4.1.2), so that nobody gets round what is set for an address by writing it otherwise.

    >>> Address.parse("Anna@EXAMPLE.com") == Address.parse("anna@example.com")
    True
    """

    local: str = field(compare=False)
    domain: str = field(compare=False)
    key: str

    @staticmethod
    def parse(text: str) -> "Address":
        """Read `local@domain` without angle brackets; raises AddressError."""
        return _parse(text)

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address:
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise AddressError("an address is written local-part@domain")
    if (
        len(text.encode(errors="replace")) > MAX_ADDRESS_OCTETS
        or len(local.encode(errors="replace")) > MAX_LOCAL_OCTETS
    ):
        raise AddressError("the address is longer than RFC 5321 allows")
    if not (_DOT_STRING.fullmatch(local) or _QUOTED_STRING.fullmatch(local)):
        raise AddressError("the local part has characters that an address cannot have")
    a_label = domain_to_ascii(domain)
    return Address(local, a_label, f"{_unquoted(local).casefold()}@{a_label}")


def _unquoted(local: str) -> str:
    """The plain form of a local part that is quoted without need."""
    if not local.startswith('"'):
        return local
    content = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    if _DOT_STRING.fullmatch(content):
        return content
    return '"' + content.replace("\\", "\\\\").replace('"', '\\"') + '"'


def domain_to_ascii(text: str) -> str:
    """The lower-case A-label form of a domain, or an address literal; raises AddressError."""
    if len(text) > MAX_DOMAIN_CHARS:  # IDNA takes its time with what is longer
        raise AddressError("the domain is longer than a domain name can be")
    lowered = text.lower()
    if _LITERAL.fullmatch(lowered):
        return lowered
    if not lowered.isascii():
        if not _DEVIATIONS.isdisjoint(lowered):
            # IDNA 2003 and 2008 make different domains of these: write the A-label (RFC 5891, UTS #46 §4)
            raise AddressError("the domain has a character that has to be written as xn-- form")
        try:
            lowered = lowered.encode("idna").decode("ascii").lower()
        except UnicodeError:
            raise AddressError("the domain is not a valid international domain name") from None
    if len(lowered) > MAX_DOMAIN_CHARS or not all(_LABEL.fullmatch(label) for label in lowered.split(".")):
        raise AddressError("the domain has a label that a domain name cannot have")
    return lowered
