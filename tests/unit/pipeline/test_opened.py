"""Layers taken off, to the letter: what is reported of each, what is delivered, and who shares a copy."""

from dataclasses import replace

import pytest

from cms_samples import encrypted_entity, signed_entity
from mailseal.errors import PermanentError, TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.methods.layer import Layer, Opening
from mailseal.methods.smime import Smime
from mailseal.pipeline import process, process_mail
from mailseal.pipeline.open_path import Opened, open_mail
from mailseal.policy.model import Fate, MethodName, Outcome, Party, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity
from pki import NOW
from stage import PARTNER, PARTNER_EC, READER, SENDER, Interrupter, Stage, envelope

DORA, ANNA, BOB = "dora@inside.example", "anna@inside.example", "bob@outside.example"
HEAD = b"From: bob@outside.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
TEXT = b"Content-Type: text/plain\r\n\r\nThe canary sings.\r\n"
NOT_WHOLE = because(ReasonCode.NOT_WHOLE_MESSAGE)
NOTHING = because(ReasonCode.NOTHING_TO_OPEN)


def signed(entity: bytes = TEXT, by=PARTNER) -> bytes:
    return signed_entity(entity, SigningIdentity(by.certificate, by.key), SignatureForm(), at=NOW)


def encrypted(entity: bytes = TEXT, to=READER) -> bytes:
    return encrypted_entity([entity], [to.certificate], EncryptionForm())


def mixed(*parts: bytes, boundary: bytes = b"outer") -> bytes:
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n%b--%b--\r\n" % (boundary, body, boundary)


def opened(entity: bytes, **settings: object) -> Opened:
    stage = Stage().own(READER)
    party = Party(Address.parse(DORA), True, Settings(**settings))
    held = {MethodName.SMIME: (READER.certificate.fingerprint,)}
    return open_mail(parse(HEAD + entity).root, Opening(party, held, stage, stage.pgp, NOW, (Address.parse(BOB),)))


def receive(stage: Stage, raw: bytes, *to: str, origin: Origin = Origin.OUTSIDE) -> list[Outcome]:
    return process(envelope(*to or (DORA,), sender=BOB, origin=origin), Message(raw), stage.gateway())


def test_what_is_reported_of_layers_within_layers():
    found = opened(signed(encrypted(signed(by=PARTNER_EC))))
    kinds = [(one.kind, one.depth, one.ok, one.covers) for one in found.layers]
    names = ("smime-signed", "smime-encrypted", "smime-signed")
    assert kinds == [(name, depth, True, True) for depth, name in enumerate(names)]
    assert tuple(one.der for one in found.harvested) == (PARTNER.certificate.der, PARTNER_EC.certificate.der)
    assert found.decrypted
    assert found.signed_by_sender
    assert found.covers_whole_message


def test_certificates_are_harvested_once():
    assert [one.der for one in opened(signed(signed())).harvested] == [PARTNER.certificate.der]


@pytest.mark.parametrize("count", [10, 11])
def test_ten_layers_are_opened_and_no_more(count):
    entity = TEXT
    for _ in range(count):
        entity = encrypted(entity)
    found = opened(entity)
    assert [one.ok for one in found.layers] == [True] * 10 + [False] * (count - 10)
    too_deep = Layer("smime-encrypted", 10, "", ok=False, reason=because(ReasonCode.TOO_DEEP))
    assert found.layers[10:] == (too_deep,) * (count - 10)
    assert (found.content.content_type.type == "text/plain") is (count == 10)


def test_what_is_beside_other_parts_is_reported_and_stays_shut():
    inner = mixed(TEXT, encrypted(), boundary=b"inner")
    found = opened(encrypted(mixed(TEXT, inner, signed(), encrypted())))
    assert len(found.layers) == 4
    shut = Layer("smime-encrypted", 1, "4", ok=False, reason=NOT_WHOLE, covers=False)
    assert found.layers[2:] == (shut, replace(shut, part="2.2"))
    beside = found.layers[1]
    assert (beside.kind, beside.depth, beside.part, beside.ok) == ("smime-signed", 1, "3", True)
    assert beside.covers is False
    assert beside.reason == NOT_WHOLE
    assert not found.signed_by_sender
    assert not found.covers_whole_message


def test_a_reason_of_its_own_is_kept_for_a_signature_beside_other_parts():
    spoilt = signed().replace(b"canary", b"cuckoo")
    (layer,) = opened(mixed(spoilt, TEXT)).layers
    assert layer.reason == because(ReasonCode.SIGNATURE_INVALID)
    assert layer.covers is False


def test_reports_of_parts_are_bounded():
    part = encrypted()
    assert len(opened(mixed(*[part] * 25)).layers) == 20


def test_a_signature_is_taken_off_if_that_is_set():
    assert opened(signed()).content is None
    assert opened(signed(), remove_signature=True).content.content_type.type == "text/plain"


def test_what_the_log_says_of_an_opened_mail():
    stage = Stage().own(READER)
    (outcome,) = receive(stage, HEAD + encrypted(signed()))
    kinds = ("smime-encrypted", "smime-signed")
    assert outcome.reasons == tuple(because(ReasonCode.OPENED, kind=kind) for kind in kinds)
    assert outcome.treatment is Treatment.OPENED
    first, second, signer = outcome.details
    assert first == ("layer-1", "smime-encrypted aes256-cbc")
    assert second[0] == "layer-2"
    assert second[1].startswith("smime-signed ")
    assert signer == ("signer", "bob@outside.example good")
    assert (stage.sent[0].ret, stage.sent[0].eight_bit) == ("HDRS", True)


def test_what_the_log_says_of_a_mail_that_stays_shut():
    stage = Stage().own(SENDER)
    (outcome,) = receive(stage, HEAD + encrypted(), ANNA)
    assert outcome.reasons == (because(ReasonCode.KEY_NOT_FOUND),)
    assert outcome.treatment is Treatment.PASSED
    assert outcome.details == (("layer-1", "smime-encrypted aes256-cbc not ok"),)
    assert (stage.sent[0].ret, stage.sent[0].eight_bit) == (None, False)


def test_a_structure_that_cannot_be_trusted_is_not_opened_and_says_why():
    stage = Stage().own(READER)
    (outcome,) = receive(stage, b"Content-Type: text/plain\r\n" + HEAD + encrypted())
    (fault,) = outcome.reasons
    assert fault.code is ReasonCode.MESSAGE_UNREADABLE
    assert "Content-Type" in dict(fault.parameters)["detail"]
    assert outcome.treatment is Treatment.PASSED


def test_mail_from_outside_without_marks_is_passed_on_as_it_came():
    raw = b"Bcc: x@elsewhere.example\r\nSubject: =?utf-8?q?Hell=C3=B6?=\r\n" + b"From: bob@outside.example\r\n" + TEXT
    stage = Stage()
    (outcome,) = receive(stage, raw)
    assert outcome.reasons == (NOTHING,)
    assert stage.sent[0].chunks[1:] == (raw,)


def test_the_subject_of_opened_mail_keeps_its_octets():
    word = b"Subject: =?iso-8859-1?Q?H=F6?=\r\n"
    stage = Stage().own(READER)
    receive(stage, HEAD.replace(b"Subject: Hello\r\n", word) + encrypted())
    assert word in stage.octets_sent()


@pytest.mark.parametrize(("origin", "subject"), [(Origin.OUTSIDE, b"a"), (Origin.AUTHORISED, b"[encrypt] a")])
def test_triggers_are_taken_off_what_comes_from_outside(origin, subject):
    stage = Stage()
    receive(stage, HEAD.replace(b"Hello", b"[decrypted] [encrypt] a") + TEXT, origin=origin)
    assert b"\r\nSubject: " + subject + b"\r\n" in stage.octets_sent()


def test_who_shares_a_copy():
    same, other = "fred@inside.example", "gina@inside.example"
    stage = Stage(settings={other: Settings(subject_tags=True)}).own(READER)
    for address in (same, other):
        stage.keys_of[address] = stage.keys_of[DORA]
    receive(stage, HEAD + encrypted(), DORA, ANNA, same, other)
    assert [[one.address.local for one in sent.recipients] for sent in stage.sent] == [
        ["dora", "fred"],
        ["anna"],
        ["gina"],
    ]
    assert [b"The canary sings." in b"".join(sent.chunks) for sent in stage.sent] == [True, False, True]


def test_keys_are_looked_up_only_for_mail_that_one_could_open():
    for entity, wanted in ((TEXT, False), (signed(), False), (encrypted(), True), (mixed(TEXT, encrypted()), True)):
        stage = Stage().own(READER)
        receive(stage, HEAD + entity)
        assert ("with_key_of" in stage.interrupt.names) is wanted


def test_a_lookup_that_fails_defers_one_recipient():
    names = Stage().own(READER)
    receive(names, HEAD + encrypted(), DORA, ANNA)
    k = names.interrupt.names.index("with_key_of") + 1
    stage = Stage(interrupt=Interrupter(k, lambda: TransientError("away"))).own(READER)
    dora, anna = receive(stage, HEAD + encrypted(), DORA, ANNA)
    away = because(ReasonCode.TRANSIENT_FAILURE, detail="away")
    assert dora == Outcome(Address.parse(DORA), Fate.DEFERRED, reply.STORE_UNAVAILABLE, reasons=(away,))
    assert anna.fate is Fate.RELAYED


def test_opening_that_fails_for_good_defers_the_readers_of_that_copy(monkeypatch):
    whole = Smime.peel

    def broken(method: Smime, entity, kind, opening: Opening, depth):
        if opening.held[MethodName.SMIME]:
            raise PermanentError("cannot")
        return whole(method, entity, kind, opening, depth)

    monkeypatch.setattr(Smime, "peel", broken)
    dora, anna = receive(Stage().own(READER), HEAD + encrypted(), DORA, ANNA)
    cannot = because(ReasonCode.METHOD_FAILED, detail="cannot")
    assert dora == Outcome(Address.parse(DORA), Fate.DEFERRED, reply.DEFERRED, reasons=(cannot,))
    assert anna.fate is Fate.RELAYED


@pytest.mark.parametrize(("reader", "sender"), [(True, True), (True, False), (False, True)])
def test_a_subject_is_logged_if_reader_and_sender_agree(reader, sender):
    settings = {DORA: Settings(log_subject=reader), BOB: Settings(log_subject=sender)}
    to = envelope(DORA, sender=BOB, origin=Origin.OUTSIDE)
    done = process_mail(to, Message(HEAD + TEXT), Stage(settings=settings).gateway(), b"")
    assert done.subject_for == ({DORA} if reader and sender else set())
    assert done.subject == ("Hello" if reader and sender else "")
