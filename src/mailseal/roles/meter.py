"""What the processes count, in files that outlive them (`metric_files`), else in memory; never at a mail's cost."""

import logging
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from mailseal.config import Config
from mailseal.roles import metric_table as table
from mailseal.roles.log_handlers import TROUBLE
from mailseal.roles.metric_files import take_slot
from mailseal.roles.metric_table import METRICS, By, Kind, MetricInfo

_MEMORY = values.ValueClass

logger = logging.getLogger(__name__)


class Meter:
    """The metrics of one process. Safe to share between threads."""

    def __init__(self, by: By) -> None:
        self._made: dict[str, Any] = {}
        registry = CollectorRegistry()
        for info in METRICS:
            if info.by in {by, By.EVERY}:
                self._made[info.name] = _make(info, registry)
        self.registry = registry
        self._of = lru_cache(maxsize=4096)(self._child)
        self._log_errors = 0

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter."""
        self._of(name, labels).inc(by)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._of(name, labels).set(value)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add to a histogram."""
        self._of(name, labels).observe(value)

    def now(self, name: str) -> None:
        """Set a gauge to the time of day."""
        self.set(name, time.time())

    def rest(self) -> None:
        """What is taken over now and then: errors of the log."""
        found, self._log_errors = TROUBLE.errors - self._log_errors, TROUBLE.errors
        if found:
            self.count(table.LOG_ERRORS, by=found)

    def _child(self, name: str, labels: Sequence[str]) -> Any:
        made = self._made[name]
        return made.labels(*labels) if labels else made


def open_meter(config: Config, by: By, number: int = 1) -> Meter:
    """The meter of a process: kept in files if somebody can read them, in memory when that is off or fails."""
    if config.metrics.listen is None:
        _keep_in(_MEMORY)
        return Meter(by)
    try:
        slot = take_slot(config.metrics_dir, f"{by.value}-{number}")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(config.metrics_dir)
        _keep_in(_of_slot(slot))
        return Meter(by)
    except Exception as error:  # noqa: BLE001 -- whatever is wrong with the files, mail comes first
        why = error.strerror if isinstance(error, OSError) else type(error).__name__
        logger.warning("metrics are not kept, %s cannot be used: %s", config.metrics_dir, why)
        _keep_in(_MEMORY)
        return Meter(by)


def _of_slot(slot: str) -> type[Any]:
    made: type[Any] = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # the library's
    return made


def _keep_in(kind: type[Any]) -> None:
    """Where the metrics that are made from now on keep their numbers: the library has one place for it."""
    values.ValueClass = kind


def _make(info: MetricInfo, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name = f"{table.PREFIX}{info.name}"
    match info.kind:
        case Kind.COUNTER:
            return Counter(name, info.help, info.labels, registry=registry)
        case Kind.GAUGE:
            return Gauge(name, info.help, info.labels, registry=registry, multiprocess_mode=info.merge.value)
        case Kind.HISTOGRAM:
            return Histogram(name, info.help, info.labels, registry=registry, buckets=info.buckets)
