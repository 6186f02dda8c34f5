"""A gateway of its own for measuring: folder, configuration, start, readiness, memory and CPU of its processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cpu import cpu_seconds, tree

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "bench"
PYTHON = sys.executable
READY_SECONDS = 90


def start(*command: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)


def stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        child.wait(90)


@dataclass
class Serving:
    """A gateway that runs: its supervisor and how long it took to be ready."""

    child: subprocess.Popen[bytes]
    ready_seconds: float
    ready_cpu_seconds: float
    """Of all its processes, up to then."""

    @property
    def pid(self) -> int:
        return self.child.pid

    def roles(self, name: str) -> list[int]:
        """The processes of one role, by the word on their command line."""
        return [pid for pid in tree(self.pid) - {self.pid} if name in command_line(pid)]


def command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []


def memory_bytes(pid: int) -> dict[str, int]:
    """`RssAnon` (its own), `RssFile` (mapped files, the spool among them) and `VmRSS` (both) of one process."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name in {"RssAnon", "RssFile", "VmRSS"}:
            found[name] = int(value.split()[0]) * 1024
    return found


@dataclass
class Instance:
    """A folder below var/bench with configuration, database and KEK. `extra`: more of mailseal.toml."""

    name: str
    port: int
    sink_port: int
    workers: int = 2
    extra: str = ""
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = FOLDER / self.name
        self.config = self.folder / "mailseal.toml"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configure()

    def configure(self, **changes: object) -> None:
        """Write the configuration, with some of its values changed for good."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.config.write_text(
            f'hostname = "bench.test"\ndata_dir = "{self.folder / "data"}"\nworkers = {self.workers}\n'
            f'[listen]\nsmtp = "127.0.0.1:{self.port}"\nsmtp_authorised_networks = ["127.0.0.0/8"]\n'
            f'[relay]\ninside = "smtp://127.0.0.1:{self.sink_port}"\noutside = "smtp://127.0.0.1:{self.sink_port}"\n'
            f"{self.extra}"
        )

    @property
    def database(self) -> Path:
        return self.folder / "data" / "mailseal.db"

    def command(self, *arguments: str) -> tuple[str, ...]:
        return (PYTHON, "-m", "mailseal", "--config", str(self.config), *arguments)

    def run(self, *arguments: str) -> None:
        subprocess.run(self.command(*arguments), check=True, stdout=subprocess.DEVNULL, env=os.environ)

    def set(self, settings: dict[str, str]) -> None:
        for name, value in settings.items():
            self.run("settings", "set", name, value)

    @contextmanager
    def serving(self) -> Iterator[Serving]:
        """Run `mailseal serve` until the end of the block."""
        mark = self.folder / "data" / "run" / "ready"
        began = time.perf_counter()
        child = start(*self.command("serve"), log=self.folder / "gateway.log")
        try:
            while not mark.exists():
                if child.poll() is not None or time.perf_counter() - began > READY_SECONDS:
                    raise SystemExit(f"the gateway did not become ready: see {self.folder / 'gateway.log'}")
                time.sleep(0.01)
            yield Serving(child, time.perf_counter() - began, cpu_seconds(child.pid))
        finally:
            stop(child)
