"""A data folder of a system user's, and root's commands on it: Mailseal as it is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.everybody import KEEPER, environment, give
from harness.waiting import PATIENCE_SECONDS


class Home:
    """A data folder of KEEPER's, made by the command; whatever was started is ended by who started it."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.python = folder, python
        self.data = folder / "data"
        self.config = folder / "mailseal.toml"
        self.output = folder / "output"
        self.data.mkdir(mode=0o700)
        give(self.data)
        self.write("")
        self.mailseal("init")

    def write(self, users: str, listen: str = "") -> None:
        self.config.write_text(
            f'hostname = "gw.example"\ndata_dir = "{self.data}"\nworkers = 1\n[listen]\nsocket_group = "{KEEPER}"\n'
            f"{listen}\n"
            f"[users]\n{users}\n"
        )

    def command(self, *words: str, config: Path | None = None) -> list[str]:
        return [self.python, "-m", "mailseal", "--config", str(config or self.config), *words]

    def mailseal(self, *words: str, config: Path | None = None, **who: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words, config=config), env=environment(), capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=False, cwd=self.folder, **who,
        )  # fmt: skip

    def serve(self, command: list[str], **more: object) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            return subprocess.Popen(command, stderr=output, env=environment(), cwd=self.folder, **more)

    def ready(self) -> bool:
        return (self.data / "run" / "ready").exists()

    def said(self) -> str:
        return self.output.read_text()
