"""Whose an OpenPGP signature is: every reason against it, and nobody but the one in From."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate, read_certificate
from mailseal.openpgp.component import RevocationCode
from mailseal.openpgp.edit import revoke, set_expiry
from mailseal.openpgp.inner import write_literal, write_signed
from mailseal.openpgp.mime import signed_entity as pgp_signed_entity
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.sign import sign
from mailseal.openpgp.signature import SignatureType, over_document
from mailseal.openpgp.subpackets import Kind, fingerprint_body, seconds, write_subpacket
from mailseal.pipeline import process
from mailseal.policy.model import Fate
from mailseal.policy.reason import ReasonCode
from pgp_incoming import BOB, DORA, HEAD, codes, header, receive, stage
from pgp_keys import PgpIdentity
from pgp_mails import (
    TEXT,
    as_mail,
    encrypted_mail,
    literal_message,
    sealed,
    signed_mail,
)
from pki import NOW
from stage import (
    PGP_PARTNER,
    PGP_PARTNER_2,
    PGP_READER,
    PGP_SENDER,
    Interrupter,
    envelope,
    lasting_key,
)


def revoked(one: PgpIdentity, code: RevocationCode) -> StoredPgpCertificate:
    octets = revoke(one.certificate, one.primary, code, at=NOW - timedelta(days=1))
    return StoredPgpCertificate(read_certificate(octets), PgpTrust.TRUSTED)


def reason_of(octets: bytes) -> str:
    return header(octets, "x-mailseal-layer-1-signer-1").partition("reason=")[2].partition(";")[0]


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ((), ReasonCode.SIGNER_KEY_UNKNOWN),
        ((PGP_PARTNER.stored(trust=PgpTrust.CANDIDATE),), ReasonCode.SIGNER_KEY_UNTRUSTED),
        ((PGP_PARTNER.stored(trust=PgpTrust.DISTRUSTED),), ReasonCode.SIGNER_KEY_UNTRUSTED),
        ((revoked(PGP_PARTNER, RevocationCode.COMPROMISED),), ReasonCode.SIGNER_KEY_REVOKED),
        ((replace(PGP_PARTNER.stored(), certified=frozenset({"x"})),), ReasonCode.SIGNER_NOT_FROM),
    ],
)
def test_each_thing_against_a_signer_has_its_reason(known, reason):
    outcome, octets = receive(HEAD + signed_mail(by=PGP_PARTNER), on=stage(stored=known))
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert reason_of(octets) == reason
    assert reason in codes(outcome)


def test_a_key_that_has_expired_is_told():
    expired = lasting_key("Bob <bob@outside.example>", at=NOW - timedelta(days=100))
    octets = set_expiry(expired.certificate, expired.primary, NOW - timedelta(days=1), at=NOW - timedelta(days=50))
    known = (StoredPgpCertificate(read_certificate(octets), PgpTrust.TRUSTED),)
    for at in (NOW, NOW - timedelta(days=2)):
        _, found = receive(HEAD + signed_mail(by=expired, at=at), on=stage(stored=known))
        assert header(found, "x-mailseal-signed-by-sender") == "no"
        assert reason_of(found) == ReasonCode.SIGNER_KEY_EXPIRED


def test_a_changed_mail_is_told():
    raw = HEAD + signed_mail(by=PGP_PARTNER).replace(b"canary", b"cuckoo")
    _, octets = receive(raw)
    assert reason_of(octets) == ReasonCode.SIGNATURE_INVALID
    assert "verified=no; trusted=no" in header(octets, "x-mailseal-layer-1-signer-1")


def detached(entity: bytes, *signatures: bytes) -> bytes:
    return b"".join(pgp_signed_entity(entity, b"".join(signatures), "pgp-sha256"))


def by_hand(by: PgpIdentity, *says: bytes, kind: SignatureType = SignatureType.BINARY, entity: bytes = TEXT) -> bytes:
    public, private = by.keys[0]
    return sign(private, public, kind, over_document(kind, entity), at=NOW - timedelta(hours=2), subpackets=says)


def test_a_signature_that_has_expired_is_told():
    expires = write_subpacket(Kind.EXPIRES, seconds(3600))
    _, octets = receive(HEAD + detached(TEXT, by_hand(PGP_PARTNER, expires)))
    assert reason_of(octets) == ReasonCode.SIGNATURE_EXPIRED
    assert header(octets, "x-mailseal-signed-by-sender") == "no"


def test_a_signature_over_text_counts_too():
    _, octets = receive(HEAD + detached(TEXT, by_hand(PGP_PARTNER, kind=SignatureType.TEXT)))
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"


def test_every_signature_has_to_be_good():
    good, other = by_hand(PGP_PARTNER), by_hand(PGP_PARTNER_2)
    bad = by_hand(PGP_PARTNER, entity=b"something else")
    for signatures, by_sender in (((good,), "yes"), ((good, other), "no"), ((good, bad), "no"), ((bad, good), "no")):
        _, octets = receive(HEAD + detached(TEXT, *signatures), on=stage(PGP_PARTNER, PGP_PARTNER_2))
        assert header(octets, "x-mailseal-signed-by-sender") == by_sender
        assert f"ok={'no' if bad in signatures else 'yes'};" in header(octets, "x-mailseal-layer-1")


def test_too_many_signatures_are_none():
    outcome, octets = receive(HEAD + detached(TEXT, *[by_hand(PGP_PARTNER)] * 20))
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert codes(outcome) == {ReasonCode.TOO_MANY_SIGNERS}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"-----BEGIN PGP SIGNATURE", b"Pay at once.\r\n-----BEGIN PGP SIGNATURE"),
        (b"SIGNATURE-----\r\n\r\n----", b"SIGNATURE-----\r\nPay at once.\r\n\r\n----"),
    ],
)
def test_words_beside_the_signature_are_not_the_signers(old, new):
    raw = HEAD + signed_mail(by=PGP_PARTNER).replace(
        b"application/pgp-signature; name=", b"application/octet-stream; name="
    )
    _, octets = receive(raw)
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert old in raw
    changed = raw.replace(old, new)
    # Around another's signature, too: the inner one does not cover what stands beside the outer one.
    for entity in (changed, HEAD + detached(raw[len(HEAD) :], by_hand(PGP_PARTNER_2)).replace(old, new)):
        outcome, octets = receive(entity)
        assert header(octets, "x-mailseal-signed-by-sender") == "no"
        assert ReasonCode.NOT_WHOLE_MESSAGE in codes(outcome)
        assert octets.endswith(entity[len(HEAD) :])


@pytest.mark.parametrize(
    "senders",
    [
        b"From: bob@outside.example\r\nFrom: ceo@inside.example\r\n",
        b"From: bob@outside.example, ceo@inside.example\r\n",
        b"From: bob@outside.example, ceo@inside..example\r\n",
        b'From: "bob@outside.example" <ceo@inside.example>\r\n',
        b"From: ceo@inside.example (bob@outside.example)\r\n",
        b"To: x@y.example\r\n",
    ],
)
def test_only_the_one_from_address_can_be_the_signer(senders):
    _, octets = receive(senders + b"MIME-Version: 1.0\r\n" + signed_mail(by=PGP_PARTNER))
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert "verified=yes; trusted=yes; matches-from=no" in header(octets, "x-mailseal-layer-1-signer-1")


def test_a_key_chosen_by_hand_signs_for_the_sender():
    company = lasting_key("Outside Ltd <keys@outside.example>")
    raw = HEAD + signed_mail(by=company)
    for selected, by_sender in ((True, "yes"), (False, "no")):
        _, octets = receive(raw, on=stage(stored=(company.stored(selected=selected),)))
        assert header(octets, "x-mailseal-signed-by-sender") == by_sender


def test_what_the_senders_domain_publishes_has_its_word_for_the_sender_only():
    published = lasting_key("Boss <ceo@inside.example>", "Bob <bob@outside.example>")
    known = published.stored(trust=PgpTrust.CANDIDATE, own_domain=True)
    raw = HEAD + signed_mail(by=published)
    for trusted, by_sender in ((True, "yes"), (False, "no")):
        on = stage(stored=(known,), pgp_trust_wkd=trusted, subject_tags=True)
        _, octets = receive(raw, on=on)
        assert header(octets, "x-mailseal-signed-by-sender") == by_sender
    assert reason_of(octets) == ReasonCode.SIGNER_KEY_UNTRUSTED
    on = stage(stored=(known,), pgp_trust_wkd=True, subject_tags=True)
    _, octets = receive(raw, on=on)
    assert header(octets, "subject") == "Hello [signed by bob@outside.example]"
    assert "ceo@" not in header(octets, "x-mailseal-layer-1-signer-1")
    # Published for bob, it is nothing but a candidate to anybody else whom it names.
    on.sent.clear()
    of_recipient = on.pgp.of_recipient
    on.pgp.of_recipient = lambda address: [
        one if str(address) == BOB else replace(one, own_domain=False) for one in of_recipient(address)
    ]
    forged = raw.replace(b"From: Bob <bob@outside.example>", b"From: ceo@inside.example")
    _, octets = receive(forged, on=on)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"


def test_of_several_addresses_the_senders_is_shown():
    several = lasting_key("Robert <rob@outside.example>", "Bob <bob@outside.example>")
    _, octets = receive(HEAD + signed_mail(by=several), on=stage(several, subject_tags=True))
    assert header(octets, "subject") == "Hello [signed by bob@outside.example]"


def test_the_text_of_a_user_id_writes_no_mark_of_its_own():
    eve = lasting_key("x; matches-from=yes; [signed by ceo] <eve@outside.example>")
    _, octets = receive(HEAD + signed_mail(by=eve), on=stage(eve, subject_tags=True))
    signer = header(octets, "x-mailseal-layer-1-signer-1")
    assert signer.count("matches-from") == 1
    assert header(octets, "subject") == "Hello [signed by eve@outside.example, not by the sender]"


def test_a_signature_that_was_made_for_others_is_not_believed_when_it_is_encrypted_anew():
    for meant_for, by_sender in ((PGP_READER, "yes"), (PGP_SENDER, "no")):
        named = write_subpacket(Kind.RECIPIENT, fingerprint_body(meant_for.fingerprint))
        content = b"".join(write_signed(write_literal([TEXT]), [by_hand(PGP_PARTNER, named)]))
        _, octets = receive(HEAD + as_mail(sealed(content, PGP_READER)))
        assert header(octets, "x-mailseal-signed-by-sender") == by_sender
    assert "reason=signature-for-others" in header(octets, "x-mailseal-layer-2-signer-1")


def test_a_signature_inside_that_cannot_be_read_does_not_keep_the_mail_shut():
    broken = write_packet(Tag.SIGNATURE, b"\x04\x00\x01")
    _, octets = receive(HEAD + as_mail(sealed(broken + literal_message(), PGP_READER)))
    assert octets.endswith(TEXT)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert "ok=no" in header(octets, "x-mailseal-layer-2")


def test_every_port_call_may_fail_and_nothing_is_lost():
    raw = HEAD + encrypted_mail(TEXT, PGP_READER, by=PGP_PARTNER)
    to = envelope(DORA, sender=BOB, origin=Origin.OUTSIDE)
    calls = stage(PGP_PARTNER)
    process(to, Message(raw), calls.gateway())
    assert {"pgp.with_key_of", "pgp.by_fingerprint", "pgp.by_issuer", "private_key"} <= set(calls.interrupt.names)
    for k in range(1, calls.interrupt.calls + 1):
        on = stage(PGP_PARTNER)
        on.interrupt = on.pgp.interrupt = Interrupter(k)
        (outcome,) = process(to, Message(raw), on.gateway())
        assert outcome.fate is (Fate.DEFERRED if not on.sent else Fate.RELAYED)
