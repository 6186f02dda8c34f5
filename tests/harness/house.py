"""A supervisor and small stand-ins for its roles, which write down what they got and what happened to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.everybody import SRC
from harness.waiting import PATIENCE_SECONDS, wait_until

CHILD = """
import os, select, signal, sys, time
from mailseal.roles.child import inherit
name, folder, mode = sys.argv[1], sys.argv[2], open(sys.argv[3]).read().strip()
def log(what):
    with open(folder + "/log", "a") as out:
        out.write(f"{name} {os.getpid()} {what}\\n")
held = inherit()
log("started " + mode + " " + ",".join(sorted(held.sockets)))
if {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"} & os.environ.keys():
    log("told what is for the supervisor alone")
if mode == "fails":
    sys.exit(7)
if mode == "cannot":
    sys.exit(78)
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1) if mode != "stubborn" else log("stays"))
if mode != "silent":
    held.ready()
while not stop:
    if not os.path.exists(folder + "/mute"):
        held.beat()
    if select.select([held.supervisor_fd], [], [], 0.05)[0]:
        log("orphaned")
        break
else:
    log("drained")
time.sleep(0.2)
"""

PARENT = """
import json, sys
from pathlib import Path
from mailseal.config import MAIL_SOCKETS, load
from mailseal.errors import MailsealError
from mailseal.roles import child, process, supervisor
from mailseal.roles.generation import Role
folder = sys.argv[1]
for name, seconds in json.loads(Path(folder + "/seconds").read_text()).items():
    module, _, constant = name.partition(".")
    setattr({"child": child, "process": process, "supervisor": supervisor}[module], constant, seconds)
def roles(config):
    command = [sys.executable, folder + "/child.py"]
    names = [f"mail-{n}" for n in range(config.workers)]
    mail = [Role(name, [*command, name, folder, folder + "/mode"], MAIL_SOCKETS) for name in names]
    return [*mail, Role("worker", [*command, "worker", folder, folder + "/mode"])]
try:
    supervisor.Supervisor(lambda: load(Path(folder + "/mailseal.toml"), {}), roles).run()
except MailsealError as error:
    sys.exit(f"error: {error}")
"""


class House:
    """A data folder, a supervisor's command line, and what the stand-ins wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        self.running: list[subprocess.Popen] = []
        (folder / "child.py").write_text(CHILD)
        (folder / "parent.py").write_text(PARENT)
        self.mode("works")
        self.seconds({})
        self.config()

    def config(self, workers: int = 2, extra: str = "", drain_seconds: int = 2, deadline_seconds: int = 240) -> None:
        (self.folder / "mailseal.toml").write_text(
            f'hostname = "mx.test"\ndata_dir = "{self.data}"\nworkers = {workers}\n'
            f"[limits]\ndrain_seconds = {drain_seconds}\ndeadline_seconds = {deadline_seconds}\n[listen]\n{extra}\n"
        )

    def mode(self, mode: str) -> None:
        (self.folder / "mode").write_text(mode)

    def seconds(self, constants: dict[str, float]) -> None:
        """Other values for some of its patience, by `module.NAME`."""
        (self.folder / "seconds").write_text(json.dumps({"process.FIRST_PAUSE_SECONDS": 0.1} | constants))

    def start(self, **environ: str) -> subprocess.Popen:
        with (self.folder / f"said-{len(self.running)}").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, str(self.folder / "parent.py"), str(self.folder)],
                env={"PYTHONPATH": str(SRC), "PATH": os.environ["PATH"], **environ},
                stderr=said,
            )
        self.running.append(process)
        return process

    def said(self, process: subprocess.Popen) -> str:
        return (self.folder / f"said-{self.running.index(process)}").read_text()

    def end_of(self, process: subprocess.Popen) -> str:
        """All that it said, once it has ended."""
        process.wait(PATIENCE_SECONDS)
        return self.said(process)

    def log(self, what: str) -> list[str]:
        file = self.folder / "log"
        return [line for line in file.read_text().splitlines() if what in line] if file.exists() else []

    def pids(self, what: str) -> list[int]:
        return [int(line.split()[1]) for line in self.log(what)]

    def ready(self) -> bool:
        return (self.data / "run" / "ready").exists()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def housed(folder: Path) -> Iterator[House]:
    """Whoever was started is gone at the end."""
    made = House(folder)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
        process.wait()
    wait_until(lambda: not any(alive(pid) for pid in made.pids("started")))
