"""The entities of PGP/MIME, and what Exchange and Outlook make of them: found by their structure, read, written."""

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.mime import Entity, parse
from mailseal.openpgp import armor
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.mime import (
    LayerKind,
    classify,
    encrypted_entity,
    is_all,
    message_part,
    read_message,
    signed_entity,
    signed_parts,
)
from mailseal.openpgp.packet import Tag, write_packet

HEAD = b"From: anna@inside.example\r\nMIME-Version: 1.0\r\n"
MESSAGE = write_packet(Tag.PKESK, bytes(20)) + write_packet(Tag.SEIPD, bytes(60))
ARMORED = b"".join(armor.write_armor(armor.MESSAGE, [MESSAGE]))
VERSION = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
DATA = b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n\r\n' + ARMORED
BLANK = b"Content-Type: text/plain\r\n\r\n \r\n\r\n"
FOOTER = b"Content-Type: text/plain\r\n\r\nSent by a list.\r\n"


def multipart(kind: bytes, *parts: bytes, preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    body = b"".join(b"--b\r\n%b\r\n" % part for part in parts)
    return b"Content-Type: multipart/%b; boundary=b\r\n\r\n%b%b--b--\r\n%b" % (kind, preamble, body, epilogue)


def root(entity: bytes) -> Entity:
    return parse(HEAD + entity).root


def typed(part: bytes, kind: bytes) -> bytes:
    return b"Content-Type: " + kind + b"\r\n\r\n" + part.partition(b"\r\n\r\n")[2]


PGP = b'encrypted; protocol="application/pgp-encrypted"'
MANGLED = {
    "exchange": multipart(b"mixed", BLANK, VERSION, DATA),
    "without the blank text": multipart(b"mixed", VERSION, DATA),
    "version without its type": multipart(b"mixed", BLANK, typed(VERSION, b"application/octet-stream"), DATA),
    "version as text": multipart(b"mixed", typed(VERSION, b"text/plain"), DATA),
    "data with another type": multipart(b"mixed", VERSION, typed(DATA, b"application/pgp-encrypted")),
    "data in base64": multipart(
        b"mixed",
        VERSION,
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encodebytes(ARMORED).replace(b"\n", b"\r\n"),
    ),
    "nothing but the data": typed(DATA, b'application/octet-stream; name="message.asc"'),
    "the data under the type of its version": typed(DATA, b"application/pgp-encrypted"),
}


@pytest.mark.parametrize("name", list(MANGLED))
def test_mangled_mail_is_found(name):
    entity = root(MANGLED[name])
    assert classify(entity) is LayerKind.ENCRYPTED
    assert read_message(message_part(entity)) == MESSAGE


@pytest.mark.parametrize(
    "entity",
    [
        multipart(b"mixed", VERSION, DATA, FOOTER),
        multipart(b"mixed", FOOTER, VERSION, DATA),
        multipart(b"mixed", VERSION, VERSION, DATA),
        multipart(b"mixed", DATA, VERSION),
        multipart(b"mixed", BLANK, DATA),
        multipart(b"mixed", FOOTER, DATA),
        multipart(b"alternative", VERSION, DATA),
        multipart(b"mixed", VERSION, typed(DATA, b"text/html")),
        multipart(b"mixed", typed(VERSION + b"and more", b"text/plain"), DATA),
        multipart(b"mixed", VERSION, typed(DATA.replace(b"MESSAGE", b"PUBLIC KEY BLOCK"), b"application/octet-stream")),
        typed(DATA, b'application/octet-stream; name="message.bin"'),
        typed(DATA, b"text/plain"),
        b"Content-Type: text/plain\r\n\r\n> " + ARMORED,
    ],
)
def test_what_is_not_all_of_an_encrypted_mail_is_not_taken_for_one(entity):
    assert classify(root(entity)) is None


def test_as_the_standard_has_it():
    entity = root(multipart(PGP, VERSION, DATA))
    assert classify(entity) is LayerKind.ENCRYPTED
    assert read_message(message_part(entity)) == MESSAGE
    assert classify(root(multipart(b"encrypted", VERSION, DATA))) is LayerKind.ENCRYPTED
    assert classify(root(multipart(b"encrypted; protocol=application/other", VERSION, DATA))) is None
    binary = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encodebytes(
        MESSAGE
    )
    assert read_message(message_part(root(multipart(PGP, VERSION, binary)))) == MESSAGE


@pytest.mark.parametrize(
    "entity",
    [
        multipart(PGP, DATA),
        multipart(PGP, VERSION, DATA, FOOTER),
        multipart(PGP, VERSION, DATA).removesuffix(b"--b--\r\n"),
        multipart(PGP, VERSION, DATA + DATA),
        multipart(PGP, VERSION, DATA.replace(b"END PGP", b"end pgp")),
        multipart(PGP, VERSION, b"Content-Transfer-Encoding: x-odd\r\n\r\n" + ARMORED),
    ],
)
def test_a_broken_one_is_told(entity):
    assert classify(root(entity)) is LayerKind.ENCRYPTED
    with pytest.raises(PgpError):
        read_message(message_part(root(entity)))


PREAMBLE = b"This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n"


@pytest.mark.parametrize(
    ("entity", "whole"),
    [
        (multipart(PGP, VERSION, DATA), True),
        (multipart(PGP, VERSION, DATA, preamble=PREAMBLE, epilogue=b"\r\n"), True),
        (multipart(PGP, VERSION, DATA, preamble=b"Meet me at nine\r\n"), False),
        (multipart(PGP, VERSION, DATA, preamble=PREAMBLE + b"and at nine\r\n"), False),
        (multipart(PGP, VERSION, DATA, epilogue=b"at nine\r\n"), False),
        (multipart(PGP, VERSION.replace(b"1", b"1, at nine"), DATA), False),
        (multipart(PGP, VERSION, DATA + b"at nine\r\n"), False),
        (multipart(PGP, VERSION, DATA.replace(b"-----BEGIN", b"at nine\r\n-----BEGIN")), False),
        (MANGLED["exchange"], True),
        (multipart(PGP, DATA), False),
    ],
)
def test_whether_anything_readable_is_around_the_message(entity, whole):
    assert is_all(root(entity)) is whole


@given(content=st.binary(max_size=300))
def test_what_is_written_is_found_and_read(content):
    message = write_packet(Tag.SEIPD, content)
    written = encrypted_entity(armor.write_armor(armor.MESSAGE, [message]))
    entity = root(b"".join(written))
    assert classify(entity) is LayerKind.ENCRYPTED
    assert read_message(message_part(entity)) == message
    assert is_all(entity)


@given(content=st.binary(max_size=300))
def test_a_signed_entity_holds_the_very_octets(content):
    inner = b"Content-Type: application/octet-stream\r\n\r\n" + content
    entity = root(b"".join(signed_entity(inner, b"\xc2\x01x", "pgp-sha256")))
    assert classify(entity) is LayerKind.SIGNED
    assert signed_parts(entity) == (inner, b"\xc2\x01x")
    assert entity.content_type.parameters["micalg"] == "pgp-sha256"


SIGNED = b'signed; protocol="application/pgp-signature"'
SIGNATURE = b"Content-Type: application/pgp-signature\r\n\r\n" + b"".join(
    armor.write_armor(armor.SIGNATURE, [b"\xc2\x01x"])
)


def test_signed_multiparts():
    assert signed_parts(root(multipart(SIGNED, FOOTER, SIGNATURE))) == (FOOTER, b"\xc2\x01x")
    lost = multipart(b"signed", FOOTER, typed(SIGNATURE, b"application/octet-stream"))
    assert classify(root(lost)) is LayerKind.SIGNED
    twice = multipart(SIGNED, FOOTER, SIGNATURE + SIGNATURE.partition(b"\r\n\r\n")[2])
    assert signed_parts(root(twice)) == (FOOTER, b"\xc2\x01x\xc2\x01x")
    other = multipart(b"signed; protocol=application/pkcs7-signature", FOOTER, SIGNATURE)
    assert classify(root(other)) is None
    for bad in (
        multipart(SIGNED, FOOTER),
        multipart(SIGNED, FOOTER, SIGNATURE, FOOTER),
        multipart(SIGNED, FOOTER, FOOTER),
        multipart(SIGNED, FOOTER, SIGNATURE).removesuffix(b"--b--\r\n"),
    ):
        with pytest.raises(PgpError):
            signed_parts(root(bad))
