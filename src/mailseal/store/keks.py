"""Which KEK seals: said by the database, so that all nodes agree; the keys themselves are files (`keys.kek_places`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailseal.config.kek_place import KekPlace
from mailseal.errors import PermanentError
from mailseal.keys.kek_places import read_keks
from mailseal.keys.kek_ring import KekRing
from mailseal.store.audit import record
from mailseal.store.models import KekRow
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump_alone
from mailseal.store.transaction import reads, select, writes

_ACTIVE = "SELECT kek_id FROM store_kek WHERE activated IS NOT NULL AND retired IS NULL ORDER BY activated DESC LIMIT 1"


class KekStateError(PermanentError):
    """What is asked of a KEK does not fit its state. `what_to_do` is for the administrator."""

    def __init__(self, text: str, what_to_do: str = "") -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


@dataclass(frozen=True, slots=True)
class KekInfo:
    """A KEK as the database knows it."""

    kek_id: str
    activated: datetime | None
    retired: datetime | None


def open_ring(places: Sequence[KekPlace]) -> KekRing:
    """The KEKs of this node; the database says which of them seals. Raises KekFileError when there is none."""
    return KekRing(lambda: read_keks(places), active)


def active() -> str | None:
    """The id of the KEK that seals; None before `mailseal init` has registered one. Raises StoreUnavailable."""
    rows = select(_ACTIVE, ())
    return str(rows[0][0]) if rows else None


@reads
def list_keks() -> tuple[KekInfo, ...]:
    """All that were ever registered, the oldest first."""
    return tuple(KekInfo(row.kek_id, row.activated, row.retired) for row in KekRow.objects.order_by("created", "id"))


@writes
def register_first(kek_id: str) -> bool:
    """Have this KEK seal if none does yet. False: one does."""
    bump_alone(Scope.KEKS)
    if KekRow.objects.filter(activated__isnull=False).exists():
        return False
    activate(kek_id)
    return True


@writes
def activate(kek_id: str) -> None:
    """Have this KEK seal from now on; does nothing if it does. Raises KekStateError for one that is retired."""
    bump_alone(Scope.KEKS)
    rows = list(KekRow.objects.filter(activated__isnull=False).order_by("-activated", "-id"))
    if rows and rows[0].kek_id == kek_id and rows[0].retired is None:
        return
    row, _ = KekRow.objects.get_or_create(kek_id=kek_id)
    if row.retired is not None:
        raise KekStateError(f"KEK {kek_id} is retired", "`mailseal key new` makes another")
    # The clock of this node may be behind that of the node that activated the one before.
    least = rows[0].activated + timedelta(microseconds=1) if rows and rows[0].activated else utc_now()
    row.activated = max(utc_now(), least)
    row.save()
    record("keys", "activate-kek", kek_id, before={"kek_id": rows[0].kek_id} if rows else None)
