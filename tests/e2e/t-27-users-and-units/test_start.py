"""A database that does not fit ends the start; one that is not there yet is waited for, and it is said."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from harness.folder import free_port
from harness.gateway import Gateway, clean_environment
from harness.site import Site
from harness.waiting import PATIENCE_SECONDS


def test_a_database_that_is_not_migrated_ends_the_start(tmp_path: Path) -> None:
    with Gateway(tmp_path / "new", top={"workers": 1}) as gateway:
        ended = gateway.run("serve")
        assert ended.returncode == 78
        assert "the tables are not of this release" in ended.stderr
        assert "what to do: run `mailseal init`" in ended.stderr
        last = ended.stderr.splitlines()[-1]
        assert last.startswith("error: ")
        assert last.endswith("cannot work as things are, and says why; put that right, then start again")
        assert not (gateway.data / "mailseal.db").exists()


def test_no_program_of_the_current_folder_is_run(tmp_path: Path) -> None:
    """It may be a folder that somebody else can write to, and it is root who starts the gateway."""
    ran, here = tmp_path / "ran", tmp_path / "here"
    (here / "mailseal").mkdir(parents=True)
    for name in ("argparse.py", "click.py", "asyncio.py", "mailseal/__init__.py"):
        (here / name).write_text(f"open({str(ran)!r}, 'a').write(__file__)\nraise SystemExit(1)\n")
    with Gateway(tmp_path / "new", top={"workers": 1}) as gateway:
        command = [sys.executable, "-P", "-m", "mailseal", "--config", str(gateway.config), "serve"]
        ended = subprocess.run(
            command, cwd=here, env=clean_environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS,
            check=False,
        )  # fmt: skip
    assert not ran.exists(), ran.read_text()
    assert ended.returncode == 78
    assert "the tables are not of this release" in ended.stderr


def test_a_database_that_is_not_there_yet_is_waited_for(idle: Site, tmp_path: Path) -> None:
    """As a file system that is mounted later."""
    away, mounted = tmp_path / "away", tmp_path / "mounted"
    away.mkdir(mode=0o700)
    for path in idle.gateway.data.glob("mailseal.db*"):
        shutil.copy(path, away)
    gateway = Gateway(
        tmp_path / "late",
        top={"workers": 1},
        database={"url": f"sqlite://{mounted}/mailseal.db"},
        keys={"kek": [str(next((idle.gateway.data / "keks").glob("*.kek")))]},
    )
    with gateway:
        gateway.launch()
        gateway.wait_until_said("waiting for the database")
        assert not (gateway.data / "run" / "ready").exists()
        time.sleep(1)  # nothing shall be said or started again meanwhile
        assert gateway.said().count("waiting for the database") <= 2  # one mail worker, one job worker
        assert "it starts again" not in gateway.said(), gateway.said()
        away.rename(mounted)
        gateway.wait_until_ready()
        assert gateway.stop() == []


def test_told_to_stop_while_it_waits_it_stops(tmp_path: Path) -> None:
    away = f"mysql://nobody@127.0.0.1:{free_port()}/mailseal"
    with Gateway(tmp_path / "away", top={"workers": 1}, database={"url": away}) as gateway:
        gateway.launch()
        gateway.wait_until_said("waiting for the database")
        began = time.monotonic()
        assert gateway.stop() == []
        assert time.monotonic() - began < PATIENCE_SECONDS / 2
