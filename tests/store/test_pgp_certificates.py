"""OpenPGP certificates for the mail path: by address, fingerprint and issuer; domain keys; keys made in the flow."""

from datetime import timedelta

import pytest

from mailseal.keys.software import spki_sha256
from mailseal.mail.address import Address
from mailseal.openpgp import certificate, edit
from mailseal.openpgp.certificate import PgpTrust, read_certificate
from mailseal.openpgp.component import RevocationCode
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.packet import Tag, read_packets
from mailseal.openpgp.select import why_not_encrypt, why_not_sign
from mailseal.policy.reason import ReasonCode
from mailseal.store import pgp_admin, pgp_candidates, pgp_certificates, pgp_edit, private_keys
from mailseal.store.models import PrivateKeyRow
from mailseal.store.pgp_certificates import StorePgpCertificates
from mailseal.store.pgp_import import PgpImport
from mailseal.store.pgp_keep import Arrival
from mailseal.store.pgp_models import PgpCertificateRow, PgpUseRow
from mailseal.store.pgp_rows import PgpUse
from mailseal.store.row import uuid7
from mailseal.store.stamps import Scope, stamps
from pgp_keys import pgp_key
from pki import NOW

ANNA = Address.parse("anna@inside.test")
BOB = Address.parse("bob@partner.test")
DAY = timedelta(days=1)


def arrival(identity, octets=None, *, vouched=True, with_key=False, provenance="import"):
    whole = octets or identity.octets
    keys = identity.keys if with_key else ()
    return Arrival(whole, read_certificate(whole), provenance, vouched, keys)


def put(kek, *arrivals):
    importing = PgpImport(lambda: kek, at=NOW)
    kept = importing.add(arrivals)
    importing.finish()
    return kept


def names(found):
    return [one.certificate.fingerprint for one in found]


def key_stamp():
    return stamps().get((Scope.KEYS, "mx1"), 0)


# ---- found


def test_by_the_address_in_a_user_id(pgp, kek):
    bob = pgp_key("Bob <Bob@Partner.test>", "bob@private.test")
    put(kek, arrival(bob))
    for text in ("bob@partner.test", "BOB@partner.TEST", "bob@private.test"):
        (found,) = pgp.of_recipient(Address.parse(text))
        assert (found.certificate, found.trust) == (bob.certificate, PgpTrust.TRUSTED)
        assert not any((found.selected, found.has_key, found.keys, found.subkey, found.own_domain, found.certified))
    assert pgp.of_recipient(ANNA) == ()
    assert pgp.with_key_of(BOB) == ()


def test_the_newest_first(pgp, kek):
    made = [pgp_key("bob@partner.test", at=NOW - number * DAY) for number in (3, 1, 2)]
    put(kek, *map(arrival, made))
    assert names(pgp.of_recipient(BOB)) == [made[1].fingerprint, made[2].fingerprint, made[0].fingerprint]


def test_many_candidates_do_not_hide_a_trusted_one(pgp, kek):
    bob = pgp_key("bob@partner.test", at=NOW - 400 * DAY, expires_after=None)
    put(kek, arrival(bob))
    rows = []
    for number in range(102):
        row = PgpCertificateRow.objects.get(fingerprint=bob.fingerprint)
        row.id, row.fingerprint, row.trust, row.key_created = uuid7(), f"{number:040x}", PgpTrust.CANDIDATE.value, NOW
        rows.append(row)
    PgpCertificateRow.objects.bulk_create(rows)
    PgpUseRow.objects.bulk_create([PgpUseRow(certificate=row, owner=BOB.key, kind="user-id") for row in rows])
    trust = [one.trust for one in pgp.of_recipient(BOB)]
    assert (len(trust), trust.count(PgpTrust.TRUSTED)) == (100, 1)


def test_by_fingerprint_and_by_issuer(pgp, kek):
    bob, carol = pgp_key("bob@partner.test"), pgp_key("carol@partner.test")
    put(kek, arrival(bob), arrival(carol, vouched=False))
    assert pgp.by_fingerprint(bob.fingerprint).certificate == bob.certificate
    assert pgp.by_fingerprint("0" * 40) is None
    for identity, trust in ((bob, PgpTrust.TRUSTED), (carol, PgpTrust.CANDIDATE)):
        for public, _ in identity.keys:
            for issuer in (public.fingerprint, public.key_id):
                (found,) = pgp.by_issuer(issuer)
                assert (found.certificate.fingerprint, found.trust) == (identity.fingerprint, trust)
    assert pgp.by_issuer("0" * 16) == pgp.by_issuer("1" * 40) == ()


def test_nobody_is_found_by_a_subkey_that_he_has_not_bound(pgp, kek):
    bob, mallory = pgp_key("bob@partner.test"), pgp_key("mallory@evil.test")
    subkey = next(one.start for one in read_packets(bob.octets) if one.tag == Tag.PUBLIC_SUBKEY)
    put(kek, arrival(bob), arrival(mallory, mallory.octets + bob.octets[subkey:]))
    assert names(pgp.by_issuer(bob.keys[1][0].fingerprint)) == [bob.fingerprint]


def test_one_query_for_an_address_and_none_when_it_is_known(pgp, kek, monkeypatch):
    put(kek, arrival(pgp_key("bob@partner.test")), arrival(pgp_key("bob@partner.test"), vouched=False))
    asked = []
    select = pgp_certificates.select
    monkeypatch.setattr(pgp_certificates, "select", lambda *given: asked.append(given) or select(*given))
    for _ in range(3):
        (trusted,) = (one for one in pgp.of_recipient(BOB) if one.trust is PgpTrust.TRUSTED)
        pgp.with_key_of(BOB)
        pgp.by_fingerprint(trusted.certificate.fingerprint)
    assert len(asked) == 1


def test_sequoia_is_asked_when_a_certificate_is_stored(pgp, kek, monkeypatch):
    """Not by the mail path; and again whenever somebody brings it."""
    bob = pgp_key("bob@partner.test")
    monkeypatch.setattr(certificate, "disputes", lambda _: True)
    put(kek, arrival(bob))
    monkeypatch.setattr(certificate, "disputes", lambda _: pytest.fail("asked on the mail path"))
    (found,) = pgp.of_recipient(BOB)
    assert why_not_encrypt(found, BOB, NOW).code is ReasonCode.PGP_KEY_DISPUTED
    monkeypatch.setattr(certificate, "disputes", lambda _: False)
    put(kek, arrival(bob))
    pgp.clear()
    (found,) = pgp.of_recipient(BOB)
    assert why_not_encrypt(found, BOB, NOW) is None


def test_a_stamp_clears_what_is_known(pgp, watch, kek):
    watch.poll(0)
    assert pgp.of_recipient(BOB) == ()
    bob = pgp_key("bob@partner.test")
    put(kek, arrival(bob))
    assert pgp.of_recipient(BOB) == ()
    assert Scope.KEYS in watch.poll(1)
    assert names(pgp.of_recipient(BOB)) == [bob.fingerprint]


def test_candidates_stamp_nothing(store, kek):
    put(kek, arrival(pgp_key("bob@partner.test"), vouched=False))
    assert key_stamp() == 0


# ---- secret keys


def test_secret_keys_are_sealed_and_open(pgp, certificates, kek):
    anna = pgp_key(str(ANNA))
    put(kek, arrival(anna, vouched=False, with_key=True))
    (found,) = pgp.with_key_of(ANNA)
    assert (found.trust, found.has_key) == (PgpTrust.TRUSTED, True)
    assert found.keys == {public.fingerprint for public, _ in anna.keys}
    assert why_not_sign(found, ANNA, NOW) is None
    for public, private in anna.keys:
        opened = certificates.private_key(public.spki_sha256)
        assert spki_sha256(opened) == spki_sha256(private) == public.spki_sha256
    assert set(PrivateKeyRow.objects.values_list("kek_id", flat=True)) == {kek.id}


def test_a_deleted_private_key_is_held_no_more(pgp, kek):
    anna = pgp_key(str(ANNA))
    put(kek, arrival(anna, with_key=True))
    primary, subkey = (public for public, _ in anna.keys)
    assert private_keys.delete_key(subkey.spki_sha256)
    (found,) = pgp.with_key_of(ANNA)
    assert found.keys == {primary.fingerprint}


def test_chosen_for_a_domain_and_shared(pgp, kek):
    ours, role = pgp_key("gateway@inside.test"), pgp_key("role@inside.test")
    put(kek, arrival(ours, with_key=True), arrival(role, with_key=True))
    pgp_admin.use(ours.fingerprint, "inside.test")
    pgp_admin.use(role.fingerprint, str(ANNA), PgpUse.SHARED)
    (found,) = pgp.of_recipient(ANNA)
    assert (found.certificate, found.selected) == (ours.certificate, True)
    assert set(names(pgp.with_key_of(ANNA))) == {ours.fingerprint, role.fingerprint}
    assert why_not_encrypt(found, ANNA, NOW) is None
    pgp_admin.use(ours.fingerprint, "*.inside.test")
    assert names(pgp.of_recipient(Address.parse("a@deep.inside.test"))) == [ours.fingerprint]


def test_chosen_by_hand_and_named_counts_once(pgp, kek):
    bob = pgp_key(str(BOB))
    put(kek, arrival(bob))
    pgp_admin.use(bob.fingerprint, str(BOB))
    pgp_admin.use(bob.fingerprint, "partner.test")
    (found,) = pgp.of_recipient(BOB)
    assert found.selected


# ---- domain keys


@pytest.fixture
def domain_key(store, kek):
    made = pgp_key("keys@partner.test")
    put(kek, arrival(made))
    pgp_admin.use(made.fingerprint, "partner.test")
    return made


def certified(identity, by, *user_ids, at=NOW - DAY, **more):
    return edit.certify(identity.certificate, user_ids, by.certificate, by.primary, at=at, **more)


def own(found):
    """Without those that were chosen by hand."""
    return [one for one in found if not one.selected]


def test_what_a_domain_key_certifies_is_trusted(pgp, kek, domain_key):
    bob, other = pgp_key("bob@partner.test", "bob@other.test"), Address.parse("bob@other.test")
    put(kek, arrival(bob, certified(bob, domain_key, "bob@partner.test", "bob@other.test"), vouched=False))
    (found,) = own(pgp.of_recipient(BOB))
    assert (found.trust, found.certified) == (PgpTrust.TRUSTED, {"bob@partner.test"})
    assert why_not_encrypt(found, BOB, NOW) is None
    # It says nothing of an address of another domain, though it has certified that, too.
    (elsewhere,) = pgp.of_recipient(other)
    assert (elsewhere.trust, elsewhere.certified) == (PgpTrust.CANDIDATE, None)
    for one in (pgp.by_fingerprint(bob.fingerprint), *pgp.by_issuer(bob.fingerprint)):
        assert (one.trust, one.certified) == (PgpTrust.TRUSTED, {"bob@partner.test"})
        assert why_not_encrypt(one, other, NOW).code is ReasonCode.PGP_KEY_WRONG_ADDRESS


@pytest.mark.parametrize("undo", ["stop", "distrust", "delete", "revoke", "expire"])
def test_only_while_the_domain_key_counts(pgp, kek, domain_key, undo):
    bob = pgp_key("bob@partner.test")
    put(kek, arrival(bob, certified(bob, domain_key, "bob@partner.test"), vouched=False))
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.TRUSTED
    revoked = edit.revoke(domain_key.certificate, domain_key.primary, RevocationCode.COMPROMISED, at=NOW - DAY)
    ended = edit.set_expiry(domain_key.certificate, domain_key.primary, NOW - DAY, at=NOW - 2 * DAY)
    {
        "stop": lambda: pgp_admin.stop_using(domain_key.fingerprint, "partner.test"),
        "distrust": lambda: pgp_admin.distrust(domain_key.fingerprint),
        "delete": lambda: pgp_admin.delete(domain_key.fingerprint),
        "revoke": lambda: put(kek, arrival(domain_key, revoked)),
        "expire": lambda: put(kek, arrival(domain_key, ended)),
    }[undo]()
    pgp.clear()
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.CANDIDATE
    assert [one.trust for one in own(pgp.of_recipient(BOB))] == [PgpTrust.CANDIDATE]


def test_a_certification_that_has_expired_counts_no_longer(pgp, kek, domain_key):
    bob = pgp_key("bob@partner.test")
    octets = certified(bob, domain_key, "bob@partner.test", at=NOW - 2 * DAY, expires=NOW - DAY)
    put(kek, arrival(bob, octets, vouched=False))
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.CANDIDATE


def test_a_distrusted_key_stays_distrusted_whoever_certifies_it(pgp, kek, domain_key):
    bob = pgp_key("bob@partner.test")
    put(kek, arrival(bob, certified(bob, domain_key, "bob@partner.test"), vouched=False))
    pgp_admin.distrust(bob.fingerprint)
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.DISTRUSTED
    assert [one.trust for one in own(pgp.of_recipient(BOB))] == [PgpTrust.DISTRUSTED]


def test_certified_by_any_other_key_is_nothing(pgp, kek, domain_key):
    bob, stranger = pgp_key("bob@partner.test"), pgp_key("keys@partner.test")
    put(kek, arrival(stranger), arrival(bob, certified(bob, stranger, "bob@partner.test"), vouched=False))
    found = pgp.by_fingerprint(bob.fingerprint)
    assert (found.trust, found.certificate.octets) == (PgpTrust.CANDIDATE, bob.certificate.octets)


def test_an_administrator_has_the_domain_key_certify(pgp, kek, domain_key):
    put(kek, arrival(domain_key, with_key=True))
    bob = pgp_key("Bob <bob@partner.test>", "bob@other.test")
    put(kek, arrival(bob, vouched=False))
    info = pgp_edit.certify(bob.fingerprint, kek, at=NOW)
    assert (info.trust, info.certified) == (PgpTrust.CANDIDATE, {"Bob <bob@partner.test>"})
    assert pgp.by_fingerprint(bob.fingerprint).certified == {"Bob <bob@partner.test>"}
    # What comes anew without the certification takes it away from nobody.
    put(kek, arrival(bob, vouched=False))
    pgp.clear()
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.TRUSTED


# ---- what the address's own domain publishes


def test_published_for_an_address_alone(pgp, kek):
    bob = pgp_key("bob@partner.test", "carol@partner.test")
    found = arrival(bob, vouched=False, provenance="wkd partner.test")
    assert pgp_candidates.keep_found([found], published_for=BOB, at=NOW) == 1
    (found,) = pgp.of_recipient(BOB)
    assert (found.own_domain, found.trust, found.provenance) == (True, PgpTrust.CANDIDATE, "wkd partner.test")
    (other,) = pgp.of_recipient(Address.parse("carol@partner.test"))
    assert not other.own_domain
    assert why_not_encrypt(found, BOB, NOW, trust_wkd=True) is None
    assert why_not_encrypt(found, BOB, NOW).code is ReasonCode.PGP_KEY_UNTRUSTED
    pgp_candidates.keep_found([], published_for=BOB, at=NOW)
    pgp.clear()
    assert not pgp.of_recipient(BOB)[0].own_domain


# ---- made in the flow


def test_a_signing_key_is_made_once(pgp, watch, kek):
    watch.poll(0)
    assert pgp.with_key_of(ANNA) == ()
    made = pgp.create(ANNA, NOW)
    assert why_not_sign(made, ANNA, NOW) is None
    assert (made.trust, made.has_key, made.provenance) == (PgpTrust.TRUSTED, True, "generated")
    assert pgp.create(ANNA, NOW).certificate == made.certificate
    assert names(pgp.with_key_of(ANNA)) == [made.certificate.fingerprint]
    assert Scope.KEYS in watch.poll(1)
    assert PgpCertificateRow.objects.count() == 1
    assert why_not_sign(pgp.create(Address.parse("other@inside.test"), NOW), ANNA, NOW) is not None


@pytest.mark.parametrize("text", ['"anna b"@inside.test', "anna=?x@inside.test", "a\u00adnna@inside.test"])
def test_none_is_made_that_could_not_be_told_whose_it_is(pgp, text):
    """Every mail would make another."""
    with pytest.raises(PgpError):
        pgp.create(Address.parse(text), NOW)
    assert not PgpCertificateRow.objects.exists()
    assert not PrivateKeyRow.objects.exists()


def test_workers_at_once_make_one(in_threads, kek):
    made = in_threads(lambda _: StorePgpCertificates(kek).create(ANNA, NOW).certificate.fingerprint, 4)
    assert len(set(made)) == 1
    assert PgpCertificateRow.objects.count() == 1
    assert PrivateKeyRow.objects.count() == 2


def test_a_key_of_its_own_is_used_not_another_made(pgp, kek):
    anna = pgp_key(str(ANNA))
    put(kek, arrival(anna, with_key=True))
    assert pgp.create(ANNA, NOW).certificate.fingerprint == anna.fingerprint


@pytest.mark.parametrize("end", ["expired", "revoked", "distrusted", "deleted"])
def test_another_is_made_when_it_is_of_no_use_any_more(pgp, kek, end):
    first = pgp.create(ANNA, NOW).certificate.fingerprint
    at = NOW
    if end == "expired":
        at = NOW + 4 * 365 * DAY
    elif end == "revoked":
        pgp_edit.revoke(first, kek, RevocationCode.COMPROMISED, at=NOW)
    elif end == "distrusted":
        pgp_admin.distrust(first)
    else:
        pgp_admin.delete(first)
    second = pgp.create(ANNA, at).certificate.fingerprint
    assert second != first
    assert pgp.create(ANNA, at).certificate.fingerprint == second
