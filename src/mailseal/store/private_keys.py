"""Private keys at rest: one row per public key, sealed by the KEK and bound to that row."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.keys.sealing import BrokenSealError, SealError, sealed_by
from mailseal.keys.software import PrivateKeyError, load_private_key, serialize
from mailseal.store.audit import record
from mailseal.store.dkim_models import DkimKeyRow
from mailseal.store.models import CertificateRow, PrivateKeyRow
from mailseal.store.pgp_models import PgpComponentRow
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, select, writes


class Sealing(Protocol):
    """What the store needs of a KEK: `keys.sealing.Kek`, or a ring of several.

    What a value is sealed with is asked of the value (`sealed_by`): the next may be sealed with another one.
    """

    def seal(self, plaintext: bytes, *, identity: bytes) -> bytes:
        """Encrypt for a row."""

    def open(self, sealed: bytes, *, identity: bytes) -> bytes:
        """Decrypt; raises SealError."""


class PrivateKeyMissingError(SealError):
    """There is no such private key in the store (any more)."""


class KeyInUseError(PermanentError):
    """The private key signs mail of a domain (DKIM), so it stays."""

    what_to_do = "`mailseal dkim remove` first"


@dataclass(frozen=True, slots=True)
class PrivateKeyInfo:
    """A private key as administrators see it."""

    spki_sha256: str
    algorithm: str
    kek_id: str
    created: datetime


def identity(spki: str) -> bytes:
    """What a sealed private key is bound to."""
    return b"store_private_key:sealed:" + bytes.fromhex(spki)


def keep(key: PrivateKey, spki: str, algorithm: str, sealing: Sealing) -> None:
    """Seal and store a validated key, in the caller's transaction; a stored one that opens stays as it is.

    `spki` is that of its certificate: the same public key can be written in more than one way. A stored one that does
    not open (changed, or its KEK lost) is the same key, so importing it again mends it.
    """
    known = PrivateKeyRow.objects.filter(spki_sha256=spki).values_list("sealed", flat=True).first()
    if known is not None and _opens(bytes(known), spki, sealing):
        return
    sealed = sealing.seal(serialize(key), identity=identity(spki))
    row = {"kek_id": sealed_by(sealed), "sealed": sealed, "algorithm": algorithm}
    PrivateKeyRow.objects.update_or_create(spki_sha256=spki, defaults=row)


def _opens(sealed: bytes, spki: str, sealing: Sealing) -> bool:
    try:
        sealing.open(sealed, identity=identity(spki))
    except SealError:
        return False
    return True


def open_key(spki: str, sealing: Sealing) -> PrivateKey:
    """Read, open and load a key; raises SealError (the mail is deferred) and StoreUnavailable."""
    rows = select("SELECT sealed FROM store_private_key WHERE spki_sha256 = %s", (spki,))
    if not rows:
        raise PrivateKeyMissingError("the private key is no longer stored")
    try:
        return load_private_key(sealing.open(bytes(rows[0][0]), identity=identity(spki)))
    except PrivateKeyError:
        raise BrokenSealError("a sealed private key opens to something that is no private key") from None


@reads
def list_keys() -> tuple[PrivateKeyInfo, ...]:
    """All private keys, without the keys."""
    rows = PrivateKeyRow.objects.order_by("created").defer("sealed")
    return tuple(PrivateKeyInfo(row.spki_sha256, row.algorithm, row.kek_id, row.created) for row in rows)


@writes
def delete_key(spki: str) -> bool:
    """Delete a private key for good; its certificates stay, without a key. False: there was none.

    Raises KeyInUseError where DKIM signs with it: all mail of a domain would wait.
    """
    signs = DkimKeyRow.objects.filter(spki_sha256=spki).first()
    if signs is not None:
        raise KeyInUseError(f"the private key is also the DKIM key {signs.selector} of {signs.domain}")
    deleted, _ = PrivateKeyRow.objects.filter(spki_sha256=spki).delete()
    if deleted:
        record("certificates", "delete-private-key", spki)
    CertificateRow.objects.filter(spki_sha256=spki).update(bound=False)
    PgpComponentRow.objects.filter(spki_sha256=spki).update(bound=False)
    bump(Scope.KEYS)
    return bool(deleted)


def delete_unused(spkis: Iterable[str]) -> None:
    """Delete those of the private keys that nothing has any more, in the caller's transaction."""
    wanted = list(spkis)
    used: set[str] = set()
    for rows in (
        CertificateRow.objects.filter(bound=True),
        PgpComponentRow.objects.filter(bound=True),
        DkimKeyRow.objects.all(),
    ):
        used.update(rows.filter(spki_sha256__in=wanted).values_list("spki_sha256", flat=True))
    PrivateKeyRow.objects.filter(spki_sha256__in=set(wanted) - used).delete()


def known(spkis: Iterable[str]) -> list[str]:
    """Those of the public keys whose private key is stored; in the caller's transaction."""
    return list(PrivateKeyRow.objects.filter(spki_sha256__in=list(spkis)).values_list("spki_sha256", flat=True))
