"""What signed mail brings: candidates, what their owners can read, keys in conflict."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from mailseal.mail.address import Address
from mailseal.policy.model import Harvest
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import NewKey, Settings
from mailseal.smime.capabilities import ALL, Capabilities
from mailseal.smime.select import why_not_encrypt
from mailseal.store import certificate_admin as admin
from mailseal.store import harvest, revalidate, trust
from mailseal.store.addresses import list_addresses
from mailseal.store.certificate_import import import_certificates
from mailseal.store.certificate_rows import Use
from mailseal.store.harvest import insert_candidates, purge_candidates
from mailseal.store.journal import CandidateRecord, JournalWriter, import_journals
from mailseal.store.models import CertificateRow
from mailseal.store.stamps import Scope, stamps
from mailseal.store.transaction import connection, run
from pki import NOW, Authority
from store.test_certificates import with_key

BOB = Address.parse("bob@partner.test")
GCM, CBC = "aes128-cbc aes256-gcm sha512", "aes128-cbc aes256-cbc"
HOUR = timedelta(hours=1)
STRICT = replace(Settings(), new_key_for_known_address=NewKey.UNUSABLE)


@pytest.fixture(scope="module")
def root():
    return Authority("Root")


@pytest.fixture
def bob(store, root):
    trust.import_roots([root.certificate], at=NOW)
    return root.issue("bob@partner.test", key="p256")


def harvest_all(*found, at=NOW):
    fresh = run(lambda: insert_candidates(found, at=at))
    revalidate.after_change(at=at)
    return fresh


def told(identity, text, signed_at=NOW):
    return Harvest(identity.der, text, signed_at)


def kept(identity):
    info = admin.show(identity.certificate.fingerprint)
    return info.capabilities, info.capabilities_at


def key_stamp():
    return stamps().get((Scope.KEYS, "mx1"), 0)


def conflicting():
    return {one.fingerprint for one in admin.list_certificates(conflict=True)}


# ---- capabilities


def test_a_new_certificate_has_what_its_owner_told(bob, certificates):
    assert harvest_all(told(bob, GCM)) == 1
    assert kept(bob) == (GCM, NOW)
    (found,) = certificates.of_recipient(BOB)
    assert found.capabilities == Capabilities.from_text(GCM)
    assert certificates.by_fingerprint(bob.certificate.fingerprint).capabilities == found.capabilities


def test_one_who_told_nothing_has_none_and_one_who_knows_nothing_of_ours_has_few(bob, certificates):
    harvest_all(told(bob, ""))
    assert kept(bob) == ("", None)
    assert certificates.of_recipient(BOB)[0].capabilities is None
    certificates.clear()
    harvest_all(told(bob, Capabilities().text))
    assert certificates.of_recipient(BOB)[0].capabilities == Capabilities()


def test_the_mail_signed_last_counts(bob):
    harvest_all(told(bob, GCM))
    for signed_at, text in ((NOW, GCM), (NOW - HOUR, GCM), (None, GCM), (NOW + HOUR, CBC)):
        harvest_all(told(bob, CBC, signed_at), at=NOW + 2 * HOUR)
        assert kept(bob)[0] == text, signed_at


def test_of_the_mails_of_one_group_too(bob, root):
    for turned in (False, True):
        one = root.issue("bob@partner.test", key="p256")
        found = [told(one, GCM, NOW - HOUR), told(one, CBC, NOW), told(one, "pss", None), told(one, "", NOW)]
        assert harvest_all(*(reversed(found) if turned else found)) == 1
        assert kept(one) == (CBC, NOW)


def test_without_a_time_only_the_first_counts(bob):
    harvest_all(told(bob, GCM, None))
    assert kept(bob) == (GCM, None)
    harvest_all(told(bob, CBC, None))
    assert kept(bob) == (GCM, None)
    harvest_all(told(bob, CBC, NOW - HOUR))
    assert kept(bob) == (CBC, NOW - HOUR)


def test_the_last_time_is_kept_though_the_words_are_the_same(bob):
    """Or a mail between the two, sent again, would count."""
    harvest_all(told(bob, GCM, NOW - 3 * HOUR), at=NOW)
    harvest_all(told(bob, GCM, NOW - HOUR), at=NOW)
    harvest_all(told(bob, CBC, NOW - 2 * HOUR), at=NOW)
    assert kept(bob) == (GCM, NOW - HOUR)


def test_a_time_to_come_is_now(bob):
    harvest_all(told(bob, GCM, NOW + timedelta(days=4000)))
    assert kept(bob) == (GCM, NOW)
    harvest_all(told(bob, CBC, NOW + HOUR), at=NOW + HOUR)
    assert kept(bob)[0] == CBC


def test_a_time_that_no_signature_can_be_of(bob):
    harvest_all(told(bob, GCM, datetime(1, 1, 1, tzinfo=UTC)))
    assert kept(bob) == (GCM, harvest.EARLIEST)


def test_names_that_we_do_not_know_are_left_out(bob):
    harvest_all(told(bob, f"rot13 {'x' * 1000} aes256-gcm", NOW))
    assert kept(bob)[0] == "aes256-gcm"
    harvest_all(told(bob, ALL.text, NOW + HOUR), at=NOW + HOUR)
    assert Capabilities.from_text(kept(bob)[0]) == ALL


def test_another_node_may_have_stored_a_later_one_meanwhile(bob, monkeypatch):
    harvest_all(told(bob, GCM, NOW - 2 * HOUR), at=NOW)
    real = harvest._stored

    def stored(fingerprints):
        rows = real(fingerprints)
        if rows:
            CertificateRow.objects.update(capabilities=CBC, capabilities_at=NOW)
        return rows

    monkeypatch.setattr(harvest, "_stored", stored)
    harvest_all(told(bob, GCM, NOW - HOUR), at=NOW)
    assert kept(bob) == (CBC, NOW)


def test_the_stamp_is_for_certificates_that_caches_hold_and_for_what_is_new(bob, root, kek, certificates, watch):
    watch.poll(0.0)
    harvest_all(told(bob, GCM))
    harvest_all(told(bob, CBC, NOW + HOUR), at=NOW + HOUR)
    assert watch.poll(1.0) == frozenset()  # a candidate: forgotten by age
    import_certificates([bob.certificate], at=NOW)
    watch.poll(2.0)
    assert certificates.of_recipient(BOB)[0].capabilities == Capabilities.from_text(CBC)
    harvest_all(told(bob, CBC, NOW + 2 * HOUR), at=NOW + 2 * HOUR)
    assert watch.poll(3.0) == frozenset()  # nothing new
    harvest_all(told(bob, GCM, NOW + 3 * HOUR), at=NOW + 3 * HOUR)
    assert watch.poll(4.0) == {"keys"}
    assert certificates.of_recipient(BOB)[0].capabilities == Capabilities.from_text(GCM)
    own = root.issue("anna@example.com", key="p256")
    with_key(own, kek)
    watch.poll(5.0)
    harvest_all(told(own, CBC))
    assert watch.poll(6.0) == frozenset()  # we hold its key and can read everything


def test_a_ca_tells_nothing(bob, root):
    harvest_all(told(root, GCM))
    assert kept(root) == ("", None)


def test_an_import_keeps_what_was_told(bob):
    harvest_all(told(bob, GCM))
    import_certificates([bob.certificate], at=NOW)
    assert kept(bob) == (GCM, NOW)


def test_what_is_known_costs_one_query(bob, root):
    silent = root.issue("silent@partner.test", key="p256")
    several = [bob, *(root.issue(f"user{number}@partner.test", key="p256") for number in range(20))]
    harvest_all(*(told(one, GCM) for one in several), told(silent, GCM, None))
    again = [*(told(one, GCM) for one in several), told(silent, CBC, None)] * 3
    with CaptureQueriesContext(connection()) as queries:
        run(lambda: insert_candidates(again, at=NOW))
    statements = [one["sql"].split()[0] for one in queries if "store_" in one["sql"]]
    assert statements == ["SELECT"]


def test_untrusted_ones_of_one_name_are_few_in_one_group_and_over_several(bob):
    stranger = Authority("Stranger")
    many = [Harvest(stranger.issue(["a@x.test", f"{number}@x.test"], key="p256").der) for number in range(25)]
    rivals = [Harvest(Authority("Rival").der) for _ in range(25)]
    for some in (many[:15], many[15:], rivals[:15], rivals[15:], many + rivals):
        harvest_all(*some)
    assert len(admin.list_certificates(owner="a@x.test")) == harvest.MAX_CANDIDATES_PER_ADDRESS
    assert len(admin.list_certificates(text="Rival", purpose=None)) == harvest.MAX_CANDIDATES_PER_ADDRESS


def test_candidates_have_room_for_only_so_many(bob, monkeypatch):
    monkeypatch.setattr(harvest, "MAX_CANDIDATES", 3)
    stranger = Authority("Stranger")
    many = [Harvest(stranger.issue(f"{number}@x.test", key="p256").der) for number in range(5)]
    assert [harvest_all(*many[:2]), harvest_all(*many)] == [2, 1]


def test_those_with_a_path_take_no_room(bob, root, monkeypatch):
    monkeypatch.setattr(harvest, "MAX_CANDIDATES", 1)
    trusted = [Harvest(root.issue(f"{number}@x.test", key="p256").der) for number in range(2)]
    assert [harvest_all(one) for one in trusted] == [1, 1]


def test_by_the_journal_once_an_hour_for_the_same_words(bob, tmp_path):
    writer = JournalWriter(tmp_path)
    at = datetime(2025, 6, 1, 10, 10, tzinfo=UTC)
    sizes = []
    for minutes, text in ((0, GCM), (20, GCM), (30, CBC), (60, CBC)):
        writer.append([CandidateRecord(told(bob, text, at + timedelta(minutes=minutes)))])
        (path,) = tmp_path.iterdir()
        sizes.append(path.stat().st_size)
    assert sizes[0] == sizes[1] < sizes[2] < sizes[3]
    import_journals(tmp_path)
    assert kept(bob) == (CBC, at + HOUR)
    writer.close()


# ---- another key for a known address


def test_the_first_certificates_of_an_address_are_no_conflict(bob, root):
    """One to sign and one to encrypt to often come in the same mail."""
    harvest_all(told(bob, GCM), Harvest(root.issue("bob@partner.test", key="p256").der))
    assert not conflicting()


@pytest.mark.parametrize("imported", [False, True])
def test_another_key_for_a_known_address(bob, root, certificates, imported):
    if imported:
        import_certificates([bob.certificate], at=NOW)
    else:
        harvest_all(told(bob, GCM))
    other = root.issue(["new@partner.test", "Bob@partner.test"], key="p256")
    harvest_all(told(other, GCM))
    assert conflicting() == {other.certificate.fingerprint}
    assert admin.count_conflicts() == 1
    newest, oldest = sorted(certificates.of_recipient(BOB), key=lambda one: one.conflict, reverse=True)
    assert (newest.conflict, oldest.conflict) == (True, False)
    assert why_not_encrypt(newest, BOB, Settings(), NOW) is None
    assert why_not_encrypt(newest, BOB, STRICT, NOW).code is ReasonCode.CERTIFICATE_NEW_KEY
    assert why_not_encrypt(oldest, BOB, STRICT, NOW) is None
    before = key_stamp()
    info = admin.accept(other.certificate.fingerprint[:12], at=NOW)
    assert (info.conflict, info.candidate, info.verdict.trusted) == (False, False, True)
    assert key_stamp() > before
    assert admin.count_conflicts() == 0
    certificates.clear()
    assert all(why_not_encrypt(one, BOB, STRICT, NOW) is None for one in certificates.of_recipient(BOB))
    assert "new@partner.test" in {one.key for one in list_addresses()}


def test_a_renewal_with_the_same_key_is_none(bob, root):
    harvest_all(told(bob, GCM))
    harvest_all(told(root.issue("bob@partner.test", key=bob.key, not_before=NOW - timedelta(days=1)), GCM))
    assert not conflicting()


def test_a_key_to_sign_with_beside_the_known_one_is_none(bob, root):
    signing = ("digital_signature",)
    import_certificates([root.issue("bob@partner.test", key="p384", usage=signing).certificate], at=NOW)
    harvest_all(told(bob, GCM))
    harvest_all(told(root.issue("bob@partner.test", key="p384", usage=signing), GCM))
    assert not conflicting()


def test_a_second_certificate_does_not_help_a_key_in_conflict(bob, root):
    harvest_all(told(bob, GCM))
    new = root.issue("bob@partner.test", key="p256")
    again = root.issue("bob@partner.test", key=new.key)
    harvest_all(told(new, GCM))
    harvest_all(told(again, GCM))
    assert conflicting() == {new.certificate.fingerprint, again.certificate.fingerprint}
    admin.accept(new.certificate.fingerprint, at=NOW)
    later = root.issue("bob@partner.test", key=new.key, not_before=NOW - timedelta(days=2))
    harvest_all(told(later, GCM))
    assert later.certificate.fingerprint not in conflicting()


def test_each_address_of_a_certificate_is_asked_for_its_own_key(bob, root):
    carol = root.issue("carol@partner.test", key="p256")
    import_certificates([bob.certificate, carol.certificate], at=NOW)
    both = root.issue(["bob@partner.test", "carol@partner.test"], key=bob.key)
    harvest_all(told(both, GCM))
    assert conflicting() == {both.certificate.fingerprint}


def test_what_nobody_trusts_makes_no_conflict_and_waits_for_nobody(bob, root):
    stranger = Authority("Stranger")
    harvest_all(Harvest(stranger.issue("bob@partner.test", key="p256").der))
    harvest_all(told(bob, GCM))
    assert not conflicting()
    untrusted = stranger.issue("bob@partner.test", key="p256")
    harvest_all(told(untrusted, GCM))
    assert conflicting() == {untrusted.certificate.fingerprint}
    assert admin.count_conflicts() == 0
    assert purge_candidates(older_than_days=-1) == 2


def test_a_key_shared_with_an_address_is_not_its_own(bob, root, kek):
    team = root.issue("team@partner.test", key="p256")
    with_key(team, kek)
    admin.use(team.certificate.fingerprint, "bob@partner.test", Use.SHARED)
    harvest_all(told(bob, GCM))
    assert not conflicting()


def test_an_import_settles_it_and_makes_none(bob, root):
    harvest_all(told(bob, GCM))
    other = root.issue("bob@partner.test", key="p256")
    harvest_all(told(other, GCM))
    assert conflicting()
    (info,) = import_certificates([other.certificate], at=NOW)
    assert not info.conflict
    (info,) = import_certificates([root.issue("bob@partner.test", key="p256").certificate], at=NOW)
    assert not info.conflict
    assert not conflicting()


def test_one_chosen_by_hand_counts_for_whom_it_was_chosen(bob, root, certificates):
    carol = root.issue("carol@partner.test", key="p256")
    import_certificates([bob.certificate, carol.certificate], at=NOW)
    both = root.issue(["bob@partner.test", "carol@partner.test"], key="p256")
    harvest_all(told(both, GCM))
    name = both.certificate.fingerprint
    admin.use(name, "bob@partner.test")

    def refusals(address):
        certificates.clear()
        return {
            one.certificate.fingerprint: why_not_encrypt(one, address, STRICT, NOW)
            for one in certificates.of_recipient(address)
        }

    assert refusals(BOB)[name] is None
    assert refusals(Address.parse("carol@partner.test"))[name].code is ReasonCode.CERTIFICATE_NEW_KEY
    assert conflicting() == {name}
    assert admin.count_conflicts() == 1
    admin.use(name, "carol@partner.test")
    assert not conflicting()


def test_an_import_settles_it_also_for_whom_it_was_not_chosen(bob, root):
    both = root.issue(["bob@partner.test", "carol@partner.test"], key="p256")
    import_certificates([bob.certificate], at=NOW)
    harvest_all(told(both, GCM))
    admin.use(both.certificate.fingerprint, "bob@partner.test")
    assert conflicting()
    import_certificates([both.certificate], at=NOW)
    assert not conflicting()


def test_what_somebody_imported_is_known_though_nobody_trusts_it(bob):
    import_certificates([Authority("Stranger").issue("bob@partner.test", key="p256").certificate], at=NOW)
    harvest_all(told(bob, GCM))
    assert conflicting() == {bob.certificate.fingerprint}


def test_accepting_what_is_accepted_changes_nothing(bob):
    import_certificates([bob.certificate], at=NOW)
    before = key_stamp()
    assert not admin.accept(bob.certificate.fingerprint, at=NOW).candidate
    assert key_stamp() == before
    with pytest.raises(admin.NoSuchCertificateError):
        admin.accept("0" * 64, at=NOW)


def test_an_accepted_ca_certificate_builds_chains(bob, root, certificates):
    issuing = root.subordinate("Issuing CA")
    anna = issuing.issue("anna@partner.test")
    harvest_all(Harvest(issuing.der), Harvest(anna.der))
    assert list(certificates.chain(anna.certificate)) == []
    admin.accept(issuing.certificate.fingerprint, at=NOW)
    certificates.clear()
    assert list(certificates.chain(anna.certificate)) == [issuing.der]
