from datetime import timedelta

import pytest

from mailseal.policy.reason import ReasonCode
from mailseal.smime.certificate import CtlEntry, Revocation
from mailseal.smime.revocation import CrlError, read_crl
from mailseal.store import certificate_admin as admin
from mailseal.store import crls, jobs, revalidate, trust
from mailseal.store.certificate_import import import_certificates
from mailseal.store.certificate_rows import Purpose
from mailseal.store.models import CertificateRow, CrlEntryRow, CrlRow
from mailseal.store.stamps import stamps
from pki import DAY, NOW, Authority


@pytest.fixture(scope="module")
def root():
    return Authority("Root")


@pytest.fixture(scope="module")
def issuing(root):
    return root.subordinate("Issuing CA")


@pytest.fixture(scope="module")
def anna(issuing):
    return issuing.issue("anna@example.com")


@pytest.fixture
def stored(store, issuing, anna):
    import_certificates([issuing.certificate, anna.certificate], at=NOW)
    return lambda: admin.show(anna.certificate.fingerprint).verdict


def test_a_root_makes_what_is_below_it_trusted(stored, root):
    assert (stored().trusted, stored().reason) == (False, ReasonCode.CERTIFICATE_UNTRUSTED)
    before = stamps()["keys", "mx1"]
    (info,) = trust.import_roots([root.certificate], at=NOW)
    assert info.purpose is Purpose.ROOT
    assert info.verdict.trusted
    assert stored().trusted
    assert stamps()["keys", "mx1"] > before
    assert [one.fingerprint for one in trust.list_roots()] == [info.fingerprint]
    trust.delete_root(info.fingerprint, at=NOW)
    assert not stored().trusted
    assert trust.list_roots() == ()


def test_what_a_root_carried_is_untrusted_before_it_is_judged(stored, root, monkeypatch):
    trust.import_roots([root.certificate], at=NOW)
    monkeypatch.setattr(admin, "after_change", lambda *, at: None)
    trust.delete_root(root.certificate.fingerprint, at=NOW)
    assert (stored().trusted, stored().reason) == (False, ReasonCode.CERTIFICATE_UNTRUSTED)


def test_an_intermediate_completes_paths_and_its_end_breaks_them(store, root, issuing, anna):
    trust.import_roots([root.certificate], at=NOW)
    (info,) = import_certificates([anna.certificate], at=NOW)
    assert not info.verdict.trusted
    import_certificates([issuing.certificate], at=NOW)
    assert admin.show(info.fingerprint).verdict.trusted
    admin.delete(issuing.certificate.fingerprint, at=NOW)
    assert not admin.show(info.fingerprint).verdict.trusted


def test_only_ca_certificates_become_roots(store, anna, issuing):
    with pytest.raises(trust.NotARootError):
        trust.import_roots([anna.certificate])
    import_certificates([issuing.certificate], at=NOW)
    with pytest.raises(trust.NotARootError):
        trust.delete_root(issuing.certificate.fingerprint)
    # An import never makes a root less.
    trust.import_roots([issuing.certificate], at=NOW)
    import_certificates([issuing.certificate], at=NOW)
    assert admin.show(issuing.certificate.fingerprint).purpose is Purpose.ROOT


def test_the_ctl(stored, root, anna, issuing, certificates):
    trust.set_ctl(anna.certificate.fingerprint.upper(), CtlEntry.ALLOW, comment="met in person")
    (entry,) = trust.list_ctl()
    assert (entry.entry, entry.comment, "anna" in entry.subject) == (CtlEntry.ALLOW, "met in person", True)
    assert certificates.by_fingerprint(anna.certificate.fingerprint).ctl is CtlEntry.ALLOW
    trust.set_ctl(anna.certificate.fingerprint[:10], CtlEntry.DENY)
    certificates.clear()
    assert certificates.by_fingerprint(anna.certificate.fingerprint).ctl is CtlEntry.DENY
    assert len(trust.list_ctl()) == 1
    assert trust.delete_ctl(anna.certificate.fingerprint)
    assert not trust.delete_ctl(anna.certificate.fingerprint)
    trust.set_ctl("ab" * 32, CtlEntry.DENY)
    with pytest.raises(admin.NoSuchCertificateError):
        trust.set_ctl("abcdef", CtlEntry.DENY)


def test_a_denied_ca_carries_nothing(stored, root, issuing):
    trust.import_roots([root.certificate], at=NOW)
    for ca in (issuing, root):
        assert stored().trusted
        trust.set_ctl(ca.certificate.fingerprint, CtlEntry.DENY, at=NOW)
        assert not stored().trusted
        trust.delete_ctl(ca.certificate.fingerprint, at=NOW)
    assert stored().trusted


def test_a_crl_revokes_and_its_end_is_unknown(stored, root, issuing, anna):
    trust.import_roots([root.certificate], at=NOW)
    assert stored().revocation is Revocation.UNKNOWN
    crls.import_crl(read_crl(root.crl()), at=NOW)
    info = crls.import_crl(read_crl(issuing.crl()), at=NOW)
    assert (stored().revocation, stored().trusted) == (Revocation.GOOD, True)
    assert stored().revocation_until == NOW + 6 * DAY + timedelta(days=7)
    assert (info.entries, info.number) == (0, "1")
    newer = crls.import_crl(read_crl(issuing.crl([anna, 5], number=2, this_update=NOW)), at=NOW)
    assert stored().revocation is Revocation.REVOKED
    assert newer.entries == 2
    assert [one[0] for one in crls.entries(newer.fingerprint)] == sorted(["5", f"{anna.certificate.serial:x}"])
    assert len(crls.list_crls()) == 2
    assert CrlRow.objects.count() == 2
    with pytest.raises(crls.OldCrlError):
        crls.import_crl(read_crl(issuing.crl()), at=NOW)
    crls.delete_crl(newer.fingerprint[:16], at=NOW)
    assert stored().revocation is Revocation.UNKNOWN
    assert CrlEntryRow.objects.count() == 0
    with pytest.raises(crls.NoSuchCrlError):
        crls.show_crl(newer.fingerprint)


def test_a_revoked_ca_revokes_what_is_below_it(stored, root, issuing):
    trust.import_roots([root.certificate], at=NOW)
    crls.import_crl(read_crl(root.crl([issuing])), at=NOW)
    assert stored().revocation is Revocation.REVOKED


def test_revoked_counts_before_it_is_judged(stored, root, issuing, anna, monkeypatch):
    trust.import_roots([root.certificate], at=NOW)
    monkeypatch.setattr(crls, "after_change", lambda *, at: None)
    crls.import_crl(read_crl(issuing.crl([anna])), at=NOW)
    assert stored().revocation is Revocation.REVOKED


def test_a_crl_by_another_key_of_the_same_name_only_revokes(stored, root, issuing, anna):
    trust.import_roots([root.certificate], at=NOW)
    rolled = root.subordinate("Issuing CA")
    import_certificates([rolled.certificate], at=NOW)
    crls.import_crl(read_crl(root.crl()), at=NOW)
    crls.import_crl(read_crl(rolled.crl()), at=NOW)
    assert stored().revocation is Revocation.UNKNOWN
    crls.import_crl(read_crl(rolled.crl([anna], number=2, this_update=NOW)), at=NOW)
    assert stored().revocation is Revocation.REVOKED


def test_a_crl_needs_a_known_signer(stored, root, issuing):
    with pytest.raises(CrlError):
        crls.import_crl(read_crl(Authority("Nobody").crl()))
    forged = Authority("Issuing CA")
    with pytest.raises(CrlError):
        crls.import_crl(read_crl(forged.crl()))
    assert CrlRow.objects.count() == 0


def test_a_crl_of_the_future_does_not_block_its_successors(stored, root, issuing, anna):
    trust.import_roots([root.certificate], at=NOW)
    with pytest.raises(CrlError, match="future"):
        crls.import_crl(read_crl(issuing.crl(this_update=NOW + DAY, next_update=NOW + 9 * DAY)), at=NOW)
    crls.import_crl(read_crl(issuing.crl([anna])), at=NOW)
    assert stored().revocation is Revocation.REVOKED


def test_a_broken_off_import_does_not_count_and_can_be_repeated(stored, root, issuing, anna, monkeypatch):
    trust.import_roots([root.certificate], at=NOW)
    monkeypatch.setattr(crls, "CHUNK_ROWS", 3)
    crl = read_crl(issuing.crl([anna, *range(10, 20)]))
    real, calls = crls._chunks, []

    def broken(entries):
        for some in real(entries):
            if len(calls) == 2:
                raise OSError("power cut")
            calls.append(some)
            yield some

    with monkeypatch.context() as patch:
        patch.setattr(crls, "_chunks", broken)
        with pytest.raises(OSError):
            crls.import_crl(crl, at=NOW)
    assert crls.list_crls() == ()
    assert stored().revocation is Revocation.UNKNOWN
    assert crls.import_crl(crl, at=NOW).entries == 11
    assert crls.import_crl(crl, at=NOW).entries == 11
    assert stored().revocation is Revocation.REVOKED


def test_a_verdict_is_due_when_a_bound_passes(stored, root, issuing, anna):
    trust.import_roots([root.certificate], at=NOW)
    crls.import_crl(read_crl(root.crl()), at=NOW)
    crls.import_crl(read_crl(issuing.crl()), at=NOW)
    assert revalidate.revalidate_due(at=NOW) == 0
    later = stored().revocation_until + timedelta(seconds=1)
    assert revalidate.revalidate_due(at=later) >= 1
    assert stored().revocation is Revocation.UNKNOWN
    row = CertificateRow.objects.get(fingerprint=anna.certificate.fingerprint)
    assert row.due == stored().valid_until
    assert revalidate.revalidate_due(at=later) == 0


def test_a_change_while_judging_is_not_lost(stored, root, monkeypatch):
    real = revalidate.judge

    def judge_slowly(certificate, others, at):
        verdict = real(certificate, others, at)
        revalidate.mark_below(
            [CertificateRow.objects.get(fingerprint=certificate.fingerprint).issuer_sha256], distrust=True
        )
        return verdict

    trust.import_roots([root.certificate], at=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(revalidate, "judge", judge_slowly)
        revalidate.revalidate([admin.list_certificates()[0].fingerprint], at=NOW)
    assert not stored().trusted
    assert revalidate.revalidate_due(at=NOW) >= 1
    assert stored().trusted


def test_what_is_too_much_at_once_is_left_to_the_worker(stored, root, issuing, monkeypatch):
    monkeypatch.setattr(revalidate, "AT_ONCE", 2)
    import_certificates([issuing.issue(f"u{n}@example.com").certificate for n in range(4)], at=NOW)
    trust.import_roots([root.certificate], at=NOW)
    job = jobs.claim("w", kinds=[revalidate.REVALIDATE])
    revalidate.handle()
    jobs.done(job)
    assert all(one.verdict.trusted for one in admin.list_certificates())


def test_judging_again_with_the_same_result_costs_mail_nothing(stored, root, issuing):
    trust.import_roots([root.certificate], at=NOW)
    before = stamps()
    CertificateRow.objects.update(due=NOW, marks=7)
    assert revalidate.revalidate_due(at=NOW) > 1
    # A fresher list of the CA says the same for longer.
    CertificateRow.objects.update(revocation_until=NOW, due=NOW)
    assert revalidate.revalidate_due(at=NOW) > 1
    assert stamps() == before
    CertificateRow.objects.update(trusted=False, due=NOW)
    revalidate.revalidate_due(at=NOW)
    assert stamps() != before


def test_many_that_become_usable_are_told_once_and_one_that_does_not_any_more_at_once(stored, root, monkeypatch):
    trust.import_roots([root.certificate], at=NOW)
    monkeypatch.setattr(revalidate, "AT_ONCE", 1)
    CertificateRow.objects.update(trusted=False, due=NOW)
    before = stamps()["keys", "mx1"]
    assert revalidate.handle() is None
    assert stamps()["keys", "mx1"] == before + 1
    assert stored().trusted
    # Without its root each is told in the transaction that writes it.
    CertificateRow.objects.filter(purpose=Purpose.ROOT).update(purpose=Purpose.INTERMEDIATE, due=NOW)
    CertificateRow.objects.update(due=NOW)
    rows = CertificateRow.objects.count()
    assert revalidate.handle() is None
    assert stamps()["keys", "mx1"] == before + 1 + rows


def test_long_judging_lets_others_have_their_turn(stored, monkeypatch):
    monkeypatch.setattr(revalidate, "AT_ONCE", 1)
    monkeypatch.setattr(revalidate, "TURN_SECONDS", 0.0)
    CertificateRow.objects.update(due=NOW)
    due = revalidate.due_count()
    assert revalidate.handle() == revalidate.AGAIN_SECONDS
    assert revalidate.due_count() == due - 1
