"""A mailbox address: local part as given, domain as lower-case A-label (RFC 5321 §4.1.2, RFC 5890, RFC 6531)."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from mailseal.errors import PermanentError

MAX_ADDRESS_OCTETS = 254
MAX_LOCAL_OCTETS = 64

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED_STRING = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"')
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?")
_LITERAL = re.compile(r"\[(?:[0-9.]{7,15}|ipv6:[0-9a-f:.]{2,45})\]")


class AddressError(PermanentError):
    """The text is not a mailbox address."""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox. Two addresses are equal when their `key` is: the local part compares case-folded.

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
    return Address(local, a_label, f"{local.casefold()}@{a_label}")


def domain_to_ascii(text: str) -> str:
    """The lower-case A-label form of a domain, or an address literal; raises AddressError."""
    lowered = text.lower()
    if _LITERAL.fullmatch(lowered):
        return lowered
    if not lowered.isascii():
        try:
            lowered = lowered.encode("idna").decode("ascii").lower()
        except UnicodeError:
            raise AddressError("the domain is not a valid international domain name") from None
    if len(lowered) > 253 or not all(_LABEL.fullmatch(label) for label in lowered.split(".")):
        raise AddressError("the domain has a label that a domain name cannot have")
    return lowered
