"""What somebody's program can read: SMIMECapabilities of his signed mail (RFC 8551 §2.5.2) or certificate (RFC 4262).

Only what we could write is kept. A capability is looked up by its octets, as the RFC means it to be: one that is not
in the table, such as OAEP with two different digests, is none that we could use.
"""

from dataclasses import dataclass
from functools import lru_cache

from mailseal.policy.settings import Cipher, Digest, KeyTransport
from mailseal.smime import algorithms, ber, der
from mailseal.smime.algorithms import DIGESTS_BY_NAME, DigestRow
from mailseal.smime.ber import Element
from mailseal.smime.errors import CmsError, malformed, only_cms_errors

MAX_CAPABILITIES = 100
MAX_OCTETS = 10_000

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

    One capability that cannot be used hides none of the others.
    """
    if value.end - value.start > MAX_OCTETS:
        raise malformed("the capabilities are too large")
    return _read(value.whole)


@lru_cache(maxsize=1024)
def capabilities_of_extension(octets: bytes) -> Capabilities | None:
    """The value of the certificate extension; None when it cannot be read."""
    try:
        return read_capabilities(ber.read(octets))
    except CmsError:
        return None


# Every mail of a program has the same octets here.
@lru_cache(maxsize=512)
def _read(octets: bytes) -> Capabilities:
    value = ber.read(octets)
    if value.tag != ber.SEQUENCE or len(value.children) > MAX_CAPABILITIES:
        raise malformed(f"capabilities are expected, {MAX_CAPABILITIES} at most")
    return Capabilities.from_text(" ".join(_NAMES.get(one.whole, "") for one in value.children))


def _names_by_octets() -> dict[bytes, str]:
    """The capabilities that we could use; parameters of NULL and absent ones are the same."""
    plain = {algorithms.CIPHERS_BY_NAME[cipher].oid: cipher.value for cipher in Cipher}
    plain |= {algorithms.DIGESTS_BY_NAME[digest].oid: digest.value for digest in Digest}
    plain |= {kind: name for kind, (_, name) in algorithms.SIGNATURES.items() if name in set(Digest)}
    found = {der.sequence(kind, end): name for kind, name in plain.items() for end in (b"", der.NULL)}
    for name, transport in _OAEP_BY_DIGEST.items():
        row = DIGESTS_BY_NAME[name]
        found |= dict.fromkeys(_oaep_encodings(row), transport.value)
        if name in set(Digest):
            found |= dict.fromkeys(_pss_encodings(row), f"{_PSS} {name}")
    # All defaults: SHA-1. PSS with SHA-1 is nothing that we would write.
    return found | {der.sequence(algorithms.RSAES_OAEP, end): KeyTransport.OAEP_SHA1 for end in (b"", der.NULL)}


def _tagged_pairs(row: DigestRow) -> list[bytes]:
    """The digest and MGF1 with the same digest, in each way to write them."""
    plain, with_null = der.sequence(row.oid), der.sequence(row.oid, der.NULL)
    return [
        der.element(0xA0, digest) + der.element(0xA1, der.sequence(algorithms.MGF1, masked))
        for digest in (plain, with_null)
        for masked in (plain, with_null)
    ]


def _oaep_encodings(row: DigestRow) -> list[bytes]:
    return [algorithms.oaep_identifier(row)] + [
        der.sequence(algorithms.RSAES_OAEP, der.sequence(pair)) for pair in _tagged_pairs(row)
    ]


def _pss_encodings(row: DigestRow) -> list[bytes]:
    salt = der.element(0xA2, der.integer(row.algorithm.digest_size))
    return [der.sequence(algorithms.RSASSA_PSS, der.sequence(pair, salt)) for pair in _tagged_pairs(row)]


_NAMES = _names_by_octets()


def _ours() -> bytes:
    """By category: signatures, ciphers, key encipherment; in each the best first."""
    digests = [algorithms.WRITTEN_DIGESTS[one] for one in reversed(Digest)]
    return der.sequence(
        der.sequence(algorithms.ED25519),
        *(one.ecdsa for one in digests),
        *(one.pss for one in digests),
        *(one.rsa for one in digests),
        *(der.sequence(algorithms.WRITTEN_CIPHERS[one].oid) for one in reversed(Cipher)),
        algorithms.WRITTEN_KEY_TRANSPORTS[KeyTransport.OAEP_SHA256][0],
        algorithms.WRITTEN_KEY_TRANSPORTS[KeyTransport.PKCS1V15][0],
    )


OURS = _ours()
"""What we can read, in order of preference, as the value of the attribute."""
