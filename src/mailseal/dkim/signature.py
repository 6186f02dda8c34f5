"""What a signature field says: DKIM-Signature (RFC 6376 §3.5) and ARC-Message-Signature (RFC 8617 §4.1.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailseal.dkim.canon import Canon, header_field
from mailseal.dkim.fields import Field, Mail
from mailseal.dkim.tag_list import TagError, base64_of, number_of, parse_tags, required, words_of
from mailseal.mail.address import AddressError, domain_to_ascii

MAX_SIGNED_NAMES = 1000
AHEAD = timedelta(hours=1)
"""How far the clock of a signer may be ahead of ours."""

_SIGNATURE_VALUE = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_CANONS = {canon.value: canon for canon in Canon}


@dataclass(frozen=True, slots=True)
class Signature:
    """A field that was read. `algorithm` and `query` are as the signer wrote them, perhaps unknown to us.

    `identity` is the domain of i= (an A-label); `instance` is 0 but for ARC. `at` and `expires` are seconds since 1970.
    """

    field: Field
    algorithm: str
    domain: str
    selector: str
    header_canon: Canon
    body_canon: Canon
    names: tuple[str, ...]
    body_hash: bytes
    value: bytes
    length: int | None = None
    at: int | None = None
    expires: int | None = None
    identity: str = ""
    query: tuple[str, ...] = ()
    instance: int = 0

    def signed_octets(self, mail: Mail) -> bytes:
        """What the signature is made over (§3.7): the named fields, then its own without the value of b=."""
        own = header_field(without_value(self.field.raw), self.header_canon).removesuffix(b"\r\n")
        return mail.signed_fields(self.names, self.header_canon, without=self.field) + own

    def out_of_time(self, now: datetime) -> bool:
        """Whether it has expired, or was made in the future."""
        if self.expires is not None and now.timestamp() > self.expires:
            return True
        return self.at is not None and (now + AHEAD).timestamp() < self.at


def without_value(raw: bytes) -> bytes:
    """The field with the value of its tag b= taken out, white space around it too."""
    name, colon, tags = raw.partition(b":")
    return name + colon + _SIGNATURE_VALUE.sub(rb"\1", tags, count=1)


def read_signature(field: Field) -> Signature:
    """Read a DKIM-Signature; raises TagError."""
    tags = parse_tags(field.value)
    if required(tags, "v") != "1":
        raise TagError("the signature is of another version")
    domain = domain_of(tags)
    identity = _identity(tags, domain)
    return _read(field, tags, domain, identity, 0)


def read_message_signature(field: Field) -> Signature:
    """Read an ARC-Message-Signature; raises TagError."""
    tags = parse_tags(field.value)
    if "v" in tags:
        raise TagError("an ARC-Message-Signature has no version")
    names = {name.lower() for name in words_of(tags, "h")}
    if not names.isdisjoint({"arc-seal", "authentication-results"}):
        raise TagError("an ARC-Message-Signature covers fields that it must not")
    domain = domain_of(tags)
    return _read(field, tags, domain, domain, instance_of(tags))


def instance_of(tags: Mapping[str, str]) -> int:
    """The instance of a field of an ARC set, 1 to 50 (RFC 8617 §4.2.1); raises TagError."""
    instance = number_of(tags, "i")
    if instance is None or not 1 <= instance <= 50:
        raise TagError("the instance is not between 1 and 50")
    return instance


def domain_of(tags: Mapping[str, str]) -> str:
    """The domain that signs, as an A-label; raises TagError."""
    return _name(required(tags, "d"), "d")


def selector_of(tags: Mapping[str, str]) -> str:
    """The selector of the key, as an A-label; raises TagError."""
    return _name(required(tags, "s"), "s")


def _name(text: str, tag: str) -> str:
    try:
        name = domain_to_ascii(text)
    except AddressError:
        raise TagError(f"the tag {tag} is not a name of the DNS") from None
    if name.startswith("["):
        raise TagError(f"the tag {tag} is not a name of the DNS")
    return name


def _read(field: Field, tags: Mapping[str, str], domain: str, identity: str, instance: int) -> Signature:
    header_canon, body_canon = _canons(tags.get("c", "simple/simple"))
    names = tuple(name.lower() for name in words_of(tags, "h"))
    if not names or len(names) > MAX_SIGNED_NAMES or "" in names:
        raise TagError("the list of signed fields is empty, too long, or has gaps")
    if "from" not in names:
        raise TagError("From is not signed")
    made, expires = number_of(tags, "t"), number_of(tags, "x")
    if made is not None and expires is not None and expires < made:
        raise TagError("the signature expires before it was made")
    return Signature(
        field,
        required(tags, "a").lower(),
        domain,
        selector_of(tags),
        header_canon,
        body_canon,
        names,
        base64_of(tags, "bh"),
        base64_of(tags, "b"),
        number_of(tags, "l"),
        made,
        expires,
        identity,
        tuple(word.lower() for word in words_of(tags, "q")),
        instance,
    )


def _canons(text: str) -> tuple[Canon, Canon]:
    header, _, body = text.lower().partition("/")
    try:
        return _CANONS[header], _CANONS[body or Canon.SIMPLE]
    except KeyError:
        raise TagError("the canonicalisation is unknown") from None


def _identity(tags: Mapping[str, str], domain: str) -> str:
    """The domain of i=, which is that of d= or below it (§3.5)."""
    if "i" not in tags:
        return domain
    _, at, named = tags["i"].rpartition("@")
    identity = _name(named, "i") if at else ""
    if identity != domain and not identity.endswith(f".{domain}"):
        raise TagError("the identity is not of the domain that signs")
    return identity
