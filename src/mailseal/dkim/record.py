"""The key records of the DNS: read (RFC 6376 §3.6.1), and written ready to be pasted."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from mailseal.dkim.algorithms import (
    Algorithm,
    KeyUnusableError,
    PublicKey,
    algorithm_of,
    public_octets,
    read_public_key,
)
from mailseal.dkim.tag_list import TagError, base64_of, parse_tags, words_of
from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey

MAX_STRING_OCTETS = 255
"""Of one string of a TXT record (RFC 1035 §3.3)."""


class RecordError(PermanentError):
    """The record is no DKIM key record, or says something that is not believed."""


class RevokedError(RecordError):
    """The record has no key any more (p= is empty)."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A public key and what it may be used for. `hashes` and `services` are () for all.

    `testing`: the domain only tries DKIM (t=y). `strict`: i= must name the very domain of d= (t=s).
    """

    key_type: str
    key: PublicKey
    hashes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    testing: bool = False
    strict: bool = False

    def may_verify(self, algorithm: Algorithm) -> bool:
        """Whether the key is for this algorithm and for mail."""
        return (
            self.key_type == algorithm.key_type
            and (not self.hashes or "sha256" in self.hashes)
            and (not self.services or bool({"*", "email"} & set(self.services)))
        )


def record_name(domain: str, selector: str) -> str:
    """Where the key is published."""
    return f"{selector}._domainkey.{domain}"


def read_record(text: str) -> KeyRecord:
    """Read the text of a TXT record; raises RecordError. Tags that are not known count for nothing."""
    try:
        tags = parse_tags(text)
        if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
            raise RecordError("the key record is of another version")
        if "p" not in tags:
            raise RecordError("the key record has no key")
        if not tags["p"]:
            raise RevokedError("the key is revoked")
        key_type = tags.get("k", "rsa")
        if key_type not in {one.key_type for one in Algorithm}:
            raise RecordError("the key is of an unknown type")
        flags = words_of(tags, "t")
        return KeyRecord(
            key_type,
            read_public_key(base64_of(tags, "p"), key_type),
            words_of(tags, "h"),
            words_of(tags, "s"),
            testing="y" in flags,
            strict="s" in flags,
        )
    except (TagError, KeyUnusableError) as error:
        raise RecordError(str(error)) from None


def choose_record(texts: Sequence[str]) -> KeyRecord:
    """The one key record among the TXT records of a name; raises RecordError.

    A name with several gives no stable answer (§3.6.2.2): so it gives none.
    """
    keys = [text for text in texts if "p=" in "".join(text.split())]
    if not keys:
        raise RecordError("there is no key record")
    if len(keys) > 1:
        raise RecordError("there is more than one key record")
    return read_record(keys[0])


def record_text(key: PrivateKey) -> str:
    """The record that publishes a key; raises KeyUnusableError."""
    return f"v=DKIM1; k={algorithm_of(key).key_type}; p={base64.b64encode(public_octets(key)).decode('ascii')}"


def strings_of(text: str) -> list[str]:
    """The text in strings of 255 octets, as a TXT record holds them."""
    return [text[start : start + MAX_STRING_OCTETS] for start in range(0, len(text), MAX_STRING_OCTETS)]


def zone_lines(name: str, text: str) -> str:
    """The record as a zone file has it (RFC 1035 §5.1)."""
    strings = "\n".join(f'    "{one}"' for one in strings_of(text))
    return f"{name}. IN TXT (\n{strings} )"
