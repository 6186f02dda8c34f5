"""One mail in a thread of the mail role: the deadline counts from the mail's end, and the log gets every outcome."""

import asyncio
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from harness.waiting import PATIENCE_SECONDS
from mailseal.config import LogAddresses
from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.policy.settings import Mode, Settings
from mailseal.roles import mail as role_module
from mailseal.roles.handling import MailHandling
from mailseal.roles.mail import STUCK_EXIT
from mailseal.roles.meter import Meter
from mailseal.roles.metric_table import By
from mailseal.store.journal import JournalError
from mailseal.store.transaction import StoreUnavailable
from stage import Stage, envelope, mail

TO = ("a@elsewhere.example", "b@elsewhere.example")


class Reports:
    """`conclude_smtp` forgets what the stage has settled of a mail, or raises what it is told to."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.error: Exception | None = None

    def conclude_smtp(self, attempt: bytes, *_: object) -> None:
        if self.error is not None:
            raise self.error
        self.stage.rows = {key: row for key, row in self.stage.rows.items() if key[0] != attempt}


@pytest.fixture
def stage():
    stage = Stage(settings={"": Settings(mode=Mode.NEVER, sign=False)})
    stage.monotonic = time.monotonic
    return stage


@pytest.fixture
def handling(stage, tmp_path):
    limits = SimpleNamespace(deadline_seconds=240)
    log = SimpleNamespace(addresses=LogAddresses.FULL)
    config = SimpleNamespace(journal_dir=tmp_path, hostname="gw.inside.example", limits=limits, log=log)
    stamps = SimpleNamespace(fresh=lambda _: True)
    node = SimpleNamespace(config=config, gateway=stage.gateway(), stamps=stamps, reports=Reports(stage), kek=None)
    return MailHandling(node)


def test_a_mail_that_waited_too_long_for_a_thread_has_no_effect(handling, stage):
    replies = handling.work(envelope(*TO), Message(mail()), time.monotonic() - 241)
    assert replies == [reply.OUT_OF_TIME] * 2
    assert not stage.sent
    assert handling.work(envelope(*TO), Message(mail()), time.monotonic() - 200) == [reply.ACCEPTED] * 2


@pytest.mark.parametrize(
    ("error", "answer"),
    [(ValueError("a surprise"), reply.DEFERRED), (StoreUnavailable("it is away"), reply.STORE_UNAVAILABLE)],
)
def test_whatever_fails_at_the_conclusion_the_log_has_what_left(handling, stage, tmp_path, error, answer):
    """And no 250: it would promise a report that nobody kept."""
    stage.answer = lambda _: [reply.ACCEPTED, Reply(550, "5.1.1", "no such user")]
    handling._node.reports.error = error
    replies = handling.work(envelope(*TO, protocol=Protocol.ESMTP), Message(mail()), time.monotonic())
    assert replies == [answer]
    (journal,) = tmp_path.iterdir()
    assert journal.read_text().count("elsewhere.example") >= 2


def test_after_the_250_an_identical_mail_is_a_new_one_whichever_attempt_settled_its_recipients(handling, stage):
    answers = iter([[reply.ACCEPTED, reply.DEFERRED], [reply.ACCEPTED], [reply.ACCEPTED] * 2])
    stage.answer = lambda _: next(answers)
    mails = [(envelope(*TO, protocol=Protocol.ESMTP), Message(mail())) for _ in range(3)]
    assert [handling.work(*one, time.monotonic())[0].code for one in mails] == [451, 250, 250]
    assert [[str(to.address) for to in one.recipients] for one in stage.sent] == [list(TO), [TO[1]], list(TO)]


def test_outcomes_that_could_not_be_written_are_written_before_another_mail_has_an_effect(
    handling, stage, tmp_path, monkeypatch
):
    def fail(_records):
        raise JournalError("the disk is full")

    def work(subject):
        return handling.work(envelope(*TO), Message(mail(subject=subject)), time.monotonic())

    with monkeypatch.context() as full:
        full.setattr(handling._journal, "append", fail)
        assert work("one") == [reply.ACCEPTED] * 2, "the copies have left"
        assert work("two") == [reply.STORE_UNAVAILABLE] * 2
        assert len(stage.sent) == 1
    assert work("two") == [reply.ACCEPTED] * 2
    (journal,) = tmp_path.iterdir()
    assert [line.count("elsewhere.example") > 0 for line in journal.read_text().splitlines()] == [True] * 4


@pytest.mark.parametrize("last", [MailHandling.rest, MailHandling.close])
def test_outcomes_that_could_not_be_written_wait_for_no_other_mail(handling, tmp_path, monkeypatch, last):
    def fail(_records):
        raise JournalError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(handling._journal, "append", fail)
        assert handling.work(envelope(*TO), Message(mail()), time.monotonic()) == [reply.ACCEPTED] * 2
    last(handling)
    (journal,) = tmp_path.iterdir()
    assert len(journal.read_text().splitlines()) == 2


def test_costly_mail_from_outside_leaves_a_thread_for_authorised_mail():
    config = SimpleNamespace(
        threads=2,
        journal_dir=None,
        log=SimpleNamespace(addresses=LogAddresses.FULL),
        metrics=SimpleNamespace(listen=None),
    )
    role = role_module.MailRole(SimpleNamespace(config=config, kek=None, documents=SimpleNamespace()), Meter(By.MAIL))
    end = threading.Event()
    times = []

    def work(one, _message, arrived):
        times.append(arrived)
        if one.origin is Origin.OUTSIDE:
            end.wait(PATIENCE_SECONDS)
        return [reply.ACCEPTED]

    role.handling = SimpleNamespace(work=work)

    async def story():
        outside = [asyncio.create_task(role._handle(envelope(*TO, origin=Origin.OUTSIDE), None)) for _ in range(5)]
        await asyncio.sleep(0)
        began = time.monotonic()
        own = role._handle(envelope(*TO, origin=Origin.AUTHORISED), None)
        assert await asyncio.wait_for(own, PATIENCE_SECONDS / 2) == [reply.ACCEPTED]
        end.set()
        assert await asyncio.gather(*outside) == [[reply.ACCEPTED]] * 5
        assert sum(arrived <= began for arrived in times) == 5  # waiting for a turn is waiting: the deadline has it

    asyncio.run(story())
    assert role._in_flight == 0


def test_a_worker_with_a_stuck_thread_ends():
    script = """
import time
from types import SimpleNamespace
from mailseal.roles import mail
class Stuck(mail.MailRole):
    async def serve(self, inheritance):
        self.handling.started[1] = time.monotonic() - 1000
        self._pool.submit(time.sleep, 1000)
config = SimpleNamespace(
    journal_dir=None, threads=1, log=SimpleNamespace(addresses="none"),
    metrics=SimpleNamespace(listen=None), listen=SimpleNamespace(socket_group=None),
    limits=SimpleNamespace(deadline_seconds=1),
)
mail.configure = mail.inherit = lambda *_: SimpleNamespace(supervised=True)
stamps = SimpleNamespace(poll=lambda _: None)
mail.open_when_possible = lambda config, _: SimpleNamespace(config=config, stamps=stamps, kek=None, documents=stamps)
mail.unit_of_work = __import__("threading").Lock
mail.MailRole = Stuck
mail.run(config, 1)
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=PATIENCE_SECONDS, check=False)
    assert ended.returncode == STUCK_EXIT
    assert role_module.STUCK_SECONDS < 1000
