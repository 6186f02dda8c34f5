"""What two transactions do in the same moment: neither fails for the other, nor undoes what the other has decided."""

from datetime import UTC, datetime, timedelta

import pytest

from mailseal.keys.sealing import Kek
from mailseal.mail.address import Address
from mailseal.policy.model import Harvest
from mailseal.store import certificate_admin, jobs, keks, lookups, nodes, rotation
from mailseal.store.certificate_import import import_certificates
from mailseal.store.harvest import insert_candidates, purge_candidates
from mailseal.store.keks import KekStateError
from mailseal.store.models import CertificateRow, CertificateUse, KekRow
from mailseal.store.stamps import Scope, bump, stamps
from mailseal.store.transaction import run
from pki import Authority

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ANNA = Address.parse("anna@outside.example")
OLD, NEW = (Kek(bytes([number]) * 32).id for number in (1, 2))


@pytest.fixture(scope="module")
def certificate():
    return Authority("Root").issue("anna@outside.example").certificate


def test_the_first_two_changes_of_a_scope_both_count(store, meanwhile):
    with meanwhile("INSERT INTO store_stamp", lambda: bump(Scope.KEYS)) as other:
        bump(Scope.KEYS)
    assert other == [None]
    assert stamps() == {("keys", "mx1"): 2}


def test_in_a_transaction_what_came_before_stays(store, meanwhile):
    def work():
        nodes.beat(["a"])
        bump(Scope.KEYS)

    with meanwhile("INSERT INTO store_stamp", lambda: bump(Scope.KEYS)):
        run(work)
    assert stamps() == {("keys", "mx1"): 2}
    assert [one.keks for one in nodes.list_nodes()] == [frozenset("a")]


def test_the_first_two_signs_of_life_of_a_node(store, meanwhile):
    with meanwhile("INSERT INTO store_node", lambda: nodes.beat(["b"])) as other:
        nodes.beat(["a"])
    assert other == [None]
    assert len(nodes.list_nodes()) == 1


def test_of_two_first_keks_one_seals(store, meanwhile):
    with meanwhile("INSERT INTO store_kek", lambda: keks.register_first(NEW)) as other:
        mine = keks.register_first(OLD)
    assert [mine, *other] in ([True, False], [False, True])
    assert [one.kek_id for one in keks.list_keks()] == [keks.active()] == [OLD if mine else NEW]


def test_a_kek_that_is_being_retired_is_not_activated(store, meanwhile):
    keks.register_first(OLD)
    KekRow.objects.update(activated=NOW - timedelta(days=2))
    keks.activate(NEW)
    KekRow.objects.filter(kek_id=NEW).update(activated=NOW - timedelta(days=1))
    with meanwhile("UPDATE store_kek", lambda: keks.activate(OLD)) as other:
        rotation.retire(OLD)
    assert isinstance(other[0], KekStateError)
    assert keks.active() == NEW


def test_a_search_that_has_ended_is_not_begun_again_for_its_old_result(store, meanwhile):
    lookups.finish(ANNA, 0, NOW)
    later = NOW + timedelta(days=1)

    def search():
        lookups.start(ANNA, later, instead_of=NOW)
        lookups.finish(ANNA, 1, later)

    with meanwhile("UPDATE store_pgp_lookup", search) as other:
        lookups.start(ANNA, later, instead_of=NOW)
    assert other == [None]
    assert lookups.running_since(ANNA) is None


def test_two_make_one_recurring_job(store, meanwhile):
    with meanwhile("INSERT INTO store_job", lambda: jobs.ensure_recurring("purge", "x", 60)) as other:
        jobs.ensure_recurring("purge", "x", 60)
    assert other == [None]
    assert len(jobs.list_jobs()) == 1


def test_a_certificate_that_is_deleted_while_it_is_chosen(store, meanwhile, certificate):
    import_certificates([certificate])
    name = certificate.fingerprint
    with meanwhile("INSERT INTO store_certificate_use", lambda: certificate_admin.delete(name)) as other:
        certificate_admin.use(name, "example.com")
    assert other[0].certificate == certificate
    assert CertificateUse.objects.count() == CertificateRow.objects.count() == 0


def test_a_candidate_that_is_deleted_while_it_is_imported(store, meanwhile, certificate):
    """The import finds it, and makes more of it: it is not gone in between."""
    run(lambda: insert_candidates([Harvest(certificate.der)]))
    with meanwhile("UPDATE store_certificate", lambda: purge_candidates(older_than_days=-1)) as other:
        (info,) = import_certificates([certificate])
    assert (other, info.candidate) == ([0], False)


@pytest.mark.parametrize(
    "moment", [{"sql": "SELECT store_certificate.id", "after": 1}, {"sql": "DELETE FROM store_certificate"}]
)
def test_a_candidate_that_is_imported_while_it_is_deleted(store, meanwhile, certificate, moment):
    run(lambda: insert_candidates([Harvest(certificate.der)]))
    with meanwhile(work=lambda: import_certificates([certificate]), **moment):
        purge_candidates(older_than_days=-1)
    assert [one.candidate for one in certificate_admin.list_certificates()] == [False]
