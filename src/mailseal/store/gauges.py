"""How full and how far behind things are, for metrics. Cheap: bounded queries over indexes, nothing is locked."""

import contextlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, takewhile
from pathlib import Path

from django.db.models import Count, Exists, F, Min, OuterRef, Q

from mailseal.policy.held import WhyHeld
from mailseal.store import records
from mailseal.store.certificate_rows import Purpose
from mailseal.store.configure import this_node
from mailseal.store.jobs import ANY_NODE, State
from mailseal.store.journal_import import SUFFIX
from mailseal.store.models import CertificateRow, CertificateUse, JobRow, JournalRow
from mailseal.store.pgp_expiry import expiring
from mailseal.store.quarantine import OPEN
from mailseal.store.quarantine import State as HeldState
from mailseal.store.quarantine_models import QuarantineRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import reads

MAX_JOBS = 10_000
SOON = timedelta(days=30)
_LOOK_BYTES = 64 * 1024
_TIME = 1 + records.LOG_COLUMNS.index("time")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs of a kind that wait; `lag_seconds` is how long the oldest has been due."""

    count: int = 0
    lag_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Journals:
    """The journals on disk. All that was written before `imported` is in the message log."""

    size_bytes: int
    imported: datetime


@dataclass(frozen=True, slots=True)
class Expiry:
    """Certificates of our own keys, without those that a later one replaces for each of their owners; OpenPGP, too."""

    first: datetime | None
    within_30_days: int


@dataclass(frozen=True, slots=True)
class HeldMails:
    """Mails in the quarantine: how many for which reason, since when the oldest, and when the next expires."""

    by_why: Mapping[str, int]
    oldest: datetime | None
    next_end: datetime | None

    @property
    def count(self) -> int:
        """Of all."""
        return sum(self.by_why.values())


@reads
def held() -> HeldMails:
    """Those that wait for somebody, and those that are being released."""
    rows = QuarantineRow.objects.filter(state__in=[one.value for one in OPEN])
    found = dict(rows.values_list("why").annotate(Count("id")))
    waits = Q(state=HeldState.HELD.value)  # what is being released does not expire
    first = rows.aggregate(oldest=Min("created"), next_end=Min("expires", filter=waits))
    counts = {why.value: found.get(why.value, 0) for why in WhyHeld}
    return HeldMails(counts, first["oldest"], first["next_end"])


@reads
def jobs_waiting(kinds: Collection[str]) -> dict[str, Waiting]:
    """By kind, each of `kinds` among them; of at most MAX_JOBS jobs that are due first."""
    now = utc_now()
    found = dict.fromkeys(kinds, Waiting())
    for node in (this_node(), ANY_NODE):  # one at a time, in the order of the index
        rows = JobRow.objects.filter(node=node, state=State.WAITING).order_by("run_at")
        for kind, run_at in rows.values_list("kind", "run_at")[:MAX_JOBS]:
            known = found.get(kind, Waiting())
            lag = max(known.lag_seconds, (now - run_at).total_seconds())
            found[kind] = Waiting(known.count + 1, lag)
    return {kind: found[kind] for kind in kinds}


@reads
def count_waiting() -> int:
    """How many jobs this node could do; at most MAX_JOBS are counted of its own, and as many of any node's."""
    waiting = JobRow.objects.filter(state=State.WAITING)
    return sum(len(waiting.filter(node=node).values_list("pk")[:MAX_JOBS]) for node in (this_node(), ANY_NODE))


@reads
def journals(directory: Path) -> Journals:
    """How far the import is, by the oldest record that is not in the log yet."""
    now = utc_now()
    sizes: dict[Path, int] = {}
    for path in directory.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # imported and deleted meanwhile
            sizes[path] = path.stat().st_size
    offsets = dict(JournalRow.objects.values_list("name", "offset"))
    behind = [
        _written_at(path, offsets.get(path.name, 0)) for path, size in sizes.items() if size > offsets.get(path.name, 0)
    ]
    return Journals(sum(sizes.values()), min([now, *(at for at in behind if at is not None)]))


@reads
def certificates_due() -> int:
    """How many certificates wait to be judged."""
    return CertificateRow.objects.filter(due__lte=utc_now()).count()


@reads
def expiry() -> Expiry:
    """When our certificates expire; those that have are past caring."""
    now = utc_now()
    found = (_expiring(now), _expiring_pgp(now))
    first = min((one.first for one in found if one.first is not None), default=None)
    return Expiry(first, sum(one.within_30_days for one in found))


def _expiring(now: datetime) -> Expiry:
    later = CertificateUse.objects.filter(
        owner=OuterRef("owner"),
        certificate__bound=True,
        certificate__not_after__gt=OuterRef("certificate__not_after"),
        certificate__not_before__gt=OuterRef("certificate__not_before"),
    )
    alone = CertificateUse.objects.filter(~Exists(later), certificate=OuterRef("pk"))
    rows = CertificateRow.objects.filter(Exists(alone), bound=True, purpose=Purpose.END_ENTITY, not_after__gt=now)
    first = rows.order_by(F("not_after")).values_list("not_after", flat=True).first()
    return Expiry(first, rows.filter(not_after__lte=now + SOON).count())


def _expiring_pgp(now: datetime) -> Expiry:
    ends = expiring(now)
    first = next(ends, None)
    soon = takewhile(lambda end: end <= now + SOON, chain([first] if first else [], ends))
    return Expiry(first, sum(1 for _ in soon))


def _written_at(path: Path, offset: int) -> datetime | None:
    """When the first record behind an offset was written; of a file that is gone, or unreadable there, None."""
    try:
        with path.open("rb") as file:
            lines = os.pread(file.fileno(), _LOOK_BYTES, offset).split(b"\n")[:-1]
        for line in lines:
            values = json.loads(line)
            if values[0] == records.LOG:
                return datetime.fromisoformat(values[_TIME]).replace(tzinfo=UTC)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return None
