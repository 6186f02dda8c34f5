"""Secrets that open a ciphertext besides private keys: keys agreed beforehand, passwords (RFC 5652 §6.2.3, §6.2.4)."""

from dataclasses import dataclass, field

from mailseal.smime.password_based import Work


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A symmetric key-encryption key. `id`: the identifier under which it was agreed; None fits any."""

    octets: bytes = field(repr=False)
    id: bytes | None = None


@dataclass(frozen=True, slots=True)
class SharedPassword:
    """A password, UTF-8 unless the writer took another encoding. `work`: what trying it may still cost."""

    octets: bytes = field(repr=False)
    work: Work = field(default_factory=Work, repr=False, compare=False)


Secret = SharedKey | SharedPassword
