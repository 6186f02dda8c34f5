"""Journal addresses, as the port and as administrators see them (docs/journaling.md). See also `journal_failures`."""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from mailseal.config.values import Network
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address, AddressError
from mailseal.mail.message import Message
from mailseal.ports import Journal, OnUnopened, Unopened
from mailseal.store import journal_failures
from mailseal.store.audit import facts, record
from mailseal.store.directory import StoreDirectory
from mailseal.store.journaling_models import JournalAddressRow, JournalFailureRow
from mailseal.store.lru import Lru
from mailseal.store.private_keys import Sealing
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, select, writes

_ALL = "SELECT text, archive, on_failure, networks, outside FROM store_journal_address"


class JournalError(PermanentError):
    """What was given is no journal address, or cannot be done to one; the text says why."""


class BrokenJournalError(TransientError):
    """A stored journal address cannot be read: mail waits until somebody adds it again."""


@dataclass(frozen=True, slots=True)
class JournalInfo:
    """A journal address as administrators see it. `kept` reports wait here, `passed` went on unopened."""

    journal: Journal
    created: datetime
    kept: int = 0
    passed: int = 0


class StoreJournals:
    """The port `Journals`. There are few addresses, so all of them are read at once."""

    def __init__(self, kek: Sealing) -> None:
        self._kek = kek
        self._known: Lru[str, Mapping[str, Journal]] = Lru(1)

    def of(self, address: Address) -> Journal | None:
        """As of the port; raises BrokenJournalError, StoreUnavailable."""
        known = self._known.get("")
        if known is None:
            generation = self._known.generation
            known = {one.address.key: one for one in map(_journal, select(_ALL, ()))}
            self._known.put("", known, generation)
        return known.get(address.key)

    def clear(self) -> None:
        """Forget what was read: the stamp `settings` changed."""
        self._known.clear()

    def has(self, attempt: bytes, journal: Address) -> bool:
        """As of the port: kept, or kept and sent on since. Raises StoreUnavailable."""
        return journal_failures.is_kept(attempt, journal)

    def keep(self, report: Unopened, message: Message) -> None:
        """As of the port; raises SealError, StoreUnavailable."""
        journal_failures.keep(report, message, self._kek)

    def note(self, report: Unopened) -> None:
        """As of the port; raises StoreUnavailable."""
        journal_failures.note(report)


def _journal(row: Sequence[object]) -> Journal:
    text, archive, on_failure, networks, outside = row
    try:
        return Journal(
            Address.parse(str(text)),
            Address.parse(str(archive)),
            OnUnopened(str(on_failure)),
            tuple(ipaddress.ip_network(one) for one in json.loads(str(networks))),
            bool(outside),
        )
    except (ValueError, AddressError):
        raise BrokenJournalError("a journal address cannot be read: add it again (`mailseal journal add`)") from None


@reads
def is_journal(address: Address) -> bool:
    """Whether reports are sent to an address, whatever is to become of them."""
    return JournalAddressRow.objects.filter(key=address.key).exists()


@writes
def add(
    address: Address,
    archive: Address,
    *,
    on_unopened: OnUnopened = OnUnopened.FORWARD,
    networks: Sequence[Network] = (),
    outside: bool = False,
) -> Journal:
    """Set a journal address up, or change it; raises JournalError."""
    keys = set(JournalAddressRow.objects.exclude(key=address.key).values_list("key", flat=True)) | {address.key}
    archives = JournalAddressRow.objects.exclude(key=address.key).values_list("archive", flat=True)
    if archive.key in keys:
        raise JournalError(f"{archive} is a journal address itself: reports would go round")
    if address.key in {Address.parse(one).key for one in archives}:
        raise JournalError(f"{address} is the archive of another journal address: reports would go round")
    if not outside and not StoreDirectory().party(archive).internal:
        raise JournalError(
            f"{archive} is not an internal address, and opened mail would go there: see --outside, or "
            f"`mailseal domain add {archive.domain}`"
        )
    values = {
        "text": str(address),
        "archive": str(archive),
        "on_failure": on_unopened.value,
        "networks": [str(one) for one in networks],
        "outside": outside,
    }
    before = facts(JournalAddressRow.objects.filter(key=address.key).first(), *values)
    JournalAddressRow.objects.update_or_create(key=address.key, defaults=values)
    bump(Scope.SETTINGS)
    record("journals", "set", address.key, before=before, after=values)
    return Journal(address, archive, on_unopened, tuple(networks), outside)


@writes
def remove(address: Address) -> bool:
    """Make it an address like any other; False: it is one. Raises JournalError while reports to it are kept."""
    kept = JournalFailureRow.objects.filter(journal=address.key, kept__isnull=False).count()
    if kept:
        raise JournalError(f"{kept} reports to {address} are kept here; send them on before (`mailseal journal retry`)")
    row = JournalAddressRow.objects.filter(key=address.key).first()
    deleted, _ = JournalAddressRow.objects.filter(key=address.key).delete()
    bump(Scope.SETTINGS)
    if row is not None:
        record("journals", "delete", address.key, before=facts(row, "archive", "on_failure", "networks", "outside"))
    return bool(deleted)


@reads
def list_journals() -> tuple[JournalInfo, ...]:
    """All journal addresses; raises BrokenJournalError."""
    failures = JournalFailureRow.objects.filter(ended=None).values_list("journal")
    counted = failures.annotate(Count("id"), Count("kept")).values_list("journal", "id__count", "kept__count")
    counts = {key: (kept, every - kept) for key, every, kept in counted}
    columns = ("text", "archive", "on_failure", "networks", "outside")
    return tuple(
        JournalInfo(_journal([_raw(row, one) for one in columns]), row.created, *counts.get(row.key, (0, 0)))
        for row in JournalAddressRow.objects.order_by("key")
    )


def _raw(row: JournalAddressRow, column: str) -> object:
    value: object = getattr(row, column)
    return json.dumps(value) if column == "networks" else value
