"""An administrator's import: in parts, of any size, cut off and given again, beside others."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import Count

from mailseal.keys.sealing import Kek
from mailseal.store import certificate_import, jobs, revalidate, trust
from mailseal.store.certificate_import import CHUNK_ROWS, CertificateImport, insert_all
from mailseal.store.certificate_rows import DUE_NOW, Purpose
from mailseal.store.models import CertificateRow, CertificateUse, KnownAddress, PrivateKeyRow
from mailseal.store.stamps import Scope, stamps
from mailseal.store.transaction import connection, run
from pki import NOW, Authority
from store import many_certificates

COUNT = int(os.environ.get("MAILSEAL_IMPORT_CERTIFICATES", "1200"))
"""How many certificates the imports in processes of their own have."""


@pytest.fixture(scope="module")
def root():
    return Authority("Root")


@pytest.fixture(scope="module")
def issuing(root):
    return root.subordinate("Issuing CA")


def without_kek():
    raise AssertionError("no key was to be stored")


@pytest.fixture
def importing(store):
    return CertificateImport(without_kek, at=NOW)


def alone(*identities):
    return [(one.certificate, None) for one in identities]


def test_what_is_new_and_what_is_known(importing, issuing):
    anna, bob = (issuing.issue(f"{name}@example.com") for name in ("anna", "bob"))
    assert importing.add(alone(anna, issuing)) == {anna.certificate.fingerprint, issuing.certificate.fingerprint}
    assert importing.add(alone(anna, bob, bob)) == {bob.certificate.fingerprint}
    rows = {row.fingerprint: row for row in CertificateRow.objects.all()}
    assert len(rows) == 3
    assert all(row.due == DUE_NOW and row.judged_at is None and not row.candidate for row in rows.values())
    assert rows[issuing.certificate.fingerprint].purpose == Purpose.INTERMEDIATE
    assert set(KnownAddress.objects.values_list("key", flat=True)) == {"anna@example.com", "bob@example.com"}
    assert CertificateUse.objects.count() == 2


def test_keys_are_sealed_and_bound(store, issuing, kek):
    anna, bob = (issuing.issue(f"{name}@example.com", fresh_key=True) for name in ("anna", "bob"))
    asked = []
    importing = CertificateImport(lambda: asked.append(1) or kek, at=NOW)
    importing.add(alone(bob))
    assert not asked
    importing.add([(anna.certificate, anna.key), (bob.certificate, None)])
    infos = {info.fingerprint: info.has_key for info in importing.finish().infos}
    assert infos == {anna.certificate.fingerprint: True, bob.certificate.fingerprint: False}
    row = PrivateKeyRow.objects.get()
    assert row.kek_id == kek.id
    assert isinstance(kek, Kek)


def test_what_is_known_is_not_judged_again(importing, issuing):
    anna, bob = (issuing.issue(f"{name}@example.com") for name in ("anna", "bob"))
    run(lambda: insert_all([(bob.certificate, Purpose.END_ENTITY)], candidate=True))
    importing.add(alone(anna))
    importing.finish()
    CertificateRow.objects.update(due=NOW + timedelta(days=1))
    importing.add(alone(anna, bob))
    due = dict(CertificateRow.objects.values_list("fingerprint", "due"))
    assert due[anna.certificate.fingerprint] == NOW + timedelta(days=1)
    assert due[bob.certificate.fingerprint] == DUE_NOW
    assert not CertificateRow.objects.filter(candidate=True).exists()


def test_an_import_that_was_cut_off_before_it_told_others(importing, issuing, monkeypatch):
    monkeypatch.setattr(importing, "_stamped_at", float("inf"))
    bob = issuing.issue("bob@example.com")
    run(lambda: insert_all([(bob.certificate, Purpose.END_ENTITY)], candidate=True))
    assert not KnownAddress.objects.exists()
    importing.add(alone(bob))
    assert not stamps()
    assert KnownAddress.objects.get().key == "bob@example.com"
    CertificateImport(without_kek, at=NOW).add(alone(bob))
    assert stamps() == {(Scope.KEYS.value, "mx1"): 1}


def test_a_root_stays_a_root(store, root, importing):
    trust.import_roots([root.certificate], at=NOW)
    importing.add(alone(root))
    importing.finish()
    assert CertificateRow.objects.get().purpose == Purpose.ROOT


def test_an_intermediate_can_become_a_root(store, issuing, importing):
    importing.add(alone(issuing))
    trust.import_roots([issuing.certificate], at=NOW)
    assert CertificateRow.objects.get().purpose == Purpose.ROOT


def test_stamps_are_for_what_others_may_have_cached(importing, root, issuing, monkeypatch):
    def stamp():
        return stamps().get((Scope.KEYS.value, "mx1"), 0)

    importing.add(alone(issuing.issue("anna@example.com")))
    assert stamp() == 0
    importing.add(alone(issuing))
    assert stamp() == 1
    # One stamp empties all caches, so the next change waits for its turn.
    importing.add(alone(root.subordinate("Another CA")))
    assert stamp() == 1
    importing.add(alone(issuing.issue("bob@example.com")))
    assert stamp() == 1
    monkeypatch.setattr(certificate_import, "STAMP_SECONDS", 0.0)
    importing.add(alone(issuing.issue("olga@example.com")))
    assert stamp() == 2
    monkeypatch.setattr(certificate_import, "STAMP_SECONDS", 1000.0)
    importing.add(alone(root.subordinate("A third CA")))
    for judging in ("revalidate", "after_change"):
        monkeypatch.setattr(certificate_import, judging, lambda *_, **__: None)
    importing.finish()
    assert stamp() == 3


def test_many_certificates_are_left_to_the_worker(store, root, issuing, monkeypatch):
    monkeypatch.setattr(certificate_import, "AT_ONCE", 3)
    monkeypatch.setattr(revalidate, "AT_ONCE", 3)
    monkeypatch.setattr(revalidate.revalidate_due, "__kwdefaults__", {"at": None, "limit": 3})
    trust.import_roots([root.certificate], at=NOW)
    importing = CertificateImport(without_kek, at=NOW)
    importing.add(alone(issuing, *(issuing.issue(f"{number}@example.com") for number in range(6))))
    finished = importing.finish()
    assert finished.infos == ()
    assert finished.due == 7 - 3
    assert [one.kind for one in jobs.list_jobs()].count(revalidate.REVALIDATE) == 1
    while revalidate.revalidate_due(at=NOW):
        pass
    assert CertificateRow.objects.filter(trusted=True).count() == 8


def test_few_certificates_are_judged_at_once(store, root, issuing):
    trust.import_roots([root.certificate], at=NOW)
    importing = CertificateImport(without_kek, at=NOW)
    anna = issuing.issue("anna@example.com")
    importing.add(alone(anna, issuing))
    finished = importing.finish()
    assert [info.fingerprint for info in finished.infos] == [
        anna.certificate.fingerprint, issuing.certificate.fingerprint,
    ]  # fmt: skip
    assert all(info.verdict.trusted for info in finished.infos)
    assert finished.due == 0


def test_a_row_that_another_process_stores_meanwhile(store, issuing, monkeypatch):
    anna, bob = (issuing.issue(f"{name}@example.com").certificate for name in ("anna", "bob"))
    run(lambda: insert_all([(anna, Purpose.END_ENTITY)], candidate=True))
    real = certificate_import._stored
    asked = []

    def stored(fingerprints, **how):
        # Looked up before the other process has it, and again after.
        asked.append(1)
        return {} if len(asked) == 1 else real(fingerprints, **how)

    monkeypatch.setattr(certificate_import, "_stored", stored)
    found = [(one, Purpose.END_ENTITY) for one in (anna, bob)]
    inserted = run(lambda: insert_all(found))
    assert (inserted.new, inserted.lifted) == ({bob.fingerprint}, {anna.fingerprint})
    assert CertificateUse.objects.count() == CertificateRow.objects.count() == 2
    assert not CertificateRow.objects.filter(candidate=True).exists()


def test_imports_at_the_same_time(store, in_threads):
    certificates = many_certificates.certificates(120)

    def work(number):
        importing = CertificateImport(without_kek, at=NOW)
        some = certificates if number % 2 else certificates[::-1]
        return sum(len(importing.add([(one, None) for one in some[at : at + 20]])) for at in range(0, 120, 20))

    assert sum(in_threads(work, 4)) == 120
    assert CertificateUse.objects.count() == CertificateRow.objects.count() == 120


# ---- in processes of their own


def start(bundle, *more):
    """An import that prints what it has stored after each transaction."""
    settings = connection().settings_dict
    if connection().vendor == "sqlite":
        place = (f"sqlite://{settings['NAME']}", "")
    else:
        place = (
            f"mysql://{settings['USER']}@/{settings['NAME']}?unix_socket={settings['HOST']}", settings["PASSWORD"],
        )  # fmt: skip
    program = Path(__file__).with_name("many_certificates.py")
    return subprocess.Popen(
        [sys.executable, program, *place, bundle, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def everything_is_there_once(count):
    assert CertificateRow.objects.count() == CertificateUse.objects.count() == KnownAddress.objects.count() == count
    twice = CertificateUse.objects.values("certificate").annotate(uses=Count("id")).filter(uses__gt=1)
    assert not twice.exists()


def test_an_import_that_is_killed_and_given_again(store, tmp_path):
    bundle = tmp_path / "bundle.pem"
    many_certificates.write(bundle, COUNT)
    with start(bundle, "stepwise") as first:
        for line in first.stdout:
            if int(line.split()[0]) >= COUNT // 3:
                os.kill(first.pid, signal.SIGKILL)
                break
            print(file=first.stdin, flush=True)
        first.stdout.read()
    assert first.returncode == -signal.SIGKILL
    stored = CertificateRow.objects.count()
    assert COUNT // 3 <= stored < COUNT
    assert stored % CHUNK_ROWS == 0
    everything_is_there_once(stored)
    with start(bundle) as second:
        *_, last = second.stdout
    assert second.returncode == 0
    assert int(last.split()[0]) == COUNT - stored
    everything_is_there_once(COUNT)
    assert CertificateRow.objects.filter(due__lte=NOW, judged_at=None).count() == COUNT


def test_memory_does_not_grow_with_the_bundle(store, tmp_path):
    if store != "sqlite":
        pytest.skip("of SQLite: Python holds the same with both")
    bundle = tmp_path / "bundle.pem"
    many_certificates.write(bundle, COUNT)
    with start(bundle, "measured") as process:
        held = [int(line.split()[1]) for line in process.stdout]
    assert process.returncode == 0
    assert CertificateRow.objects.count() == COUNT
    assert len(held) == -(-COUNT // CHUNK_ROWS)
    middle = len(held) // 3
    growth = (held[-1] - held[middle]) / (len(held) - 1 - middle) / CHUNK_ROWS
    # A certificate that is held takes 1900 octets; bounded caches that are not full yet take 400.
    assert growth < 1000
