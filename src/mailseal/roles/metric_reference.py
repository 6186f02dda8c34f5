"""docs/metrics.md, made from the table of metrics."""

from mailseal.roles.metric_table import METRICS, Kind, MetricInfo

_HEAD = """\
# Metrics and health

This page is made from the source by `make docs`. Logs: see [logs.md](logs.md).

## Switching it on

    [metrics]
    listen = "127.0.0.1:9464"

It is off by default: nothing listens that nobody asked for, and a machine may have several gateways. With it on,
`mailseal serve` runs one more process, the metrics role, which has neither KEK nor database and can only read the
folder `<data_dir>/run/metrics`. It answers two requests and nothing else:

| request | answer |
|---|---|
| `GET /metrics` | all metrics of all processes of this node, in the text format of Prometheus |
| `GET /healthz` | 200 `ok`, or 503 and a word: `mail` (a mail worker is not ready), `worker` (the job worker is not), \
`maps` (nobody answers Postfix), `database` (a mail worker could not look for changes for 10 s, so it answers 451) |

There is no login. An address that other machines can reach is refused unless `remote = true` says that it is meant; put
a firewall or a proxy with a login before it then. No label and no value is ever an address, a domain or a subject: all
labels have their values from closed lists.

    scrape_configs:
      - job_name: mailseal
        static_configs: [{targets: ["127.0.0.1:9464"]}]

## How the numbers are kept

Each process counts in files of its own, mapped into memory, which outlive it: a worker that is killed is followed by
one that counts on. During a reload the new workers take a second set of files, which is used again at the next reload;
there are never more. `mailseal serve` begins with an empty folder, so counters start at zero with it, as Prometheus
expects. Gauges of a process that is gone are left out, but for the job worker's: they say when all was well last.

The files get all their room when they are made. Where the disk is full or the folder is missing by then, the process
says so once, counts in memory and is missing on the page; mail goes on. Do not put `data_dir` on a file system that
copies on write (Btrfs, ZFS) and let it get full: there a write to a mapped file can fail later.

## The metrics

Times are Unix times (`…_timestamp_seconds`), so that `time() - x` goes on growing when nobody sets them any more. What
to alert on is a beginning; give each rule a `for:` of some minutes.
"""


def page() -> str:
    """docs/metrics.md."""
    rows = [_HEAD, "| metric | type | labels | meaning |", "|---|---|---|---|", *(_row(info) for info in METRICS)]
    alerts = [f"* `{info.alert}`" for info in METRICS if info.alert]
    return "\n".join([*rows, "\n## What to alert on\n", *alerts]) + "\n"


def _row(info: MetricInfo) -> str:
    labels = ", ".join(f"`{label}`" for label in info.labels) or "none"
    buckets = f" Buckets up to {info.buckets[-1]:,.0f}." if info.kind is Kind.HISTOGRAM else ""
    return f"| `{info.full_name}` | {info.kind} | {labels} | {info.help}{buckets} |"
