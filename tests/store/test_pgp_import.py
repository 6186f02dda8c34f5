"""An administrator's import of OpenPGP keys: new, known, updated; secret keys; trust; cut off and given again."""

import dataclasses

import pytest

from mailseal.openpgp import edit
from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.component import RevocationCode, revocation_at
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.store import pgp_admin, pgp_import
from mailseal.store.models import KnownAddress, PrivateKeyRow
from mailseal.store.pgp_import import PgpImport, for_signatures
from mailseal.store.pgp_keep import keep, prepare
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow, PgpUseRow
from mailseal.store.transaction import run
from pgp_keys import pgp_key
from pki import NOW
from store.test_pgp_certificates import DAY, arrival, key_stamp, put


def without_kek():
    raise AssertionError("no key was to be stored")


def state(kept):
    return [("new" if one.new else "changed" if one.changed else "known", one.counts) for one in kept]


def texts(identity):
    return {one.text for one in pgp_admin.show(identity.fingerprint).certificate.user_ids}


@pytest.fixture
def bob(store):
    return pgp_key("Bob <bob@partner.test>", expires_after=365 * DAY)


def more_user_ids(identity, *added):
    changed = identity
    for text in added:
        octets = edit.add_user_id(changed.certificate, text, identity.primary, at=NOW - DAY)
        changed = dataclasses.replace(identity, octets=octets)
    return changed


def test_new_and_known(bob, kek):
    assert state(put(without_kek, arrival(bob, vouched=False), arrival(bob, vouched=False))) == [
        ("new", False),
        ("known", False),
    ]
    assert state(put(without_kek, arrival(bob, vouched=False))) == [("known", False)]
    row = PgpCertificateRow.objects.get()
    assert (row.trust, row.provenance, row.user_ids, row.algorithm) == (
        "candidate",
        "import",
        "Bob <bob@partner.test>",
        "ed25519",
    )
    assert (row.expires, row.revoked, row.conflict) == (NOW + 355 * DAY, False, False)
    assert PgpComponentRow.objects.filter(certificate=row, bound=False).count() == 2
    assert PgpUseRow.objects.get().owner == "bob@partner.test"
    assert not KnownAddress.objects.exists()


def test_vouched_for_it_is_trusted(bob, kek):
    put(without_kek, arrival(bob, vouched=False))
    assert state(put(without_kek, arrival(bob))) == [("changed", True)]
    assert pgp_admin.show(bob.fingerprint).trust is PgpTrust.TRUSTED
    assert KnownAddress.objects.get().key == "bob@partner.test"


def test_with_its_secret_key_it_is_ours(bob, kek):
    put(without_kek, arrival(bob, vouched=False))
    (kept,) = put(kek, arrival(bob, vouched=False, with_key=True))
    assert (kept.changed, kept.counts) == (True, True)
    info = pgp_admin.show(bob.fingerprint)
    assert (info.trust, len(info.keys)) == (PgpTrust.TRUSTED, 2)
    assert PrivateKeyRow.objects.count() == 2


def test_of_its_secret_keys_only_those_that_came(bob, kek):
    put(kek, dataclasses.replace(arrival(bob), keys=bob.keys[1:]))
    assert pgp_admin.show(bob.fingerprint).keys == {bob.keys[1][0].fingerprint}
    put(kek, dataclasses.replace(arrival(bob), keys=bob.keys[:1]))
    assert len(pgp_admin.show(bob.fingerprint).keys) == 2


def test_what_is_new_is_merged_and_nothing_is_lost(bob, kek):
    longer = edit.set_expiry(bob.certificate, bob.primary, NOW + 900 * DAY, at=NOW - DAY)
    named = more_user_ids(bob, "bob@private.test")
    put(without_kek, arrival(bob))
    assert state(put(without_kek, arrival(bob, longer), arrival(bob, named.octets), arrival(bob))) == [
        ("changed", True),
        ("changed", True),
        ("known", True),
    ]
    info = pgp_admin.show(bob.fingerprint)
    assert texts(bob) == {"Bob <bob@partner.test>", "bob@private.test"}
    assert info.expires == NOW + 900 * DAY
    assert {owner for owner, _ in info.uses} == {"bob@partner.test", "bob@private.test"}


def test_a_trusted_key_takes_no_user_id_that_nobody_vouches_for(bob, kek):
    """Or whoever has one trusted key could have it stand for anybody's address."""
    put(without_kek, arrival(bob))
    named = more_user_ids(bob, "boss@partner.test")
    longer = edit.set_expiry(named.certificate, bob.primary, NOW + 900 * DAY, at=NOW - DAY / 2)
    (kept,) = put(without_kek, arrival(bob, longer, vouched=False))
    assert "boss@partner.test" in kept.notes[0]
    assert texts(bob) == {"Bob <bob@partner.test>"}
    assert pgp_admin.show(bob.fingerprint).expires == NOW + 900 * DAY
    assert not PgpUseRow.objects.filter(owner="boss@partner.test").exists()
    put(without_kek, arrival(bob, longer))
    assert texts(bob) == {"Bob <bob@partner.test>", "boss@partner.test"}


def test_a_candidate_takes_them(bob, kek):
    put(without_kek, arrival(bob, vouched=False))
    put(without_kek, arrival(bob, more_user_ids(bob, "boss@partner.test").octets, vouched=False))
    assert texts(bob) == {"Bob <bob@partner.test>", "boss@partner.test"}
    assert pgp_admin.show(bob.fingerprint).trust is PgpTrust.CANDIDATE


def test_distrusted_stays_so(bob, kek):
    put(without_kek, arrival(bob))
    pgp_admin.distrust(bob.fingerprint)
    (kept,) = put(kek, arrival(bob, with_key=True))
    assert "stays distrusted" in kept.notes[-1]
    assert pgp_admin.show(bob.fingerprint).trust is PgpTrust.DISTRUSTED
    pgp_admin.trust(bob.fingerprint)
    assert pgp_admin.show(bob.fingerprint).trust is PgpTrust.TRUSTED


def test_what_does_not_fit_changes_nothing(bob, kek, monkeypatch):
    put(without_kek, arrival(bob))

    def too_large(*_, **__):
        raise PgpError(None, "a certificate is too large")

    monkeypatch.setattr(edit, "merge", too_large)
    (kept,) = put(without_kek, arrival(bob, more_user_ids(bob, "x@partner.test").octets))
    assert kept.notes == ("it is known, and what is new of it was left out: a certificate is too large",)
    assert texts(bob) == {"Bob <bob@partner.test>"}


def test_the_same_twice_in_one_part_is_merged(bob, kek):
    named, ended = more_user_ids(bob, "b@partner.test"), edit.set_expiry(bob.certificate, bob.primary, None, at=NOW)
    key_alone = write_packet(Tag.PUBLIC_KEY, bob.keys[0][0].octets)
    kept = put(without_kek, arrival(bob, named.octets), arrival(bob, key_alone), arrival(bob, ended))
    assert state(kept) == [("new", True), ("known", True), ("changed", True)]
    assert texts(bob) == {"Bob <bob@partner.test>", "b@partner.test"}
    assert pgp_admin.show(bob.fingerprint).expires is None


def test_a_row_that_changed_meanwhile_is_merged_anew(bob, kek):
    put(without_kek, arrival(bob))
    prepared = prepare([arrival(bob, more_user_ids(bob, "one@partner.test").octets)])
    put(without_kek, arrival(bob, more_user_ids(bob, "two@partner.test").octets))
    run(lambda: keep(prepared, None, NOW))
    assert texts(bob) == {"Bob <bob@partner.test>", "one@partner.test", "two@partner.test"}


def test_many_at_once_store_each_once(in_threads, kek):
    made = [pgp_key(f"user{number}@partner.test") for number in range(6)]
    arrivals = [arrival(one, with_key=True) for one in made]
    kept = in_threads(lambda number: put(kek, *(arrivals if number % 2 else arrivals[::-1])), 4)
    assert sum(one.new for some in kept for one in some) == 6
    assert PgpCertificateRow.objects.count() == 6
    assert (PgpComponentRow.objects.filter(bound=True).count(), PgpUseRow.objects.count()) == (12, 6)


def test_it_stamps_now_and_then_and_at_the_end(store, kek, monkeypatch):
    importing = PgpImport(lambda: kek, at=NOW)
    importing.add([arrival(pgp_key("a@partner.test"), vouched=False)])
    assert key_stamp() == 0
    importing.add([arrival(pgp_key("b@partner.test"))])
    assert key_stamp() == 1
    importing.add([arrival(pgp_key("c@partner.test"))])
    assert key_stamp() == 1
    importing.add([arrival(pgp_key("d@partner.test"), vouched=False)])
    monkeypatch.setattr(pgp_import, "AT_ONCE", 3)
    assert importing.finish() == ()
    assert key_stamp() == 2


def test_what_was_cut_off_before_it_stamped_is_told_by_the_next(bob, kek):
    run(lambda: keep(prepare([arrival(bob)]), None, NOW))
    assert key_stamp() == 0
    put(without_kek, arrival(bob))
    assert key_stamp() == 1


# ---- revocations that come alone


def revocation_of(identity, code=RevocationCode.COMPROMISED):
    revoked = edit.revoke(identity.certificate, identity.primary, code, at=NOW - DAY)
    (body,) = (one.octets for one in read_packets(revoked) if one.tag == Tag.SIGNATURE and one.body[1] == 0x20)
    return write_packet(Tag.SIGNATURE, body)


def test_a_revocation_without_its_key(bob, kek):
    put(without_kek, arrival(bob))
    (kept,) = put(without_kek, for_signatures(revocation_of(bob), "import"))
    assert kept.changed
    info = pgp_admin.show(bob.fingerprint)
    assert info.revoked
    assert revocation_at(info.certificate.primary, NOW) is not None
    assert key_stamp() > 0


def test_a_revocation_by_another_key_or_of_none_that_is_known(bob, kek):
    put(without_kek, arrival(bob))
    with pytest.raises(PgpError, match="not stored"):
        for_signatures(revocation_of(pgp_key("bob@partner.test")), "import")
    with pytest.raises(PgpError):
        for_signatures(write_packet(Tag.USER_ID, b"x"), "import")
    assert not pgp_admin.show(bob.fingerprint).revoked
