"""What the job worker does for its node between two jobs."""

import asyncio
from types import SimpleNamespace

import pytest

from mailseal.config import from_values
from mailseal.keys.kek_places import Found, KekFile
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.seal_errors import KekMissingError
from mailseal.keys.sealing import Kek
from mailseal.roles import handlers
from mailseal.roles import worker as worker_module
from mailseal.roles.held_keks import HeldKeks
from mailseal.roles.meter import Meter
from mailseal.roles.metric_table import By
from mailseal.roles.worker import WorkerRole
from mailseal.store import console_keys, findings, jobs, keks, nodes, rotation
from mailseal.store.journal import JournalWriter
from mailseal.store.keks import KekStateError
from mailseal.store.models import JournalRow, LogRow
from mailseal.store.transaction import close_connection
from store.test_journal import record

OLD, NEW = Kek(b"o" * 32), Kek(b"n" * 32)


def ring(*held: Kek) -> KekRing:
    return KekRing(lambda: Found(tuple(KekFile(kek, kek.id) for kek in held), ()), lambda: OLD.id)


@pytest.fixture
def worker(store, tmp_path):
    """A job worker that has both KEKs."""
    config = from_values({"data_dir": str(tmp_path)})
    for folder in (config.run_dir, config.journal_dir):
        folder.mkdir(exist_ok=True)
    stamps, gateway = SimpleNamespace(poll=lambda _: None), SimpleNamespace(directory=None)
    node = SimpleNamespace(config=config, gateway=gateway, kek=ring(OLD, NEW), stamps=stamps)
    return WorkerRole(node, Meter(By.WORKER))


def test_no_rotation_to_a_kek_that_one_process_of_the_node_lacks(worker):
    """Its mail would wait: it could neither open nor seal."""
    keks.activate(OLD.id)
    lacking = ring(OLD)
    mail = HeldKeks(lacking, worker._node.config.run_dir)
    mail.say(0.0)
    worker._keep_house()
    assert [node.keks for node in nodes.list_nodes()] == [{OLD.id}]
    with pytest.raises(KekStateError, match="not at hand on mx1"):
        rotation.begin(NEW.id)
    assert keks.active() == OLD.id

    lacking._read = ring(OLD, NEW)._read
    mail.say(1000.0)
    worker._keep_house()
    rotation.begin(NEW.id)
    assert keks.active() == NEW.id


def test_a_kek_that_is_missing_keeps_the_node_from_the_console_alone(worker):
    worker._node.kek = ring(NEW)
    with pytest.raises(KekMissingError):
        worker._keep_house()
    assert [node.name for node in nodes.list_nodes()] == ["mx1"]
    assert {one.kind for one in jobs.list_jobs()} >= {handlers.PURGE, findings.CHECK}
    worker._node.kek = ring(OLD, NEW)
    worker._keep_house()
    assert console_keys.public(console_keys.INTAKE) is not None


def test_at_its_end_it_takes_what_the_mail_workers_wrote_while_they_drained(worker, monkeypatch):
    folder = worker._node.config.journal_dir
    writer = JournalWriter(folder)
    writer.append([record(1)])

    class Over:
        """A lifetime that is over at once; until then a mail worker wrote on."""

        over = True

        def __init__(self, *_: object) -> None:
            writer.append([record(2)])
            writer.close()

    def quietly(work):
        try:
            in_a_thread(work)
        finally:
            close_connection()  # of that thread, which ends

    in_a_thread = worker._quietly
    monkeypatch.setattr(worker, "_quietly", quietly)
    monkeypatch.setattr(worker_module, "Lifetime", Over)
    asyncio.run(worker.serve(SimpleNamespace(ready=lambda: None)))
    assert LogRow.objects.count() == 2
    assert not JournalRow.objects.exists()
    assert not list(folder.glob("*.journal"))
