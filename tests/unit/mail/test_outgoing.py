import pytest
from hypothesis import given
from hypothesis import strategies as st

from mails import bodies, messages, texts
from mailseal.mail.mime import MimeError, parse
from mailseal.mail.outgoing import encode_body, needs_seven_bit, signable, split_for_protection

UNTOUCHED = ("multipart/signed", "multipart/encrypted")


def leaves(entity, *, touchable=True):
    """(path, may be re-encoded, entity) of all leaves."""
    touchable = touchable and entity.content_type.type not in UNTOUCHED
    if not entity.children:
        yield entity.path, touchable and not entity.content_type.type.startswith("message/"), entity
    for child in entity.children:
        yield from leaves(child, touchable=touchable)


def content(entity) -> bytes | None:
    try:
        return entity.decoded_body(1_000_000)
    except MimeError:
        return None


@given(messages)
def test_signable_keeps_the_content(raw):
    parsed = parse(raw)
    if parsed.fault:
        assert signable(parsed.root)
        return
    made = signable(parsed.root)
    again = parse(made)
    assert again.fault is None
    before, after = list(leaves(parsed.root)), list(leaves(again.root))
    assert [path for path, _, _ in before] == [path for path, _, _ in after]
    for (_, touchable, old), (_, _, new) in zip(before, after, strict=True):
        assert content(old) == content(new)
        assert old.content_type == new.content_type
        if not touchable or not needs_seven_bit(bytes(old.body)):
            assert bytes(old.body) == bytes(new.body)
            assert not old.path or bytes(old.octets) == bytes(new.octets)
        elif content(old) is not None:
            assert not needs_seven_bit(bytes(new.body))
    assert signable(again.root) == made


@given(messages)
def test_split_takes_every_field_to_one_side(raw):
    root = parse(raw).root
    outer, entity = split_for_protection(root)
    inner = parse(b"".join(bytes(chunk) for chunk in entity)).root
    assert [field.name for field in root.fields if not field.name.startswith(("content-", "mime-version"))] == [
        field.name for field in outer
    ]
    assert [field.raw(inner.buffer) for field in inner.fields] == [
        field.raw(raw) for field in root.fields if field.name.startswith("content-")
    ]
    assert bytes(inner.body) == bytes(root.body)
    assert entity[1].obj is raw


@given(bodies)
def test_needs_seven_bit(octets):
    lines = octets.replace(b"\r\n", b"\n").split(b"\n")
    expected = (
        not octets.isascii()
        or b"\0" in octets
        or octets.count(b"\r\n") != octets.count(b"\r")
        or octets.count(b"\r\n") != octets.count(b"\n")
        or any(line.endswith((b" ", b"\t")) or line.startswith(b"From ") or len(line) > 998 for line in lines)
    )
    assert needs_seven_bit(octets) == expected


@pytest.mark.parametrize(
    ("length", "expected"), [(997, False), (998, False), (999, True), (1000, True), (1001, True), (5000, True)]
)
def test_line_length(length, expected):
    line = b"x" * length
    for octets in (line, line + b"\r\n", b"a\r\n" + line, line + b"\r\nb", b"b" * 998 + b"\r\n" + line + b"\r\nccc"):
        assert needs_seven_bit(octets) is expected


@given(st.one_of(bodies, texts.map(str.encode)), st.booleans())
def test_encoded_bodies_are_safe_and_decode(body, text):
    encoding, encoded = encode_body(body, text=text)
    assert not needs_seven_bit(encoded)
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    entity = b"Content-Transfer-Encoding: %s\r\n\r\n%s" % (encoding, encoded)
    assert parse(entity).root.decoded_body(1_000_000) == body


def test_a_clean_entity_is_itself():
    raw = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    assert signable(parse(raw).root) == b"Content-Type: text/plain\r\n\r\nHello\r\n"


@pytest.mark.parametrize(
    ("body", "encoding", "encoded"),
    [
        ("Viele Grüße und bis bald\r\n".encode(), b"quoted-printable", b"Viele Gr=C3=BC=C3=9Fe und bis bald\r\n"),
        (b"trailing \r\nFrom me\r\n", b"quoted-printable", b"trailing=20\r\n=46rom=\r\n me\r\n"),
        (b"From me", b"quoted-printable", b"=46rom=\r\n me"),
        (b"bare\rCR", b"base64", b"YmFyZQ1DUg==\r\n"),
        ("äöü".encode(), b"base64", b"w6TDtsO8\r\n"),
    ],
)
def test_text_is_encoded(body, encoding, encoded):
    raw = b"Subject: s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body
    header = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding
    assert signable(parse(raw).root) == header + b"\r\n\r\n" + encoded


def test_a_type_without_encoding_gets_one():
    assert signable(parse(b"\r\n\0").root) == b"Content-Transfer-Encoding: base64\r\n\r\nAA==\r\n"


def test_signed_parts_are_never_touched():
    signed = (
        b'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n\r\nFrom \xc3\xa4 \r\n\r\n--s\r\n'
        b"Content-Type: application/pkcs7-signature\r\n\r\n\xff\r\n--s--"
    )
    embedded = b"Content-Type: message/rfc822\r\n\r\nSubject: \xe4\r\n\r\n \r\n"
    odd = b"\r\n\xe4 text\r\n"
    raw = b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n' + b"".join(
        b"--m\r\n" + part + b"\r\n" for part in (signed, embedded, odd)
    )
    made = signable(parse(raw + b"--m--").root)
    assert signed in made
    assert embedded in made
    assert b"--m\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4 text\r\n\r\n--m--" in made


def test_base64_lines():
    assert encode_body(b"\x00" * 58, text=False) == (b"base64", b"AAAA" * 19 + b"\r\nAA==\r\n")
