"""What administrators do with OpenPGP keys: list, name, trust, choose, share, change, delete."""

import pytest

from mailseal.errors import PermanentError
from mailseal.keys.sealing import SealError
from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.component import RevocationCode, revocation_at
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.generate import KeyKind
from mailseal.openpgp.packet import Tag, read_packets
from mailseal.openpgp.select import encryption_components, why_not_encrypt
from mailseal.policy.reason import ReasonCode
from mailseal.store import addresses, pgp_admin, pgp_edit, pgp_generate, private_keys
from mailseal.store.models import PrivateKeyRow
from mailseal.store.pgp_admin import NoSuchPgpKeyError
from mailseal.store.pgp_edit import NoPrimaryKeyError
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow
from mailseal.store.pgp_rows import PgpUse
from pgp_keys import pgp_key
from pki import NOW
from store.test_pgp_certificates import ANNA, DAY, arrival, key_stamp, put


@pytest.fixture
def anna(store, kek):
    made = pgp_key("Anna <anna@inside.test>")
    put(kek, arrival(made, with_key=True))
    return made


def names(**filters):
    return [one.fingerprint for one in pgp_admin.list_keys(**filters)]


# ---- list and name


def test_filters(anna, kek):
    bob, carol = pgp_key("Bob Bücher <bob@partner.test>", expires_after=40 * DAY), pgp_key("carol@partner.test")
    put(kek, arrival(bob, vouched=False))
    put(kek, arrival(carol))
    everybody = [carol.fingerprint, bob.fingerprint, anna.fingerprint]
    assert names() == everybody
    assert names(limit=1) == everybody[:1]
    assert names(limit=2, before=carol.fingerprint) == everybody[1:]
    assert names(address=Address.parse("BOB@partner.test")) == names(owner="bob@partner.test") == [bob.fingerprint]
    assert names(text="bücher") == names(text="BOB@") == [bob.fingerprint]
    assert names(text="%") == []
    assert names(trust=PgpTrust.CANDIDATE) == [bob.fingerprint]
    assert names(has_key=True) == [anna.fingerprint]
    assert names(has_key=False) == everybody[:2]
    assert names(expires_before=NOW + 31 * DAY) == [bob.fingerprint]
    assert names(conflict=True) == names(revoked=True) == []


def test_names_of_a_key(anna, kek):
    primary, subkey = (public for public, _ in anna.keys)
    spaced = " ".join(primary.fingerprint.upper()[start : start + 4] for start in range(0, 40, 4))
    for name in (primary.fingerprint, spaced, f"0x{primary.key_id.upper()}", primary.fingerprint[:8]):
        assert pgp_admin.show(name).fingerprint == pgp_admin.find(name).fingerprint == anna.fingerprint
    for name in ("", "abc", "z" * 16, primary.fingerprint[::-1], "%" * 8):
        for by_name in (pgp_admin.show, pgp_admin.find):
            with pytest.raises(NoSuchPgpKeyError):
                by_name(name)
    # A subkey is found, and is no name to do anything by: it may be in a stranger's certificate as well.
    for name in (subkey.fingerprint, subkey.key_id):
        assert pgp_admin.find(name).fingerprint == anna.fingerprint
        with pytest.raises(NoSuchPgpKeyError):
            pgp_admin.show(name)
    row = PgpCertificateRow.objects.get()
    row.pk, row.fingerprint = None, anna.fingerprint[:20] + "0" * 20
    row.id = PgpCertificateRow().id
    row.save(force_insert=True)
    with pytest.raises(NoSuchPgpKeyError, match="several"):
        pgp_admin.show(anna.fingerprint[:20])


def test_addresses_count_their_keys(anna, kek):
    pgp_admin.use(anna.fingerprint, str(ANNA))
    (row,) = addresses.list_addresses()
    assert (row.key, row.certificates, row.pgp_keys) == (ANNA.key, 0, 1)
    assert addresses.delete(ANNA)
    assert PgpUse.SELECTED.value not in {kind for _, kind in pgp_admin.show(anna.fingerprint).uses}


# ---- trust, use


def test_each_change_is_told(anna, kek):
    for change in (
        lambda: pgp_admin.distrust(anna.fingerprint),
        lambda: pgp_admin.trust(anna.fingerprint),
        lambda: pgp_admin.use(anna.fingerprint, "inside.test"),
        lambda: pgp_admin.stop_using(anna.fingerprint, "inside.test"),
        lambda: pgp_admin.choose_subkey(anna.fingerprint, "", at=NOW),
        lambda: pgp_edit.add_user_id(anna.fingerprint, "a@inside.test", kek, at=NOW),
        lambda: pgp_admin.delete(anna.fingerprint),
    ):
        before = key_stamp()
        change()
        assert key_stamp() == before + 1


def test_what_is_chosen_is_trusted(store, kek):
    bob = pgp_key("bob@partner.test")
    put(kek, arrival(bob, vouched=False))
    info = pgp_admin.use(bob.fingerprint, "*.Partner.test")
    assert (info.trust, info.uses) == (
        PgpTrust.TRUSTED,
        (("*.partner.test", PgpUse.SELECTED), ("bob@partner.test", PgpUse.USER_ID)),
    )
    assert not pgp_admin.stop_using(bob.fingerprint, "partner.test")
    assert pgp_admin.stop_using(bob.fingerprint, "*.partner.test")
    assert pgp_admin.show(bob.fingerprint).trust is PgpTrust.TRUSTED


def test_what_cannot_be_chosen_or_shared(store, kek):
    bob = pgp_key("bob@partner.test")
    put(kek, arrival(bob))
    with pytest.raises(PermanentError, match="secret key is not here"):
        pgp_admin.use(bob.fingerprint, "partner.test", PgpUse.SHARED)
    with pytest.raises(PermanentError, match="an address, a domain"):
        pgp_admin.use(bob.fingerprint, "")
    pgp_admin.distrust(bob.fingerprint)
    with pytest.raises(PermanentError, match="distrusted"):
        pgp_admin.use(bob.fingerprint, "partner.test")


def test_the_chosen_subkey_is_the_only_one(anna, pgp, kek):
    (subkey,) = (public for public, _ in anna.keys[1:])
    for name in (subkey.fingerprint, subkey.key_id, subkey.fingerprint[-8:].upper()):
        assert pgp_admin.choose_subkey(anna.fingerprint, name, at=NOW).subkey == subkey.fingerprint
    found = pgp.by_fingerprint(anna.fingerprint)
    assert [one.fingerprint for one in encryption_components(found, NOW)] == [subkey.fingerprint]
    for name in (anna.fingerprint, "ff", "0" * 16):
        with pytest.raises(PermanentError, match=subkey.fingerprint):
            pgp_admin.choose_subkey(anna.fingerprint, name, at=NOW)
    # One that is of no use any more is never replaced by another.
    PgpCertificateRow.objects.update(subkey="1" * 40)
    pgp.clear()
    refusal = why_not_encrypt(pgp.by_fingerprint(anna.fingerprint), ANNA, NOW)
    assert refusal.code is ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY
    assert pgp_admin.choose_subkey(anna.fingerprint, "", at=NOW).subkey == ""


# ---- change


def test_revoked_with_a_reason(anna, pgp, kek):
    info = pgp_edit.revoke(anna.fingerprint, kek, RevocationCode.SUPERSEDED, "a new one", at=NOW)
    found = revocation_at(info.certificate.primary, NOW)
    assert (info.revoked, found.code, found.text) == (True, RevocationCode.SUPERSEDED, "a new one")
    refusal = why_not_encrypt(pgp.by_fingerprint(anna.fingerprint), ANNA, NOW)
    assert refusal.code is ReasonCode.PGP_KEY_REVOKED


def test_another_expiry_and_no_merge_takes_it_back(anna, pgp, kek):
    shorter = pgp_edit.set_expiry(anna.fingerprint, NOW + 5 * DAY, kek, at=NOW)
    assert shorter.expires == NOW + 5 * DAY
    put(kek, arrival(anna))
    assert pgp_admin.show(anna.fingerprint).expires == NOW + 5 * DAY
    assert pgp_edit.set_expiry(anna.fingerprint, None, kek, at=NOW + 10 * DAY).expires is None
    assert why_not_encrypt(pgp.by_fingerprint(anna.fingerprint), ANNA, NOW + 400 * DAY) is None


def test_twice_in_a_second_the_last_counts(store, kek):
    made = pgp_generate.generate_key(["Anna <anna@inside.test>"], kek, NOW)
    for days in (9, 5, 7):
        assert pgp_edit.set_expiry(made, NOW + days * DAY, kek, at=NOW).expires == NOW + days * DAY


def test_user_ids_are_added_and_revoked(anna, pgp, kek):
    other = Address.parse("anna@other.test")
    pgp_edit.add_user_id(anna.fingerprint, "Anna <anna@other.test>", kek, at=NOW)
    (found,) = pgp.of_recipient(other)
    assert why_not_encrypt(found, other, NOW) is None
    pgp_edit.revoke_user_id(anna.fingerprint, "Anna <anna@other.test>", kek, "moved", at=NOW + DAY)
    pgp.clear()
    assert why_not_encrypt(pgp.of_recipient(other)[0], other, NOW + DAY).code is ReasonCode.PGP_KEY_WRONG_ADDRESS
    for wrong in ("nobody@x.test", "Anna <anna@inside.test>"):
        with pytest.raises(PgpError):
            pgp_edit.revoke_user_id(anna.fingerprint, wrong, kek, at=NOW + 2 * DAY)


def test_without_the_secret_primary_key(store, kek):
    bob = pgp_key("bob@partner.test")
    put(kek, arrival(bob))
    with pytest.raises(NoPrimaryKeyError):
        pgp_edit.revoke(bob.fingerprint, kek, RevocationCode.RETIRED, at=NOW)
    put(kek, arrival(bob, with_key=True))
    private_keys.delete_key(bob.keys[0][0].spki_sha256)
    with pytest.raises(NoPrimaryKeyError):
        pgp_edit.add_user_id(bob.fingerprint, "x@partner.test", kek, at=NOW)


def test_a_broken_seal_changes_nothing(anna, kek):
    PrivateKeyRow.objects.update(sealed=b"\1" + bytes(60))
    before = bytes(PgpCertificateRow.objects.get().octets)
    with pytest.raises(SealError):
        pgp_edit.set_expiry(anna.fingerprint, None, kek, at=NOW)
    assert bytes(PgpCertificateRow.objects.get().octets) == before
    # Imported again, it is mended.
    put(kek, arrival(anna, with_key=True))
    pgp_edit.set_expiry(anna.fingerprint, None, kek, at=NOW)


def test_who_can_certify(anna, kek):
    with pytest.raises(PermanentError, match="no key with its secret key here"):
        pgp_edit.certify(anna.fingerprint, kek, at=NOW)
    first, second = (pgp_key(f"keys{number}@inside.test") for number in range(2))
    for one in (first, second):
        put(kek, arrival(one, with_key=True))
        pgp_admin.use(one.fingerprint, "inside.test")
    with pytest.raises(PermanentError, match="several keys"):
        pgp_edit.certify(anna.fingerprint, kek, at=NOW)
    info = pgp_edit.certify(anna.fingerprint, kek, by=second.fingerprint, at=NOW)
    (user_id,) = info.certificate.user_ids
    assert [one.certifier for one in user_id.certifications] == [second.fingerprint]
    info = pgp_edit.certify(anna.fingerprint, kek, by=first.fingerprint[:12], at=NOW)
    assert {one.certifier for one in info.certificate.user_ids[0].certifications} == {
        first.fingerprint,
        second.fingerprint,
    }
    # A change by its own key keeps what others have certified.
    info = pgp_edit.set_expiry(anna.fingerprint, None, kek, at=NOW + DAY)
    assert len(info.certificate.user_ids[0].certifications) == 2
    with pytest.raises(PermanentError):
        pgp_edit.certify(anna.fingerprint, kek, by=anna.fingerprint, at=NOW)
    pgp_admin.distrust(anna.fingerprint)
    with pytest.raises(PermanentError, match="distrusted"):
        pgp_edit.certify(anna.fingerprint, kek, by=first.fingerprint, at=NOW)


# ---- make and delete


@pytest.mark.parametrize("kind", [KeyKind.ED25519, KeyKind.RSA3072])
def test_generated_it_is_stored_as_any_other(store, certificates, kek, kind):
    made = pgp_generate.generate_key(["Anna <anna@inside.test>", "a@inside.test"], kek, NOW, kind=kind)
    info = pgp_admin.show(made)
    assert (info.trust, info.provenance, len(info.keys)) == (PgpTrust.TRUSTED, "generated", 2)
    assert [one.text for one in info.certificate.user_ids] == ["Anna <anna@inside.test>", "a@inside.test"]
    for component in info.certificate.components:
        assert certificates.private_key(component.public.spki_sha256)
    assert {row.algorithm for row in PrivateKeyRow.objects.all()} == {
        one.public.name for one in info.certificate.components
    }


def test_deleted_with_its_secret_keys_and_nobody_elses(anna, kek):
    # Another certificate on the same keys, as a program makes that imports them anew.
    twin = pgp_key("anna@inside.test")
    put(kek, arrival(twin, with_key=True))
    shared = PgpComponentRow.objects.filter(certificate__fingerprint=twin.fingerprint).first()
    shared.spki_sha256 = anna.keys[1][0].spki_sha256
    shared.save()
    assert pgp_admin.delete(anna.fingerprint).fingerprint == anna.fingerprint
    assert names() == [twin.fingerprint]
    left = set(PrivateKeyRow.objects.values_list("spki_sha256", flat=True))
    assert anna.keys[0][0].spki_sha256 not in left
    assert anna.keys[1][0].spki_sha256 in left
    with pytest.raises(NoSuchPgpKeyError):
        pgp_admin.delete(anna.fingerprint)


def test_what_is_stored_is_public(anna):
    tags = {one.tag for one in read_packets(bytes(PgpCertificateRow.objects.get().octets))}
    assert tags == {Tag.PUBLIC_KEY, Tag.USER_ID, Tag.SIGNATURE, Tag.PUBLIC_SUBKEY}
