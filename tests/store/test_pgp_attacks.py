"""What strangers try with the OpenPGP keyring: copies that lack something, keys that look like another's, floods."""

import pytest

from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.store import pgp_admin
from mailseal.store.pgp_candidates import insert_candidates, prepare_harvest
from mailseal.store.transaction import run
from pgp_keys import pgp_key
from pki import NOW
from store.test_pgp_candidates import BOB, found, harvest
from store.test_pgp_certificates import arrival, certified, put


@pytest.fixture
def bob(store):
    return pgp_key(f"Bob <{BOB}>")


# ---- domain keys


@pytest.fixture
def domain_key(store, kek):
    made = pgp_key("keys@elsewhere.test")
    put(kek, arrival(made))
    pgp_admin.use(made.fingerprint, "partner.test")
    return made


def bare(identity):
    """The primary key, and nothing of what it has signed."""
    return write_packet(Tag.PUBLIC_KEY, identity.certificate.primary.public.octets)


def test_a_copy_without_user_ids_takes_no_certification_away(bob, domain_key, kek, pgp):
    put(kek, arrival(bob, certified(bob, domain_key, f"Bob <{BOB}>"), vouched=False))
    harvest(found(bob, bare(bob)))
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.TRUSTED


def test_nor_one_that_was_prepared_before_there_was_anything_to_take(bob, domain_key, kek, pgp):
    prepared = prepare_harvest([found(bob, bare(bob))])
    put(kek, arrival(bob, certified(bob, domain_key, f"Bob <{BOB}>"), vouched=False))
    run(lambda: insert_candidates(prepared, at=NOW))
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.TRUSTED
