"""A real Mailseal: a folder, mailseal.toml, everything set by the real command line, `mailseal serve` as a child."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from harness.waiting import PATIENCE_SECONDS, wait_until

P12_PASSWORD = b"correct horse"
COMMAND = [sys.executable, "-m", "mailseal"]
_TYPED = """
import json, sys
from mailseal.cli import run
for words in json.load(sys.stdin):
    if run(["--config", sys.argv[1], *words]):
        sys.exit("failed: mailseal " + " ".join(words))
"""


def clean_environment() -> dict[str, str]:
    """Ours without settings that a developer's shell may have for a gateway of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAILSEAL_")}


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    return json.dumps(value)


class Gateway:
    """`relay` and the other tables become mailseal.toml as they are: {"listen": {"smtp": "127.0.0.1:2525"}}."""

    within: Sequence[str] = ()

    def __init__(self, folder: Path, *, within: Sequence[str] = (), **tables: Mapping[str, object]) -> None:
        """`within`: words before each command line, such as those of a namespace."""
        self.folder = folder
        self.within = within
        self.data = folder / "data"
        self.config = folder / "mailseal.toml"
        self.output = folder / "serve.log"
        self.metrics = f"http://{tables.get('metrics', {}).get('listen')}/metrics"
        self._process: subprocess.Popen[bytes] | None = None
        self._collected: list[Sequence[str]] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700, exist_ok=True)  # made by us, so it stays ours also where a user `mailseal` exists
        self.write_config(**tables)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def write_config(self, **tables: Mapping[str, object]) -> None:
        top: dict[str, object] = {
            "node": "test",
            "hostname": "gate.alpha.example",
            "data_dir": str(self.data),
            "workers": 2,
            **tables.pop("top", {}),
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in top.items()]
        for table, values in tables.items():
            lines += [f"\n[{table}]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
        self.config.write_text("\n".join(lines) + "\n")

    # ---- the command line

    def run(self, *arguments: str, seconds: float = 2 * PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
        """`mailseal …` to its end, whatever its status."""
        return subprocess.run(
            [*self.within, *COMMAND, "--config", str(self.config), *arguments],
            capture_output=True, text=True, timeout=seconds, env=clean_environment(), stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip

    def cli(self, *arguments: str) -> str:
        """Standard output of a command that must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, (
            f"mailseal {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def type(self, *commands: str) -> str:
        """What many commands print, which must succeed, in one process, since each starts for half a second."""
        return self._type([one.split() for one in commands])

    def _type(self, commands: Sequence[Sequence[str]]) -> str:
        done = subprocess.run(
            [*self.within, sys.executable, "-c", _TYPED, str(self.config)],
            input=json.dumps(commands), capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS,
            env=clean_environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """What `do`, `init`, `import_…` and `set` have to do in this block is done at its end, in one process.

        Each `import_…` once: the next one would write over its file.
        """
        self._collected = []
        try:
            yield
            commands = self._collected
        finally:
            self._collected = None
        self._type(commands)

    def do(self, *arguments: str) -> None:
        """A command that must succeed."""
        if self._collected is None:
            self.cli(*arguments)
        else:
            self._collected.append(arguments)

    def rows(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.cli(*arguments, "--json"))

    def init(self, *domains: str) -> None:
        """Data folder, key, database; the domains are internal."""
        self.do("init", *(word for domain in domains for word in ("--internal-domain", domain)))

    def import_roots(self, *authorities: object) -> None:
        self.do("root", "import", self.file("roots.pem", b"".join(one.pem for one in authorities)))

    def import_certificates(self, others: Sequence[object], own: Sequence[object] = ()) -> None:
        """Certificates of others without their keys, and our own with theirs from PKCS#12."""
        files = [self.file("others.pem", b"".join(one.pem for one in others))]
        files += [self.file(f"{one.certificate.fingerprint[:12]}.p12", one.p12(P12_PASSWORD)) for one in own]
        self.do("cert", "import", *files, "--password-file", self.file("password", P12_PASSWORD))

    def import_crl(self, der: bytes) -> None:
        self.do("crl", "import", self.file("issuing.crl", der))

    def set(self, name: str, value: str, *where: str) -> None:
        self.do("settings", "set", name, value, *where)

    def file(self, name: str, octets: bytes) -> str:
        path = self.folder / name
        path.write_bytes(octets)
        return str(path)

    # ---- serve

    def start(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        self.launch()
        self.wait_until_ready(seconds=seconds)

    def launch(self) -> None:
        """Start without waiting for readiness."""
        assert self._process is None
        (self.data / "run" / "ready").unlink(missing_ok=True)
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.within, *COMMAND, "--config", str(self.config), "serve"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment(), start_new_session=True,
            )  # fmt: skip

    def wait_until_ready(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        def is_ready() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, f"serve ended:\n{self.said()}"
            return (self.data / "run" / "ready").exists()

        wait_until(is_ready, lambda: f"serve is not ready:\n{self.said()}", seconds=seconds)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9 of the supervisor alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self, *, seconds: float = PATIENCE_SECONDS) -> list[int]:
        """SIGTERM; whatever of this gateway still lives after it is returned and killed, by its process ID."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        leftovers = self.processes()
        for pid in leftovers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return leftovers

    def processes(self, *words: str) -> list[int]:
        """Processes of this gateway: those whose command line names its configuration (and these words)."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                parts = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z" and str(self.config).encode() in parts and all(word.encode() in parts for word in words):
                found.append(int(entry.name))
        return found

    def said(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def wait_until_said(self, text: str, *, times: int = 1) -> str:
        """All that was said, once this was, and so often: who has got his answer is ahead of the lines about it."""
        wait_until(lambda: self.said().count(text) >= times, lambda: f"{text!r} was not said:\n{self.said()}")
        return self.said()

    def wait_until_noticed(self) -> None:
        """Until every mail worker has looked for changes in the database since this was called; [metrics] tells."""
        for _ in range(2):  # what ends first may have begun before
            now = time.time()
            wait_until(lambda now=now: self._looked_at() > now)

    def _looked_at(self) -> float:
        """When the worker did that is furthest behind."""
        with urllib.request.urlopen(self.metrics, timeout=PATIENCE_SECONDS) as page:
            (found,) = re.findall(rb"(?m)^mailseal_last_poll_timestamp_seconds (\S+)$", page.read())
        return float(found)

    # ---- the log

    def log(self, *filters: str) -> list[dict[str, Any]]:
        return self.rows("log", *filters)

    def wait_for_log(self, count: int, *filters: str, seconds: float = PATIENCE_SECONDS) -> list[dict[str, Any]]:
        """Log rows once the worker has moved `count` of them out of the journals."""
        rows: list[dict[str, Any]] = []

        def are_there() -> bool:
            rows[:] = self.log(*filters)
            return len(rows) >= count

        wait_until(are_there, lambda: f"{len(rows)} of {count} log rows:\n{rows}", seconds=seconds, every=0.2)
        return rows
