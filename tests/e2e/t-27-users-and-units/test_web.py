"""The web role as its own user: it answers, uses the database, and can get at no KEK, journal, mail or queue."""

import http.client
import json
import os
import pwd
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from harness.everybody import KEEPER, OTHER, READER, environment, give
from harness.folder import free_port
from harness.home import Home
from harness.waiting import PATIENCE_SECONDS, wait_until

TRIED = """
import json, os, socket, sqlite3, sys
from pathlib import Path
data = Path(sys.argv[1])
def tried(what):
    try:
        return bool(what()) or "nothing"
    except (OSError, sqlite3.Error) as error:
        return type(error).__name__
def database():
    held = sqlite3.connect(data / "database" / "mailseal.db", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    held.execute("ROLLBACK")
    return True
print(json.dumps({
    "keks": tried(lambda: os.listdir(data / "keks")),
    "kek": tried(lambda: (data / "keks" / sys.argv[2]).read_bytes()),
    "journal": tried(lambda: os.listdir(data / "journal")),
    "spool": tried(lambda: os.listdir(data / "spool")),
    "listing": tried(lambda: os.listdir(data)),
    "beside the database": tried(lambda: (data / "database" / "mine").write_bytes(b"x")),
    "in its place": tried(lambda: os.rename(data / "database" / "mailseal.db", data / "database" / "gone")),
    "another web key": tried(lambda: (data / "web" / "web.key").write_bytes(b"x")),
    "of the owner's group": tried(lambda: (data.parent / "of-the-group").read_bytes()),
    "queue": tried(lambda: socket.socket(socket.AF_UNIX).connect(str(data / "run" / "sandbox"))),
    "web key": tried(lambda: (data / "web" / "web.key").read_bytes()),
    "database": tried(database),
}))
"""


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


def answered(port: int) -> tuple[int, str]:
    """Status and where to, of the start page."""
    asking = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=PATIENCE_SECONDS, context=ssl._create_unverified_context()
    )
    try:
        asking.request("GET", "/", headers={"Host": "localhost"})
        answer = asking.getresponse()
        return answer.status, answer.headers.get("Location", "")
    except OSError:
        return 0, ""
    finally:
        asking.close()


def process_of(parent: int, last_word: str) -> int:
    """A library that gunicorn looks for may have written blanks between the words of the command."""
    for one in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        words = Path(f"/proc/{one}/cmdline").read_bytes().decode().replace("\0", " ").split()
        if words[-1:] == [last_word]:
            return int(one)
    raise AssertionError(f"there is no process that ends with {last_word}")


@pytest.fixture
def apart(home: Home, tmp_path_factory) -> Home:
    """A data folder whose database has a folder of its own, as `mailseal init` makes it."""
    data, config = home.folder / "apart", home.folder / "apart.toml"
    if not data.exists():
        data.mkdir(mode=0o700)
        give(data)
        made = home.mailseal("init", "--data", str(data), "--hostname", "localhost", config=config)
        assert made.returncode == 0, made.stderr
        assert (data / "database" / "mailseal.db").exists()
    found = object.__new__(Home)
    found.folder, found.python, found.data, found.config = home.folder, home.python, data, home.folder / "web.toml"
    found.output = home.folder / "web-output"
    return found


def configure(home: Home, port: int, more: str = "", users: str = "") -> None:
    home.config.write_text(
        f'hostname = "localhost"\ndata_dir = "{home.data}"\nworkers = 1\n'
        f'[database]\nurl = "sqlite://{home.data}/database/mailseal.db"\n'
        f'[web]\nlisten = "127.0.0.1:{port}"\n{more}'
        f'[users]\nweb = "{OTHER}"\nsandbox = "{KEEPER}"\n{users}'
    )


def test_the_web_role_has_its_user_and_can_get_at_nothing_that_is_not_its_own(apart: Home) -> None:
    port = free_port()
    configure(apart, port, f'[metrics]\nlisten = "127.0.0.1:{free_port()}"\n', f'metrics = "{READER}"\n')
    (kek,) = (apart.data / "keks").glob("*.kek")
    of_the_group = apart.folder / "of-the-group"
    of_the_group.touch(0o640)
    os.chown(of_the_group, 0, pwd.getpwnam(KEEPER).pw_gid)
    second_name = apart.data / "web" / "linked"  # of whom has taken over a mail worker: a KEK by another name
    os.link(apart.data / "keks" / kek.name, second_name)
    (apart.data / "web" / "elsewhere").symlink_to("/etc/shadow")
    shadow = Path("/etc/shadow").stat()
    secrets = {"MAILSEAL_DATABASE_PASSWORD": "made up", "MAILSEAL_WEB_DATABASE_PASSWORD": "also made up"}
    with apart.output.open("wb") as output:
        process = subprocess.Popen(apart.command("serve"), stderr=output, env=environment(**secrets), cwd=apart.folder)
    try:
        wait_until(lambda: apart.ready() or process.poll() is not None)
        assert apart.ready(), apart.said()
        assert answered(port) == (302, "/account/login/?next=/")
        web, mail = process_of(process.pid, "web"), process_of(process.pid, "1")
        held, other, keeper = status(web), pwd.getpwnam(OTHER), pwd.getpwnam(KEEPER)
        assert set(held["Uid"].split()) == {str(other.pw_uid)}
        assert set(held["Gid"].split()) == {str(other.pw_gid)}
        # The data folder has one group, of the role for numbers, which the web role has besides: it passes by that.
        numbers = pwd.getpwnam(READER).pw_gid
        assert set(held["Groups"].split()) == {str(other.pw_gid), str(numbers)}
        assert (apart.data.stat().st_gid, apart.data.stat().st_mode & 0o777) == (numbers, 0o710)
        assert {int(held[one], 16) for one in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
        told = Path(f"/proc/{mail}/environ").read_bytes().decode()
        assert "MAILSEAL_DATABASE_PASSWORD" in told
        assert "MAILSEAL_WEB_DATABASE_PASSWORD" not in told
        for path in (apart.data / "database").iterdir():
            found = path.stat()
            assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (keeper.pw_uid, other.pw_gid, 0o660), path
        assert (second_name.stat().st_gid, second_name.stat().st_mode & 0o777) == (keeper.pw_gid, 0o400)
        assert (Path("/etc/shadow").stat().st_gid, Path("/etc/shadow").stat().st_mode) == (
            shadow.st_gid,
            shadow.st_mode,
        )
        tried = subprocess.run(
            [apart.python, "-c", TRIED, str(apart.data), kek.name], stdout=subprocess.PIPE, text=True, check=True,
            user=OTHER, group=OTHER, extra_groups=[READER], cwd="/", env=environment(),
        )  # fmt: skip
        found = json.loads(tried.stdout)
        allowed = {name: found.pop(name) for name in ("web key", "database")}
        assert allowed == {"web key": True, "database": True}
        assert set(found.values()) == {"PermissionError"}, found
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        second_name.unlink()
        (apart.data / "web" / "elsewhere").unlink()
    assert "made up" not in apart.said()


def test_a_database_that_it_cannot_get_at_is_said_at_the_start(home: Home) -> None:
    home.write(f'web = "{OTHER}"\n[web]\nlisten = "127.0.0.1:{free_port()}"')
    process = home.serve(home.command("serve"))
    assert process.wait(PATIENCE_SECONDS) == 78
    assert "the web role's user cannot get at" in home.said()
    assert f"`mailseal store copy --to sqlite://{home.data}/database/mailseal.db`" in home.said()


def test_started_by_itself_behind_a_proxy(apart: Home) -> None:
    """As systemd starts it: no supervisor, its own user; a UNIX socket for the group of the proxy."""
    place = apart.folder / "proxy" / "web"
    place.parent.mkdir(exist_ok=True)
    os.chown(place.parent, pwd.getpwnam(OTHER).pw_uid, -1)
    configure(apart, 1, f'hosts = ["console.example"]\nsocket_group = "{READER}"\n')
    apart.config.write_text(apart.config.read_text().replace('"127.0.0.1:1"', f'"{place}"'))
    worker = apart.serve(apart.command("worker"))  # holds the database open
    process = None
    try:
        wait_until(lambda: (apart.data / "database" / "mailseal.db-wal").exists() or worker.poll() is not None)
        with (apart.folder / "web-alone").open("wb") as output:
            process = subprocess.Popen(apart.command("web"), stderr=output, env=environment(), cwd=apart.folder)
        wait_until(lambda: place.exists() or process.poll() is not None)
        assert place.exists(), (apart.folder / "web-alone").read_text()
        fields = "Host: console.example\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n"
        assert _by_unix(place, f"{fields}X-Forwarded-Proto: https\r\n").startswith(b"HTTP/1.1 302")
        assert _by_unix(place, fields).startswith(b"HTTP/1.1 400")
        assert set(status(process.pid)["Uid"].split()) == {str(pwd.getpwnam(OTHER).pw_uid)}
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        for one in filter(None, (process, worker)):
            one.kill()
            one.wait()


def _by_unix(place: Path, fields: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_SECONDS)
        client.connect(str(place))
        client.sendall(f"GET / HTTP/1.1\r\n{fields}\r\n".encode())
        got = b""
        while piece := client.recv(4096):
            got += piece
        return got
