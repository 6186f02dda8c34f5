"""`mailseal queue` and the check of the queue, on a role whose Postfix is made up; what they do to a real one: t-47."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from harness.folder import short_folder
from harness.queue_role import IDS, Scripted, Served
from mailseal.cli import cli
from mailseal.cli.checks import queue as check_queue
from mailseal.cli.checks.finding import Status
from mailseal.config import load
from mailseal.mail.address import Address
from mailseal.mail.reply import DEFERRED
from mailseal.policy.model import Fate, Outcome
from mailseal.policy.reason import ReasonCode, because
from mailseal.postfix.queue_mails import parse_mail
from mailseal.postfix.queue_summary import QueueFilter
from mailseal.roles import listening
from mailseal.roles.queue_view import age, mail_json, mail_rows
from mailseal.store import log
from mailseal.store.log import LogEntry
from mailseal.store.transaction import StoreUnavailable

NOW = datetime.now(UTC)
BOB = Address.parse("Bob@out.example")
OURS = frozenset({"lmtp-authorised"})
BY_US = "host gw.test[mailseal/lmtp-authorised] said: 451 4.3.0 later (in reply to end of DATA command)"
REFUSED = "connect to mx.out.example[192.0.2.1]:25: Connection refused"


def line(*recipients, name=IDS[0], queue="deferred", hours=1, sender="anna@alpha.example"):
    values = {
        "queue_name": queue, "queue_id": name, "arrival_time": int((NOW - timedelta(hours=hours)).timestamp()),
        "message_size": 5000, "forced_expire": False, "sender": sender,
        "recipients": [{"address": address, "delay_reason": reason} for address, reason in recipients],
    }  # fmt: skip
    return json.dumps(values).encode() + b"\n"


@pytest.fixture
def commands():
    made = Scripted()
    made.pieces = [
        line(("bob@out.example", REFUSED), ("eve@out.example", REFUSED), hours=30),
        line(("bob@out.example", "something \x1b[31m new"), name=IDS[1], hours=2, sender="MAILER-DAEMON"),
    ]
    return made


@pytest.fixture
def typed(commands, monkeypatch):
    """Run `mailseal …` in a gateway whose queue is the one above."""
    with short_folder("cli") as folder:
        (folder / "run").mkdir()
        file = folder / "mailseal.toml"
        file.write_text(f'data_dir = "{folder}"\n[postfix]\ninstance = "system"\n')
        made = Served(folder / "run" / "queue", commands, os.getuid())
        monkeypatch.setattr(log, "latest", lambda _: {})

        def run(*words, given=None):
            return CliRunner().invoke(cli, ["--config", str(file), *words], input=given)

        run.config = load(file, {})
        yield run
        made.end()


def test_the_list_says_how_much_and_why_before_it_says_which(typed):
    done = typed("queue", "list")
    first, *rest = done.output.splitlines()
    assert first == "2 mails for 3 recipients (2 deferred)"
    assert "the next server cannot be reached" in rest[2]
    assert "mx.out.example" in rest[2]
    assert "\x1b" not in done.output
    assert "something \\x1b[31m new" in done.output
    mails = [one for one in rest if one.startswith(IDS)]
    assert [one.split()[:6] for one in mails] == [
        [IDS[0], "deferred", "30h", "5", "KiB", "anna@alpha.example"],
        [IDS[1], "deferred", "2h", "5", "KiB", "<>"],
    ]


def test_a_list_for_programs_and_the_oldest_only(typed):
    found = json.loads(typed("queue", "list", "--limit", "1", "--json").stdout)
    assert (found["count"], found["queues"], len(found["summary"])) == (2, {"deferred": 2}, 2)
    (mail,) = found["mails"]
    assert (mail["id"], mail["age_seconds"] // 3600, mail["size_bytes"]) == (IDS[0], 30, 5000)
    assert [one["kind"] for one in mail["recipients"]] == ["unreachable"] * 2
    cut = typed("queue", "list", "--limit", "1")
    assert "not shown: 1 younger mail;" in cut.stderr
    assert json.loads(typed("queue", "list", "--sender", "<>", "--json").stdout)["count"] == 1
    assert typed("queue", "list", "--why", "tls").stderr == "no mail that fits waits\n"


@pytest.mark.parametrize(
    "words",
    [
        ("hold",), ("release",), ("requeue",), ("delete",), ("hold", "--all", IDS[0]), ("requeue", "--all", IDS[0]),
        ("delete", "--all"), ("delete", "ALL", "--yes"), ("delete", "--yes", "--", "-d"), ("hold", "../../etc"),
        ("hold", f"{IDS[0]}\n{IDS[1]}"), ("show",), ("show", *IDS), ("show", "x"), ("flush", "-"),
        ("list", "--limit", "0"),
    ],
)  # fmt: skip
def test_what_is_not_meant_clearly_is_not_done(typed, commands, words):
    assert typed("queue", *words).exit_code == 2
    assert commands.asked == []


def test_delete_asks_first(typed, commands):
    assert typed("queue", "delete", *IDS, given="n\n").exit_code == 1
    assert commands.asked == []
    done = typed("queue", "delete", *IDS, given="y\n")
    assert done.exit_code == 0
    assert "2 mails deleted" in done.output
    assert commands.asked == [("-d", IDS)]


def test_all_are_held_and_released_by_one_word(typed, commands):
    assert "7 mails put on hold" in typed("queue", "hold", "--all").output
    assert "7 mails released" in typed("queue", "release", "--all").output
    assert commands.asked == [("-h", None), ("-H", None)]


def test_what_postfix_cannot_do_now_is_said_with_its_words(typed):
    done = typed("queue", "flush")
    assert done.exit_code == 1
    assert str(done.exception) == "mail system is down"


def test_without_a_postfix_of_ours_it_says_so(tmp_path):
    file = tmp_path / "mailseal.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n')
    done = CliRunner().invoke(cli, ["--config", str(file), "queue", "flush"])
    assert "postfix.instance is off" in str(done.exception)


def entry(*reasons):
    outcome = Outcome(BOB, Fate.DEFERRED, DEFERRED, reasons=reasons)
    return LogEntry(
        NOW, "m1", "", NOW, "out", "", str(BOB), outcome.fate, "", "", "", outcome.reasons, (), "", IDS[0], ""
    )  # fmt: skip


def waiting(*recipients):
    return QueueFilter().meant(parse_mail(line(*recipients)), OURS)


def test_why_mailseal_has_deferred_comes_from_the_log():
    mail = waiting(("bob@OUT.example", BY_US), ("eve@out.example", BY_US), ("x@y", REFUSED))
    known = {BOB.key: entry(because(ReasonCode.LOOKUP_RUNNING, address=BOB))}
    asked = []
    rows = mail_rows(mail, NOW, lambda queue_id: asked.append(queue_id) or known)
    assert asked == [IDS[0]]
    assert [one["why"] for one in rows][:2] == [
        f"Mailseal deferred it: keys of the recipient are being looked for; the mail waits for them (address {BOB})",
        f"Mailseal deferred it: {BY_US}",
    ]
    told = mail_json(mail, NOW, lambda _: known)["recipients"]
    assert [one["reason_codes"] for one in told] == [["lookup-running"], [], []]
    assert [one["message"] for one in told] == ["m1", None, None]


def test_a_log_that_cannot_be_asked_does_not_hide_the_queue(typed, commands, monkeypatch):
    def away(_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(log, "latest", away)
    commands.pieces = [line(("bob@out.example", BY_US))]
    assert "451 4.3.0 later" in typed("queue", "list").output


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (86_400, "24h"), (200_000, "2d")],
)
def test_ages(seconds, shown):
    assert age(NOW - timedelta(seconds=seconds), NOW) == shown


# ---- mailseal check


def found(config):
    return [(one.status, one.text) for one in check_queue.queue(config)]


@pytest.fixture
def running(typed):
    """As if the gateway ran."""
    lock = listening.hold(typed.config.run_dir / "supervisor.lock")
    yield typed.config
    os.close(lock)


def test_mail_that_waits_for_hours_is_told(running):
    ((status, text),) = found(running)
    assert status is Status.WARN
    assert text == (
        "mail has been waiting for more than 4 hours: 2 recipients: the next server cannot be reached (mx.out.example)"
    )


def test_what_is_young_or_held_by_somebody_is_no_trouble(running, commands):
    commands.pieces = [line(("x@y.example", REFUSED), hours=3), line(("x@y.example", ""), queue="hold", hours=90)]
    assert found(running) == [(Status.OK, "2 mails, none deferred for long")]


def test_a_queue_that_nobody_looks_after_is_told(running):
    running_elsewhere = running.run_dir / "queue"
    running_elsewhere.rename(running.run_dir / "aside")
    try:
        ((status, text),) = found(running)
    finally:
        (running.run_dir / "aside").rename(running_elsewhere)
    assert status is Status.WARN
    assert "cannot be asked" in text


def test_without_a_gateway_or_a_postfix_nothing_is_said(typed, tmp_path):
    assert found(typed.config) == []
    off = tmp_path / "off.toml"
    off.write_text(f'data_dir = "{tmp_path}"\n')
    assert found(load(off, {})) == []
