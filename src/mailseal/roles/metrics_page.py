"""What the metrics role shows: the metrics of all processes as one page, and whether the node is well."""

import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mailseal import __version__
from mailseal.config import Config, Instance
from mailseal.roles import metric_table as table
from mailseal.roles.metric_files import is_sound, merged, readable_files
from mailseal.roles.metric_table import METRICS, By

STALE_SECONDS = 10.0
"""As long as a mail worker trusts what it knows (`store.stamps`)."""
WELL = "ok"


class Page(Collector):
    """Reads the files of all processes each time it is asked."""

    def __init__(self, config: Config) -> None:
        self._folder = config.metrics_dir
        self._expected = {By.MAIL: config.workers, By.WORKER: 1}
        if config.postfix.instance is not Instance.OFF:
            self._expected[By.MAPS] = 1
        limits = config.limits
        self._facts: tuple[tuple[str, dict[str, str], float], ...] = (
            (table.BYTES_LIMIT, {}, limits.max_bytes_in_flight * config.workers),
            (table.CONNECTIONS_LIMIT, {}, limits.max_connections * config.workers),
            (table.BUILD, {"version": __version__, "python": platform.python_version()}, 1),
        )
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """The page, in the text format of Prometheus."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: what there is differs from time to time."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric of the table that has a value."""
        found = _merged(self._folder)
        ready = found.setdefault(_full(table.READY), _gauge(table.READY))
        there = {one.labels["role"] for one in ready.samples}
        found[_full(table.EXPECTED)] = expected = _gauge(table.EXPECTED)
        for role, count in self._expected.items():
            expected.add_sample(expected.name, {"role": role.value}, count)
            if role not in there:  # a role without a process shall be seen, and not be missing
                ready.add_sample(ready.name, {"role": role.value}, 0)
        for name, labels, value in self._facts:
            found[_full(name)] = fact = _gauge(name)
            fact.add_sample(fact.name, labels, value)
        for info in METRICS:
            metric = found.get(f"{table.PREFIX}{info.name}")
            if metric is not None:
                yield metric

    def health(self) -> str:
        """WELL, or a word for what is not: "mail", "worker" or "maps" (not ready), "database" (not looked at)."""
        found = _merged(self._folder)
        ready = _values(found, table.READY, "role")
        for role, count in self._expected.items():
            if ready.get(role.value, 0) < count:
                return role.value
        polled = _values(found, table.LAST_POLL).get("", 0.0)
        return WELL if time.time() - polled < STALE_SECONDS else "database"


def _full(name: str) -> str:
    return f"{table.PREFIX}{name}"


def _gauge(name: str) -> Metric:
    info = next(info for info in METRICS if info.name == name)
    return Metric(_full(name), info.help, info.kind.value)


def _merged(folder: Path) -> dict[str, Metric]:
    """By name without the suffix of counters. A file that cannot be read is left out: another process may be ill."""
    files = readable_files(folder)
    try:
        return merged(files)
    except Exception:  # noqa: BLE001 -- whatever is in a file, the others are shown
        return merged([file for file in files if is_sound(file)])


def _values(found: Mapping[str, Metric], name: str, label: str | None = None) -> dict[str, float]:
    metric = found.get(_full(name))
    return {one.labels.get(label or "", ""): one.value for one in metric.samples} if metric else {}
