"""OpenPGP in texts and attached files: only what is all of its part counts; what is written is read again."""

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.mime import Entity, parse
from mailseal.mail.outgoing import needs_seven_bit
from mailseal.openpgp import armor, inline
from mailseal.openpgp.armor import Cleartext
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.inline import Sealed, sealed_parts, signed_message
from mailseal.openpgp.inline_write import (
    Piece,
    charset_of,
    cleartext_entity,
    file_entity,
    joined,
    pieces_of,
    sealed_text,
    text_entity,
)
from mailseal.openpgp.mime import LayerKind
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.policy.reason import ReasonCode

HEAD = b"From: anna@inside.example\r\nMIME-Version: 1.0\r\n"
MESSAGE = write_packet(Tag.PKESK, bytes(20)) + write_packet(Tag.SEIPD, bytes(60))
ONLY_SIGNED = write_packet(Tag.ONE_PASS_SIGNATURE, bytes(13))
SIGNATURE = b"\xc2\x01x"
ARMORED = b"".join(armor.write_armor(armor.MESSAGE, [MESSAGE]))
CLEARTEXT = b"".join(armor.write_cleartext(b"The canary sings.\r\n- and -\r\n", SIGNATURE, "SHA256"))


def text(body: bytes, kind: bytes = b"text/plain; charset=utf-8") -> bytes:
    return b"Content-Type: %b\r\n\r\n%b" % (kind, body)


def mixed(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    body = b"".join(b"--b\r\n%b\r\n" % part for part in parts)
    return b"Content-Type: multipart/%b; boundary=b\r\n\r\n%b--b--\r\n" % (kind, body)


def attached(content: bytes = MESSAGE, name: bytes = b"report.pdf.pgp") -> bytes:
    head = b'Content-Type: application/octet-stream; name="%b"\r\nContent-Transfer-Encoding: base64\r\n\r\n' % name
    return head + encodebytes(content).replace(b"\n", b"\r\n")


def root(entity: bytes) -> Entity:
    return parse(HEAD + entity).root


def test_a_text_that_is_a_block():
    entity = root(text(b"\r\n" + ARMORED + b"\r\n\r\n"))
    assert inline.classify(entity) is LayerKind.ENCRYPTED
    assert sealed_parts(entity) == (Sealed(MESSAGE, "utf-8"),)
    told = root(text(ARMORED.replace(b"-----\r\n", b"-----\r\nCharset: iso-8859-2\r\n", 1)))
    assert sealed_parts(told) == (Sealed(MESSAGE, "iso-8859-2"),)


def test_a_signed_text():
    entity = root(text(CLEARTEXT))
    assert inline.classify(entity) is LayerKind.SIGNED
    signed = signed_message(entity)
    assert isinstance(signed, Cleartext)
    assert signed.content == b"The canary sings.\r\n- and -\r\n"
    only = root(text(b"".join(armor.write_armor(armor.MESSAGE, [ONLY_SIGNED]))))
    assert inline.classify(only) is LayerKind.SIGNED
    assert signed_message(only) == Sealed(ONLY_SIGNED, "utf-8")


@pytest.mark.parametrize(
    "body",
    [b"> " + ARMORED.replace(b"\n", b"\n> "), b"Hello\r\n", b" " + ARMORED, b"See -----BEGIN PGP MESSAGE-----\r\n"],
)
def test_what_is_quoted_is_no_block(body):
    assert inline.classify(root(text(body))) is None


@pytest.mark.parametrize("around", [(b"Pay at once\r\n", b""), (b"", b"-- \r\nSent by a list\r\n"), (b"", ARMORED)])
def test_a_block_with_anything_around_it_is_not_the_whole(around):
    for block, read in ((ARMORED, sealed_parts), (CLEARTEXT, signed_message)):
        entity = root(text(around[0] + block + around[1]))
        assert inline.classify(entity) is not None
        with pytest.raises(PgpError) as caught:
            read(entity)
        assert caught.value.reason is ReasonCode.NOT_WHOLE_MESSAGE


def test_what_stands_before_the_text_of_a_signed_message_is_no_way_in():
    with pytest.raises(PgpError):
        signed_message(root(text(CLEARTEXT.replace(b"Hash: SHA256\r\n", b"Hash: SHA256\r\nComment: Pay at once\r\n"))))


def test_several_parts_are_opened_only_if_each_is_encrypted():
    entity = root(mixed(text(ARMORED), attached(), attached(ARMORED, b"notes.txt.asc")))
    assert inline.classify(entity) is LayerKind.ENCRYPTED
    assert sealed_parts(entity) == (
        Sealed(MESSAGE, "utf-8"),
        Sealed(MESSAGE, filename="report.pdf"),
        Sealed(MESSAGE, filename="notes.txt"),
    )
    nested = root(mixed(mixed(text(ARMORED), attached()).replace(b"boundary=b", b"boundary=c").replace(b"--b", b"--c")))
    assert len(sealed_parts(nested)) == 2


@pytest.mark.parametrize(
    "parts",
    [
        (text(ARMORED), text(b"<b>hello</b>", b"text/html")),
        (text(ARMORED), text(ARMORED, b"text/html")),
        (text(ARMORED), attached(b"plain", b"report.pdf")),
        (text(ARMORED), attached(b"plain", b"report.pgp")),
        (text(ARMORED), text(b"Sent by a list\r\n")),
        (text(b""), text(ARMORED)),
        (text(ARMORED), attached(MESSAGE, b"report.pdf")),
    ],
)
def test_a_part_beside_that_is_not_encrypted_keeps_all_shut(parts):
    assert inline.classify(root(mixed(*parts))) is None


def test_only_plain_containers_are_taken_apart():
    assert inline.classify(root(mixed(text(ARMORED), attached(), kind=b"signed"))) is None
    entity = root(mixed(text(ARMORED), attached()).removesuffix(b"--b--\r\n"))
    with pytest.raises(PgpError):
        sealed_parts(entity)
    half = root(mixed(text(ARMORED), text(b"more " + b"\r\n" + ARMORED)))
    with pytest.raises(PgpError) as caught:
        sealed_parts(half)
    assert caught.value.reason is ReasonCode.NOT_WHOLE_MESSAGE


def test_an_entity_in_pieces():
    html = b"Content-Type: text/html; charset=utf-8\r\n\r\n<b>hello</b>\r\n"
    alternative = mixed(text(b"hello\r\n"), html, kind=b"alternative").replace(b"=b", b"=c").replace(b"--b", b"--c")
    pdf = b'Content-Type: application/pdf; name="a/b\\\\c.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n'
    mail = b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n"
    named = b'Content-Type: text/plain\r\nContent-Disposition: attachment; filename="notes.txt"\r\n\r\nnotes\r\n'
    assert pieces_of(root(mixed(alternative, pdf, mail, named))) == (
        Piece(b"hello\r\n", "utf-8"),
        Piece(b"<b>hello</b>\r\n", filename="part-2.html"),
        Piece(b"%PDF", filename="c.pdf"),
        Piece(b"Subject: x\r\n\r\ny\r\n", filename="part-4.eml"),
        Piece(b"notes\r\n", filename="notes.txt"),
    )
    unnamed = b"Content-Type: text/plain\r\nContent-Disposition: Attachment\r\n\r\nnotes\r\n"
    assert pieces_of(root(unnamed)) == (Piece(b"notes\r\n", filename="part-1.txt"),)
    for kind in (b"signed", b"encrypted", b"report"):
        whole = mixed(text(b"x"), html, kind=kind)
        assert pieces_of(root(whole)) is None
        assert pieces_of(root(mixed(text(b"y"), whole.replace(b"=b", b"=c").replace(b"--b", b"--c")))) is None
    assert pieces_of(root(b"Content-Transfer-Encoding: x-odd\r\n\r\nx")) is None


def test_a_text_in_which_ascii_is_something_else_is_a_file():
    wide = text("hello".encode("utf-16"), b"text/plain; charset=UTF-16")
    assert pieces_of(root(wide)) == (Piece("hello".encode("utf-16"), filename="part-1.txt"),)
    assert charset_of(b"+ADw-script+AD4-", "utf-7") == "utf-8"


def test_charsets():
    assert charset_of("ä".encode("iso-8859-2"), "ISO-8859-2") == "iso-8859-2"
    assert charset_of("ä".encode(), "us-ascii") == "utf-8"
    assert charset_of(b"\xe4", "us-ascii", "utf-8") == "iso-8859-1"
    assert charset_of("a\N{REPLACEMENT CHARACTER}".encode()) == "utf-8"
    assert charset_of(b"a", "unicode_escape", "a\r\nb") == "utf-8"


names = st.text(min_size=1, max_size=300)


@given(content=st.binary(max_size=300), name=names)
def test_a_file_is_named_on_one_line_and_keeps_its_octets(content, name):
    octets = b"".join(file_entity(content, name))
    part = parse(octets).root
    assert part.decoded_body(1000) == content
    assert part.filename
    assert len(part.fields) == 3
    assert not needs_seven_bit(octets)


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_a_text_keeps_its_octets(content):
    content = content.replace(b"\r", b"").replace(b"\n", b"\r\n")
    octets = b"".join(text_entity(content, charset_of(content)))
    assert parse(octets).root.decoded_body(2000) == content
    assert not needs_seven_bit(octets)


@given(st.lists(st.sampled_from(["-", "From ", "ä", "\r\n", "- x", "-----BEGIN PGP SIGNATURE-----", " "]), max_size=8))
def test_a_cleartext_entity_is_read_as_it_was_written(words):
    content = "".join(words).encode()
    entity = root(b"".join(cleartext_entity(Piece(content, "utf-8"), SIGNATURE, "SHA256")))
    signed = signed_message(entity)
    assert signed.content == armor.canonical_text(content)
    assert signed.signatures == SIGNATURE


def test_parts_joined():
    one = sealed_text([ARMORED], "utf-8")
    assert joined([one]) is one
    entity = root(b"".join(joined([one, file_entity(MESSAGE, "a.pdf.pgp")])))
    assert sealed_parts(entity) == (Sealed(MESSAGE, "utf-8"), Sealed(MESSAGE, filename="a.pdf"))
