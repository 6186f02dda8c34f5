"""From one KEK to the next: who must have it, what is sealed anew, and that every value opens at every instant."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models

from harness.waiting import PATIENCE_SECONDS
from mailseal.keys.kek_places import Found, KekFile
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.sealing import BrokenSealError, Kek, KekMissingError, WrongKekError, sealed_by
from mailseal.store import credentials, jobs, keks, nodes, private_keys, rewrap, rotation
from mailseal.store.keks import KekStateError
from mailseal.store.models import CredentialRow, JobRow, KekRow, NodeRow, PrivateKeyRow
from mailseal.store.row import utc_now, uuid7
from mailseal.store.stamps import Scope, stamps
from mailseal.store.transaction import close_connection, connection, run

OLD, NEW, THIRD = (Kek(bytes([number]) * 32) for number in (1, 2, 3))
SECRET = b"a secret of some length"
KILLS = 3


def ring_of(*at_hand: Kek) -> KekRing:
    found = Found(tuple(KekFile(kek, kek.id) for kek in at_hand), ())
    return KekRing(lambda: found, keks.active)


def fill(count: int, kek: Kek = OLD) -> None:
    """Rows of every kind, `count` private keys among them."""
    spkis = [uuid7().bytes.hex() * 2 for _ in range(count)]
    sealed = [kek.seal(SECRET, identity=private_keys.identity(one)) for one in spkis]
    PrivateKeyRow.objects.bulk_create(
        PrivateKeyRow(spki_sha256=one, kek_id=kek.id, sealed=value, algorithm="x")
        for one, value in zip(spkis, sealed, strict=True)
    )
    credentials.keep(f"user@hop.example:{uuid7().hex[:8]}", SECRET, kek)
    for _ in range(3):
        one = uuid7()
        jobs.enqueue("test", job_id=one, sealed=kek.seal(SECRET, identity=jobs.identity(one)))
    jobs.enqueue("test")  # one without a sealed payload


def contents(ring: KekRing) -> list[bytes]:
    return [row.open(ring) for rows in rewrap.batches() for row in rows]


def quick(monkeypatch, settle=0.0):
    monkeypatch.setattr(rotation, "SETTLE_SECONDS", settle)
    monkeypatch.setattr(rotation, "_BETWEEN_SECONDS", 0.01)


def test_every_sealed_column_is_in_the_table():
    sealed = {
        model
        for model in apps.get_app_config("store").get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.BinaryField) and "sealed" in field.name
    }
    assert {column.model for column in rewrap.SEALED} == sealed
    with_id = {model for model in sealed if any(field.name == "kek_id" for field in model._meta.get_fields())}
    assert {column.model for column in rewrap.SEALED if column.named} == with_id


def test_the_one_activated_last_seals_whatever_the_clocks_say(store):
    assert keks.active() is None
    assert keks.register_first(OLD.id)
    assert not keks.register_first(NEW.id)
    KekRow.objects.update(activated=utc_now() + timedelta(hours=1))  # by a node whose clock is ahead
    before = stamps()
    keks.activate(NEW.id)
    assert keks.active() == NEW.id
    assert stamps() != before
    assert any(scope == Scope.KEKS for scope, _ in stamps())
    keks.activate(NEW.id)
    keks.activate(OLD.id)
    assert keks.active() == OLD.id


def test_everything_is_sealed_anew_and_opens_with_the_new_one_alone(store, monkeypatch):
    quick(monkeypatch)
    keks.register_first(OLD.id)
    fill(rewrap.BATCH_ROWS + 5)
    ring = ring_of(OLD, NEW)
    assert rewrap.count_by_kek() == {OLD.id: rewrap.BATCH_ROWS + 9}
    rotation.begin(NEW.id)
    seen = []
    done = rotation.finish(ring, NEW.id, lambda done: seen.append(done.moved))
    assert max(seen) == rewrap.BATCH_ROWS + 9
    assert (done.moved, done.broken.count) == (0, 0)
    assert rewrap.count_by_kek() == {NEW.id: rewrap.BATCH_ROWS + 9}
    assert set(contents(ring_of(NEW))) == {SECRET}
    assert set(PrivateKeyRow.objects.values_list("kek_id", flat=True)) == {NEW.id}
    assert set(CredentialRow.objects.values_list("kek_id", flat=True)) == {NEW.id}
    assert JobRow.objects.filter(sealed=None).count() == 1


def test_sealing_follows_the_database(store):
    ring = ring_of(OLD, NEW)
    with pytest.raises(KekMissingError):
        ring.seal(SECRET, identity=b"x")
    keks.register_first(OLD.id)
    assert sealed_by(ring.seal(SECRET, identity=b"x")) == OLD.id
    keks.activate(NEW.id)
    ring.forget()
    assert sealed_by(ring.seal(SECRET, identity=b"x")) == NEW.id
    keks.activate(THIRD.id)
    ring.forget()
    with pytest.raises(KekMissingError, match=THIRD.id):
        ring.seal(SECRET, identity=b"x")


def test_what_is_sealed_with_the_old_one_meanwhile_is_found(store, monkeypatch):
    quick(monkeypatch, settle=0.3)
    keks.register_first(OLD.id)
    fill(3)
    rotation.begin(NEW.id)
    late = iter([False, True])  # after a way through on which there was nothing left to do
    rotation.finish(ring_of(OLD, NEW), NEW.id, lambda _: None, after_pass=lambda _: next(late, False) and fill(2))
    assert rewrap.count_by_kek().keys() == {NEW.id}


def test_a_row_that_changed_meanwhile_is_not_overwritten(store, monkeypatch):
    quick(monkeypatch)
    keks.register_first(OLD.id)
    fill(1)
    keks.activate(NEW.id)
    ring, name = ring_of(OLD, NEW), CredentialRow.objects.get().name
    real = rewrap._put_back

    def changed_first(changes, kek_id):
        if any(row.column.model is CredentialRow for row, _ in changes):
            sealed = OLD.seal(b"a new password", identity=credentials.identity(name))
            CredentialRow.objects.update(sealed=sealed)
        return real(changes, kek_id)

    monkeypatch.setattr(rewrap, "_put_back", changed_first)
    assert rewrap.rewrap(ring, NEW.id).missed == 1
    monkeypatch.setattr(rewrap, "_put_back", real)
    rotation.finish(ring, NEW.id, lambda _: None)
    assert credentials.open_password(name, ring_of(NEW)) == b"a new password"


def test_a_row_that_does_not_open_is_named_left_alone_and_keeps_its_kek(store, monkeypatch):
    quick(monkeypatch)
    keks.register_first(OLD.id)
    fill(5)
    broken = PrivateKeyRow.objects.order_by("id")[2]
    octets = bytes(broken.sealed)[:-1] + bytes([bytes(broken.sealed)[-1] ^ 1])
    PrivateKeyRow.objects.filter(pk=broken.pk).update(sealed=octets)
    rotation.begin(NEW.id)
    ring = ring_of(OLD, NEW)
    done = rotation.finish(ring, NEW.id, lambda _: None)
    ((row, error),) = done.broken.named
    assert str(row) == f"private key {broken.spki_sha256}"
    assert isinstance(error, BrokenSealError)
    assert bytes(PrivateKeyRow.objects.get(pk=broken.pk).sealed) == octets
    assert rewrap.count_by_kek() == {NEW.id: 8, OLD.id: 1}
    later(KekRow)
    with pytest.raises(KekStateError, match="1 values are sealed"):
        rotation.retire(OLD.id)
    assert rewrap.find_broken(ring).count == 1
    PrivateKeyRow.objects.filter(pk=broken.pk).update(sealed=b"\x01short")
    assert rewrap.count_by_kek() == {NEW.id: 8, OLD.id: 1, "": 1}, "what is beside it still says which KEK it was"


def later(model):
    """As if the activations had been an hour ago."""
    for row in model.objects.exclude(activated=None):
        row.activated -= timedelta(hours=1)
        row.save()


def test_retiring(store, monkeypatch):
    quick(monkeypatch)
    keks.register_first(OLD.id)
    with pytest.raises(KekStateError, match="is the one that seals"):
        rotation.retire(OLD.id)
    fill(1)
    rotation.begin(NEW.id)
    with pytest.raises(KekStateError, match="values are sealed"):
        rotation.retire(OLD.id)
    rotation.finish(ring_of(OLD, NEW), NEW.id, lambda _: None)
    with pytest.raises(KekStateError, match="until a moment ago"):
        rotation.retire(OLD.id)
    later(KekRow)
    rotation.retire(OLD.id)
    rotation.retire(OLD.id)
    with pytest.raises(KekStateError, match="is retired"):
        rotation.begin(OLD.id)
    assert keks.active() == NEW.id


def test_every_live_node_must_have_it_and_a_dead_one_is_named(store):
    keks.register_first(OLD.id)
    nodes.beat([OLD.id, NEW.id])
    NodeRow.objects.create(name="mx2", keks=OLD.id)
    NodeRow.objects.create(name="mx3", keks=OLD.id, heartbeat=utc_now() - timedelta(minutes=5))
    with pytest.raises(KekStateError, match="is not at hand on mx2") as caught:
        rotation.begin(NEW.id)
    assert "mode 0400" in caught.value.what_to_do
    with pytest.raises(KekStateError, match="is not at hand on mx2"):
        rotation.begin(NEW.id, without=["mx2", "mx3"])
    NodeRow.objects.filter(name="mx2").update(keks=f"{NEW.id} {OLD.id}")
    with pytest.raises(KekStateError, match="mx3 gave no sign of life") as caught:
        rotation.begin(NEW.id)
    assert "--without-node" in caught.value.what_to_do
    with pytest.raises(KekStateError, match="mx2 is alive"):
        rotation.begin(NEW.id, without=["mx2", "mx3"])
    with pytest.raises(KekStateError, match="no node mx9"):
        rotation.begin(NEW.id, without=["mx9", "mx3"])
    assert keks.active() == OLD.id
    rotation.begin(NEW.id, without=["mx3"])
    assert keks.active() == NEW.id


def test_two_rotations_do_not_fight(store, monkeypatch):
    quick(monkeypatch)
    keks.register_first(OLD.id)
    rotation.begin(NEW.id)
    rotation.begin(THIRD.id)
    with pytest.raises(KekStateError, match="another KEK has been activated"):
        rotation.finish(ring_of(OLD, NEW, THIRD), NEW.id, lambda _: None)


def test_taking_over_jobs_is_no_sign_of_life(store):
    silent = utc_now() - timedelta(minutes=5)
    NodeRow.objects.create(name="mx2", heartbeat=silent)
    jobs.enqueue("test", node="mx2")
    (dead,) = nodes.list_nodes()
    assert nodes.take_over(dead) == 1
    assert not nodes.list_nodes()[0].alive()


def test_a_lost_key_is_mended_by_importing_it_again(store, kek):
    from pki import Authority  # noqa: PLC0415 -- only this test needs a real key

    key = Authority("x").key
    spki = "ab" * 32
    run(lambda: private_keys.keep(key, spki, "rsa", kek))
    before = PrivateKeyRow.objects.get().sealed
    run(lambda: private_keys.keep(key, spki, "rsa", kek))
    assert PrivateKeyRow.objects.get().sealed == before
    with pytest.raises(WrongKekError):
        private_keys.open_key(spki, NEW)
    run(lambda: private_keys.keep(key, spki, "rsa", NEW))
    assert private_keys.open_key(spki, NEW)
    assert PrivateKeyRow.objects.get().kek_id == NEW.id


ROTATING = """
import sys
sys.path.insert(0, {tests!r})
from mailseal.store.configure import use
use({url!r}, {password!r}, node="mx1")
from mailseal.keys.kek_places import Found, KekFile
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.sealing import Kek
from mailseal.store import keks, rewrap, rotation
rewrap.BATCH_ROWS = 4
rotation.SETTLE_SECONDS = 0.2
found = Found(tuple(KekFile(Kek(bytes([one]) * 32), "") for one in (1, 2)), ())
ring = KekRing(lambda: found, keks.active)
new = found.files[1].kek.id
print("ready", flush=True)
sys.stdin.read(1)
rotation.begin(new)
rotation.finish(ring, new, lambda _: None)
print("done", flush=True)
"""


def test_killed_at_any_instant_everything_opens_and_the_next_run_goes_on(store, tmp_path):
    place = connection().settings_dict
    url, password = (
        (f"sqlite://{place['NAME']}", None)
        if store == "sqlite"
        else (f"mysql://{place['USER']}@/{place['NAME']}?unix_socket={place['HOST']}", place["PASSWORD"])
    )
    keks.register_first(OLD.id)
    fill(300)
    both, chance = ring_of(OLD, NEW), random.Random(1)
    script = ROTATING.format(tests=str(Path(__file__).parents[1]), url=url, password=password)
    kills = 0
    for attempt in range(KILLS + 1):
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)
        ) as child:
            assert child.stdout.readline() == b"ready\n"
            child.stdin.write(b"x")
            child.stdin.flush()
            if attempt < KILLS:
                time.sleep(chance.uniform(0.0, 0.15))
                child.send_signal(signal.SIGKILL)
            ended = child.wait(PATIENCE_SECONDS)
        kills += ended == -signal.SIGKILL
        assert contents(both) == [SECRET] * 304, "every value opens after every kill"
        if ended == 0:
            break
    assert ended == 0
    assert kills >= 1  # a quick machine may be done before the later ones
    assert rewrap.count_by_kek() == {NEW.id: 304}
    assert contents(ring_of(NEW)) == [SECRET] * 304


def test_readers_and_writers_meanwhile(store, monkeypatch):
    """Every value opens at every instant, and what is written meanwhile is sealed anew as well."""
    quick(monkeypatch, settle=0.5)
    monkeypatch.setattr(rewrap, "BATCH_ROWS", 7)
    keks.register_first(OLD.id)
    fill(120)
    over, faults = threading.Event(), []

    def reading() -> None:
        try:
            while not over.is_set():
                assert set(contents(ring_of(OLD, NEW))) == {SECRET}
        except Exception as error:  # noqa: BLE001 -- judged by the test
            faults.append(error)
        finally:
            close_connection()

    def writing() -> None:
        slow = ring_of(OLD, NEW)  # believes an answer for as long as it may
        try:
            for number in range(60):
                if number % 20 == 19:
                    slow.forget()
                credentials.keep(f"user{number}@hop.example:25", SECRET, slow)
                time.sleep(0.005)
        except Exception as error:  # noqa: BLE001 -- same
            faults.append(error)
        finally:
            close_connection()

    threads = [threading.Thread(target=work) for work in (reading, writing)]
    for thread in threads:
        thread.start()
    rotation.begin(NEW.id)
    rotation.finish(ring_of(OLD, NEW), NEW.id, lambda _: None)
    threads[1].join()
    over.set()
    threads[0].join()
    assert not faults
    rotation.finish(ring_of(OLD, NEW), NEW.id, lambda _: None)
    assert rewrap.count_by_kek() == {NEW.id: 184}
