"""How mail went: the counted hours as figures and charts of a day, a week, a month."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext_lazy as _

from mailseal.policy.model import Fate, MethodName, Treatment
from mailseal.store.traffic import Traffic, traffic
from mailseal.web.console.charts import HALF, WIDE, Chart, Series, Text, stacked

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SENT = (Fate.RELAYED, Fate.NOTIFIED, Fate.KEPT)
ENCRYPTED = (Treatment.ENCRYPTED, Treatment.SIGNED_ENCRYPTED)


@dataclass(frozen=True, slots=True)
class Range:
    """A time to look at: so many columns of so much each, the last one is now's."""

    key: str
    title: Text
    step: timedelta
    columns: int


RANGES = (
    Range("24h", _("24 hours"), HOUR, 24),
    Range("7d", _("7 days"), 6 * HOUR, 28),
    Range("30d", _("30 days"), DAY, 30),
)

OUT = (
    Series("smime", _("Encrypted by S/MIME"), "s1"),
    Series("pgp", _("Encrypted by OpenPGP"), "s2"),
    Series("signed", _("Signed only"), "s3"),
    Series("clear", _("Not protected"), "s5"),
)
IN = (Series("opened", _("Opened"), "s1"), Series("plain", _("Came without protection"), "s5"))
NOT_SENT = (
    Series("held", _("Held"), "s2"),
    Series("deferred", _("Deferred"), "s3"),
    Series("refused", _("Refused"), "s4"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number at a glance."""

    label: Text
    value: int
    note: Text = ""
    query: str = ""


def charts(chosen: Range, now: datetime) -> tuple[Chart, Chart, Chart]:
    """Outgoing by protection, incoming by protection, what was not sent on."""
    start = _begin(now, chosen.step) - chosen.step * (chosen.columns - 1)
    rows = traffic(start, now + HOUR)
    first, second, third = (
        _chart(series, rows, sort, start, chosen, size)
        for series, sort, size in ((OUT, _out, WIDE), (IN, _in, HALF), (NOT_SENT, _not_sent, HALF))
    )
    return first, second, third


def figures(now: datetime) -> tuple[Figure, ...]:
    """Of the last 24 hours, and of the hour in which they began."""
    rows = traffic(now - DAY, now + HOUR)
    out = _sum(rows, lambda one: one.direction == "out" and one.fate in SENT)
    encrypted = _sum(rows, lambda one: one.direction == "out" and one.fate in SENT and one.treatment in ENCRYPTED)
    inward = _sum(rows, lambda one: one.direction == "in" and one.fate in SENT)
    opened = _sum(rows, lambda one: one.direction == "in" and one.treatment == Treatment.OPENED)
    return (
        Figure(_("Outgoing"), out, _percent(encrypted, out, _("%(share)s%% encrypted")), "direction=out&period=24h"),
        Figure(_("Incoming"), inward, _percent(opened, inward, _("%(share)s%% opened")), "direction=in&period=24h"),
        *(
            Figure(title, sum(one.copies for one in rows if one.fate == fate), "", f"fate={fate}&period=24h")
            for title, fate in ((_("Held"), Fate.HELD), (_("Deferred"), Fate.DEFERRED), (_("Refused"), Fate.REFUSED))
        ),
    )


def _percent(part: int, whole: int, text: Text) -> str:
    return str(text) % {"share": round(100 * part / whole)} if whole else ""


def _sum(rows: Iterable[Traffic], fits: Callable[[Traffic], bool]) -> int:
    return sum(one.copies for one in rows if fits(one))


def _begin(now: datetime, step: timedelta) -> datetime:
    """When the column began in which a time is; columns begin with the day."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + (now - day) // step * step


def _chart(
    series: Sequence[Series],
    rows: Iterable[Traffic],
    sort: Callable[[Traffic], str],
    start: datetime,
    chosen: Range,
    size: tuple[int, int],
) -> Chart:
    counts: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
    for one in rows:
        if key := sort(one):
            counts[start + (one.hour - start) // chosen.step * chosen.step][key] += one.copies
    return stacked(series, counts, start, chosen.step, chosen.columns, size)


def _out(one: Traffic) -> str:
    if one.direction != "out" or one.fate not in SENT:
        return ""
    if one.treatment in ENCRYPTED:
        return "pgp" if one.method == MethodName.PGP else "smime"
    return "signed" if one.treatment == Treatment.SIGNED else "clear"


def _in(one: Traffic) -> str:
    if one.direction != "in" or one.fate not in SENT:
        return ""
    return "opened" if one.treatment == Treatment.OPENED else "plain"


def _not_sent(one: Traffic) -> str:
    return one.fate if one.fate in {Fate.HELD, Fate.DEFERRED, Fate.REFUSED} else ""
