"""The queue role: who may ask, what hostile requests get, one at a time, within its time; root with little in hand."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.folder import short_folder
from harness.queue_role import IDS, LINE, Scripted, Served
from harness.waiting import wait_until
from mailseal.errors import TransientError
from mailseal.postfix.queue_file import QueueFile
from mailseal.postfix.queue_request import MAX_LINE_BYTES, Request, Verb
from mailseal.roles import queue_client as client_module
from mailseal.roles import queue_commands, queue_role
from mailseal.roles.queue_client import QueueAwayError, QueueClient, QueueFailedError, QueueRefusedError
from mailseal.roles.queue_commands import CommandFailedError, Commands, Done, UntrustedError, require_trusted, run

ELSEWHERE = """
import socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    client.sendall(b'{"verb": "ping"}\\n')
    print(client.recv(1000).decode())
"""


@pytest.fixture
def commands():
    return Scripted()


@pytest.fixture
def served(commands):
    with short_folder("role") as folder:
        made = Served(folder / "queue", commands, os.getuid())
        yield made
        commands.hold_up.set()
        made.end()


def test_what_is_asked_is_done(served, commands):
    with served.client.listing() as listing:
        (mail,) = listing
    assert (mail.id, listing.cut, listing.unreadable) == (IDS[0], 0, 0)
    assert served.client.change(Verb.HOLD, IDS).ids == list(IDS)
    assert served.client.change_all(Verb.RELEASE).count == 7
    assert served.client.change(Verb.DELETE, IDS[:1]).count == 1
    assert commands.asked == ["list", ("-h", IDS), ("-H", None), ("-d", IDS[:1])]
    with pytest.raises(QueueFailedError, match="mail system is down"):
        served.client.flush()


def test_more_mails_than_fit_in_a_request_are_several(served, commands):
    many = tuple(f"{number:05d}" for number in range(2500))
    assert served.client.change(Verb.HOLD, many).count == 2500
    assert [len(one[1]) for one in commands.asked] == [1000, 1000, 500]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\n",
        b"GET / HTTP/1.1\r\n",
        b'{"verb": "delete", "all": true}\n',
        b'{"verb": "delete", "ids": ["ALL"]}\n',
        b'{"verb": "delete", "ids": ["-d"]}\n',
        b'{"verb": "hold", "ids": ["ABCDE\\nFGHIJ"]}\n',
        b'{"verb": "list"',
        b'{"verb": "' + b"x" * (2 * MAX_LINE_BYTES) + b'"}\n',
        b"x" * (3 * MAX_LINE_BYTES),
        b"\xff\xfe\n",
    ],
)
def test_what_may_not_be_asked_is_refused_and_nothing_is_done(served, commands, octets):
    assert served.raw(octets)["error"] == "refused"
    assert commands.asked == []
    assert "error" not in served.raw(b'{"verb": "ping"}\n')


def test_who_is_neither_root_nor_the_owner_is_refused(commands):
    """Though he could open the socket: the kernel says who he is (SO_PEERCRED)."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with short_folder("peers") as folder:
        folder.chmod(0o755)
        made = Served(folder / "queue", commands, owner=2)
        try:
            made.path.chmod(0o666)
            told = {
                uid: subprocess.run(
                    ["/usr/bin/python3", "-c", ELSEWHERE, str(made.path)],
                    user=uid, group=uid, extra_groups=[], capture_output=True, text=True, timeout=60, check=True,
                ).stdout
                for uid in (0, 1, 2)
            }  # fmt: skip
        finally:
            made.end()
    assert {uid: "refused" in text for uid, text in told.items()} == {0: False, 1: True, 2: False}


def test_one_at_a_time_of_each_verb_and_the_others_meanwhile(served, commands, monkeypatch):
    monkeypatch.setattr(queue_role, "TURN_SECONDS", 0.2)
    commands.hold_up.clear()
    first = threading.Thread(target=lambda: served.raw(Request(Verb.LIST).line()))
    first.start()
    wait_until(lambda: commands.asked)
    assert served.raw(Request(Verb.LIST).line())["error"] == "busy"
    assert served.client.change(Verb.HOLD, IDS).count == 2
    monkeypatch.undo()  # the turn of the first ends behind its answer
    commands.hold_up.set()
    first.join(60)
    assert served.raw(Request(Verb.LIST).line())["mails"] == 1


def test_what_takes_too_long_is_ended_and_said(served, commands, monkeypatch):
    monkeypatch.setattr(queue_role, "WORK_SECONDS", {Verb.LIST: 0.1})
    commands.pieces = [LINE + b"\n" + LINE[:50]]
    commands.hold_up.clear()
    with served.client.listing() as listing, pytest.raises(QueueFailedError, match="took too long"):
        list(listing)
    assert listing.unreadable == 1  # the line in the middle of which it was


def test_a_queue_beyond_measure_is_cut_at_a_line_and_counted(served, commands, monkeypatch):
    monkeypatch.setattr(queue_role, "MAX_LISTED_MAILS", 3)
    whole = (LINE + b"\n") * 10
    commands.pieces = [whole[at : at + 70] for at in range(0, len(whole), 70)]
    with served.client.listing() as listing:
        mails = list(listing)
    assert (len(mails) + listing.cut, listing.unreadable) == (10, 0)
    assert listing.cut >= 6


def test_who_reads_no_further_ends_the_listing(served, commands):
    commands.pieces = [LINE + b"\n"] * 200_000
    with served.client.listing() as listing:
        next(iter(listing))
    with served.client.listing() as listing:  # has its turn at once
        next(iter(listing))


def test_a_line_without_an_end_is_one_that_cannot_be_read(served, commands, monkeypatch):
    monkeypatch.setattr(client_module, "MAX_LINE_BYTES", 1000)
    commands.pieces = [b"x" * 5000, b"\n", LINE + b"\n", b"\n"]
    with served.client.listing() as listing:
        assert [one.id for one in listing] == [IDS[0]]
    assert listing.unreadable == 2


def test_an_answer_that_breaks_off_or_is_none(tmp_path):
    with short_folder("gone") as folder:
        path = folder / "queue"
        with pytest.raises(QueueAwayError, match="No such file"):
            QueueClient(path).flush()
        for answer, error in (
            (b"", QueueAwayError),
            (b'{"end": {', QueueAwayError),
            (b"what?\n", QueueFailedError),
            (b'{"end": []}\n', QueueFailedError),
            (b'{"end": {"error": "refused", "text": "no"}}\n', QueueRefusedError),
            (b'{"end": {"error": "busy", "text": "no"}}\n', QueueFailedError),
        ):
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                listener.listen()

                def say(listener=listener, answer=answer):
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(answer)

                thread = threading.Thread(target=say)
                thread.start()
                with pytest.raises(error):
                    QueueClient(path).flush()
                thread.join(60)
            path.unlink()


# ---- requeueing


FILTERS = {IDS[0]: "mailseal:unix:mailseal/lmtp-authorised", IDS[1]: "mailseal:unix:mailseal/lmtp-outside"}


class Files(Scripted):
    """The pickup service hands on to the filter of authorised senders."""

    async def filter_of_requeued(self):
        return FILTERS[IDS[0]]

    async def files(self, ids, *options):
        assert options == ("-e",)
        return [QueueFile("deferred", one, [("content_filter", FILTERS[one])]) for one in ids if one in FILTERS]


def test_only_what_comes_back_to_its_own_filter_is_requeued():
    """Mail of strangers, handed in anew by pickup, would be mail of authorised senders: signed as anyone."""
    commands = Files()
    with short_folder("requeue") as folder:
        made = Served(folder / "queue", commands, os.getuid())
        try:
            changed = made.client.change(Verb.REQUEUE, (*IDS, "4gone1234"))
            assert (changed.count, changed.ids, changed.kept) == (1, [IDS[0]], [IDS[1]])
            # Without any that may be there is nothing to do; above all not "all of them".
            assert made.client.change(Verb.REQUEUE, IDS[1:]).count == 0
        finally:
            made.end()
    assert commands.asked == [("-r", [IDS[0]], "deferred", "hold"), "wake"]


def test_the_filter_is_that_of_the_pickup_that_runs(tmp_path):
    """What stands in master.cf counts only once Postfix has read it."""
    program = tmp_path / "pickup"
    program.write_text("#!/bin/sh\necho; read -r line\n")
    program.chmod(0o755)
    options = ("-l", "-o", "content_filter=a:b", "-o", "x=content_filter", "-o", "content_filter = mailseal:unix:c=d ")
    with subprocess.Popen([program, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        (told,) = queue_commands.children(os.getpid(), "pickup")
        assert list(queue_commands.children(os.getpid(), "cleanup")) == []
        assert list(queue_commands.children(1, "pickup-of-nobody")) == []
        running.communicate(b"\n")
    assert queue_commands._option(told, "content_filter") == "mailseal:unix:c=d"
    assert queue_commands._option(["pickup", "-l"], "content_filter") is None
    assert queue_commands._option(["pickup", "-o", "content_filter="], "content_filter") == ""


# ---- what runs as root


def test_it_is_nothing_but_the_standard_library():
    script = (
        "import sys, mailseal.roles.queue_role\n"
        "print(*sorted({m.partition('.')[0] for m, v in sys.modules.items() if 'site-packages' in "
        "(getattr(v, '__file__', None) or '')} - {'mailseal'}))\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {one for one in told.stdout.split() if not one.startswith(("_", "sitecustomize"))} == set()


def test_without_root_it_says_so(tmp_path):
    if os.geteuid() == 0 and not Path("/usr/bin/python3").exists():
        pytest.skip("needs a Python for everybody")
    command = [sys.executable, "-m", "mailseal.roles.queue_role"]
    if os.geteuid() == 0:
        from harness import everybody  # noqa: PLC0415 -- only where there are other users

        if everybody.python() is None:
            pytest.skip("needs a Python for everybody")
        command[0] = everybody.python()
        told = subprocess.run(
            command, capture_output=True, text=True, check=False, user=everybody.OTHER, group=everybody.OTHER,
            extra_groups=[], env=everybody.environment(), cwd="/",
        )  # fmt: skip
    else:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 78
    assert "needs root" in told.stderr


def test_root_keeps_the_capabilities_that_are_named():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    script = (
        "import subprocess\n"
        "from mailseal.roles.confinement import keep_capabilities\n"
        "keep_capabilities((1, 6, 7))\n"
        "print(open('/proc/self/status').read())\n"
        "print(subprocess.run(['cat', '/proc/self/status'], capture_output=True, text=True, check=True).stdout)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in told.splitlines() if line.startswith("Cap")]
    assert len(found) == 10
    assert {(name, int(value, 16)) for name, value in found} == {
        ("CapInh:", 0), ("CapPrm:", 0xC2), ("CapEff:", 0xC2), ("CapBnd:", 0xC2), ("CapAmb:", 0),
    }  # fmt: skip


def test_a_configuration_that_others_can_change_is_not_used():
    if os.geteuid() != 0:
        pytest.skip("only root runs by it")
    with short_folder("trust") as folder:
        etc = folder / "below" / "etc"
        etc.mkdir(parents=True)
        with pytest.raises(CommandFailedError, match="No such file"):
            require_trusted(etc)
        for name in ("main.cf", "master.cf"):
            (etc / name).touch(0o644)
        require_trusted(etc)
        for path in (etc, etc.parent, etc / "main.cf", etc / "master.cf"):
            mode = path.stat().st_mode
            path.chmod(mode | 0o020)
            with pytest.raises(UntrustedError):
                require_trusted(etc)
            path.chmod(mode)
            os.chown(path, 1, 0)
            with pytest.raises(UntrustedError):
                require_trusted(etc)
            os.chown(path, 0, 0)
        (etc / "main.cf").unlink()
        (folder / "theirs").touch()
        os.chown(folder / "theirs", 1, 0)
        (etc / "main.cf").symlink_to(folder / "theirs")
        with pytest.raises(UntrustedError):
            require_trusted(etc)


def test_a_command_has_an_environment_of_ours_and_bounded_output(monkeypatch):
    monkeypatch.setenv("MAILSEAL_DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("MAIL_CONFIG", "/tmp/evil")
    done = asyncio.run(run(["/usr/bin/env"]))
    assert {line.partition("=")[0] for line in done.stdout.decode().split()} == {"PATH", "LC_ALL"}
    monkeypatch.setattr("mailseal.roles.queue_commands.MAX_OUTPUT_BYTES", 1000)
    assert len(asyncio.run(run(["/usr/bin/head", "-c", "1000000", "/dev/zero"])).stdout) == 1000
    assert asyncio.run(run(["/bin/cat"], b"given")).stdout == b"given"
    assert asyncio.run(run(["/bin/true"], b"x" * 1_000_000)).status == 0
    with pytest.raises(TransientError, match="cannot be run"):
        asyncio.run(run(["/nowhere"]))


def test_what_a_command_complains_of():
    always = "postqueue: warning: /etc/postfix/main.cf, line 96: overriding earlier entry: relayhost=\n"
    down = "postqueue: warning: Mail system is down -- accessing queue directly\n"
    assert Done(0, b"", always).warning == ""
    assert Done(0, b"", down + always).warning.startswith("Mail system is down")
    assert Done(69, b"", always + "postqueue: fatal: no\n").complaint == "no"
    assert Done(1, b"", "").complaint == "status 1"


def test_a_command_that_is_given_up_is_killed(tmp_path):
    mark = tmp_path / "pid"

    mark.touch()

    async def give_up() -> None:
        running = asyncio.create_task(run(["/bin/sh", "-c", f"sleep 600 & echo $$ $! > {mark}; wait"]))
        async with asyncio.timeout(60):
            while len(mark.read_text().split()) < 2:  # noqa: ASYNC110 -- it is a file
                await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(give_up())
    wait_until(lambda: not any(_lives(pid) for pid in mark.read_text().split()))


def test_a_command_that_is_given_up_while_it_starts_is_killed(tmp_path):
    """What it has started itself holds its pipes, for which asyncio would wait."""

    async def give_up(turns: int) -> None:
        running = asyncio.create_task(run(["/bin/sh", "-c", "sleep 600 & wait"]))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(running, 20)

    for turns in range(12):
        asyncio.run(give_up(turns))


def test_a_command_whose_output_nobody_reads_any_more_is_killed():
    async def stop() -> None:
        commands = Commands(Path("/nowhere"))
        commands._command = lambda *_: ["/bin/sh", "-c", "yes & yes >&2 & wait"]

        async def take(piece: bytes) -> None:
            await asyncio.sleep(0.3)  # more comes meanwhile than is taken in ahead
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(commands.listing(take), 20)

    asyncio.run(stop())


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
