"""The keeper of a private Postfix by itself, without a gateway around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.client import Client, Port
from harness.folder import free_port, short_folder
from harness.gateway import clean_environment
from harness.small_disk import small_disk
from harness.waiting import wait_until
from mailseal.config import from_values
from mailseal.config.values import Endpoint
from mailseal.postfix.installation import greets
from mailseal.roles.generation import Generation
from mailseal.roles.supervisor import Supervisor

pytestmark = pytest.mark.usefixtures("need_postfix")

ELSEWHERE = "198.51.100.99"
"""An address that no machine of ours has."""

MESSAGE_BYTES = 4 << 20


class Kept:
    """A keeper and its Postfix."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.back = free_port()
        self._folder = folder
        self._file = folder / "mailseal.toml"
        self._output = folder / "output"
        self.listen(f"127.0.0.1:{self.port}")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mailseal.roles.postfix_role", "--config", str(self._file)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment(),
            )  # fmt: skip
        wait_until(self.answers, self.said)

    def listen(self, *places: str) -> None:
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        words = ", ".join(f'"{one}"' for one in places)
        self._file.write_text(
            f'hostname = "gate.test"\ndata_dir = "{data}"\n[postfix]\ninstance = "private"\n'
            f'folder = "{self._folder}/postfix"\nlisten = [{words}]\nreinjection = "127.0.0.1:{self.back}"\n'
            f"[limits]\nmax_message_bytes = {MESSAGE_BYTES}\n"
        )

    def master(self) -> int:
        return int((self._folder / "postfix" / "queue" / "pid" / "master.pid").read_text().split()[0])

    def answers(self, port: int | None = None) -> bool:
        return greets(Endpoint(host="127.0.0.1", port=port or self.port), "gate.test")

    def said(self) -> str:
        return self._output.read_text()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def takes_mail(self, port: int) -> bool:
        with Client(Port(port)) as client:
            code = client.command(f"MAIL FROM:<a@out.example> SIZE={MESSAGE_BYTES // 2}")[:3]
        assert code in {"250", "452"}
        return code == "250"


@pytest.fixture
def kept() -> Iterator[Kept]:
    with short_folder("keeper") as folder:
        made = Kept(folder)
        yield made
        made.end()


def test_a_reload_that_cannot_listen_changes_nothing(kept: Kept) -> None:
    before = kept.master()
    kept.listen(f"127.0.0.1:{kept.port}", f"{ELSEWHERE}:{free_port()}")
    os.kill(kept.process.pid, signal.SIGHUP)
    wait_until(lambda: "goes on as before" in kept.said() or kept.process.poll() is not None, kept.said)
    assert kept.process.poll() is None, kept.said()
    assert f"cannot listen on {ELSEWHERE}" in kept.said()
    assert (kept.master(), kept.answers()) == (before, True)

    other = free_port()
    kept.listen(f"127.0.0.1:{kept.port}", f"127.0.0.1:{other}")
    os.kill(kept.process.pid, signal.SIGHUP)
    wait_until(lambda: kept.answers(other), kept.said)
    assert (kept.master(), kept.answers()) == (before, True)


def test_a_disk_that_gets_full_takes_in_no_more_than_can_leave() -> None:
    """Mail that comes back from Mailseal has to go through the same queue."""
    with short_folder("small") as folder:
        (folder / "postfix").mkdir()
        with small_disk(folder / "postfix", 40 << 20) as mounted:
            if not mounted:
                pytest.skip("nothing can be mounted here")
            (folder / "postfix").chmod(0o755)
            kept = Kept(folder)
            try:
                taken = []
                for number in range(36):
                    (folder / "postfix" / f"filler{number}").write_bytes(bytes(1 << 20))
                    taken.append((kept.takes_mail(kept.port), kept.takes_mail(kept.back)))
            finally:
                kept.end()
    assert taken[0] == (True, True)
    assert taken[-1] == (False, False)
    assert (False, True) in taken, "what is in the queue already can leave"
    assert (True, False) not in taken, "mail is taken that cannot leave"


def test_a_reload_does_not_leave_the_postfix_that_runs(capfd: pytest.CaptureFixture[str]) -> None:
    """Our sockets would go where it does not look for them, and all mail wait."""
    with short_folder("moved") as folder:
        (folder / "data").mkdir()
        before, after = (
            from_values(
                {"data_dir": str(folder / "data"), "postfix": {"instance": "private", "folder": str(folder / one)}}
            )
            for one in ("postfix", "elsewhere")
        )
        supervisor = Supervisor(lambda: after, lambda _: [])
        supervisor._current = Generation(before, {}, [])
        supervisor._reload()
        assert supervisor._next is None
        assert "postfix.folder cannot change in a reload" in capfd.readouterr().err
