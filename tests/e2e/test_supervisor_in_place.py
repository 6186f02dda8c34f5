"""A role that there cannot be twice: a reload keeps its process and tells it, whether or not the reload comes about."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.e2e

SRC = Path(__file__).resolve().parents[2] / "src"
CHILD = """
import os, signal, sys, time
from mailseal.roles.child import inherit
name, folder = sys.argv[1:3]
def log(what):
    with open(folder + "/log", "a") as out:
        out.write(f"{name} {os.getpid()} {what}\\n")
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
signal.signal(signal.SIGHUP, lambda *_: log("told"))
held = inherit()
log("started")
if os.path.exists(folder + "/bad") and name != "kept":
    sys.exit(7)
held.ready()
while not over:
    held.beat()
    time.sleep(0.02)
log("drained")
"""
PARENT = """
import sys
from pathlib import Path
from mailseal.config import from_values
from mailseal.roles.generation import Role
from mailseal.roles.supervisor import Supervisor
folder = sys.argv[1]
def roles(config):
    command = [sys.executable, folder + "/child.py"]
    kept = Role("kept", [*command, "kept", folder], in_place=True)
    wanted = [] if Path(folder + "/unwanted").exists() else [kept]
    return [Role("mail", [*command, "mail", folder]), *wanted]
values = {"data_dir": folder + "/data", "limits": {"drain_seconds": 20}}
Supervisor(lambda: from_values(values), roles).run()
"""


@pytest.fixture
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("p")
    (made / "data").mkdir(mode=0o700)
    (made / "child.py").write_text(CHILD)
    (made / "parent.py").write_text(PARENT)
    return made


@pytest.fixture
def supervisor(folder):
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, str(folder / "parent.py"), str(folder)],
            env={"PYTHONPATH": str(SRC), "PATH": os.environ["PATH"]}, stderr=said,
        )  # fmt: skip
    wait_until((folder / "data" / "run" / "ready").exists)
    yield process
    process.terminate()  # a killed one would leave its processes, which here do not look whether it is gone
    try:
        process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()


def pids(folder: Path, name: str, what: str) -> list[str]:
    lines = [line.split() for line in (folder / "log").read_text().splitlines()]
    return [pid for of, pid, done in lines if (of, done) == (name, what)]


def test_it_is_told_and_stays_while_the_others_are_replaced(folder, supervisor):
    supervisor.send_signal(signal.SIGHUP)

    wait_until(lambda: pids(folder, "mail", "drained"))
    wait_until(lambda: pids(folder, "kept", "told"))
    assert len(pids(folder, "mail", "started")) == 2
    assert pids(folder, "kept", "told") == pids(folder, "kept", "started")
    supervisor.terminate()
    assert supervisor.wait(PATIENCE_SECONDS) == 0
    assert pids(folder, "kept", "drained") == pids(folder, "kept", "started")


def test_a_reload_that_is_given_up_neither_tells_nor_ends_it(folder, supervisor):
    (folder / "bad").touch()
    supervisor.send_signal(signal.SIGHUP)

    wait_until(lambda: "the reload is given up" in (folder / "said").read_text())
    (folder / "bad").unlink()
    supervisor.send_signal(signal.SIGHUP)
    wait_until(lambda: pids(folder, "mail", "drained"))
    wait_until(lambda: pids(folder, "kept", "told"))
    assert len(pids(folder, "kept", "told")) == len(pids(folder, "kept", "started")) == 1
    assert not pids(folder, "kept", "drained")


def test_told_to_stop_in_the_middle_of_a_reload_it_drains_once(folder, supervisor):
    supervisor.send_signal(signal.SIGHUP)
    wait_until(lambda: len(pids(folder, "mail", "started")) == 2)
    supervisor.terminate()
    assert supervisor.wait(PATIENCE_SECONDS) == 0
    assert pids(folder, "kept", "drained") == pids(folder, "kept", "started")


def test_no_longer_wanted_it_drains_like_any_other(folder, supervisor):
    (folder / "unwanted").touch()
    supervisor.send_signal(signal.SIGHUP)
    wait_until(lambda: pids(folder, "kept", "drained"))
    assert supervisor.poll() is None


def test_it_is_started_again_if_it_ends(folder, supervisor):
    [pid] = pids(folder, "kept", "started")
    os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: len(pids(folder, "kept", "started")) == 2)
