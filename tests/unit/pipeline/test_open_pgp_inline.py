"""OpenPGP in the text of incoming mail: only by setting, only what is all of the mail, only what a signature covers."""

from base64 import encodebytes

import pytest

from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.methods.openpgp_layers import MAX_SEALED_PARTS
from mailseal.methods.openpgp_write import Shape
from mailseal.openpgp.inner import write_literal
from mailseal.pipeline import process
from mailseal.policy.model import Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from pgp_mails import armored, encrypted_mail, literal_message, made_signed, multipart, sealed, signed_mail, text
from stage import PGP_PARTNER, PGP_PARTNER_2, PGP_READER, Stage, envelope

DORA, BOB = "dora@inside.example", "bob@outside.example"
HEAD = b"From: Bob <bob@outside.example>\r\nTo: dora@inside.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
WORDS = "The canary sings: ä.\r\n".encode()


def receive(raw: bytes, **settings: object):
    on = Stage(settings={"inside.example": Settings(**{"pgp_open_inline": True} | settings)})
    on.own_pgp(PGP_READER).know_pgp(PGP_PARTNER, PGP_PARTNER_2)
    (outcome,) = process(envelope(DORA, sender=BOB, origin=Origin.OUTSIDE), Message(raw), on.gateway())
    return outcome, b"".join(on.sent[0].chunks[1:])


def header(octets: bytes, name: str) -> str | None:
    return parse(octets).root.header(name)


def shown(octets: bytes) -> bytes:
    return parse(octets).root.decoded_body(100_000)


def codes(outcome) -> set[ReasonCode]:
    return {one.code for one in outcome.reasons}


def block(content: bytes = WORDS, *, by=None) -> bytes:
    return armored(sealed(literal_message(content, by=by), PGP_READER))


def cleartext(content: bytes = WORDS, by=PGP_PARTNER) -> bytes:
    return b"".join(made_signed(text(content), by, Shape.CLEARTEXT).entity)


def attached(content: bytes, name: bytes, kind: bytes = b"application/octet-stream") -> bytes:
    head = b'Content-Type: %b; name="%b"\r\nContent-Transfer-Encoding: base64\r\n\r\n' % (kind, name)
    return head + encodebytes(content).replace(b"\n", b"\r\n")


def test_texts_stay_as_they_are_unless_the_reader_wants_them_opened():
    for entity in (text(block()), cleartext(), multipart(b"mixed", text(block()), text(block()))):
        outcome, octets = receive(HEAD + entity, pgp_open_inline=False)
        assert octets == HEAD + entity
        assert outcome.treatment is Treatment.PASSED
        assert codes(outcome) == {ReasonCode.NOTHING_TO_OPEN}


def test_an_encrypted_text_is_opened():
    outcome, octets = receive(HEAD + text(block(by=PGP_PARTNER)))
    assert outcome.treatment is Treatment.OPENED
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert shown(octets) == WORDS
    root = parse(octets).root
    assert (root.content_type.type, root.content_type.parameters["charset"]) == ("text/plain", "utf-8")


def test_what_comes_out_of_a_text_is_text():
    page = b"Content-Type: text/html\r\n\r\n<img src='http://eve.example/"
    _, octets = receive(HEAD + text(block(page)))
    assert parse(octets).root.content_type.type == "text/plain"
    assert shown(octets) == page


def test_a_charset_is_that_of_the_armor_or_of_the_part():
    latin = "ä\r\n".encode("iso-8859-2")
    armor = block(latin)
    told = armor.replace(b"-----\r\n", b"-----\r\nCharset: ISO-8859-2\r\n", 1)
    for entity, charset in ((text(told), "iso-8859-2"), (text(armor, b"text/plain; charset=iso-8859-2"), "iso-8859-2")):
        _, octets = receive(HEAD + entity)
        assert parse(octets).root.content_type.parameters["charset"] == charset
        assert shown(octets) == latin


@pytest.mark.parametrize(
    "entity",
    [
        text(b"Pay at once.\r\n" + block()),
        text(block() + b"-- \r\nSent by a list.\r\n"),
        text(block() + block()),
    ],
)
def test_a_block_with_words_around_it_stays_shut(entity):
    outcome, octets = receive(HEAD + entity)
    assert octets.endswith(entity)
    assert codes(outcome) == {ReasonCode.NOT_WHOLE_MESSAGE}
    assert "ok=no" in header(octets, "x-mailseal-layer-1")


def test_a_quoted_block_is_none():
    quoted = text(b"You wrote:\r\n> " + block().replace(b"\r\n", b"\r\n> "))
    outcome, octets = receive(HEAD + quoted)
    assert octets == HEAD + quoted
    assert codes(outcome) == {ReasonCode.NOTHING_TO_OPEN}


@pytest.mark.parametrize(
    "beside",
    [
        text(b"<b>Pay at once</b>", b"text/html"),
        text(block(), b"text/html"),
        attached(b"%PDF", b"report.pdf"),
        attached(b"not encrypted", b"report.pdf.pgp"),
        text(b"Sent by a list.\r\n"),
    ],
)
@pytest.mark.parametrize("kind", [b"mixed", b"alternative"])
def test_a_part_beside_that_is_not_encrypted_keeps_all_shut(beside, kind):
    entity = multipart(kind, text(block()), beside)
    outcome, octets = receive(HEAD + entity)
    assert octets.endswith(entity)
    assert codes(outcome) == {ReasonCode.NOT_WHOLE_MESSAGE}


def test_a_text_with_encrypted_attachments_is_opened_as_a_whole():
    pdf = sealed(literal_message(b"%PDF", by=PGP_PARTNER), PGP_READER)
    page = sealed(literal_message(b"<script>", by=PGP_PARTNER), PGP_READER)
    entity = multipart(
        b"mixed",
        text(block(by=PGP_PARTNER)),
        attached(pdf, b"report.pdf.pgp"),
        attached(armored(page), b"page.html.asc", b"application/pgp-encrypted"),
    )
    outcome, octets = receive(HEAD + entity)
    words, report, html = parse(octets).root.children
    assert words.decoded_body(1000) == WORDS
    assert (report.filename, report.decoded_body(1000)) == ("report.pdf", b"%PDF")
    assert (html.filename, html.decoded_body(1000)) == ("page.html", b"<script>")
    assert {one.content_type.type for one in (report, html)} == {"application/octet-stream"}
    assert {one.header("content-disposition").partition(";")[0] for one in (report, html)} == {"attachment"}
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert ("signer", "bob@outside.example good") in outcome.details


@pytest.mark.parametrize("kind", [b"mixed", b"alternative"])
def test_of_several_texts_one_is_shown(kind):
    covert = block(b"From another mail.\r\n")
    _, octets = receive(
        HEAD + multipart(kind, text(block()), text(covert), text(block(), b'text/plain; name="a.txt.asc"'))
    )
    root = parse(octets).root
    words, other, named = root.children
    assert (root.content_type.type, words.content_type.type) == ("multipart/mixed", "text/plain")
    assert (words.filename, words.decoded_body(100)) == (None, WORDS)
    for part, name, content in ((other, "text-2.txt", b"From another mail.\r\n"), (named, "a.txt", WORDS)):
        assert part.content_type.type == "application/octet-stream"
        assert part.header("content-disposition").startswith("attachment")
        assert (part.filename, part.decoded_body(100)) == (name, content)


def test_one_part_that_does_not_open_keeps_all_shut():
    for last in (sealed(literal_message(b"x"), PGP_PARTNER), sealed(literal_message(b"x"), PGP_READER)[:-9] + bytes(9)):
        entity = multipart(b"mixed", text(block()), attached(last, b"report.pdf.pgp"))
        _, octets = receive(HEAD + entity)
        assert octets.endswith(entity)
        assert header(octets, "x-mailseal-decrypted") == "no"


def test_a_part_without_a_signature_takes_it_from_all():
    unsigned = sealed(b"".join(write_literal([b"%PDF"])), PGP_READER)
    entity = multipart(b"mixed", text(block(by=PGP_PARTNER)), attached(unsigned, b"report.pdf.pgp"))
    _, octets = receive(HEAD + entity)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert "whole-message=no; reason=not-whole-message" in header(octets, "x-mailseal-layer-2")
    assert b"canary" in octets
    other = sealed(literal_message(b"%PDF", by=PGP_PARTNER_2), PGP_READER)
    entity = multipart(b"mixed", text(block(by=PGP_PARTNER)), attached(other, b"report.pdf.pgp"))
    _, octets = receive(HEAD + entity)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"


def test_very_many_encrypted_parts_are_not_opened():
    part = attached(sealed(literal_message(b"x"), PGP_READER), b"a.pgp")
    outcome, _ = receive(HEAD + multipart(b"mixed", *[part] * (MAX_SEALED_PARTS + 1)))
    assert codes(outcome) == {ReasonCode.TOO_LARGE}


def test_what_the_parts_hold_counts_together(monkeypatch):
    monkeypatch.setattr("mailseal.pipeline.open_path.ALWAYS_OPENED_BYTES", 100_000)
    monkeypatch.setattr("mailseal.pipeline.open_path.MAX_OPENED_RATIO", 0)
    part = attached(sealed(literal_message(bytes(40_000)), PGP_READER), b"a.pgp")
    for count, reason in ((2, ReasonCode.OPENED), (3, ReasonCode.TOO_LARGE)):
        outcome, _ = receive(HEAD + multipart(b"mixed", *[part] * count))
        assert codes(outcome) == {reason}


def test_of_a_signed_text_only_that_is_shown_which_is_signed():
    outcome, octets = receive(HEAD + cleartext())
    assert outcome.treatment is Treatment.OPENED
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert shown(octets) == WORDS
    # White space at the ends of lines is not signed.
    _, octets = receive(HEAD + cleartext(b"Pay\r\nat once.\r\n").replace(b"Pay\r\n", b"Pay \r\r\t\r\n"))
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert shown(octets) == b"Pay\r\nat once.\r\n"
    # A comment in the armor of the signature looks as if it were of the signer.
    commented = cleartext().replace(b"SIGNATURE-----\r\n\r\n", b"SIGNATURE-----\r\nComment: Pay at once\r\n\r\n")
    _, octets = receive(HEAD + commented)
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert b"Pay at once" not in octets


@pytest.mark.parametrize(
    "change",
    [
        lambda entity: entity.replace(b"canary", b"cuckoo"),
        lambda entity: entity.replace(b"\r\nHash: SHA256\r\n", b"\r\nHash: SHA256\r\nPay: at once\r\n"),
        lambda entity: entity.replace(b"\r\n\r\n-----BEGIN", b"\r\n\r\nPay at once.\r\n-----BEGIN"),
        lambda entity: entity + b"Pay at once.\r\n",
    ],
)
def test_words_that_are_not_signed_stay_in_a_mail_that_is_not_the_senders(change):
    entity = change(cleartext())
    assert entity != cleartext()
    _, octets = receive(HEAD + entity)
    assert octets.endswith(entity)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert "ok=no" in header(octets, "x-mailseal-layer-1")


def test_a_signed_text_beside_others_is_reported_only():
    entity = multipart(b"mixed", cleartext(), text(b"Pay at once.\r\n"))
    outcome, octets = receive(HEAD + entity)
    assert octets.endswith(entity)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert "whole-message=no" in header(octets, "x-mailseal-layer-1")
    assert ReasonCode.NOT_WHOLE_MESSAGE in codes(outcome)


def test_a_signed_message_in_armor_is_opened_if_it_is_good():
    good = text(armored(literal_message(WORDS, by=PGP_PARTNER)))
    _, octets = receive(HEAD + good)
    assert shown(octets) == WORDS
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    for bad in (text(armored(literal_message(WORDS))), text(armored(literal_message(WORDS, by=PGP_READER)[:-40]))):
        _, octets = receive(HEAD + bad)
        assert octets.endswith(bad)
        assert header(octets, "x-mailseal-signed-by-sender") == "no"


def test_a_text_inside_an_encrypted_mail_is_opened_as_well():
    _, octets = receive(HEAD + encrypted_mail(cleartext(), PGP_READER))
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert shown(octets) == WORDS
    _, octets = receive(HEAD + signed_mail(text(block()), by=PGP_PARTNER))
    assert header(octets, "x-mailseal-decrypted") == "yes"
    assert shown(octets) == WORDS
