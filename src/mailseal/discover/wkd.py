"""Web Key Directory: the keys of an address, published by its own domain (draft-koch-openpgp-webkey-service §3.1)."""

import hashlib
from urllib.parse import quote

from mailseal.discover.fetch import Fetcher, UnknownHostError
from mailseal.discover.key_source import answered
from mailseal.mail.address import Address

NAME = "wkd"
WELL_KNOWN = "/.well-known/openpgpkey"
HASHED_CHARS = 32
_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def hashed_local_part(local: str) -> str:
    """The 32 characters under which the keys of a local part are filed: only ASCII letters count in any case."""
    return zbase32(hashlib.sha1(local.translate(_ASCII_LOWER).encode(), usedforsecurity=False).digest())


def zbase32(octets: bytes) -> str:
    """Octets in z-base-32 (RFC 6189 §5.1.6)."""
    bits = "".join(f"{octet:08b}" for octet in octets)
    return "".join(_ALPHABET[int(bits[start : start + 5].ljust(5, "0"), 2)] for start in range(0, len(bits), 5))


def advanced_url(address: Address) -> str:
    """Where a domain that has the subdomain openpgpkey keeps the keys of an address."""
    host = f"openpgpkey.{address.domain}"
    return f"https://{host}{WELL_KNOWN}/{address.domain}/hu/{_file(address)}"


def direct_url(address: Address) -> str:
    """Where a domain without that subdomain keeps them."""
    return f"https://{address.domain}{WELL_KNOWN}/hu/{_file(address)}"


def _file(address: Address) -> str:
    return f"{hashed_local_part(address.local)}?l={quote(address.local, safe='')}"


class WebKeyDirectory:
    """Implements `KeySource`."""

    name = NAME

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def keys_of(self, address: Address) -> bytes:
        """What the domain says; the direct method only where the subdomain does not exist (§3.1)."""
        try:
            answer = self._fetcher.get(advanced_url(address))
        except UnknownHostError:
            answer = self._fetcher.get(direct_url(address))
        return answered(answer)
