"""Private keys at rest: one row per public key, sealed by the KEK and bound to that row."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mailseal.keys import PrivateKey
from mailseal.keys.sealing import BrokenSealError, SealError
from mailseal.keys.software import PrivateKeyError, load_private_key, serialize
from mailseal.store.models import CertificateRow, PrivateKeyRow
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, select, writes


class Sealing(Protocol):
    """What the store needs of a KEK: `keys.sealing.Kek`, or a ring of several."""

    @property
    def id(self) -> str:
        """Names the KEK that seals."""

    def seal(self, plaintext: bytes, *, identity: bytes) -> bytes:
        """Encrypt for a row."""

    def open(self, sealed: bytes, *, identity: bytes) -> bytes:
        """Decrypt; raises SealError."""


class PrivateKeyMissingError(SealError):
    """There is no such private key in the store (any more)."""


@dataclass(frozen=True, slots=True)
class PrivateKeyInfo:
    """A private key as administrators see it."""

    spki_sha256: str
    algorithm: str
    kek_id: str
    created: datetime


def _identity(spki: str) -> bytes:
    return b"store_private_key:sealed:" + bytes.fromhex(spki)


def keep(key: PrivateKey, spki: str, algorithm: str, sealing: Sealing) -> None:
    """Seal and store a validated key, in the caller's transaction; a key that is stored already stays as it is.

    `spki` is that of its certificate: the same public key can be written in more than one way.
    """
    sealed = sealing.seal(serialize(key), identity=_identity(spki))
    row = {"kek_id": sealing.id, "sealed": sealed, "algorithm": algorithm}
    PrivateKeyRow.objects.get_or_create(spki_sha256=spki, defaults=row)


def open_key(spki: str, sealing: Sealing) -> PrivateKey:
    """Read, open and load a key; raises SealError (the mail is deferred) and StoreUnavailable."""
    rows = select("SELECT sealed FROM store_private_key WHERE spki_sha256 = %s", (spki,))
    if not rows:
        raise PrivateKeyMissingError("the private key is no longer stored")
    try:
        return load_private_key(sealing.open(bytes(rows[0][0]), identity=_identity(spki)))
    except PrivateKeyError:
        raise BrokenSealError("a sealed private key opens to something that is no private key") from None


@reads
def list_keys() -> tuple[PrivateKeyInfo, ...]:
    """All private keys, without the keys."""
    rows = PrivateKeyRow.objects.order_by("created").defer("sealed")
    return tuple(PrivateKeyInfo(row.spki_sha256, row.algorithm, row.kek_id, row.created) for row in rows)


@writes
def delete_key(spki: str) -> bool:
    """Delete a private key for good; its certificates stay, without a key. False: there was none."""
    deleted, _ = PrivateKeyRow.objects.filter(spki_sha256=spki).delete()
    CertificateRow.objects.filter(spki_sha256=spki).update(bound=False)
    bump(Scope.KEYS)
    return bool(deleted)


def known(spkis: Iterable[str]) -> list[str]:
    """Those of the public keys whose private key is stored; in the caller's transaction."""
    return list(PrivateKeyRow.objects.filter(spki_sha256__in=list(spkis)).values_list("spki_sha256", flat=True))
