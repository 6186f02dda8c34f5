from datetime import timedelta

import pytest

from mailseal.errors import PermanentError, TransientError
from mailseal.keys.sealing import BrokenSealError, Kek
from mailseal.mail.address import Address
from mailseal.policy.model import Harvest
from mailseal.policy.reason import ReasonCode
from mailseal.smime.certificate import CtlEntry
from mailseal.smime.importing import ImportedKeys
from mailseal.store import certificate_admin as admin
from mailseal.store import private_keys, revalidate, trust
from mailseal.store.certificate_import import import_certificates, import_keys
from mailseal.store.certificate_rows import Purpose, Use
from mailseal.store.certificates import StoreCertificates
from mailseal.store.harvest import insert_candidates, purge_candidates
from mailseal.store.models import CertificateRow, PrivateKeyRow
from mailseal.store.stamps import Scope, stamps
from mailseal.store.transaction import run
from pki import NOW, Authority

ANNA, BOB, EVE = (Address.parse(f"{name}@example.com") for name in ("anna", "bob", "eve"))


@pytest.fixture(scope="module")
def root():
    return Authority("Root")


@pytest.fixture(scope="module")
def issuing(root):
    return root.subordinate("Issuing CA")


@pytest.fixture
def trusted(store, root, issuing):
    trust.import_roots([root.certificate], at=NOW)
    import_certificates([issuing.certificate], at=NOW)


def with_key(identity, kek):
    chain = ()
    imported = ImportedKeys(((identity.certificate, identity.key),), chain)
    (info,) = import_keys(imported, kek, at=NOW)
    return info


def fingerprints(found):
    return [one.certificate.fingerprint for one in found]


def test_a_recipients_certificates_are_found_by_address(trusted, certificates, issuing):
    old = issuing.issue("Anna@EXAMPLE.com", not_before=NOW - timedelta(days=90))
    new = issuing.issue(["anna@example.com", "other@example.com"])
    other = issuing.issue("bob@example.com")
    infos = import_certificates([old.certificate, new.certificate, other.certificate], at=NOW)
    assert all(info.verdict.trusted for info in infos)
    assert fingerprints(certificates.of_recipient(ANNA)) == [new.certificate.fingerprint, old.certificate.fingerprint]
    (found,) = certificates.of_recipient(BOB)
    assert found.certificate == other.certificate
    assert found.certificate.der == other.der
    assert found.verdict == infos[2].verdict
    assert (found.selected, found.has_key, found.ctl) == (False, False, None)
    assert list(certificates.with_key_of(ANNA)) == []
    assert list(certificates.of_recipient(EVE)) == []


def test_a_legacy_certificate_is_found_by_its_subject(trusted, certificates, issuing):
    legacy = issuing.issue((), common_name="Anna", subject_emails=["anna@example.com"])
    import_certificates([legacy.certificate], at=NOW)
    assert fingerprints(certificates.of_recipient(ANNA)) == [legacy.certificate.fingerprint]
    assert admin.show(legacy.certificate.fingerprint).uses == (("anna@example.com", Use.SUBJECT),)


@pytest.mark.parametrize("owner", ["anna@example.com", "example.com", "*.com"])
def test_certificates_chosen_by_hand(trusted, certificates, issuing, owner):
    gateway = issuing.issue("gateway@partner.test").certificate
    import_certificates([gateway], at=NOW)
    admin.use(gateway.fingerprint[:12], owner)
    (found,) = certificates.of_recipient(ANNA)
    assert (found.certificate, found.selected) == (gateway, True)
    assert not certificates.of_recipient(Address.parse("gateway@partner.test"))[0].selected
    assert not certificates.by_fingerprint(gateway.fingerprint).selected
    assert admin.stop_using(gateway.fingerprint, owner)
    certificates.clear()
    assert list(certificates.of_recipient(ANNA)) == []


def test_own_domain_and_shared_keys_may_open(trusted, certificates, issuing, kek):
    own = issuing.issue("anna@example.com")
    domain = issuing.issue("gateway@example.com")
    shared = issuing.issue("team@example.com")
    for one in (own, domain, shared):
        with_key(one, kek)
    admin.use(domain.certificate.fingerprint, "example.com")
    admin.use(shared.certificate.fingerprint, "anna@example.com", Use.SHARED)
    assert set(fingerprints(certificates.with_key_of(ANNA))) == {
        one.certificate.fingerprint for one in (own, domain, shared)
    }
    assert set(fingerprints(certificates.of_recipient(ANNA))) == {one.certificate.fingerprint for one in (own, domain)}
    assert fingerprints(certificates.with_key_of(BOB)) == [domain.certificate.fingerprint]
    without = issuing.issue("nokey@example.com").certificate
    import_certificates([without], at=NOW)
    with pytest.raises(PermanentError, match="no private key"):
        admin.use(without.fingerprint, "anna@example.com", Use.SHARED)
    with pytest.raises(PermanentError, match="CA certificate"):
        admin.use(issuing.certificate.fingerprint, "example.com")


def test_a_strangers_certificate_of_our_public_key_opens_nothing(trusted, certificates, issuing, kek):
    """Eve knows Anna's public key. A certificate of it in Eve's name must not let Eve have Anna's mail opened."""
    anna = issuing.issue("anna@example.com", fresh_key=True)
    with_key(anna, kek)
    forged = Authority("Eve's own").issue("eve@example.com", key=anna.key)
    run(lambda: insert_candidates([Harvest(forged.der)]))
    signed = issuing.issue("eve@example.com", key=anna.key)
    run(lambda: insert_candidates([Harvest(signed.der)]))
    import_certificates([signed.certificate], at=NOW)
    assert list(certificates.with_key_of(EVE)) == []
    assert len(certificates.with_key_of(ANNA)) == 1
    assert not certificates.by_fingerprint(signed.certificate.fingerprint).has_key


def test_a_renewed_certificate_is_bound_to_its_key_when_asked(trusted, certificates, issuing, kek):
    first = issuing.issue("anna@example.com", fresh_key=True)
    with_key(first, kek)
    renewed = issuing.issue("anna@example.com", key=first.key, not_before=NOW - timedelta(days=1))
    import_certificates([renewed.certificate], bind_keys=True, at=NOW)
    assert fingerprints(certificates.with_key_of(ANNA)) == [
        renewed.certificate.fingerprint, first.certificate.fingerprint,
    ]  # fmt: skip
    assert PrivateKeyRow.objects.count() == 1
    other = issuing.issue("anna@example.com", fresh_key=True)
    import_certificates([other.certificate], bind_keys=True, at=NOW)
    certificates.clear()
    assert len(certificates.with_key_of(ANNA)) == 2


def test_private_keys_open_and_are_kept(trusted, certificates, issuing, kek):
    anna = issuing.issue("anna@example.com")
    info = with_key(anna, kek)
    spki = anna.certificate.spki_sha256
    key = certificates.private_key(spki)
    assert key.private_numbers() == anna.key.private_numbers()
    assert certificates.private_key(spki) is key
    assert info.has_key
    row = PrivateKeyRow.objects.get()
    assert row.kek_id == kek.id
    assert [one.spki_sha256 for one in private_keys.list_keys()] == [spki]
    private_keys.delete_key(spki)
    certificates.clear()
    with pytest.raises(TransientError):
        certificates.private_key(spki)
    assert list(certificates.with_key_of(ANNA)) == []


def test_a_wrong_kek_and_a_moved_row_defer(trusted, issuing, kek):
    anna, bob = issuing.issue("anna@example.com", fresh_key=True), issuing.issue("bob@example.com", fresh_key=True)
    with_key(anna, kek)
    with_key(bob, kek)
    with pytest.raises(TransientError, match="KEK"):
        StoreCertificates(Kek(b"x" * 32)).private_key(anna.certificate.spki_sha256)
    sealed = PrivateKeyRow.objects.get(spki_sha256=bob.certificate.spki_sha256).sealed
    PrivateKeyRow.objects.filter(spki_sha256=anna.certificate.spki_sha256).update(sealed=sealed)
    with pytest.raises(BrokenSealError):
        StoreCertificates(kek).private_key(anna.certificate.spki_sha256)


def test_the_stamp_clears_certificates_and_opened_keys(trusted, certificates, watch, issuing, kek):
    watch.poll(0.0)
    assert list(certificates.of_recipient(ANNA)) == []
    anna = issuing.issue("anna@example.com")
    with_key(anna, kek)
    assert list(certificates.of_recipient(ANNA)) == []
    assert watch.poll(1.0) == {"keys"}
    assert len(certificates.of_recipient(ANNA)) == 1
    key = certificates.private_key(anna.certificate.spki_sha256)
    private_keys.delete_key(anna.certificate.spki_sha256)
    assert certificates.private_key(anna.certificate.spki_sha256) is key
    watch.poll(2.0)
    with pytest.raises(TransientError):
        certificates.private_key(anna.certificate.spki_sha256)


def test_candidates_bump_no_stamp_and_come_last(trusted, certificates, issuing):
    real = issuing.issue("anna@example.com", not_before=NOW - timedelta(days=300))
    import_certificates([real.certificate], at=NOW)
    before = stamps()
    stranger = Authority("Stranger")
    ders = [stranger.issue("anna@example.com").der for _ in range(30)]
    known = issuing.issue("bob@example.com")
    seen = [Harvest(der) for der in (*ders, known.der, b"no certificate", known.der)]
    assert run(lambda: insert_candidates(seen)) == 21
    assert stamps() == before
    assert certificates.by_fingerprint(known.certificate.fingerprint) is None
    revalidate.after_change(at=NOW)
    assert stamps() == before
    found = certificates.of_recipient(BOB)
    assert fingerprints(found) == [known.certificate.fingerprint]
    assert found[0].verdict.trusted
    assert admin.show(known.certificate.fingerprint).candidate
    (only,) = [one for one in certificates.of_recipient(ANNA) if one.verdict.trusted]
    assert only.certificate == real.certificate
    assert purge_candidates(older_than_days=-1) == 20
    assert run(lambda: insert_candidates([Harvest(known.der)])) == 0


def test_an_import_lifts_a_candidate(trusted, issuing):
    anna = issuing.issue("anna@example.com")
    run(lambda: insert_candidates([Harvest(anna.der)]))
    assert admin.show(anna.certificate.fingerprint).judged_at is None
    (info,) = import_certificates([anna.certificate], at=NOW)
    assert (info.candidate, info.verdict.trusted) == (False, True)
    import_certificates([anna.certificate], at=NOW)
    assert CertificateRow.objects.filter(fingerprint=anna.certificate.fingerprint).count() == 1


def test_the_chain_leads_up_to_the_root_without_it(trusted, certificates, root, issuing):
    lower = issuing.subordinate("Lower CA")
    import_certificates([lower.certificate], at=NOW)
    anna = lower.issue("anna@example.com").certificate
    assert list(certificates.chain(anna)) == [lower.der, issuing.der]
    assert list(certificates.chain(root.issue("bob@example.com").certificate)) == []
    assert list(certificates.chain(Authority("Unknown").issue("x@x.test").certificate)) == []


def test_an_unknown_signer_is_judged_with_what_came_along(trusted, certificates, issuing):
    lower = issuing.subordinate("Lower CA")
    signer = lower.issue("eve@partner.test").certificate
    alone = certificates.judge(signer, [], NOW)
    assert (alone.verdict.trusted, alone.verdict.reason) == (False, ReasonCode.CERTIFICATE_UNTRUSTED)
    judged = certificates.judge(signer, [lower.certificate], NOW)
    assert judged.verdict.trusted
    assert certificates.judge(signer, [lower.certificate], NOW) is judged
    trust.set_ctl(lower.certificate.fingerprint, CtlEntry.DENY, at=NOW)
    certificates.clear()
    assert not certificates.judge(signer, [lower.certificate], NOW).verdict.trusted
    trust.set_ctl(signer.fingerprint, CtlEntry.ALLOW, at=NOW)
    certificates.clear()
    assert certificates.judge(signer, [], NOW).ctl is CtlEntry.ALLOW


def test_listing_with_filters(trusted, issuing, kek):
    anna = issuing.issue("anna@example.com", not_after=NOW + timedelta(days=10))
    with_key(anna, kek)
    import_certificates([issuing.issue(f"user{n}@example.com").certificate for n in range(4)], at=NOW)
    everything = admin.list_certificates()
    assert len(everything) == 5
    assert [one.fingerprint for one in admin.list_certificates(has_key=True)] == [anna.certificate.fingerprint]
    assert len(admin.list_certificates(address=ANNA)) == 1
    assert len(admin.list_certificates(owner="user1@example.com")) == 1
    assert len(admin.list_certificates(text="USER")) == 4
    assert len(admin.list_certificates(expires_before=NOW + timedelta(days=30))) == 1
    assert len(admin.list_certificates(trusted=True)) == 5
    assert len(admin.list_certificates(candidate=True)) == 0
    assert len(admin.list_certificates(purpose=Purpose.INTERMEDIATE)) == 1
    assert len(admin.list_certificates(purpose=None)) == 7
    first = admin.list_certificates(limit=3)
    second = admin.list_certificates(limit=3, before=first[-1].fingerprint)
    assert [*first, *second] == list(everything)


def test_fingerprints_may_be_cut_but_not_ambiguous(trusted, issuing):
    info = admin.list_certificates(purpose=Purpose.ROOT)[0]
    colons = ":".join(info.fingerprint[at : at + 2].upper() for at in range(0, 20, 2))
    assert admin.show(colons).fingerprint == info.fingerprint
    for text in ("", "ab", "0" * 64, "zzzz"):
        with pytest.raises(admin.NoSuchCertificateError):
            admin.show(text)


def test_deleting(trusted, certificates, issuing, kek):
    anna = issuing.issue("anna@example.com")
    info = with_key(anna, kek)
    before = stamps()[Scope.KEYS, "mx1"]
    assert admin.delete(info.fingerprint, at=NOW).fingerprint == info.fingerprint
    assert stamps()[Scope.KEYS, "mx1"] > before
    assert list(certificates.of_recipient(ANNA)) == []
    assert PrivateKeyRow.objects.count() == 1
