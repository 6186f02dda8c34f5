"""OpenPGP keys that mail brings: through the journal, as candidates, bounded; what is new of known keys."""

import json
from datetime import timedelta

import pytest

from mailseal.mail.address import Address
from mailseal.openpgp import edit
from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.component import RevocationCode
from mailseal.policy.model import Harvest, MethodName
from mailseal.store import pgp_admin, pgp_candidates
from mailseal.store.journal import CandidateRecord, JournalWriter, import_journals
from mailseal.store.journal_lines import parse
from mailseal.store.pgp_candidates import insert_candidates, keep_found, prepare_harvest, purge_candidates
from mailseal.store.pgp_models import PgpCertificateRow, PgpUseRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import run
from pgp_keys import pgp_key
from pki import NOW, Authority
from store.test_pgp_certificates import DAY, arrival, certified, key_stamp, put

BOB = "bob@partner.test"


def found(identity, octets=None, source="attached by bob@partner.test"):
    return Harvest(octets or identity.octets, method=MethodName.PGP, source=source)


def harvest(*some, at=NOW):
    prepared = prepare_harvest(some)
    return run(lambda: insert_candidates(prepared, at=at))


def stored(owner=BOB):
    return {one.fingerprint for one in pgp_admin.list_keys(owner=owner, limit=1000)}


@pytest.fixture
def bob(store):
    return pgp_key(f"Bob <{BOB}>")


# ---- the journal


def test_through_the_journal(bob, tmp_path):
    writer = JournalWriter(tmp_path)
    authority = Authority("Root")
    smime = authority.issue("carol@partner.test", key="p256")
    writer.append([CandidateRecord(found(bob)), CandidateRecord(Harvest(smime.der)), CandidateRecord(found(bob))])
    assert import_journals(tmp_path).candidates == 2
    info = pgp_admin.show(bob.fingerprint)
    assert (info.trust, info.provenance) == (PgpTrust.CANDIDATE, "mail attached by bob@partner.test")
    assert not info.keys
    assert key_stamp() == 0


def test_a_mail_that_says_the_same_again_writes_nothing(bob, tmp_path):
    writer = JournalWriter(tmp_path)
    for _ in range(3):
        writer.append([CandidateRecord(found(bob))])
    writer.close()
    (file,) = tmp_path.glob("*.journal")
    assert file.read_bytes().count(b"\n") == 1


def test_lines_of_older_releases_are_read():
    line = json.dumps(["candidate", "3003020101", "aes256-gcm", NOW.isoformat()]).encode() + b"\n"
    assert parse(line).candidates == [Harvest(bytes.fromhex("3003020101"), "aes256-gcm", NOW)]


def test_what_a_line_says_comes_back():
    harvested = Harvest(b"\x99\x01", method=MethodName.PGP, source="Autocrypt of bö\ud800b\0@x.test")
    (back,) = parse(CandidateRecord(harvested).line()).candidates
    assert (back.der, back.method) == (b"\x99\x01", MethodName.PGP)
    assert back.source == "Autocrypt of bö?b\ufffd@x.test"


@pytest.mark.parametrize(
    "values",
    [
        ["key-candidate", "pgp", "99"],
        ["key-candidate", "pgp", "9x", ""],
        ["key-candidate", "other", "99", ""],
        ["key-candidate", "pgp", "99", 1],
        ["key-candidate", "pgp", "99", "x" * 401],
        ["key-candidate", "pgp", "99", "", ""],
    ],
)
def test_bad_lines_are_kept_aside(values):
    line = json.dumps(values).encode()
    assert parse(line + b"\n").bad == [line]


def test_what_is_too_large_or_no_key_is_left_out(store, tmp_path):
    writer = JournalWriter(tmp_path)
    large = Harvest(bytes(70_000), method=MethodName.PGP)
    writer.append([CandidateRecord(large), CandidateRecord(Harvest(b"\x99nonsense", method=MethodName.PGP))])
    assert import_journals(tmp_path).candidates == 0
    assert not PgpCertificateRow.objects.exists()


# ---- what they change


def test_trust_is_never_theirs(bob, kek):
    put(kek, arrival(bob))
    named = edit.add_user_id(bob.certificate, "boss@partner.test", bob.primary, at=NOW - DAY)
    assert harvest(found(bob, named)) == 0
    assert not stored("boss@partner.test")
    pgp_admin.distrust(bob.fingerprint)
    harvest(found(bob))
    assert pgp_admin.show(bob.fingerprint).trust is PgpTrust.DISTRUSTED


def test_a_trusted_key_is_updated_and_that_is_told(bob, kek):
    put(kek, arrival(bob))
    before = key_stamp()
    harvest(found(bob))
    assert key_stamp() == before
    harvest(found(bob, edit.revoke(bob.certificate, bob.primary, RevocationCode.SUPERSEDED, at=NOW - DAY)))
    assert pgp_admin.show(bob.fingerprint).revoked
    assert key_stamp() == before + 1


def test_nor_does_one_wait_that_a_domain_key_has_certified(bob, kek):
    domain_key = pgp_key("keys@partner.test")
    put(kek, arrival(domain_key))
    pgp_admin.use(domain_key.fingerprint, "partner.test")
    octets = certified(bob, domain_key, f"Bob <{BOB}>")
    harvest(found(bob, octets))
    before = key_stamp()
    harvest(found(bob, octets))
    assert key_stamp() == before
    harvest(found(bob, edit.revoke(bob.certificate, bob.primary, RevocationCode.COMPROMISED, at=NOW - DAY)))
    assert key_stamp() == before + 1


def test_a_secret_key_in_a_mail_stays_there(bob):
    harvest(found(bob, bob.secret))
    info = pgp_admin.show(bob.fingerprint)
    assert not info.keys
    assert info.certificate.octets == bob.certificate.octets


def test_certified_by_a_domain_key_it_comes_trusted(bob, kek, pgp):
    domain_key = pgp_key("keys@partner.test")
    put(kek, arrival(domain_key))
    pgp_admin.use(domain_key.fingerprint, "partner.test")
    harvest(found(bob, certified(bob, domain_key, f"Bob <{BOB}>")))
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.TRUSTED
    assert pgp_admin.show(bob.fingerprint).trust is PgpTrust.CANDIDATE


# ---- conflicts


def test_another_key_for_a_known_address_is_flagged(bob, kek):
    put(kek, arrival(bob))
    new, first = pgp_key("x@partner.test", BOB), pgp_key("carol@partner.test")
    harvest(found(new), found(first), found(bob))
    conflicting = pgp_admin.list_keys(conflict=True)
    assert [one.fingerprint for one in conflicting] == [new.fingerprint]
    assert pgp_admin.count(PgpTrust.CANDIDATE, conflict=True) == 1
    pgp_admin.trust(new.fingerprint)
    assert not pgp_admin.list_keys(conflict=True)


@pytest.mark.parametrize("end", ["expired", "revoked", "distrusted", "candidate"])
def test_none_is_known_by_a_key_that_counts_no_longer(bob, kek, end):
    put(kek, arrival(bob, vouched=end != "candidate"))
    at = NOW
    if end == "expired":
        at = NOW + 60 * 365 * DAY
    elif end == "revoked":
        put(kek, arrival(bob, edit.revoke(bob.certificate, bob.primary, RevocationCode.RETIRED, at=NOW - DAY)))
    elif end == "distrusted":
        pgp_admin.distrust(bob.fingerprint)
    harvest(found(pgp_key(BOB)), at=at)
    assert not pgp_admin.list_keys(conflict=True)


# ---- bounds


def test_strangers_never_keep_the_real_one_out(bob, kek, monkeypatch):
    monkeypatch.setattr(pgp_candidates, "MAX_CANDIDATES_PER_ADDRESS", 3)
    imported, published, vouched = pgp_key(BOB), pgp_key(BOB), pgp_key("keys@partner.test")
    put(kek, arrival(imported, vouched=False), arrival(vouched))
    pgp_admin.use(vouched.fingerprint, "partner.test")
    keep_found([arrival(published, vouched=False, provenance="wkd partner.test")], published_for=Address.parse(BOB))
    harvest(found(bob, certified(bob, vouched, f"Bob <{BOB}>")))
    strangers = [pgp_key(BOB) for _ in range(5)]
    harvest(*map(found, strangers[:2]))
    harvest(*map(found, strangers[2:]))
    kept = {one.fingerprint for one in (imported, published, bob)}
    assert kept < stored()
    assert len(stored()) == 3 + 3
    assert strangers[-1].fingerprint in stored()


def test_in_all_there_are_so_many(store, monkeypatch):
    monkeypatch.setattr(pgp_candidates, "MAX_CANDIDATES", 2)
    made = [pgp_key(f"user{number}@partner.test") for number in range(4)]
    assert harvest(*map(found, made)) == 2
    assert harvest(found(made[3])) == 0
    # What is known can still be brought up to date.
    ended = edit.set_expiry(made[0].certificate, made[0].primary, NOW + DAY, at=NOW - DAY)
    harvest(found(made[0], ended))
    assert pgp_admin.show(made[0].fingerprint).expires == NOW + DAY


def test_one_without_an_address_is_nobodys(store):
    assert harvest(found(pgp_key("Somebody"))) == 0


def test_what_nobody_trusts_is_forgotten(bob, kek):
    imported, published, trusted, fresh = (pgp_key(BOB) for _ in range(4))
    put(kek, arrival(imported, vouched=False))
    keep_found([arrival(published, vouched=False, provenance="wkd partner.test")], published_for=Address.parse(BOB))
    harvest(found(bob), found(trusted))
    pgp_admin.trust(trusted.fingerprint)
    PgpCertificateRow.objects.update(created=utc_now() - timedelta(days=31))
    harvest(found(fresh))
    assert purge_candidates() == 1
    assert stored() == {one.fingerprint for one in (imported, published, trusted, fresh)}
    keep_found([], published_for=Address.parse(BOB))
    assert purge_candidates() == 1
    assert not PgpUseRow.objects.filter(certificate__fingerprint=published.fingerprint).exists()
