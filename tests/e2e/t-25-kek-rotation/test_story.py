"""The key that seals all keys is replaced under a running gateway: nobody notices but the administrator."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness import openssl
from harness.client import send
from harness.folder import free_port
from harness.gateway import Gateway
from harness.mail import CANARY, entity, envelope_header, mail
from harness.sink import Sink
from harness.site import people, smtp_site
from harness.waiting import PATIENCE_SECONDS, wait_until

ANNA, BERT, OLGA, SARA = "anna@alpha.example", "bert@alpha.example", "olga@out.example", "sara@secret.example"
OUTSIDE = "127.0.0.9"
SEALED = 4
"""Two private keys, and what the worker makes at its start: the intake key, the key that signs the audit."""

Running = tuple[Gateway, int, Sink, Sink]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with smtp_site("keks", metrics={"listen": f"127.0.0.1:{free_port()}"}) as made:
        yield made


def test_new_rotate_retire_while_mail_flows(running: Running) -> None:
    gateway, port, inside, outside = running
    wait_until(lambda: gateway.rows("key", "list")[0]["sealed"] == SEALED)
    (old,) = gateway.rows("key", "list")
    assert old["state"] == "active"
    with flowing(gateway, port) as replies:
        new = gateway.rows("key", "new")["kek"]
        wait_until(lambda: _says_it_has(gateway, new))
        both = {one["kek"]: one for one in gateway.rows("key", "list")}
        assert (both[new]["state"], both[new]["nodes"]) == ("new", ["test"]), (
            "found without a restart; it seals nothing"
        )

        _another_node_that_lacks_it(gateway)

        rotated = gateway.rows("key", "rotate")
        assert (rotated["kek"], rotated["broken"]) == (new, 0)
        assert rotated["moved"] >= SEALED
        after = {one["kek"]: (one["state"], one["sealed"]) for one in gateway.rows("key", "list")}
        assert after == {old["kek"]: ("replaced", 0), new: ("active", SEALED)}
        at_once = gateway.run("key", "retire", old["kek"])
        assert at_once.returncode == 1
        assert "until a moment ago" in at_once.stderr
        _later(gateway)
        retired = gateway.rows("key", "retire", old["kek"])
        assert retired["may be destroyed"] == old["places"]
        Path(old["places"][0]).unlink()
    assert len(replies) > 10
    assert {one[:3] for one in replies} == {"250"}, "not even deferred"
    gateway.stop()
    gateway.start()
    inside.clear()
    outside.clear()
    _both_ways(port)
    assert CANARY in inside.wait(1)[0].body, "with the new KEK alone"
    for got in outside.wait(2):
        reader = people().sara if any("sara" in str(one) for one in got.recipients) else people().olga
        assert CANARY in openssl.verify(openssl.decrypt(got.octets, reader), people().root)
    assert not any(CANARY in got.octets for got in outside.mails)


def test_a_broken_row_defers_what_needs_it_and_nothing_else(running: Running) -> None:
    gateway, port, inside, _ = running
    bert = people().bert.certificate.spki_sha256
    inside.clear()
    with database(gateway) as tables:
        tables.execute(
            "UPDATE store_private_key SET sealed = CAST(SUBSTR(sealed, 1, 40) || zeroblob(1) || SUBSTR(sealed, 42)"
            " AS BLOB) WHERE spki_sha256 = ?",
            (bert,),
        )
        _forget_keys(tables)
    gateway.wait_until_noticed()  # what the workers had opened before, they need not open again

    assert _to(port, BERT, people().bert).startswith("451")
    assert _to(port, ANNA, people().anna).startswith("250")
    assert send(port, OLGA, [BERT], mail(OLGA, BERT), source=OUTSIDE).end[0].startswith("250")

    assert len(inside.wait(2)) == 2
    gateway.wait_for_log(1, "--recipient", BERT, "--fate", "deferred")
    assert "a sealed value was changed" in str(gateway.log("--recipient", BERT, "--fate", "deferred"))
    said = gateway.run("check").stdout
    assert f"private key {bert}" in said
    assert "import it again" in said
    assert people().anna.certificate.spki_sha256 not in said
    gateway.import_certificates([people().issuing], own=[people().bert])
    assert _to(port, BERT, people().bert).startswith("250"), "imported again it is mended"


def _another_node_that_lacks_it(gateway: Gateway) -> None:
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
    with database(gateway) as tables:
        columns = "INSERT INTO store_node (id, name, heartbeat, generation, keks) VALUES (?, ?, ?, 0, 'other')"
        tables.execute(columns, ("0" * 32, "mx2", now))
    refused = gateway.run("key", "rotate")
    assert refused.returncode == 1
    assert "is not at hand on mx2" in refused.stderr
    assert "copy its file there" in refused.stderr
    with database(gateway) as tables:
        tables.execute("DELETE FROM store_node WHERE name = 'mx2'")


@contextlib.contextmanager
def flowing(gateway: Gateway, port: int) -> Iterator[list[str]]:
    """Mail signed, encrypted and decrypted all the while, with keys that are opened anew again and again."""
    over, replies, faults = threading.Event(), [], []

    def body() -> None:
        try:
            while not over.is_set():
                replies.extend(_both_ways(port))
                with database(gateway) as tables:
                    _forget_keys(tables)
                over.wait(0.2)
        except Exception as error:  # noqa: BLE001 -- raised below, in the test's own thread
            faults.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield replies
    finally:
        over.set()
        thread.join()
    if faults:
        raise faults[0]


def _both_ways(port: int) -> list[str]:
    out = send(port, ANNA, [OLGA], mail(ANNA, OLGA)), send(port, BERT, [SARA], mail(BERT, SARA))
    return [*(one.end[0] for one in out), _to(port, ANNA, people().anna)]


def _to(port: int, address: str, identity: object) -> str:
    wire = envelope_header(OLGA, address) + openssl.encrypt(entity(), [identity])
    return send(port, OLGA, [address], wire, source=OUTSIDE).end[0]


def _forget_keys(tables: sqlite3.Connection) -> None:
    """The stamp of the keys, as after an import."""
    tables.execute("UPDATE store_stamp SET value = value + 1 WHERE scope = 'keys'")


def _later(gateway: Gateway) -> None:
    """As if the rotation had been an hour ago."""
    with database(gateway) as tables:
        for kek_id, activated in tables.execute("SELECT kek_id, activated FROM store_kek").fetchall():
            before = datetime.fromisoformat(activated) - timedelta(hours=1)
            tables.execute("UPDATE store_kek SET activated = ? WHERE kek_id = ?", (before.isoformat(" "), kek_id))


@contextlib.contextmanager
def database(gateway: Gateway) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(gateway.data / "mailseal.db", timeout=PATIENCE_SECONDS)) as tables, tables:
        yield tables


def _says_it_has(gateway: Gateway, kek_id: str) -> bool:
    with database(gateway) as tables:
        return any(kek_id in keks for (keks,) in tables.execute("SELECT keks FROM store_node WHERE name = 'test'"))
