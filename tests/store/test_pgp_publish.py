"""What is published of our own keys: of internal addresses, alive, and what is revoked, so that it gets about."""

import io

import pytest

from mailseal.mail.address import Address
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.component import RevocationCode
from mailseal.openpgp.ring import open_ring
from mailseal.openpgp.validity import why_dead
from mailseal.policy.reason import ReasonCode
from mailseal.store import domains, pgp_admin, pgp_edit
from mailseal.store.pgp_publish import published
from pgp_keys import pgp_key
from pki import NOW
from store.test_pgp_certificates import DAY, arrival, put

ANNA = Address.parse("anna@inside.test")


@pytest.fixture
def anna(store, kek):
    domains.add("inside.test", internal=True)
    made = pgp_key(f"Anna <{ANNA}>", "anna@elsewhere.test")
    put(kek, arrival(made, with_key=True))
    return made


def ring():
    found = list(published(NOW))
    assert {one.address for one in found} <= {ANNA}
    return [read_certificate(one.octets) for one in found]


def test_one_name_of_ours_and_no_other(anna, kek):
    put(kek, arrival(pgp_key("bob@inside.test")))
    (found,) = ring()
    assert (found.fingerprint, [one.text for one in found.user_ids]) == (anna.fingerprint, [f"Anna <{ANNA}>"])


def test_a_revoked_one_stays_behind_the_one_that_took_its_place(anna, kek):
    pgp_edit.revoke(anna.fingerprint, kek, RevocationCode.COMPROMISED, at=NOW - DAY)
    (revoked,) = ring()
    assert (revoked.fingerprint, why_dead(revoked, NOW)) == (anna.fingerprint, ReasonCode.PGP_KEY_REVOKED)
    assert [one.address for one in revoked.user_ids] == [ANNA]
    new = pgp_key(f"Anna <{ANNA}>")
    put(kek, arrival(new, with_key=True))
    assert [one.fingerprint for one in ring()] == [new.fingerprint, anna.fingerprint]
    one_file = io.BytesIO(b"".join(one.octets for one in published(NOW)))
    assert [one.is_certificate for one in open_ring(one_file).members] == [True, True]


def test_nobody_gets_one_that_is_distrusted_or_over(anna, kek):
    pgp_edit.set_expiry(anna.fingerprint, NOW - DAY, kek, at=NOW - 2 * DAY)
    assert ring() == []
    pgp_edit.set_expiry(anna.fingerprint, None, kek, at=NOW - DAY)
    assert len(ring()) == 1
    pgp_admin.distrust(anna.fingerprint)
    assert ring() == []
