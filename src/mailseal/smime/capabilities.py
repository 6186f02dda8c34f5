"""What somebody's program can read: SMIMECapabilities of his signed mail (RFC 8551 §2.5.2) or certificate (RFC 4262).

Only what we could write is kept. An absent OAEP or PSS parameter means SHA-1 there (RFC 3560, RFC 4056), as in CMS.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mailseal.policy.settings import Cipher, Digest, KeyTransport
from mailseal.smime import algorithms, ber, der
from mailseal.smime.ber import Element
from mailseal.smime.errors import CmsError, malformed, only_cms_errors
from mailseal.smime.rsa_parameters import algorithm_identifier, oaep, pss

MAX_CAPABILITIES = 100

_PSS = "pss"
_OAEP_BY_DIGEST = {
    "sha1": KeyTransport.OAEP_SHA1,
    "sha256": KeyTransport.OAEP_SHA256,
    "sha384": KeyTransport.OAEP_SHA384,
    "sha512": KeyTransport.OAEP_SHA512,
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Algorithms that somebody's program has said to know, of those we can write."""

    ciphers: frozenset[Cipher] = frozenset()
    key_transports: frozenset[KeyTransport] = frozenset()
    digests: frozenset[Digest] = frozenset()
    pss: bool = False

    @property
    def text(self) -> str:
        """Their names, sorted; `from_text` reads it."""
        names: list[str] = [*self.ciphers, *self.key_transports, *self.digests]
        return " ".join(sorted([*names, _PSS] if self.pss else names)) or "none"

    @classmethod
    def from_text(cls, text: str) -> "Capabilities":
        """From `text`; names that are not known are left out."""
        names = frozenset(text.split())
        return cls(
            frozenset(one for one in Cipher if one in names),
            frozenset(one for one in KeyTransport if one in names),
            frozenset(one for one in Digest if one in names),
            pss=_PSS in names,
        )


ALL = Capabilities(frozenset(Cipher), frozenset(KeyTransport), frozenset(Digest), pss=True)
"""Of our own keys: what we write we can read."""


@only_cms_errors
def read_capabilities(value: Element) -> Capabilities:
    """The value of the attribute, a SEQUENCE OF SMIMECapability; raises CmsError.

    One capability that cannot be read hides none of the others.
    """
    if value.tag != ber.SEQUENCE or len(value.children) > MAX_CAPABILITIES:
        raise malformed("capabilities are expected, 100 at most")
    found: set[str] = set()
    for one in value.children:
        try:
            found.update(_names(one))
        except CmsError:
            continue
    return Capabilities.from_text(" ".join(found))


@lru_cache(maxsize=1024)
def capabilities_of_extension(octets: bytes) -> Capabilities | None:
    """The value of the certificate extension; None when it cannot be read."""
    try:
        return read_capabilities(ber.read(octets))
    except CmsError:
        return None


@only_cms_errors
def _names(capability: Element) -> Iterable[str]:
    kind, parameters = algorithm_identifier(capability)
    if kind in algorithms.CIPHERS:
        return (algorithms.CIPHERS[kind].name,)
    if kind == algorithms.RSAES_OAEP:
        transport = _OAEP_BY_DIGEST.get(oaep(parameters).algorithm.name)
        return () if transport is None else (transport,)
    if kind == algorithms.RSASSA_PSS:
        return _PSS, pss(parameters)[1].name
    if kind in algorithms.DIGESTS:
        return (algorithms.DIGESTS[kind].name,)
    digest = algorithms.SIGNATURES.get(kind, (None, None))[1]
    return () if digest is None else (digest,)


def _ours() -> bytes:
    ciphers = ("aes256-gcm", "aes128-gcm", "aes256-cbc", "aes192-cbc", "aes128-cbc")
    return der.sequence(
        *(der.sequence(algorithms.CIPHERS_BY_NAME[name].oid) for name in ciphers),
        algorithms.oaep_identifier(algorithms.SHA256),
        algorithms.pss_identifier(algorithms.SHA256),
        *(der.sequence(row.oid) for row in (algorithms.SHA512, algorithms.SHA384, algorithms.SHA256)),
    )


OURS = _ours()
"""What we can read, in order of preference, as the value of the attribute."""
