"""The sandbox: whatever a document does to the process that reads it, it stays there, and the next one is read."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.hostile_sandbox import Sandbox, sandbox
from harness.waiting import wait_until
from mailseal.extract.sandbox_lines import MAX_DOCUMENTS
from mailseal.policy.inspection import GapReason, GapStatus
from mailseal.transport.sandbox import SandboxAwayError
from mailseal.transport.sandbox_answer import sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailseal.policy.inspection import Inspection

CRASH = b"import ctypes; ctypes.string_at(0)"
HANG = b"import time\nwhile True: time.sleep(1)"
SPIN = b"while True: pass"
ABORT = b"import os; os.abort()"
LEAVE = b"import os; os._exit(0)"
ALLOCATE = b"held = [bytes(1 << 26) for _ in range(1000)]"
SLOW = b"import time; time.sleep(1); said = 'slow'"
TO_ANSWER = b"""
import os, socket
def is_answer(number):
    try:
        held = socket.socket(fileno=number)
    except OSError:
        return False
    found = held.type == socket.SOCK_STREAM
    held.detach()
    return found
(there,) = filter(is_answer, range(3, 64))
def put(octets):
    while octets: octets = octets[os.write(there, octets):]
"""
"""A process may write what it likes where its answer goes."""
TO_CONTROL = b"""
import os
for number in range(3, 64):
    try: os.write(number, b"done")
    except OSError: pass
import time
time.sleep(60)
"""
TOO_MUCH = b"""
import json
line = json.dumps({"place": "x", "text": "x" * 200000, "more": False}).encode() + b"\\n"
while True: put(line)
"""
NO_LINE = b"while True: put(b'x' * 100000)"
NO_JSON = b"put(b'{\\n{\\n')"
NO_PLACE = b'put(b\'{"text": "x"}\\n\')'
DEEP = b"put(b'[' * 1000000 + b'\\n{}\\n')"
MANY_GAPS = b"""
while True: put(b'{"place":"","gap":"broken","status":"partial","detail":""}\\n' * 1000)
"""


@pytest.fixture(scope="module")
def one() -> Iterator[Sandbox]:
    with sandbox(document_seconds=1, text_characters=1_000_000) as made:
        yield made


def reasons(found: Inspection) -> list[tuple[GapStatus, GapReason]]:
    return [(gap.status, gap.reason) for gap in found.gaps]


@pytest.mark.parametrize("document", [CRASH, ABORT, LEAVE, ALLOCATE], ids=["segv", "abort", "exit", "memory"])
def test_a_process_that_ends_is_a_gap_and_the_next_document_is_read(one: Sandbox, document: bytes) -> None:
    found = one.read(document)
    assert reasons(found) == [(GapStatus.UNINSPECTABLE, GapReason.CRASHED)]
    assert [gap.place for gap in found.gaps] == ["document"]
    assert one.works()


@pytest.mark.parametrize("document", [HANG, SPIN], ids=["waits", "computes"])
def test_a_process_that_does_not_end_is_killed(one: Sandbox, document: bytes) -> None:
    before = one.children()
    assert reasons(one.read(document)) == [(GapStatus.UNINSPECTABLE, GapReason.TIMEOUT)]
    assert one.works()
    assert not set(before) & set(one.children())


@pytest.mark.parametrize(
    "document",
    [TOO_MUCH, NO_LINE, NO_JSON, NO_PLACE, DEEP, MANY_GAPS],
    ids=["more text than asked for", "no end of line", "no JSON", "other members", "deep", "gaps without end"],
)
def test_an_answer_that_is_none_is_a_gap(one: Sandbox, document: bytes) -> None:
    found = one.read(TO_ANSWER + document)
    assert reasons(found)[-1:] == [(GapStatus.UNINSPECTABLE, GapReason.CRASHED)]
    assert sum(len(passage.text) for passage in found.passages) <= 1_000_000
    assert one.works()


ATTEMPTS = b"""
import ctypes, os, resource, socket, signal
def tried(what):
    try:
        what()
        return "done"
    except (OSError, MemoryError) as error:
        return type(error).__name__
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
said = " ".join(f"{name}={tried(what)}" for name, what in {
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "internet": lambda: socket.create_connection(("127.0.0.1", PORT)),
    "unix": lambda: socket.socket(socket.AF_UNIX).connect(SOCKET),
    "signal": lambda: os.kill(os.getppid(), 0),
    "trace": lambda: call("ptrace", 16, os.getppid(), 0, 0),
    "read": lambda: open(SECRET).read(),
    "list": lambda: os.listdir(FOLDER),
    "passwd": lambda: open("/etc/passwd").read(),
    "write": lambda: open(FOLDER + "/made", "w"),
    "temporary": lambda: open("/tmp/made-by-a-document", "w"),
    "change": lambda: os.chmod(SECRET, 0o777),
    "delete": lambda: os.unlink(SECRET),
    "memory": lambda: bytes(2 << 30),
    "namespace": lambda: call("unshare", 0x20000),
    "limits": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    "processors": lambda: os.sched_setaffinity(os.getppid(), {0}),
    "orphan": lambda: call("prctl", 1, 0, 0, 0, 0),
}.items())
"""


def test_what_a_document_that_has_taken_over_cannot_do(one: Sandbox) -> None:
    if lacking := one.documents.status().lacking:
        pytest.skip(f"not to be had here: {lacking}")
    secret = one.folder / "secret"
    secret.write_text("secret")
    names = {"SECRET": str(secret), "FOLDER": str(one.folder), "SOCKET": str(one.folder / "run" / "sandbox"), "PORT": 1}
    head = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    (passage,) = one.read(head.encode() + ATTEMPTS).passages
    found = dict(word.split("=") for word in passage.text.split())
    assert found.pop("memory") == "MemoryError"
    assert len(found) == 19
    assert set(found.values()) == {"PermissionError"}, found
    assert secret.read_text() == "secret"
    assert secret.stat().st_mode & 0o777 != 0o777


def test_what_is_handed_over_cannot_be_changed() -> None:
    with sealed(b"as it was") as descriptor:
        for change in (lambda: os.pwrite(descriptor, b"x", 0), lambda: os.ftruncate(descriptor, 0)):
            with pytest.raises(PermissionError):
                change()
        with pytest.raises(PermissionError):
            mmap.mmap(descriptor, 9)
        assert os.pread(descriptor, 100, 0) == b"as it was"


def test_a_process_that_says_it_is_done_and_has_not_answered_reads_nothing_more() -> None:
    with sandbox(document_seconds=60) as made:
        before = made.children()
        assert reasons(made.read(TO_CONTROL)) == [(GapStatus.UNINSPECTABLE, GapReason.CRASHED)]
        assert made.works()
        assert before
        assert not set(before) & set(made.children())


def test_a_process_that_does_not_end_after_so_many_documents_is_ended() -> None:
    taken_over = (
        f"import sys; from mailseal.extract import child; child.MAX_DOCUMENTS = {10**9}; child.main(sys.argv[1:])"
    )
    with sandbox(command=(sys.executable, "-P", "-c", taken_over)) as made:
        before = made.children()
        assert all(made.works() for _ in range(MAX_DOCUMENTS))
        wait_until(lambda: made.children() != before)
        assert made.works()


def test_a_mail_that_waits_in_vain_is_deferred_and_its_document_is_let_go(one: Sandbox) -> None:
    began = time.monotonic()
    with pytest.raises(SandboxAwayError):
        one.read(HANG, seconds=0.3)
    assert one.works()
    assert time.monotonic() - began < 30
    assert wait_until(lambda: one.documents.status().running == 0)


def test_a_sandbox_that_is_killed_defers_and_takes_its_processes_along() -> None:
    with sandbox(document_seconds=60) as made:
        children = made.children()
        failed: list[BaseException] = []

        def read() -> None:
            try:
                made.read(HANG)
            except BaseException as error:  # noqa: BLE001 - told below
                failed.append(error)

        reading = threading.Thread(target=read)
        reading.start()
        wait_until(lambda: made.documents.status().running == 1)
        made.process.kill()
        made.process.wait()
        reading.join()
        assert [type(error) for error in failed] == [SandboxAwayError]
        wait_until(lambda: not any(_runs(child) for child in children))
        with pytest.raises(SandboxAwayError):
            made.works()
        made.start()
        assert made.works()


def test_what_is_being_read_is_read_to_its_end_when_the_role_ends() -> None:
    with sandbox() as made:
        found: list[Inspection] = []
        reading = threading.Thread(target=lambda: found.append(made.read(SLOW)))
        reading.start()
        wait_until(lambda: made.documents.status().running == 1)
        children = made.children()
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait() == 0
        reading.join()
        assert [passage.text for passage in found[0].passages] == ["slow"]
        assert not any(_runs(child) for child in children)


def test_who_waits_too_long_is_deferred() -> None:
    with sandbox(wait_seconds=1, document_seconds=60) as made:
        with hanging(made), pytest.raises(SandboxAwayError, match="no process free"):
            made.works()
        wait_until(lambda: _works(made))


def test_who_goes_before_its_turn_costs_no_process() -> None:
    with sandbox(document_seconds=30) as made:
        before = made.children()
        reading = threading.Thread(target=lambda: made.read(SLOW))
        reading.start()
        wait_until(lambda: made.documents.status().running == 1)
        _ignore(made, b"pass", 0.2)
        reading.join()
        assert made.works()
        assert before
        assert made.children() == before


def test_a_mail_of_hard_documents_makes_room() -> None:
    with sandbox(document_seconds=60) as made:
        order: list[str] = []

        def read(name: str, used: float) -> None:
            budget = made.documents.budget(float("inf"))
            budget.until -= used
            made.documents.read(b"pass", name, "application/x-hostile", budget, float("inf"))
            order.append(name)

        threads = []
        with hanging(made):
            for waiting, (name, used) in enumerate([("had much", 50.0), ("had some", 20.0), ("new", 0.0)], 1):
                threads.append(threading.Thread(target=read, args=(name, used)))
                threads[-1].start()
                wait_until(lambda waiting=waiting: made.documents.status().waiting == waiting)
        for thread in threads:
            thread.join()
        assert order[0] == "new"


def test_a_document_that_hangs_leaves_room_for_others() -> None:
    with sandbox(extractors=2, document_seconds=60) as made, hanging(made):
        assert all(made.works() for _ in range(5))
        wait_until(lambda: made.documents.status().running == 1)


def test_processes_that_do_not_come_up_are_told_of_and_mail_waits() -> None:
    with sandbox(command=("/bin/false",), wait_seconds=1) as made:
        assert made.documents.status().trouble.endswith(": a process that reads documents ended before it was ready")
        with pytest.raises(SandboxAwayError):
            made.works()


def test_an_interpreter_that_may_not_be_run_is_named(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("")
    with sandbox(command=(str(program),), wait_seconds=1) as made:
        assert f"Permission denied: '{program}'" in made.documents.status().trouble


def test_a_sandbox_that_is_not_there_defers() -> None:
    with sandbox() as made:
        made.end()
        with pytest.raises(SandboxAwayError):
            made.works()


@contextlib.contextmanager
def hanging(made: Sandbox) -> Iterator[None]:
    """While a document hangs; then the processes are killed, however long it took to come here."""
    reading = threading.Thread(target=lambda: _works(made, HANG))
    reading.start()
    wait_until(lambda: made.documents.status().running == 1)
    try:
        yield
    finally:
        for child in made.children():
            os.kill(child, signal.SIGKILL)
        reading.join()


def _works(made: Sandbox, document: bytes = b"pass") -> bool:
    with contextlib.suppress(SandboxAwayError):
        made.read(document)
        return True
    return False


def _ignore(made: Sandbox, document: bytes, seconds: float) -> None:
    with pytest.raises(SandboxAwayError):
        made.read(document, seconds=seconds)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
