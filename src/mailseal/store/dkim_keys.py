"""DKIM keys of our domains: made, brought along, switched on and off; and for the mail path (RFC 6376 §3.6)."""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from django.db import IntegrityError

from mailseal.dkim.algorithms import algorithm_of
from mailseal.dkim.record import record_name, record_text
from mailseal.dkim.sign import DkimKey
from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.keys.software import spki_sha256, validate_private_key
from mailseal.mail.address import AddressError, domain_to_ascii
from mailseal.store import private_keys
from mailseal.store.audit import facts, record
from mailseal.store.dkim_models import NAME_CHARS, DkimKeyRow
from mailseal.store.keyset import behind
from mailseal.store.lru import Lru
from mailseal.store.private_keys import Sealing
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, run, select, writes

RSA_BITS = 2048
"""Longer ones do not fit a DNS answer of 512 octets, and verifiers need not believe those over 4096 (RFC 8301)."""
MAX_SIGNING = 4
"""Keys that sign one mail."""

# An RSA key first: everybody can verify it.
_ACTIVE = (
    "SELECT selector, spki_sha256 FROM store_dkim_key WHERE domain = %s AND active = %s"
    " ORDER BY algorithm DESC, selector LIMIT %s"
)


class DkimKind(StrEnum):
    """What a key is made of."""

    RSA = "rsa"
    ED25519 = "ed25519"


class DkimKeyError(PermanentError):
    """There is no such key, or there is one already, or it cannot be one. `what_to_do` is for the administrator."""

    def __init__(self, text: str, what_to_do: str = "`mailseal dkim list` shows all") -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


@dataclass(frozen=True, slots=True)
class DkimKeyInfo:
    """A key as administrators see it, and the text of its TXT record. `published`: when the DNS last had that."""

    domain: str
    selector: str
    algorithm: str
    active: bool
    record: str
    spki_sha256: str
    published: datetime | None
    created: datetime

    @property
    def name(self) -> str:
        """Where the record belongs."""
        return record_name(self.domain, self.selector)


class StoreDomainKeys:
    """The keys that are active, for the mail path: one query for each domain that the cache does not know.

    `open_key` gives the opened private key, from a cache of its own.
    """

    def __init__(self, open_key: Callable[[str], PrivateKey], *, entries: int = 5_000) -> None:
        self._open_key = open_key
        self._known: Lru[str, tuple[tuple[str, str], ...]] = Lru(entries)

    def signing(self, domain: str) -> Sequence[DkimKey]:
        """As of the port; raises SealError and StoreUnavailable, both transient."""
        known = self._known.get(domain)
        if known is None:
            generation = self._known.generation
            known = tuple((selector, spki) for selector, spki in select(_ACTIVE, (domain, 1, MAX_SIGNING)))
            self._known.put(domain, known, generation)
        return [DkimKey(domain, selector, self._open_key(spki)) for selector, spki in known]

    def clear(self) -> None:
        """Forget what was read: the stamp `keys` changed."""
        self._known.clear()


def generate(domain: str, selector: str | None, kind: DkimKind, sealing: Sealing) -> DkimKeyInfo:
    """Make and store a key, which signs nothing yet; raises AddressError, DkimKeyError, SealError, StoreUnavailable."""
    key: PrivateKey = ed25519.Ed25519PrivateKey.generate()
    if kind is DkimKind.RSA:
        key = rsa.generate_private_key(65537, RSA_BITS)
    return add(domain, selector or new_selector(kind), key, sealing)


def new_selector(kind: DkimKind) -> str:
    """A selector that no key has had before: the day, what the key is made of, four characters of chance."""
    return f"{utc_now():%Y%m%d}-{kind}-{secrets.token_hex(2)}"


def add(domain: str, selector: str, key: PrivateKey, sealing: Sealing) -> DkimKeyInfo:
    """Store a key, which signs nothing yet; raises as `generate`, and KeyUnusableError, PrivateKeyError."""
    domain, selector = _names(domain, selector)
    validate_private_key(key)
    algorithm_of(key)
    row = DkimKeyRow(
        domain=domain,
        selector=selector,
        algorithm=f"rsa-{key.key_size}" if isinstance(key, rsa.RSAPrivateKey) else DkimKind.ED25519.value,
        spki_sha256=spki_sha256(key),
        record=record_text(key),
    )

    def work() -> DkimKeyInfo:
        private_keys.keep(key, row.spki_sha256, row.algorithm, sealing)
        row.save(force_insert=True)
        bump(Scope.KEYS)
        record("dkim", "add", _named(row), after=facts(row, "algorithm", "record"))
        return _info(row)

    try:
        return run(work)
    except IntegrityError:
        text = f"{domain} has a key with the selector {selector} already"
        raise DkimKeyError(text, "take another selector: verifiers keep the old record for hours") from None


@reads
def list_keys(
    domain: str = "",
    *,
    domains: Collection[str] | None = None,
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> tuple[DkimKeyInfo, ...]:
    """All keys, those of a domain or of several (A-labels), by domain and selector; raises AddressError.

    `after`: domain and selector of the last one of the page before.
    """
    rows = DkimKeyRow.objects.order_by("domain", "selector")
    if domain:
        rows = rows.filter(domain=domain_to_ascii(domain))
    if domains is not None:
        rows = rows.filter(domain__in=sorted(domains))
    if after is not None:
        rows = rows.filter(behind({"domain": after[0], "selector": after[1]}))
    return tuple(map(_info, rows[:limit]))


@reads
def find(domain: str, selector: str) -> DkimKeyInfo:
    """One key; raises AddressError, DkimKeyError."""
    return _info(_row(domain, selector))


@writes
def set_active(domain: str, selector: str, *, active: bool) -> DkimKeyInfo:
    """Sign with a key from now on, or no more; raises as `find`."""
    row = _row(domain, selector)
    before = facts(row, "active")
    row.active = active
    row.save(update_fields=["active"])
    bump(Scope.KEYS)
    record("dkim", "activate" if active else "deactivate", _named(row), before=before, after=facts(row, "active"))
    return _info(row)


@writes
def note_published(domain: str, selector: str, at: datetime | None) -> None:
    """Keep when the DNS was seen to have the record; None: it has not. Raises as `find`."""
    row = _row(domain, selector)
    row.published = at
    row.save(update_fields=["published"])


@writes
def remove(domain: str, selector: str) -> DkimKeyInfo:
    """Delete a key, and its private half unless something else has the same; raises as `find`."""
    row = _row(domain, selector)
    info = _info(row)
    record("dkim", "delete", _named(row), before=facts(row, "algorithm", "active", "record"))
    row.delete()
    private_keys.delete_unused([info.spki_sha256])
    bump(Scope.KEYS)
    return info


def _row(domain: str, selector: str) -> DkimKeyRow:
    domain, selector = _names(domain, selector)
    row = DkimKeyRow.objects.filter(domain=domain, selector=selector).first()
    if row is None:
        raise DkimKeyError(f"{domain} has no key with the selector {selector}")
    return row


def _named(row: DkimKeyRow) -> str:
    return record_name(row.domain, row.selector)


def _names(domain: str, selector: str) -> tuple[str, str]:
    """Both as A-labels; raises AddressError, DkimKeyError."""
    domain = domain_to_ascii(domain.strip())
    try:
        selector = domain_to_ascii(selector.strip())
    except AddressError:
        raise DkimKeyError("a selector is made of letters, digits and minus, as a name of the DNS", "") from None
    if domain.startswith("[") or selector.startswith("[") or len(record_name(domain, selector)) > NAME_CHARS - 2:
        raise DkimKeyError("this is not a name that could be in the DNS, or too long for it", "")
    return domain, selector


def _info(row: DkimKeyRow) -> DkimKeyInfo:
    return DkimKeyInfo(
        row.domain,
        row.selector,
        row.algorithm,
        row.active,
        row.record,
        row.spki_sha256,
        row.published,
        row.created,
    )
