"""A node is backed up while it works, and lives again elsewhere: other folder, other database, same keys."""

import contextlib
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import openssl
from harness.client import Client
from harness.folder import free_port, short_folder
from harness.gateway import COMMAND, Gateway, clean_environment
from harness.mail import CANARY, entity, envelope_header, mail
from harness.mariadb import MariaDb, installed
from harness.sink import Sink
from harness.site import furnish, people
from harness.waiting import PATIENCE_SECONDS, wait_until

ANNA, SARA, OLGA = "anna@alpha.example", "sara@secret.example", "olga@out.example"
PASSPHRASE = "correct horse battery staple"
LOG_ROWS = 8000
_LOG = (
    "id", "message", "message_id", "time", "direction", "sender", "sender_key", "recipient", "recipient_key", "fate",
    "treatment", "method", "reply", "reasons", "details", "subject",
)  # fmt: skip


@dataclass
class Origin:
    """The node that is backed up: SMTP alone, TLS files, a backup made while mail flowed."""

    folder: Path
    gateway: Gateway
    port: int
    inside: Sink
    outside: Sink
    backup: Path
    passphrase: Path

    def elsewhere(self, name: str) -> Gateway:
        """A gateway whose folder `restore` has made or will make."""
        gateway = Gateway.__new__(Gateway)
        gateway.folder = self.folder / name
        gateway.data = gateway.folder / "data"
        gateway.config = gateway.data / "mailseal.toml"
        gateway.output = self.folder / f"{name}.log"
        gateway._process = None
        return gateway

    def restore_command(self, name: str, *options: str) -> list[str]:
        options = ("--data", str(self.folder / name / "data"), "--passphrase-file", str(self.passphrase), *options)
        return [*COMMAND, "restore", str(self.backup), *options]

    def restore(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.restore_command(name, *options), env=clean_environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    port = free_port()
    with short_folder("backup") as folder, Sink() as inside, Sink() as outside:
        (folder / "tls.pem").write_bytes(people().anna.pem + people().anna.key_pem)
        (folder / "tls.pem").chmod(0o600)
        listen = {
            "smtp": f"127.0.0.1:{port}",
            "smtp_authorised_networks": ["127.0.0.1/32"],
            "tls_certificate": str(folder / "tls.pem"),
        }
        relay = {"inside": f"smtp://127.0.0.1:{inside.port}", "outside": f"smtp://127.0.0.1:{outside.port}"}
        (folder / "passphrase").write_text(PASSPHRASE + "\n")
        with Gateway(folder / "origin", listen=listen, relay=relay, top={"workers": 1}) as gateway:
            furnish(gateway)
            (folder / "their ca.pem").write_bytes(people().root.pem)
            gateway.cli("route", "set", "partner.example", _route(folder / "their ca.pem"))
            gateway.cli("admin", "create", ANNA, "--role", "auditor")
            _add_log_rows(gateway.data / "mailseal.db")
            gateway.start()
            made = Origin(folder, gateway, port, inside, outside, folder / "node.backup", folder / "passphrase")
            with _mail_flows(port) as replies:
                wait_until(lambda: replies)
                gateway.cli("backup", str(made.backup), "--passphrase-file", str(made.passphrase))
                wait_until(lambda: len(replies) > 3)
            refused = gateway.run("store", "copy", "--to", f"sqlite://{folder}/beside.db")
            assert refused.returncode == 1
            assert "mailseal serve" in refused.stderr
            assert all(reply.startswith("250") for reply in replies), replies
            gateway.stop()
            yield made


def _route(ca: Path) -> str:
    return f"smtp://mx.partner.example:25?tls=verified&ca={quote(str(ca))}"


@contextlib.contextmanager
def _mail_flows(port: int) -> Iterator[list[str]]:
    replies: list[str] = []
    done = threading.Event()

    def flow() -> None:
        while not done.is_set():
            with Client(port) as client:
                replies.extend(client.send(ANNA, [SARA], mail(ANNA, SARA)).end)

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        yield replies
    finally:
        done.set()
        thread.join()


def _add_log_rows(path: Path) -> None:
    """Enough that a load takes a while."""
    usual = ["x"] * (len(_LOG) - 2)
    rows = []
    for number in range(LOG_ROWS):
        values = dict(zip(_LOG[1:], [f"{number:x}", *usual], strict=True))
        values |= {"time": "2026-01-01 00:00:00", "reasons": "[]", "details": "{}"}
        rows.append([uuid.uuid4().hex, *values.values()])
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        marks = ", ".join("?" * len(_LOG))
        database.executemany(f"INSERT INTO store_log ({', '.join(_LOG)}) VALUES ({marks})", rows)


def _works(origin: Origin, gateway: Gateway) -> None:
    """It signs and encrypts to others, and opens mail to us, with the keys that the origin had."""
    for sink in (origin.inside, origin.outside):
        sink.clear()
    gateway.start()
    try:
        with Client(origin.port) as client:
            assert "STARTTLS" in "\n".join(client.features), "its certificate came along"
            assert client.send(ANNA, [SARA], mail(ANNA, SARA)).end[0].startswith("250")
            assert client.send(ANNA, [OLGA], mail(ANNA, OLGA)).end[0].startswith("250")
        with Client(origin.port, source="127.0.0.2") as client:
            wire = envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna])
            assert client.send(OLGA, [ANNA], wire).end[0].startswith("250")
        sent = {one.recipients[0]: one.octets for one in origin.outside.wait(2)}
        assert CANARY not in sent[SARA]
        assert CANARY in openssl.verify(openssl.decrypt(sent[SARA], people().sara), people().root)
        assert CANARY in origin.inside.wait(1)[0].octets
    finally:
        assert gateway.stop() == []


def _audit_goes_on(gateway: Gateway) -> None:
    """One chain from before the backup to behind the restore."""
    newest = gateway.rows("audit", "list", "--area", "store")[0]
    assert (newest["action"], newest["way"]) == ("restore", "command")
    assert gateway.rows("audit", "list", "--area", "accounts", "--action", "create")[0]["subject"] == ANNA
    found = gateway.rows("audit", "verify")
    assert (found["intact"], found["findings"]) == (True, [])


def _tables(gateway: Gateway, **settings: str) -> dict:
    document = tomllib.loads(gateway.config.read_text())
    return document | {"database": document.get("database", {}) | settings}


def test_a_backup_lives_again_in_another_folder_and_another_database(origin: Origin) -> None:
    restored = origin.restore("second")
    assert restored.returncode == 0, restored.stderr
    opened = re.search(r"(\d+) of (\d+) sealed rows open", restored.stdout)
    assert opened is not None
    assert int(opened[1]) == int(opened[2]) >= 2
    second = origin.elsewhere("second")
    assert [(one["email"], one["roles"]) for one in second.rows("admin", "list")] == [(ANNA, ["auditor"])]
    _works(origin, second)
    _audit_goes_on(second)
    assert {oct(one.stat().st_mode & 0o777) for one in second.data.glob("*/*.ke[ky]")} == {"0o400", "0o440"}  # web.key
    assert (second.data / "files").stat().st_mode & 0o077 == 0
    assert str(second.data) in tomllib.loads(second.config.read_text())["listen"]["tls_certificate"]
    (theirs,) = (second.data / "files").glob("*their_ca.pem")
    assert theirs.read_bytes() == people().root.pem
    assert second.rows("route", "list")[0]["next_hops"] == [_route(theirs)], "a route finds its file where it is now"
    assert not (second.data / "RESTORE-NOT-FINISHED").exists()
    again = origin.restore("second")
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def test_a_damaged_backup_leaves_nothing_behind(origin: Origin) -> None:
    """One octet near the end of the database: it is read to its end before anything is made."""
    octets = bytearray(origin.backup.read_bytes())
    octets[-4000] ^= 1
    damaged = replace(origin, backup=origin.folder / "damaged.backup")
    damaged.backup.write_bytes(octets)
    refused = damaged.restore("damaged")
    assert refused.returncode == 1
    assert "damaged" in refused.stderr
    assert not (origin.folder / "damaged").exists()


def test_what_is_in_a_backup_is_told_and_only_with_the_passphrase(origin: Origin) -> None:
    told = origin.gateway.rows("backup", str(origin.backup), "--verify", "--passphrase-file", str(origin.passphrase))
    assert told["node"] == "test"
    web_key = origin.gateway.data / "web/web.key"
    assert told["files"] == [str(web_key), str(origin.folder / "tls.pem"), str(origin.folder / "their ca.pem")]
    assert any(one.startswith("store_private_key: 2") for one in told["tables"])
    assert oct(origin.backup.stat().st_mode & 0o777) == "0o600"
    wrong = origin.folder / "wrong"
    wrong.write_text("another passphrase\n")
    done = origin.gateway.run("backup", str(origin.backup), "--verify", "--passphrase-file", str(wrong))
    assert done.returncode == 1
    assert "does not open" in done.stderr
    octets = origin.backup.read_bytes()
    assert people().anna.key_pem not in octets
    assert ANNA.encode() not in octets


def test_age_opens_it_without_mailseal(origin: Origin) -> None:
    if shutil.which("age") is None:
        pytest.skip("age is not installed")
    folder = origin.folder / "by-hand"
    folder.mkdir()
    with tarfile.open(origin.backup) as outer:
        outer.extractall(folder, filter="data")
    payload = folder / "payload.tar.gz"
    # An identity file may be encrypted itself; age asks the terminal for its passphrase.
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvp("age", ["age", "-d", "-i", "key.age", "-o", str(payload), "payload.age"])
    os.write(terminal, PASSPHRASE.encode() + b"\n")
    with contextlib.suppress(OSError):  # EIO when age has ended
        while os.read(terminal, 1000):
            pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)
    with tarfile.open(payload, "r:gz") as inner:
        names = inner.getnames()
        assert {"manifest.json", "config/mailseal.toml", "file/2", "database/00000001"} <= set(names)
        assert inner.extractfile("config/mailseal.toml").read() == origin.gateway.config.read_bytes()
        assert inner.extractfile("file/2").read() == (origin.folder / "tls.pem").read_bytes()


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    if not installed():
        pytest.skip("mariadb-server is not installed")
    server = MariaDb()
    yield server
    server.stop()


@pytest.mark.mariadb
def test_to_mariadb_and_back(origin: Origin, mariadb: MariaDb) -> None:
    password = origin.folder / "database-password"
    password.write_text(mariadb.password)
    given = ("--password-file", str(password))
    restored = origin.restore("third", "--database", mariadb.url, *given)
    assert restored.returncode == 0, restored.stderr
    third = origin.elsewhere("third")
    assert not (third.data / "mailseal.db").exists()
    _works(origin, third)
    full = origin.restore("fourth", "--database", mariadb.url, *given)
    assert full.returncode == 1
    assert "not empty" in full.stderr
    assert not (origin.folder / "fourth").exists()

    copied = third.cli("store", "copy", "--to", f"sqlite://{third.data}/back.db")
    assert "compared one by one" in copied
    document = third.config.read_text()
    assert mariadb.url in document
    third.config.write_text(document.replace(mariadb.url, f"sqlite://{third.data}/back.db"))
    assert len(third.log("--limit", "3")) == 3


@pytest.mark.mariadb
def test_a_copy_goes_from_sqlite_to_mariadb(origin: Origin, mariadb: MariaDb) -> None:
    with mariadb.connect() as server, server.cursor() as cursor:
        cursor.execute("CREATE DATABASE copied")
        cursor.execute("GRANT ALL ON copied.* TO mailseal@localhost")
    url = mariadb.url.replace("/mailseal?", "/copied?")
    password = origin.folder / "database-password"
    password.write_text(mariadb.password)
    gateway = origin.gateway
    command = ("store", "copy", "--to", url, "--password-file", str(password))
    said = gateway.cli(*command)
    assert f'url = "{url}"' in said
    before = gateway.config.read_text()
    gateway.config.write_text(f'{before}\n[database]\nurl = "{url}"\npassword_file = "{password}"\n')
    try:
        _works(origin, gateway)
    finally:
        gateway.config.write_text(before)


# ---- killed in the middle


HALTING = """
import os, signal, sys
from mailseal.backup import container
from mailseal.cli import run
from mailseal.store import load
def halting(real):
    def halts(*given):
        done = real(*given)
        os.kill(os.getpid(), signal.SIGSTOP)
        return done
    return halts
container._Source.read = halting(container._Source.read)
load._insert = halting(load._insert)
sys.exit(run(sys.argv[1:]))
"""
"""Stops when something of the database has been read for a backup, or been written by a restore or a copy."""


def _kill_half_way(*arguments: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HALTING, *arguments],
        env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"


def test_a_killed_backup_leaves_nothing_that_looks_whole(origin: Origin) -> None:
    folder = origin.folder / "killed-backup"
    folder.mkdir()
    target = folder / "node.backup"
    gateway = origin.gateway
    options = ("--config", str(gateway.config), "backup", str(target), "--passphrase-file", str(origin.passphrase))
    _kill_half_way(*options)
    assert not target.exists()
    [rest] = folder.iterdir()
    done = gateway.run("backup", str(rest), "--verify", "--passphrase-file", str(origin.passphrase))
    assert done.returncode == 1
    assert "damaged or unfinished" in done.stderr or "not a backup" in done.stderr


def _loading(path: Path) -> bool:
    """Whether a load is under way in an SQLite database."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            query = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'store_stamp_of_an_unfinished_load'"
            return database.execute(query).fetchone() == (1,)
    except sqlite3.Error:
        return False


def test_a_killed_restore_says_that_it_is_not_finished(origin: Origin) -> None:
    killed = origin.elsewhere("fifth")
    _kill_half_way(*origin.restore_command("fifth")[len(COMMAND) :])
    assert _loading(killed.data / "mailseal.db")
    assert not killed.config.exists()
    again = origin.restore("fifth")
    assert again.returncode == 1
    assert "was not finished" in again.stderr
    assert "delete the folder" in again.stderr
    shutil.rmtree(killed.data)
    assert origin.restore("fifth").returncode == 0


def test_a_killed_copy_says_so_and_its_target_takes_no_mail(origin: Origin) -> None:
    half = origin.folder / "half.db"
    gateway = origin.gateway
    command = ("store", "copy", "--to", f"sqlite://{half}")
    _kill_half_way("--config", str(gateway.config), *command)
    assert _loading(half)
    again = gateway.run(*command)
    assert again.returncode == 1
    assert "was not finished" in again.stderr
    before = gateway.config.read_text()
    gateway.config.write_text(f'{before}\n[database]\nurl = "sqlite://{half}"\n')
    try:
        assert "not finished; no mail is taken" in gateway.run("check").stdout
        gateway.launch()
        with pytest.raises(AssertionError):
            gateway.wait_until_ready(seconds=3)
    finally:
        gateway.stop()
        gateway.config.write_text(before)
    for name in (half, Path(f"{half}-wal"), Path(f"{half}-shm")):
        name.unlink(missing_ok=True)
    assert "compared one by one" in gateway.cli(*command)
