"""The sandbox role as it is, whose processes may be taken over by documents (`hostile_child`); and its client."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.config import SANDBOX, from_values, listeners
from mailseal.errors import TransientError
from mailseal.transport.sandbox import SandboxDocuments
from mailseal.transport.sandbox_answer import Allowance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailseal.extract.sandbox_lines import Status
    from mailseal.policy.inspection import Inspection

CHILD = Path(__file__).with_name("hostile_child.py")
HOSTILE = "application/x-hostile"
ROLE = """
import functools, sys
from mailseal.roles import sandbox_pool, sandbox_role
sandbox_pool.KILL_SECONDS, sandbox_pool.FAREWELL_SECONDS, sandbox_pool.PATIENCE_SECONDS = 0.5, 0.5, 2.0
sandbox_role.Pool = functools.partial(sandbox_role.Pool, command=sys.argv[3:])
sys.exit(sandbox_role.main(sys.argv[1:3]))
"""


class Sandbox:
    """One role without a supervisor. `limits` are of [dlp]."""

    def __init__(
        self, folder: Path, command: tuple[str, ...] = (sys.executable, "-P", str(CHILD)), **limits: int
    ) -> None:
        self.folder, self.command = folder, command
        (folder / "run").mkdir()
        values = {
            "data_dir": str(folder),
            "hostname": "gw.test",
            "dlp": {"extractors": 1, "document_seconds": 2, **limits},
        }
        self.config = from_values(values)
        dlp = "\n".join(f"{name} = {value}" for name, value in values["dlp"].items())
        (folder / "mailseal.toml").write_text(f'data_dir = "{folder}"\nhostname = "gw.test"\n[dlp]\n{dlp}\n')
        place = listeners(self.config)[SANDBOX].path
        self.documents = SandboxDocuments(place, Allowance(self.config.dlp, 240.0))
        self.start()

    def start(self) -> None:
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", ROLE, "--config", str(self.folder / "mailseal.toml"), *self.command],
                stdin=subprocess.DEVNULL, stderr=said,
            )  # fmt: skip
        wait_until(self.status, self.said)

    def said(self) -> str:
        return (self.folder / "said").read_text()

    def status(self) -> Status | None:
        with contextlib.suppress(TransientError):
            return self.documents.status()
        return None

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def children(self) -> list[int]:
        """The processes that read."""
        return [
            int(one) for one in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def read(self, octets: bytes, media_type: str = HOSTILE, seconds: float = PATIENCE_SECONDS) -> Inspection:
        until = time.monotonic() + seconds
        return self.documents.read(octets, "document", media_type, self.documents.budget(float("inf")), until)

    def works(self) -> bool:
        """Whether an ordinary document is read."""
        return [one.text for one in self.read(b"{\\rtf1 hello}", "application/rtf").passages] == ["hello"]


@contextlib.contextmanager
def sandbox(command: tuple[str, ...] | None = None, **limits: int) -> Iterator[Sandbox]:
    with tempfile.TemporaryDirectory(prefix="ms-sandbox-") as folder:
        made = Sandbox(Path(folder), **({} if command is None else {"command": command}), **limits)
        try:
            yield made
        finally:
            made.end()
