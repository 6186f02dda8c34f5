"""What is said of a mail: a line and a count for each copy, whatever happens; and never at the cost of its replies."""

import logging
import time
from types import SimpleNamespace

import pytest

from mailseal.config import LogAddresses
from mailseal.mail import reply
from mailseal.mail.envelope import Protocol, attempt_id
from mailseal.mail.message import Message
from mailseal.pipeline.process import mail_id
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
