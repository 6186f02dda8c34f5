"""Who is told of what becomes of a held mail, and of which mail not."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from held_mails import CARD, envelope, held, message
from mailseal.errors import TransientError
from mailseal.keys.sealing import Kek
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.notices.facts import Found, NoticeFacts
from mailseal.policy.model import Action
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.settings import Settings
from mailseal.ports import Notice
from mailseal.roles import held_notices
from mailseal.roles.handlers import HANDLERS
from mailseal.store import jobs, notice_requests, quarantine, quarantine_actions
from mailseal.store.models import JobRow
from mailseal.store.notice_models import NoticeRow
from mailseal.store.notice_requests import StoreNotices
from mailseal.store.quarantine import StoreQuarantine
from mailseal.store.quarantine_actions import ENDED
from mailseal.store.quarantine_events import Actor
from mailseal.store.quarantine_models import QuarantineRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import connection
from stage import Stage

MANAGER = "dlp@inside.example"


@pytest.fixture
def on(store) -> Stage:
    return Stage()


@pytest.fixture
def node(on, kek):
    return SimpleNamespace(gateway=on.gateway(), kek=kek)


PIA = Actor("user:pia", "pia")
EVERYTHING = Settings(
    dlp_managers=(MANAGER, "dlp@elsewhere.example"),
    notify_managers=("deleted",),
    notify_sender=("deleted",),
    notify_recipient=("deleted",),
)


def end_one(on, kek, node, **changes) -> set[tuple[str, str]]:
    """Hold a mail, delete it, and do the job about that; the readers and their roles."""
    node.gateway = replace(on.gateway(), notices=StoreNotices(kek))
    one = StoreQuarantine(kek).hold(held(**changes), message())
    quarantine_actions.delete(UUID(one), PIA)
    job = jobs.claim("w", kinds=[ENDED])
    HANDLERS[ENDED].handle(node, job)
    jobs.done(job)
    rows = [
        StoreNotices(kek).open([notice_requests.Request(row.pk, bytes(row.sealed))])[0]
        for row in NoticeRow.objects.all()
    ]
    assert all(one.kind is NoticeKind.DELETED and one.facts.found[0].name == "cards" for one in rows)
    return {(str(one.reader), one.role.value) for one in rows}


@pytest.mark.parametrize(
    ("settings", "origin", "recipient", "told"),
    [
        (EVERYTHING, Origin.AUTHORISED, "x@out.example", {(MANAGER, "manager"), ("Anna@alpha.example", "sender")}),
        (EVERYTHING, Origin.OUTSIDE, "x@out.example", {(MANAGER, "manager")}),
        (EVERYTHING, Origin.NEIGHBOUR, "x@out.example", {(MANAGER, "manager")}),
        (
            replace(EVERYTHING, notify_outside_managers=True),
            Origin.OUTSIDE,
            "x@out.example",
            {(MANAGER, "manager"), ("dlp@elsewhere.example", "manager")},
        ),
        (EVERYTHING, Origin.OUTSIDE, "kim@inside.example", {(MANAGER, "manager"), ("kim@inside.example", "recipient")}),
        (EVERYTHING, Origin.OUTSIDE, MANAGER, {(MANAGER, "manager")}),
        (Settings(notify_sender=()), Origin.AUTHORISED, "x@out.example", set()),
    ],
)
def test_who_is_told_of_an_end(on, kek, node, settings, origin, recipient, told):
    on.internal.add("alpha.example")
    on.settings[""] = settings
    assert end_one(on, kek, node, envelope=replace(envelope(recipient), origin=origin)) == told


def test_nobody_outside_and_no_null_sender_is_told(on, kek, node):
    on.settings[""] = replace(EVERYTHING, dlp_managers=())
    assert end_one(on, kek, node) == set()
    assert end_one(on, kek, node, number=2, sender=None) == set()


def test_the_sender_of_a_neighbours_mail_is_told_who_was_before(on, kek, node):
    on.internal.add("alpha.example")
    on.settings[""] = replace(EVERYTHING, dlp_managers=())
    mail = held(envelope=replace(envelope(), origin=Origin.NEIGHBOUR))
    another = Address.parse("y@z.example")
    facts = NoticeFacts(utc_now(), found=(Found("cards", 1, Action.QUARANTINE),))
    StoreNotices(kek).request(
        Notice(NoticeKind.DELETED, mail.attempt, another, mail.sender, Role.SENDER, mail.sender, facts)
    )
    assert end_one(on, kek, node, envelope=mail.envelope) == {("Anna@alpha.example", "sender")}


def test_the_subject_only_where_it_may_be_said(on, kek, node):
    settings = replace(EVERYTHING, notice_subject=True)
    one = quarantine.find(UUID(StoreQuarantine(kek).hold(held(), message())))
    details = quarantine.details(one.id, kek)
    in_subject = replace(details, findings=(replace(CARD, places=("subject",)),))

    def subjects(settings, known):
        on.settings[""] = settings
        told = held_notices.notices_of(on.gateway(), one, known, NoticeKind.DELETED, "")
        return {notice.facts.subject for notice in told}

    assert subjects(settings, details) == {"numbers"}
    assert subjects(EVERYTHING, details) == {""}
    assert subjects(settings, in_subject) == {""}
    in_id = replace(details, findings=(replace(CARD, places=("header message-id",)),))
    ids = [
        {told.facts.message_id for told in held_notices.notices_of(on.gateway(), one, known, NoticeKind.DELETED, "")}
        for known in (details, in_id)
    ]
    assert ids == [{"<1@alpha.example>"}, {""}]


@pytest.mark.parametrize("error", [TransientError("the database is away"), ValueError("whatever")])
def test_a_store_that_fails_keeps_nothing_from_its_end(on, kek, node, monkeypatch, caplog, error):
    on.settings[""] = EVERYTHING

    def fail(*_):
        raise error

    monkeypatch.setattr(StoreNotices, "request", fail)
    assert end_one(on, kek, node) == set()
    assert "nobody could be told" in caplog.text


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from mailseal.store.configure import use
use({url!r}, {password!r}, node="mx1")
from dlp_stage import with_dlp, word
from mailseal.keys.sealing import Kek
from mailseal.mail.message import Message
from mailseal.pipeline import process
from mailseal.policy.model import Action
from mailseal.policy.settings import Settings
from mailseal.store.notice_requests import StoreNotices
from mailseal.store.quarantine import StoreQuarantine
from stage import Stage, envelope, mail

class Killed(StoreQuarantine):
    def hold(self, *given):
        super().hold(*given)
        os.kill(os.getpid(), signal.SIGKILL)

def gateway(quarantine):
    managers = {{"dlp_managers": ({manager!r},), "notify_managers": ("dlp-quarantine",)}}
    stage = Stage(settings={{"": Settings(**managers, notify_sender=())}})
    with_dlp(stage, {{"": [word("heldword", Action.QUARANTINE)]}})
    stage.gateway_settings |= {{"quarantine": quarantine, "notices": StoreNotices(kek)}}
    return stage.gateway()

kek = Kek(b"k" * 32)
quarantine = {{"once": Killed, "again": StoreQuarantine}}[sys.argv[1]](kek)
(outcome,) = process(envelope("x@elsewhere.example"), Message(mail(body=b"heldword")), gateway(quarantine))
print(outcome.fate.value, *(one.code.value for one in outcome.reasons))
"""


def test_killed_once_it_is_held_its_notice_is_there(store):
    place = connection().settings_dict
    url, password = (
        (f"sqlite://{place['NAME']}", None)
        if store == "sqlite"
        else (f"mysql://{place['USER']}@/{place['NAME']}?unix_socket={place['HOST']}", place["PASSWORD"])
    )
    script = KILLED.format(tests=str(Path(__file__).parents[1]), url=url, password=password, manager=MANAGER)

    def run(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True, check=False)

    assert run("once").returncode == -signal.SIGKILL
    (row,) = QuarantineRow.objects.all()
    again = run("again")
    assert again.stdout == "held held-before\n", again.stderr
    (notice,) = NoticeRow.objects.all()
    assert (notice.reader, notice.kind) == (MANAGER, "dlp-quarantine")
    (told,) = StoreNotices(Kek(b"k" * 32)).open([notice_requests.Request(notice.pk, bytes(notice.sealed))])
    assert told.facts.quarantine == str(row.pk)
    (job,) = JobRow.objects.filter(kind=notice_requests.NOTICE)
    assert job.payload[notice_requests.REQUEST] == str(notice.pk)
