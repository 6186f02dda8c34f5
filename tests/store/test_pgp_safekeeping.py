"""OpenPGP keys are kept as safely as any others: in a dump, through a change of the KEK, told of before they expire."""

from datetime import UTC, datetime, timedelta

from mailseal.keys.kek_places import Found, KekFile
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.sealing import Kek
from mailseal.openpgp.component import RevocationCode
from mailseal.store import gauges, keks, pgp_admin, pgp_edit, pgp_generate, rewrap, rotation
from mailseal.store.configure import use
from mailseal.store.dump import Place
from mailseal.store.load import copy
from mailseal.store.pgp_certificates import StorePgpCertificates
from mailseal.store.private_keys import open_key
from pgp_keys import pgp_key
from pki import NOW
from store.test_dump import empty, facts, here, whole  # noqa: F401 -- a fixture among them
from store.test_pgp_certificates import ANNA, DAY, arrival, put
from store.test_rotation import quick


def held(sealing):
    """The secret keys of an address, opened, by the fingerprints of the components."""
    (found,) = StorePgpCertificates(sealing, now=lambda: NOW).with_key_of(ANNA)
    public = [one.public for one in found.certificate.components if one.fingerprint in found.keys]
    return {one.fingerprint: open_key(one.spki_sha256, sealing).private_bytes_raw() for one in public}


def test_they_go_to_the_other_database_and_back(here, kek, tmp_path):  # noqa: F811 -- pytest's way to name a fixture
    made = pgp_generate.signing_key_of(ANNA, kek, NOW)
    pgp_admin.use(made, "inside.test")
    pgp_admin.choose_subkey(made, pgp_admin.show(made).certificate.subkeys[0].fingerprint, at=NOW)
    before, info, keys = whole(here), pgp_admin.show(made), held(kek)
    there = Place(f"sqlite://{tmp_path}/there.db")
    use(there.url)
    copy(here)
    assert facts(whole(there)) == facts(before)
    assert (pgp_admin.show(made), held(kek)) == (info, keys)
    assert pgp_generate.signing_key_of(ANNA, kek, NOW) == made
    use(here.url, here.password)
    empty()
    copy(there)
    assert facts(whole(here)) == facts(before)


def test_a_new_kek_seals_them_anew(store, kek, monkeypatch):
    quick(monkeypatch)
    new = Kek(b"n" * 32)
    ring = KekRing(lambda: Found(tuple(KekFile(one, one.id) for one in (kek, new)), ()), keks.active)
    keks.register_first(kek.id)
    pgp_generate.signing_key_of(ANNA, ring, NOW)
    keys = held(ring)
    assert len(keys) == 2
    rotation.begin(new.id)
    assert rotation.finish(ring, new.id, lambda _: None).broken.count == 0
    assert rewrap.count_by_kek() == {new.id: 2}
    assert held(new) == keys


def made(kek, *user_ids, days, at=None):
    now = at or datetime.now(UTC)
    return pgp_generate.generate_key(user_ids, kek, now, expires_after=timedelta(days=days))


def test_when_the_first_of_ours_expires(store, kek):
    assert gauges.expiry() == gauges.Expiry(None, 0)
    put(kek, arrival(pgp_key("carol@partner.test", at=datetime.now(UTC) - DAY, expires_after=3 * DAY)))
    assert gauges.expiry() == gauges.Expiry(None, 0)
    made(kek, "anna@inside.test", days=400)
    later = gauges.expiry()
    assert later.within_30_days == 0
    soon = made(kek, "bob@inside.test", days=10)
    found = gauges.expiry()
    assert found.within_30_days == 1
    assert found.first < later.first
    # A newer one of the same owner takes its place; one that is revoked or distrusted is past caring.
    newer = made(kek, "bob@inside.test", days=300)
    assert gauges.expiry().within_30_days == 0
    pgp_admin.distrust(newer)
    assert gauges.expiry().within_30_days == 1
    pgp_edit.revoke(soon, kek, RevocationCode.SUPERSEDED)
    assert gauges.expiry().within_30_days == 0


def test_one_with_other_addresses_replaces_it_only_for_these(store, kek):
    made(kek, "anna@inside.test", "bob@inside.test", days=10)
    made(kek, "anna@inside.test", days=300)
    assert gauges.expiry().within_30_days == 1
    made(kek, "bob@inside.test", days=300)
    assert gauges.expiry().within_30_days == 0
