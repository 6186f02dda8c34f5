"""Metrics: numbers outlive processes, their files stay few, and nothing about them can hurt a mail."""

import errno
import itertools
import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families

from mailseal.config import from_values
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin, Protocol, Recipient
from mailseal.pipeline import Processed
from mailseal.policy.model import Fate, MethodName, Outcome, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.ports import Hop
from mailseal.postfix.queue_reasons import WaitKind
from mailseal.roles import metric_files, metric_reference, metric_table
from mailseal.roles.decision_log import Handled
from mailseal.roles.handlers import HANDLERS
from mailseal.roles.mail_metrics import count_mail, stop_measuring
from mailseal.roles.meter import Meter, open_meter
from mailseal.roles.metric_files import readable_files
from mailseal.roles.metric_table import METRICS, By, Kind
from mailseal.roles.metrics_page import WELL, Page
from mailseal.roles.queue_measuring import QUEUES

ANNA, BERT = Address.parse("anna@alpha.example"), Address.parse("bert@alpha.example")


@pytest.fixture(autouse=True)
def _library(monkeypatch):
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")


@pytest.fixture
def config(tmp_path):
    (tmp_path / "run").mkdir()
    return from_values({"data_dir": str(tmp_path), "workers": 1, "metrics": {"listen": "127.0.0.1:9464"}})


def samples(config):
    page = Page(config).render().decode()
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }


def handled(*outcomes, replies=(), protocol=Protocol.LMTP):
    recipients = tuple(Recipient(one.recipient) for one in outcomes)
    envelope = Envelope(ANNA, recipients, Origin.AUTHORISED, protocol)
    return Handled("00", envelope, Processed(list(outcomes)), replies or [one.reply for one in outcomes], 5000, 0.02)


PROCESS = """
import os, sys, time
from pathlib import Path
from mailseal.config import from_values
from mailseal.roles import metric_table
from mailseal.roles.metric_table import By
from mailseal.roles.meter import open_meter
config = from_values({"data_dir": sys.argv[1], "metrics": {"listen": "127.0.0.1:9464"}})
meter = open_meter(config, By.MAIL, 1)
for _ in range(int(sys.argv[2])):
    meter.count(metric_table.MESSAGES, "in", "none", "passed", "relayed")
meter.set(metric_table.MAILS_IN_FLIGHT, 3)
meter.set(metric_table.READY, 1, "mail")
meter.now(metric_table.LAST_POLL)
print("ready", flush=True)
sys.stdin.read()
"""


class Process:
    def __init__(self, config, counts):
        command = [sys.executable, "-c", PROCESS, str(config.data_dir), str(counts)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.child.stdout.readline() == b"ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.child.kill()
        self.child.communicate()


COPIES = ("mailseal_messages_total", "in", "none", "relayed", "passed")
IN_FLIGHT = ("mailseal_mails_in_flight",)


def test_counters_outlive_a_kill_and_gauges_do_not(config):
    with Process(config, 2):
        assert (samples(config)[COPIES], samples(config)[IN_FLIGHT]) == (2, 3)
    assert samples(config)[COPIES] == 2
    assert IN_FLIGHT not in samples(config)
    with Process(config, 3):
        assert (samples(config)[COPIES], samples(config)[IN_FLIGHT]) == (5, 3)


def test_two_generations_count_beside_each_other_and_their_files_are_used_again(config):
    with Process(config, 1), Process(config, 10):
        assert (samples(config)[COPIES], samples(config)[IN_FLIGHT]) == (11, 6)
        files = {path.name for path in config.metrics_dir.iterdir()}
    with Process(config, 100), Process(config, 1000):
        assert samples(config)[COPIES] == 1111
        assert {path.name for path in config.metrics_dir.iterdir()} == files


def test_a_full_disk_costs_the_metrics_and_nothing_else(config, monkeypatch, caplog):
    def full(_descriptor, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(metric_files.os, "write", full)
    meter = open_meter(config, By.MAIL)
    count_mail(meter, handled(Outcome(BERT, Fate.RELAYED, reply.ACCEPTED)))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "No space left" in caplog.text
    assert not any(path.stat().st_size for path in config.metrics_dir.iterdir())


def test_a_missing_folder_costs_the_metrics_and_nothing_else(tmp_path, caplog):
    config = from_values({"data_dir": str(tmp_path / "none"), "metrics": {"listen": "127.0.0.1:9464"}})
    open_meter(config, By.WORKER).count(metric_table.ROWS_IMPORTED)
    assert "cannot be used" in caplog.text


def test_when_nobody_asks_no_file_is_made(tmp_path):
    open_meter(from_values({"data_dir": str(tmp_path)}), By.MAIL)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_begun_anew(config):
    with Process(config, 1):
        pass
    for path in config.metrics_dir.glob("*.db"):
        path.write_bytes(b"\xff\xff\x00\x00" + b"\x07" * 70_000)
    meter = open_meter(config, By.MAIL)
    meter.count(metric_table.MESSAGES, "in", "none", "passed", "relayed")
    assert samples(config)[COPIES] == 1


def test_a_broken_file_of_one_process_hides_no_other(config):
    with Process(config, 4):
        (config.metrics_dir / "counter_mail-2-0.db").write_bytes(b"\xff\xff\x00\x00" + b"\x07" * 70_000)
        assert samples(config)[COPIES] == 4


def test_the_room_is_enough_for_every_label(config):
    """What is mapped beyond the room that was reserved would have none on a full disk."""
    meter = open_meter(config, By.MAIL)
    worker = Meter(By.WORKER)
    for direction, method, treatment, fate in itertools.product(
        ("in", "out"), ("none", *MethodName, *"four"), Treatment, Fate
    ):
        meter.count(metric_table.MESSAGES, direction, str(method), treatment, fate)
    for fate, reason in itertools.product(("refused", "deferred", "notified"), ReasonCode):
        meter.count(metric_table.REFUSALS, fate, reason)
    for origin in Origin:
        meter.observe(metric_table.MAIL_SECONDS, 1, origin)
        meter.set(metric_table.CONNECTIONS, 1, origin)
    for hop in Hop:
        meter.count(metric_table.NEXT_HOP_FAILURES, hop)
    for name, kind in itertools.product(QUEUES, WaitKind):
        worker.set(metric_table.QUEUE_MAILS, 1, name)
        worker.set(metric_table.QUEUE_RECIPIENTS, 1, kind)
    for kind in (*HANDLERS, *(f"{kind}-2" for kind in HANDLERS)):
        worker.set(metric_table.JOB_LAG, 1, kind)
        worker.set(metric_table.JOBS_WAITING, 1, kind)
        for result in ("done", "again", "failed"):
            worker.count(metric_table.JOBS, kind, result)
    sizes = {path.name.partition("_")[0]: path.stat().st_size for path in config.metrics_dir.glob("*.db")}
    assert sizes == {kind.value: size for kind, size in metric_files._FILE_BYTES.items()}
    assert all(path.stat().st_blocks * 512 >= path.stat().st_size for path in config.metrics_dir.glob("*.db"))


def test_a_mail_is_counted_by_its_copies():
    meter = Meter(By.MAIL)
    failed = because(ReasonCode.NEXT_HOP_REPLIED, hop=Hop.OUTSIDE, code=451)
    count_mail(
        meter,
        handled(
            Outcome(BERT, Fate.RELAYED, reply.ACCEPTED, Treatment.SIGNED, MethodName.SMIME),
            Outcome(BERT, Fate.DEFERRED, reply.NEXT_HOP_UNAVAILABLE, reasons=(failed,)),
            Outcome(BERT, Fate.DEFERRED, reply.STORE_UNAVAILABLE),
        ),
    )
    get = meter.registry.get_sample_value
    assert (
        get(
            "mailseal_messages_total",
            {"direction": "out", "method": "smime", "treatment": "signed", "outcome": "relayed"},
        )
        == 1
    )
    assert get("mailseal_refusals_total", {"outcome": "deferred", "reason": "next-hop-replied"}) == 1
    assert get("mailseal_refusals_total", {"outcome": "deferred", "reason": "unexpected-failure"}) == 1
    assert get("mailseal_next_hop_failures_total", {"hop": "outside"}) == 1
    assert get("mailseal_store_unavailable_total", {"role": "mail"}) == 1
    assert get("mailseal_mail_seconds_bucket", {"client": "authorised", "le": "0.025"}) == 1
    assert get("mailseal_mail_bytes_sum") == 5000


def test_health_is_a_word(config, monkeypatch):
    page = Page(config)
    assert page.health() == "mail"
    with Process(config, 1):
        assert page.health() == "worker"
        worker = open_meter(config, By.WORKER)
        worker.set(metric_table.READY, 1, "worker")
        assert page.health() == WELL
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 60)
        assert page.health() == "database"
    assert page.health() == "mail"


def test_a_worker_that_drains_for_long_is_no_illness(config):
    draining = open_meter(config, By.MAIL)  # one after the other: the library keeps new labels where it was told last
    draining.set(metric_table.LAST_POLL, 1.0)
    fresh = open_meter(config, By.MAIL)
    fresh.set(metric_table.READY, 1, "mail")
    fresh.now(metric_table.LAST_POLL)
    worker = open_meter(config, By.WORKER)
    worker.set(metric_table.READY, 1, "worker")
    assert Page(config).health() == "database"
    stop_measuring(draining)
    assert Page(config).health() == WELL


def test_of_every_kind_the_files_are_found(config):
    open_meter(config, By.MAIL)
    assert {Path(path).name.split("_")[0] for path in readable_files(config.metrics_dir)} == {
        kind.value for kind in Kind
    }


def test_a_role_without_a_process_is_shown_as_zero(config):
    found = samples(config)
    assert found["mailseal_processes_ready", "mail"] == 0
    assert found["mailseal_processes_expected", "worker"] == 1
    assert found["mailseal_connections_limit",] == 500


def test_names_are_prometheus_names_and_alerts_name_them():
    names = {info.full_name for info in METRICS}
    assert len(names) == len(METRICS)
    for info in METRICS:
        assert info.help.endswith(".")
        assert (info.kind is Kind.HISTOGRAM) == bool(info.buckets)
        assert not info.name.endswith(("_total", "_count", "_sum", "_bucket"))
        for word in re.findall(r"mailseal_\w+", info.alert):
            assert word.removesuffix("_bucket") in names
    assert not any(label in {"sender", "recipient", "domain", "address"} for info in METRICS for label in info.labels)


def test_the_page_of_the_documentation_is_up_to_date():
    assert (Path(__file__).parents[3] / "docs" / "metrics.md").read_text() == metric_reference.page()
