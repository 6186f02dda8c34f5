"""Certificates of the store in the mail path: for domains, in both directions; several; trusted by hand; additional."""

from dataclasses import replace

import pytest

from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.methods.smime import Smime
from mailseal.pipeline import process
from mailseal.policy.model import Treatment
from mailseal.policy.reason import Reason, ReasonCode
from mailseal.policy.settings import NewKey, Settings
from mailseal.smime.certificate import CtlEntry
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.message import encrypted_entity, signed_entity
from mailseal.smime.sign import SigningIdentity
from mailseal.store import certificate_admin as admin
from mailseal.store import revalidate, trust
from mailseal.store.certificate_import import import_certificates
from mailseal.store.certificate_rows import Use
from mailseal.store.harvest import insert_candidates
from mailseal.store.transaction import run
from pki import DAY, NOW, Authority
from stage import Stage, envelope, mail
from store.test_certificates import with_key

ANNA, BOB = Address.parse("anna@inside.example"), Address.parse("bob@partner.test")
ENTITY = b"Content-Type: text/plain\r\n\r\nThe canary sings.\r\n"
SMIME = Smime()


@pytest.fixture(scope="module")
def root():
    return Authority("Root")


@pytest.fixture(scope="module")
def ours(root):
    """Of the domain, with an address that is nobody's."""
    return root.issue("domain-confidentiality-authority@inside.example", key="p256", not_before=NOW - 2 * DAY)


@pytest.fixture(scope="module")
def theirs(root):
    return root.issue("domain-signing-authority@partner.test", key="p256")


@pytest.fixture
def trusted(store, root):
    trust.import_roots([root.certificate], at=NOW)


@pytest.fixture
def stage(trusted, certificates):
    stage = Stage()
    real = stage.gateway
    stage.certificates = certificates
    stage.gateway = lambda: replace(real(), certificates=certificates)
    return stage


@pytest.fixture
def usable(stage, certificates):
    """The fingerprints to encrypt to, or why there are none."""

    def ask(address=BOB, at=NOW, **settings):
        certificates.clear()
        found = SMIME.usable_keys(stage.gateway(), address, Settings(**settings), at)
        return found.code if isinstance(found, Reason) else set(found)

    return ask


def name_of(identity):
    return identity.certificate.fingerprint


def signed(by):
    identity = SigningIdentity(by.certificate, by.key, ())
    return b"".join(signed_entity(ENTITY, identity, SignatureForm(), at=NOW))


def sealed(entity, to):
    return b"".join(encrypted_entity([entity], [to.certificate], EncryptionForm()))


def receive(stage, sender, entity):
    """What Anna gets."""
    head = f"From: {sender}\r\nTo: {ANNA}\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n".encode()
    stage.sent.clear()
    incoming = envelope(str(ANNA), sender=sender, origin=Origin.OUTSIDE)
    (outcome,) = process(incoming, Message(head + entity), stage.gateway())
    run(lambda: insert_candidates(outcome.harvested, at=NOW))
    revalidate.after_change(at=NOW)
    stage.certificates.clear()
    return outcome.treatment, stage.octets_sent()


def by_the_sender(octets):
    return parse(octets[octets.index(b"X-Mailseal") :]).root.header("x-mailseal-signed-by-sender")


def know(*identities):
    import_certificates([one.certificate for one in identities], at=NOW)


# ---- domain to domain


def test_whom_a_domain_certificate_is_for(usable, root, theirs):
    wild = root.issue("gateway@partner.test", key="p256")
    know(theirs, wild)
    admin.use(name_of(theirs), "partner.test")
    admin.use(name_of(wild), "*.partner.test")
    assert usable() == {name_of(theirs)}
    for subdomain in ("sub.partner.test", "a.sub.partner.test"):
        assert usable(Address.parse(f"bob@{subdomain}")) == {name_of(wild)}
    assert usable(Address.parse("bob@otherpartner.test")) is ReasonCode.NO_CERTIFICATE


@pytest.mark.parametrize(("our_owner", "their_owner"), [("inside.example", "partner.test"), ("*.example", "*.test")])
def test_mail_out_and_in_between_two_domains(stage, kek, ours, theirs, our_owner, their_owner):
    with_key(ours, kek)
    know(theirs)
    admin.use(name_of(ours), our_owner)
    admin.use(name_of(theirs), their_owner)
    (out,) = process(envelope(str(BOB)), Message(mail(to=str(BOB))), stage.gateway())
    assert out.treatment is Treatment.SIGNED_ENCRYPTED
    assert ("signer", name_of(ours)[:16]) in out.details
    assert b"canary" not in stage.octets_sent()
    treatment, octets = receive(stage, str(BOB), sealed(signed(theirs), ours))
    assert treatment is Treatment.OPENED
    assert b"The canary sings." in octets
    assert by_the_sender(octets) == "yes"


def test_a_domain_certificate_signs_for_no_other_domain(stage, theirs):
    know(theirs)
    admin.use(name_of(theirs), "partner.test")
    assert by_the_sender(receive(stage, str(BOB), signed(theirs))[1]) == "yes"
    assert by_the_sender(receive(stage, "ceo@other.test", signed(theirs))[1]) == "no"


def test_a_domain_certificate_without_its_key_signs_nothing(stage, ours):
    know(ours)
    admin.use(name_of(ours), "inside.example")
    found = SMIME.signer(stage.gateway(), ANNA, Settings(), NOW)
    assert found.code is ReasonCode.NO_SIGNING_KEY


def test_own_and_domain_certificates_are_all_encrypted_to(usable, root, theirs):
    own = root.issue("bob@partner.test", key="p256", not_before=NOW - 20 * DAY)
    wild = root.issue("gateway@partner.test", key="p256")
    know(own, theirs, wild)
    admin.use(name_of(theirs), "partner.test")
    admin.use(name_of(wild), "*.test")
    assert usable() == {name_of(own), name_of(theirs), name_of(wild)}


def test_all_keys_of_a_reader_open(stage, certificates, root, kek, ours):
    own = root.issue("anna@inside.example", key="p256")
    team = root.issue("team@inside.example", key="p256")
    for one in (own, ours, team):
        with_key(one, kek)
    admin.use(name_of(ours), "inside.example")
    admin.use(name_of(team), "anna@inside.example", Use.SHARED)
    for one in (own, ours, team):
        treatment, octets = receive(stage, str(BOB), sealed(ENTITY, one))
        assert (treatment, b"The canary sings." in octets) == (Treatment.OPENED, True)


# ---- what a mail brought counts for the next one


def send(stage, **settings):
    stage.settings[""] = stage.settings["inside.example"] = Settings(**settings)
    (outcome,) = process(envelope(str(BOB)), Message(mail(to=str(BOB))), stage.gateway())
    return dict(outcome.details)


def test_the_answer_is_in_a_form_that_the_signer_said_he_can_read(stage, root):
    bob = root.issue(str(BOB))
    know(bob)
    assert send(stage)["algorithm"] == "aes256-cbc pkcs1v15"
    receive(stage, str(BOB), signed(bob))
    assert send(stage)["algorithm"] == "aes256-gcm oaep-sha256"


@pytest.mark.parametrize("choice", NewKey)
def test_another_key_for_a_known_address(stage, root, choice):
    old, new = (root.issue(str(BOB), key="p256") for _ in range(2))
    receive(stage, str(BOB), signed(old))
    receive(stage, str(BOB), signed(new))
    keys = send(stage, new_key_for_known_address=choice)["keys"]
    assert name_of(old)[:16] in keys
    assert (name_of(new)[:16] in keys) is (choice is NewKey.USABLE)
    admin.accept(name_of(new), at=NOW)
    stage.certificates.clear()
    assert name_of(new)[:16] in send(stage, new_key_for_known_address=choice)["keys"]


def test_a_key_in_conflict_alone_is_not_encrypted_to(stage, root):
    old, new = (root.issue(str(BOB), key="p256") for _ in range(2))
    receive(stage, str(BOB), signed(old))
    receive(stage, str(BOB), signed(new))
    trust.set_ctl(name_of(old), CtlEntry.DENY, at=NOW)
    stage.certificates.clear()
    found = SMIME.usable_keys(stage.gateway(), BOB, Settings(new_key_for_known_address=NewKey.UNUSABLE), NOW)
    assert found.code in {ReasonCode.CERTIFICATE_NEW_KEY, ReasonCode.CERTIFICATE_DENIED}


# ---- several, trusted by hand, additional


def test_all_usable_certificates_of_an_address(usable, root):
    good = [root.issue("bob@partner.test", key="p256", not_before=NOW - days * DAY) for days in (1, 2, 3)]
    expired = root.issue("bob@partner.test", key="p256", not_after=NOW - DAY)
    stranger = Authority("Stranger").issue("bob@partner.test", key="p256")
    denied = root.issue("bob@partner.test", key="p256")
    know(*good, expired, stranger, denied)
    trust.set_ctl(name_of(denied), CtlEntry.DENY, at=NOW)
    assert usable() == {name_of(one) for one in good}


def test_the_trust_list(usable, root):
    untrusted, expired = ReasonCode.CERTIFICATE_UNTRUSTED, ReasonCode.CERTIFICATE_EXPIRED
    allow, even_expired, deny = CtlEntry.ALLOW, CtlEntry.ALLOW_EXPIRED, CtlEntry.DENY
    cases = [
        (Authority("Stranger"), DAY, {None: untrusted, allow: None, even_expired: None}),
        (root, -DAY, {None: expired, allow: expired, even_expired: None}),
        (root, DAY, {None: None, allow: None, even_expired: None}),
    ]
    for authority, days, answers in cases:
        one = authority.issue(str(BOB), key="p256", not_after=NOW + days)
        know(one)
        for entry, expected in (answers | {deny: ReasonCode.CERTIFICATE_DENIED}).items():
            if entry is not None:
                trust.set_ctl(name_of(one), entry, at=NOW)
            assert usable() == ({name_of(one)} if expected is None else expected), (days, entry)
        trust.delete_ctl(name_of(one), at=NOW)
        admin.delete(name_of(one), at=NOW)


def test_one_chosen_by_hand_needs_a_path_or_the_trust_list_too(usable, root):
    stranger = Authority("Stranger").issue("gateway@partner.test", key="p256")
    know(stranger)
    admin.use(name_of(stranger), str(BOB))
    assert usable() is ReasonCode.CERTIFICATE_UNTRUSTED
    trust.set_ctl(name_of(stranger), CtlEntry.ALLOW, at=NOW)
    assert usable() == {name_of(stranger)}
    admin.stop_using(name_of(stranger), str(BOB))
    assert usable() is ReasonCode.NO_CERTIFICATE


def test_additional_certificates_and_those_of_no_use(usable, root, theirs):
    own = root.issue("bob@partner.test", key="p256")
    escrow = root.issue("escrow@inside.example", key="p256")
    expired = root.issue("old-escrow@inside.example", key="p256", not_after=NOW - DAY)
    signing_only = root.issue("archive@inside.example", key="p256", usage=("digital_signature",))
    know(own, escrow, expired, signing_only)
    additional = tuple(name_of(one) for one in (escrow, expired, signing_only, theirs))  # theirs is not stored
    assert usable(additional_certificates=additional) == {name_of(own), name_of(escrow)}
    # They never stand in for a certificate of the recipient.
    assert usable(Address.parse("eve@partner.test"), additional_certificates=additional) is ReasonCode.NO_CERTIFICATE
    trust.set_ctl(name_of(expired), CtlEntry.ALLOW_EXPIRED, at=NOW)
    assert usable(additional_certificates=additional) == {name_of(own), name_of(escrow), name_of(expired)}
