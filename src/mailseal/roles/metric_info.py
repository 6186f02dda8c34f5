"""What a metric is: its type, who sets it, how those of several processes become one. `metric_table` has them all."""

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "mailseal_"


class Kind(StrEnum):
    """The types of Prometheus that are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class By(StrEnum):
    """Who sets a metric, and so which processes have it."""

    MAIL = "mail"
    WORKER = "worker"
    MAPS = "maps"
    EVERY = "every"
    METRICS = "metrics"


class Merge(StrEnum):
    """How a gauge of several processes becomes one; `LIVE_…`: without processes that are gone."""

    LIVE_SUM = "livesum"
    LIVE_MIN = "livemin"
    LATEST = "mostrecent"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInfo:
    """A metric, by its name without PREFIX (of a counter also without `_total`). `alert` is an expression or ""."""

    name: str
    kind: Kind
    by: By
    help: str
    labels: tuple[str, ...] = ()
    merge: Merge = Merge.LATEST
    buckets: tuple[float, ...] = ()
    alert: str = ""

    @property
    def full_name(self) -> str:
        """As it is scraped; of a histogram the name before its suffixes."""
        return f"{PREFIX}{self.name}{'_total' if self.kind is Kind.COUNTER else ''}"
