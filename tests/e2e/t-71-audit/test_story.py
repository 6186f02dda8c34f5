"""Who changed what is recorded, signed by the worker and told to the log: whoever rewrites it later is found out."""

import contextlib
import getpass
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import openssl
from harness.folder import free_port, short_folder
from harness.gateway import Gateway

SPKI_HEAD = bytes.fromhex("302a300506032b6570032100")
"""What stands before an Ed25519 public key as SubjectPublicKeyInfo (RFC 8410)."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """Something was changed, the worker has signed it, and something was changed since."""
    with short_folder("audit") as folder:
        listen = {"smtp": f"127.0.0.1:{free_port()}"}
        with Gateway(folder / "node", listen=listen, relay={}, top={"workers": 1}) as made:
            (folder / "password").write_text("s3cret-of-the-next-hop\n")
            hop = ("route", "password", "anna@mx.partner.example:25", "--password-file", str(folder / "password"))
            with made.at_once():
                made.init("alpha.example")
                made.set("mode", "mandatory", "--domain", "secret.example")
                made.set("mode", "force", "--lock")
                made.do(*hop)
            made.start()
            made.wait_until_said("audit head ")
            made.stop()
            made.cli("settings", "unset", "mode", "--domain", "secret.example")
            yield made


@contextlib.contextmanager
def _changed(gateway: Gateway, *statements: str) -> Iterator[None]:
    """The database after somebody has written to it; as it was, afterwards."""
    path = gateway.data / "mailseal.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        before = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in _TABLES}
        with database:
            for one in statements:
                assert database.execute(one).rowcount > 0, one
    try:
        yield
    finally:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            for name, rows in before.items():
                database.execute(f"DELETE FROM {name}")
                database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)


_TABLES = ("store_audit", "store_audit_head", "store_audit_signature")


def test_it_tells_who_changed_what_from_what_to_what(gateway: Gateway) -> None:
    unset, password, locked, *rest = [one for one in gateway.rows("audit", "list") if one["way"] == "command"]
    assert (unset["action"], unset["subject"]) == ("unset", "mode secret.example")
    assert (unset["before"], unset["after"]) == ({"mode": "mandatory", "locked": False}, None)
    assert (locked["subject"], locked["after"]) == ("mode", {"mode": "force", "locked": True})
    assert (unset["way"], unset["actor_name"]) == ("command", getpass.getuser())
    assert (password["area"], password["action"]) == ("routes", "set-password")
    assert {(one["area"], one["action"]) for one in rest} >= {("domains", "add"), ("keys", "activate-kek")}
    assert [
        one["subject"] for one in gateway.rows("audit", "list", "--containing", "SECRET.example", "--action", "set")
    ] == ["mode secret.example"]
    assert "s3cret-of-the-next-hop" not in gateway.cli("audit", "list", "--json") + gateway.said()


def test_it_is_what_was_recorded(gateway: Gateway) -> None:
    found = gateway.rows("audit", "verify", "--log", str(gateway.output))
    (chain,) = found["chains"]
    assert (found["intact"], found["findings"], found["heads_in_logs"] >= 1) == (True, [], True)
    assert (chain["node"], chain["first"], chain["last"] > chain["signed"] > 3) == ("test", 1, True)


@pytest.mark.parametrize(
    ("statements", "wrong"),
    [
        (["UPDATE store_audit SET actor_name = 'nobody' WHERE number = 2"], "test 2: the event was changed"),
        (["DELETE FROM store_audit WHERE number = 2"], "test 2: events are missing"),
        (["UPDATE store_audit_signature SET digest = node"], "a signature is wrong"),
    ],
)
def test_who_changes_it_is_found_out(gateway: Gateway, statements: list[str], wrong: str) -> None:
    with _changed(gateway, *statements):
        done = gateway.run("audit", "verify")
    assert done.returncode == 1
    assert wrong in done.stderr


def test_the_log_tells_what_was_cut_off_with_its_signatures(gateway: Gateway) -> None:
    cut = (
        "DELETE FROM store_audit WHERE number > 2",
        "DELETE FROM store_audit_signature",
        "UPDATE store_audit_head SET number = 2, digest = (SELECT digest FROM store_audit WHERE number = 2)",
    )
    with _changed(gateway, *cut):
        assert gateway.run("audit", "verify").returncode == 0
        done = gateway.run("audit", "verify", "--log", str(gateway.output))
    assert done.returncode == 1
    assert "test 3: the chain ends before this event" in done.stderr


def test_openssl_verifies_what_is_exported(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    gateway.cli("audit", "export", "--output", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    events = [line["event"] for line in lines if "event" in line]
    (signature, *_) = [line["signature"] for line in lines if "signature" in line]
    for one in events:
        digest = openssl.run("dgst", "-sha256", "-r", given=one["hashed"].encode()).split()[0].decode()
        assert digest == one["digest"]
    assert signature["digest"] in {one["digest"] for one in events}
    for name, octets in (
        ("key", SPKI_HEAD + bytes.fromhex(signature["key"])),
        ("text", signature["signed"].encode()),
        ("signature", bytes.fromhex(signature["signature"])),
    ):
        (tmp_path / name).write_bytes(octets)
    openssl.run(
        "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", str(tmp_path / "key"), "-rawin",
        "-in", str(tmp_path / "text"), "-sigfile", str(tmp_path / "signature"),
    )  # fmt: skip
    assert gateway.run("audit", "export", "--output", str(file)).returncode == 1
