"""What strangers' signed mail must not bring about: the real certificate kept out, a new key without a question."""

import pytest

from cms_samples import signed_entity
from mailseal.mail.address import Address
from mailseal.mail.mime import parse
from mailseal.methods.layer import Opening
from mailseal.pipeline.open_path import open_mail
from mailseal.policy.model import Harvest, Party
from mailseal.policy.settings import Settings
from mailseal.smime.certificate import CtlEntry
from mailseal.smime.form import SignatureForm
from mailseal.smime.sign import SigningIdentity
from mailseal.store import certificate_admin as admin
from mailseal.store import harvest, trust
from mailseal.store.certificate_import import import_certificates
from mailseal.wiring.memory import MemoryPgpCertificates
from pki import NOW, Authority
from store.test_harvest import GCM, conflicting, harvest_all, told


@pytest.fixture(scope="module")
def root():
    return Authority("Root")


@pytest.fixture
def bob(store, root):
    trust.import_roots([root.certificate], at=NOW)
    return root.issue("bob@partner.test", key="p256")


def test_strangers_never_keep_the_real_one_out(bob, root):
    """Neither somebody's certificate, nor the CA that it hangs below."""
    issuing = root.subordinate("Issuing CA")
    anna = issuing.issue("anna@partner.test", key="p256")
    stranger = Authority("Stranger")
    listed = stranger.issue("bob@partner.test", key="p256")
    trust.set_ctl(listed.certificate.fingerprint, CtlEntry.DENY, at=NOW)
    harvest_all(Harvest(listed.der))
    harvest_all(*(Harvest(stranger.issue("bob@partner.test", key="p256").der) for _ in range(30)))
    harvest_all(*(Harvest(Authority("Issuing CA").der) for _ in range(30)))
    assert harvest_all(told(bob, GCM), Harvest(issuing.der), told(anna, GCM)) == 3
    assert all(admin.show(one.certificate.fingerprint).verdict.trusted for one in (bob, anna))
    harvest_all(*(Harvest(stranger.issue("bob@partner.test", key="p256").der) for _ in range(30)))
    kept_ones = {one.fingerprint for one in admin.list_certificates(owner="bob@partner.test")}
    assert {bob.certificate.fingerprint, listed.certificate.fingerprint} < kept_ones
    assert len(kept_ones) == 1 + harvest.MAX_CANDIDATES_PER_ADDRESS


def test_one_that_finds_its_path_later_is_asked_again(bob, root):
    """Or who sends it without its path first, and that when the real one is known, gets round the question."""
    issuing, other = root.subordinate("Issuing CA"), root.subordinate("Other CA")
    early = issuing.issue("bob@partner.test", key="p256")
    pair = [other.issue("carol@partner.test", key="p256") for _ in range(2)]
    harvest_all(told(early, GCM), *(told(one, GCM) for one in pair))
    harvest_all(told(bob, GCM))
    assert not conflicting()
    import_certificates([issuing.certificate, other.certificate], at=NOW)
    assert all(admin.show(one.certificate.fingerprint).verdict.trusted for one in (early, *pair))
    assert conflicting() == {early.certificate.fingerprint}


def test_one_allowed_by_hand_is_known(bob):
    own = Authority("Stranger").issue("bob@partner.test", key="p256")
    harvest_all(told(own, GCM))
    trust.set_ctl(own.certificate.fingerprint, CtlEntry.ALLOW, at=NOW)
    harvest_all(told(bob, GCM))
    assert conflicting() == {bob.certificate.fingerprint}


def test_a_certificate_sent_without_its_path_does_no_harm(store, root, certificates):
    """Anybody can send somebody's certificate, without the CA certificates, before its owner does."""
    trust.import_roots([root.certificate], at=NOW)
    issuing = root.subordinate("Issuing CA")
    anna = issuing.issue("anna@partner.test", key="p256")
    harvest_all(Harvest(anna.der))
    assert not admin.show(anna.certificate.fingerprint).verdict.trusted
    identity = SigningIdentity(anna.certificate, anna.key, anna.chain)
    raw = b"From: anna@partner.test\r\n" + signed_entity(b"\r\nHello\r\n", identity, SignatureForm(), NOW)
    opening = Opening(
        Party(None, True, Settings()),
        {},
        certificates,
        MemoryPgpCertificates(),
        NOW,
        (Address.parse("anna@partner.test"),),
    )
    found = open_mail(parse(raw).root, opening)
    assert found.signed_by_sender
    harvest_all(*found.harvested)
    assert admin.show(anna.certificate.fingerprint).verdict.trusted
