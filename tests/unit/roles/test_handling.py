"""What is said of a mail: a line and a count for each copy, whatever happens; and never at the cost of its replies."""

import logging
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from dlp_stage import with_dlp, word
from mailseal.config import Instance, LogAddresses
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Protocol, attempt_id, mail_id
from mailseal.mail.message import Message
from mailseal.policy.model import Action, Fate, Outcome
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, Settings
from mailseal.roles import handling as handling_module
from mailseal.roles.handling import MailHandling
from mailseal.roles.log_lines import CURRENT_MAIL
from mailseal.roles.meter import Meter
from mailseal.roles.metric_table import By
from mailseal.store.transaction import in_unit_of_work
from stage import Stage, envelope, mail

TO = ("a@elsewhere.example", "b@elsewhere.example")


@pytest.fixture
def stage():
    stage = Stage(settings={"": Settings(mode=Mode.NEVER, sign=False)})
    stage.monotonic = time.monotonic
    with_dlp(stage)
    return stage


@pytest.fixture
def fresh():
    return [True]


@pytest.fixture
def handling(stage, tmp_path, fresh):
    config = SimpleNamespace(
        journal_dir=tmp_path,
        hostname="gw.inside.example",
        limits=SimpleNamespace(deadline_seconds=240),
        log=SimpleNamespace(addresses=LogAddresses.FULL),
    )
    stamps = SimpleNamespace(fresh=lambda _: fresh[0])
    reports = SimpleNamespace(conclude_smtp=lambda *_: None)
    node = SimpleNamespace(config=config, gateway=stage.gateway(), stamps=stamps, reports=reports, kek=None)
    return MailHandling(node, Meter(By.MAIL))


@pytest.fixture
def decisions(caplog):
    caplog.set_level(logging.INFO, logger="mailseal")
    return lambda: [record for record in caplog.records if record.getMessage() == "decision"]


def work(handling, protocol=Protocol.LMTP):
    given = envelope(*TO, protocol=protocol), Message(mail())
    return mail_id(attempt_id(*given)), handling.work(*given, time.monotonic())


def test_each_copy_has_a_line_with_the_id_of_the_mail(handling, decisions):
    name, replies = work(handling)
    assert replies == [reply.ACCEPTED] * 2
    assert [(one.mail, one.recipient, one.fate) for one in decisions()] == [(name, to, "relayed") for to in TO]


def test_whatever_is_logged_while_a_mail_is_in_work_has_its_id(handling, stage):
    seen = []
    stage.answer = lambda transfer: seen.append(CURRENT_MAIL.get()) or [reply.ACCEPTED] * len(transfer.recipients)
    name, _ = work(handling)
    assert set(seen) == {name}
    assert CURRENT_MAIL.get() == ""


@pytest.mark.parametrize(("protocol", "answers"), [(Protocol.LMTP, 2), (Protocol.ESMTP, 1)])
def test_what_cannot_be_taken_now_is_said_and_counted_too(handling, stage, fresh, decisions, protocol, answers):
    fresh[0] = False
    name, replies = work(handling, protocol)
    assert replies == [reply.STORE_UNAVAILABLE] * answers
    assert not stage.sent
    assert [(one.mail, one.fate, one.code) for one in decisions()] == [(name, "deferred", 451)] * 2
    get = handling._meter.registry.get_sample_value
    assert get("mailseal_refusals_total", {"outcome": "deferred", "reason": "transient-failure"}) == 2
    assert get("mailseal_store_unavailable_total", {"role": "mail"}) == 1


@pytest.mark.parametrize("protocol", Protocol)
def test_a_held_copy_is_counted_by_what_it_is_held_for(handling, stage, decisions, protocol):
    stage.gateway_settings["patterns"].given[TO[1]] = (word("canary", Action.QUARANTINE),)
    concluded = []
    handling._node.reports.conclude_smtp = lambda *given: concluded.append(given)
    _, replies = work(handling, protocol)
    assert replies == ([reply.ACCEPTED, reply.HELD] if protocol is Protocol.LMTP else [reply.ACCEPTED])
    assert [(one.fate, one.code) for one in decisions()] == [("relayed", 250), ("held", 250)]
    get = handling._meter.registry.get_sample_value
    assert get("mailseal_refusals_total", {"outcome": "held", "reason": "finding"}) == 1
    assert get("mailseal_refusals_total", {"outcome": "held", "reason": "held"}) is None
    assert len(concluded) == (protocol is Protocol.ESMTP), "an identical mail after the 250 is a new one"


@pytest.mark.parametrize("now", [True, False])
def test_nothing_that_is_said_of_a_mail_waits_for_a_database_that_is_away(handling, fresh, monkeypatch, now):
    fresh[0] = now
    seen = []
    monkeypatch.setattr(handling_module, "log_decisions", lambda *_: seen.append(in_unit_of_work()))
    work(handling)
    assert seen == [True]


@pytest.mark.parametrize("broken", ["log_decisions", "count_mail"])
def test_a_decision_that_cannot_be_told_changes_no_reply(handling, stage, monkeypatch, caplog, broken):
    def fail(*_):
        raise ValueError("s3cr3t")

    monkeypatch.setattr(handling_module, broken, fail)
    _, replies = work(handling)
    assert replies == [reply.ACCEPTED] * 2
    assert stage.sent
    assert "a decision could not be logged: ValueError" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_journal_that_cannot_be_written_is_counted(handling, stage):
    handling._journal.is_writable = lambda: False
    _, replies = work(handling)
    assert replies == [reply.STORE_UNAVAILABLE] * 2
    assert not stage.sent
    assert handling._meter.registry.get_sample_value("mailseal_journal_errors_total") == 1


# ---- mail that waits for a search of keys


@pytest.fixture
def waiting(handling, stage, monkeypatch):
    """Notes of mails in the queue that wait; every recipient's keys are being looked for."""
    noted = []
    monkeypatch.setattr(handling_module.lookup_waits, "wait", lambda owners, queue_id: noted.append((owners, queue_id)))
    monkeypatch.setattr(handling_module, "_awaits_keys", lambda outcome: outcome.recipient.local == "a")
    handling._node.config.postfix = SimpleNamespace(instance=Instance.SYSTEM)
    return noted


def work_queued(handling, queue_id):
    given = replace(envelope(*TO), queue_id=queue_id), Message(mail())
    return handling.work(*given, time.monotonic())


def test_a_mail_of_the_queue_that_waits_for_keys_is_noted(handling, waiting):
    work_queued(handling, "4dJmVf1Bqmz9sTz")
    assert waiting == [({TO[0]}, "4dJmVf1Bqmz9sTz")]


@pytest.mark.parametrize("queue_id", [None, "", "?", "ALL", "x" * 60])
def test_what_is_in_no_queue_that_can_be_asked_is_not(handling, waiting, queue_id):
    work_queued(handling, queue_id)
    handling._node.config.postfix = SimpleNamespace(instance=Instance.OFF)
    work_queued(handling, "4dJmVf1Bqmz9sTz")
    assert waiting == []


def test_that_it_cannot_be_noted_changes_no_reply(handling, waiting, monkeypatch):
    def broken(*_):
        raise RuntimeError("database away")

    monkeypatch.setattr(handling_module.lookup_waits, "wait", broken)
    assert work_queued(handling, "4dJmVf1Bqmz9sTz") == [reply.ACCEPTED] * 2


def test_only_what_is_deferred_for_that_waits(stage):
    running, other = because(ReasonCode.LOOKUP_RUNNING, address=TO[0]), because(ReasonCode.MODE_ALLOW)
    to = Address.parse(TO[0])
    kinds = {
        (fate, reason.code): handling_module._awaits_keys(Outcome(to, fate, reply.DEFERRED, reasons=(other, reason)))
        for fate in (Fate.DEFERRED, Fate.RELAYED)
        for reason in (running, other)
    }
    assert [key for key, waits in kinds.items() if waits] == [(Fate.DEFERRED, ReasonCode.LOOKUP_RUNNING)]
