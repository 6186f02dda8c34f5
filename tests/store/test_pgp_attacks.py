"""What strangers try with the OpenPGP keyring: copies that lack something, keys that look like another's, floods."""

import threading
from contextlib import suppress
from datetime import UTC, datetime

import pytest

import pgp_craft as craft
from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.openpgp import edit
from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.parts import MAX_SUBKEYS
from mailseal.store import pgp_admin, pgp_candidates, pgp_domain_keys, pgp_edit, pgp_generate
from mailseal.store.models import PrivateKeyRow
from mailseal.store.pgp_admin import NoSuchPgpKeyError
from mailseal.store.pgp_candidates import insert_candidates, prepare_harvest
from mailseal.store.pgp_import import for_signatures
from mailseal.store.pgp_keep import Kept
from mailseal.store.pgp_models import PgpCertificateRow, PgpUseRow
from mailseal.store.pgp_rows import PgpUse
from mailseal.store.transaction import close_connection, connection, run
from pgp_craft import ENCRYPT
from pgp_keys import PgpIdentity, pgp_key
from pki import NOW
from store.test_pgp_candidates import BOB, found, harvest
from store.test_pgp_certificates import DAY, arrival, certified, put


@pytest.fixture
def bob(store):
    return pgp_key(f"Bob <{BOB}>")


BOSS = Address.parse("boss@example.com")
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


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


# ---- names


def with_anothers_keys(*others, named=BOB):
    """Mallory's certificate, in any name, with others' keys for subkeys: nothing of theirs is needed for that."""
    mallory = craft.key()
    bound = [craft.subkey_packet(one) + craft.bind(mallory, one, craft.flags(0x20)) for one in others]
    own = craft.subkey(mallory, craft.key("cv25519"), ENCRYPT)
    return craft.certificate(mallory, craft.user_id(mallory, named), own, *bound)


def test_nothing_is_done_by_the_name_of_a_key_that_a_stranger_has_for_a_subkey(store, kek):
    bob = craft.key()
    harvest(found(PgpIdentity(with_anothers_keys(bob), ())))
    assert pgp_admin.find(bob.fingerprint).fingerprint != bob.fingerprint
    for name in (bob.fingerprint, bob.public.key_id):
        for act in (
            pgp_admin.trust,
            pgp_admin.show,
            pgp_admin.distrust,
            pgp_admin.delete,
            lambda name: pgp_admin.use(name, BOB),
            lambda name: pgp_edit.certify(name, kek, at=NOW),
        ):
            with pytest.raises(NoSuchPgpKeyError):
                act(name)


def test_nothing_is_trusted_by_the_first_digits(bob, kek):
    harvest(found(bob))
    for name in (bob.fingerprint[:15], bob.fingerprint[:8]):
        with pytest.raises(NoSuchPgpKeyError, match="at least 16 digits"):
            pgp_admin.trust(name)
        with pytest.raises(NoSuchPgpKeyError, match="at least 16 digits"):
            pgp_admin.use(name, BOB)
        with pytest.raises(NoSuchPgpKeyError, match="at least 16 digits"):
            pgp_edit.certify(name, kek, at=NOW)
    assert pgp_admin.trust(bob.fingerprint[:16]).trust is PgpTrust.TRUSTED


# ---- user IDs


@pytest.mark.parametrize("with_key", [False, True])
def test_who_trusts_a_file_trusts_no_name_that_came_by_mail_before(bob, kek, pgp, with_key):
    both = edit.add_user_id(bob.certificate, f"Boss <{BOSS}>", bob.primary, at=NOW - DAY)
    harvest(found(bob, both))
    (kept,) = put(kek, arrival(bob, vouched=not with_key, with_key=with_key))
    assert kept.notes == (f"it is trusted, so user IDs were left out that nobody vouches for: Boss <{BOSS}>",)
    info = pgp_admin.show(bob.fingerprint)
    assert (info.trust, info.certificate.octets) == (PgpTrust.TRUSTED, bob.certificate.octets)
    assert pgp.of_recipient(BOSS) == pgp.with_key_of(BOSS) == ()
    # Whoever vouches for the name as well gets it.
    put(kek, arrival(bob, both))
    pgp.clear()
    assert [one.trust for one in pgp.of_recipient(BOSS)] == [PgpTrust.TRUSTED]


def test_nor_one_that_came_with_so_much_that_there_is_no_room_for_the_file(store, kek, pgp):
    primary = craft.key()
    own = (craft.user_id(primary, BOB), craft.subkey(primary, craft.key("cv25519"), ENCRYPT))
    filled = [craft.subkey(primary, craft.key("cv25519"), ENCRYPT) for _ in range(MAX_SUBKEYS)]
    bob = PgpIdentity(craft.certificate(primary, *own), ())
    harvest(found(bob, craft.certificate(primary, craft.user_id(primary, str(BOSS)), *filled)))
    (kept,) = put(kek, arrival(bob))
    assert kept.notes == ("it is known, and what was known of it was left out: a certificate has too many subkeys",)
    info = pgp_admin.show(primary.fingerprint)
    assert (info.trust, info.certificate.octets) == (PgpTrust.TRUSTED, bob.certificate.octets)
    assert pgp.of_recipient(BOSS) == ()


def test_who_certifies_a_key_certifies_no_name_that_came_with_it_unseen(bob, domain_key, kek):
    put(kek, arrival(domain_key, with_key=True))
    both = edit.add_user_id(bob.certificate, "Boss <boss@partner.test>", bob.primary, at=NOW - DAY)
    harvest(found(bob, both))
    with pytest.raises(PermanentError, match=r"it has Bob <bob@partner.test>, Boss <boss@partner.test>"):
        pgp_edit.certify(bob.fingerprint, kek, at=NOW)
    with pytest.raises(PermanentError, match="has not all of these"):
        pgp_edit.certify(bob.fingerprint, kek, user_ids=["Bob <bob@elsewhere.test>"], at=NOW)
    info = pgp_edit.certify(bob.fingerprint, kek, user_ids=[f"Bob <{BOB}>"], at=NOW)
    assert info.certified == {f"Bob <{BOB}>"}


@pytest.mark.parametrize(
    ("owner", "more"),
    [(BOB, 2), ("partner.test", 1), ("*.partner.test", 3), ("*.test", 1), (str(BOSS), 2), ("elsewhere.test", 3)],
)
def test_what_a_key_would_be_trusted_for_besides_the_one_it_is_chosen_for(bob, owner, more):
    others = pgp_key(f"Bob <{BOB}>", f"Boss <{BOSS}>", "bob2@partner.test", "no address").certificate
    assert len(pgp_admin.beyond(others, owner)) == more


def test_what_a_domain_key_vouches_for_stays_when_a_file_is_trusted(bob, domain_key, kek, pgp):
    more = pgp_key(f"Bob <{BOB}>", "bob@private.test", expires_after=None)
    private = edit.minimal(more.certificate, NOW, ["bob@private.test"])
    put(kek, arrival(more, certified(more, domain_key, f"Bob <{BOB}>"), vouched=False), arrival(more, private))
    info = pgp_admin.show(more.fingerprint)
    assert (info.trust, {one.text for one in info.certificate.user_ids}) == (
        PgpTrust.TRUSTED,
        {f"Bob <{BOB}>", "bob@private.test"},
    )
    assert more.fingerprint in {one.certificate.fingerprint for one in pgp.of_recipient(Address.parse(BOB))}


# ---- floods


def flood(*keys, count=25):
    """As many candidates that have these keys of others for subkeys."""
    harvest(
        *(found(PgpIdentity(with_anothers_keys(*keys, named=f"m{number}@evil.test"), ())) for number in range(count))
    )


def signed_by_two():
    primary, signing = craft.key(), craft.key()
    octets = craft.certificate(
        primary,
        craft.user_id(primary, BOB),
        craft.subkey(primary, signing, 2),
        craft.subkey(primary, craft.key("cv25519"), ENCRYPT),
    )
    return primary, signing, PgpIdentity(octets, ())


def test_a_signer_is_found_among_many_who_have_bound_his_keys(domain_key, kek, pgp):
    primary, signing, bob = signed_by_two()
    flood(primary, signing)
    harvest(found(bob))
    for issuer in (primary.fingerprint, primary.public.key_id):
        assert pgp.by_issuer(issuer)[0].certificate.fingerprint == primary.fingerprint
    put(kek, arrival(bob, certified(bob, domain_key, BOB), vouched=False))
    pgp.clear()
    for issuer in (primary.fingerprint, signing.fingerprint, signing.public.key_id):
        assert pgp.by_issuer(issuer)[0].certificate.fingerprint == primary.fingerprint


def test_a_revocation_finds_its_key_among_many_who_have_bound_it(store, kek):
    primary, _, bob = signed_by_two()
    flood(primary)
    put(kek, arrival(bob))
    for old in (False, True):
        revocation = craft.revoke(primary, old=old, at=NOW - DAY)
        assert for_signatures(revocation, "import").fingerprint == primary.fingerprint


def test_none_is_made_since_strangers_have_made_many(kek, pgp):
    made = pgp.create(BOSS, NOW).certificate.fingerprint
    harvest(*(found(pgp_key(str(BOSS))) for _ in range(pgp_candidates.MAX_CANDIDATES_PER_ADDRESS)))
    assert pgp.create(BOSS, NOW).certificate.fingerprint == made


def test_what_an_administrator_imports_stays_though_a_stranger_was_first(bob, kek):
    harvest(found(bob), at=NOW - 90 * DAY)
    put(kek, arrival(bob, vouched=False))
    info = pgp_admin.show(bob.fingerprint)
    assert info.trust is PgpTrust.CANDIDATE
    assert info.provenance == "import (seen before: mail attached by bob@partner.test)"
    PgpCertificateRow.objects.update(created=LONG_AGO)
    assert pgp_candidates.purge_candidates() == 0
    for _ in range(pgp_candidates.MAX_CANDIDATES_PER_ADDRESS + 1):
        harvest(found(pgp_key(BOB)))
    assert pgp_admin.show(bob.fingerprint).provenance == info.provenance
    assert put(kek, arrival(bob, vouched=False)) == [Kept(bob.fingerprint)]


def test_many_deep_domains_are_no_reason_to_ask_without_end(bob, domain_key, kek, pgp, monkeypatch):
    """Each of a thousand user IDs is below more wildcards than there are parameters in a query."""
    asked = []
    select = pgp_domain_keys.select
    monkeypatch.setattr(pgp_domain_keys, "select", lambda *given: asked.append(len(given[1])) or select(*given))
    deep = [f"a@{'a.' * 120}x{number}" for number in range(100)]
    harvest(*(found(pgp_key(*deep[number:], f"Bob <{BOB}>")) for number in range(4)))
    assert max(asked) < 1000
    assert len(asked) < 200
    # Who has none of them is found as before.
    put(kek, arrival(bob, certified(bob, domain_key, f"Bob <{BOB}>"), vouched=False))
    assert pgp.by_fingerprint(bob.fingerprint).trust is PgpTrust.TRUSTED


def test_no_domain_key_is_passed_over_for_there_being_many(domain_key, kek, pgp):
    """What comes together is looked at together; a domain key that is not found takes what it has certified along."""
    keys = [pgp_key(f"keys@d{number}.test") for number in range(55)]
    people = [pgp_key(f"p@d{number}.test") for number in range(55)]
    put(kek, *map(arrival, keys))
    rows = {row.fingerprint: row for row in PgpCertificateRow.objects.all()}
    PgpUseRow.objects.bulk_create(
        PgpUseRow(certificate=rows[one.fingerprint], owner=f"d{number}.test", kind="selected")
        for number, one in enumerate(keys)
    )
    put(
        kek,
        *(arrival(one, certified(one, key, *texts(one)), vouched=False) for one, key in zip(people, keys, strict=True)),
    )
    harvest(*(found(one, bare(one)) for one in people))
    assert {pgp.by_fingerprint(one.fingerprint).trust for one in people} == {PgpTrust.TRUSTED}


def texts(identity):
    return [one.text for one in identity.certificate.user_ids]


# ---- all at once


def test_what_comes_while_a_key_is_deleted(in_threads, kek):
    """It is there, or it is not: no half of it, and nobody fails for it."""
    both = [pgp_key(BOB), pgp_key(BOB)]

    def work(number):
        for turn in range(15):
            one, other = both[turn % 2], both[1 - turn % 2]
            if number == 0:
                with suppress(NoSuchPgpKeyError):
                    pgp_admin.delete(one.fingerprint)
            elif number == 1:
                put(kek, arrival(one, with_key=True), arrival(other))
            elif number == 2:
                harvest(found(other), found(one))
            else:
                with suppress(NoSuchPgpKeyError):
                    pgp_admin.use(one.fingerprint, f"u{turn}@partner.test")

    in_threads(work, 4)
    for one in both:
        with suppress(NoSuchPgpKeyError):
            info = pgp_admin.show(one.fingerprint)
            assert (BOB, PgpUse.USER_ID) in info.uses
            assert len(pgp_admin.delete(one.fingerprint).certificate.subkeys) == 1
    assert not PrivateKeyRow.objects.exists()


def test_a_worker_that_is_overtaken_does_not_take_the_others_place(store, kek, monkeypatch):
    """It has seen that there is no key; meanwhile another makes one."""
    own, others = pgp_generate._own, []

    def overtaken(address, at):
        found = own(address, at)
        if connection().in_atomic_block and not others:
            others.append(threading.Thread(target=other))
            others[0].start()
            others[0].join(0.3)  # not for ever: it may have to wait for us
        return found

    def other():
        made.append(pgp_generate.signing_key_of(BOSS, kek, NOW))
        close_connection()

    made: list[str] = []
    monkeypatch.setattr(pgp_generate, "_own", overtaken)
    made.append(pgp_generate.signing_key_of(BOSS, kek, NOW))
    others[0].join()
    assert len(made) == 2
    assert len(set(made)) == PgpCertificateRow.objects.count() == 1
