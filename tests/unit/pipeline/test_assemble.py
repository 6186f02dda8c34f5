"""A mail put together again: which octets stay, which go, and in which order."""

import pytest

from mailseal.mail.mime import parse
from mailseal.pipeline.assemble import assemble, entity_chunks

RAW = (
    b"Received:\tfrom a\r\nSubject: one\r\nX-Odd : kept \r\nMIME-Version: 1.0\r\nsubject: two\r\n"
    b"Content-Type: text/plain\r\nCONTENT-Language: en\r\n\r\nbody\r\n"
)
ROOT = parse(RAW).root
ENTITY = b"Content-Type: text/html\r\n\r\nother\r\n"


def field(*names: str) -> list:
    return [one for one in ROOT.fields if one.name in names]


@pytest.mark.parametrize(
    ("options", "octets"),
    [
        ({}, RAW),
        ({"remove": field("received", "mime-version")}, RAW[18:].replace(b"MIME-Version: 1.0\r\n", b"")),
        ({"prepend": [("X-A", "1"), ("X-B", "2")]}, b"X-A: 1\r\nX-B: 2\r\n" + RAW),
        ({"subject": "new"}, RAW.replace(b"Subject: one", b"Subject: new").replace(b"subject: two\r\n", b"")),
        ({"subject": ""}, RAW.replace(b"Subject: one", b"Subject: ").replace(b"subject: two\r\n", b"")),
        (
            {"subject": "new", "remove": field("subject")},
            RAW.replace(b"Subject: one\r\n", b"")
            .replace(b"subject: two\r\n", b"")
            .replace(b"\r\n\r\n", b"\r\nSubject: new\r\n\r\n"),
        ),
        (
            {"subject": "", "remove": field("subject")},
            RAW.replace(b"Subject: one\r\n", b"").replace(b"subject: two\r\n", b""),
        ),
        (
            {"entity": (ENTITY[:9], ENTITY[9:]), "remove": field("received")},
            b"Subject: one\r\nX-Odd : kept \r\nsubject: two\r\nMIME-Version: 1.0\r\n" + ENTITY,
        ),
    ],
)
def test_assemble(options, octets):
    assert b"".join(assemble(ROOT, **options)) == octets


def test_the_body_is_not_copied():
    header, body = assemble(ROOT)
    assert isinstance(body, memoryview)
    assert body.obj is ROOT.buffer
    assert header.endswith(b"en\r\n\r\n")


def test_a_part_is_taken_without_what_surrounds_it():
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: inner\r\nContent-Type: text/plain\r\n"
        b"Contents: x\r\nContent-ID: <1>\r\n\r\ninside\r\n--b\r\n\r\nsecond\r\n--b--\r\n"
    )
    inner, second = parse(raw).root.children
    assert entity_chunks(inner) == [b"Content-Type: text/plain\r\nContent-ID: <1>\r\n\r\n", b"inside"]
    assert entity_chunks(second) == [b"\r\n", b"second"]


def test_a_field_without_its_line_end_gets_one():
    bare = parse(b"Subject: a\r\nContent-Type: text/plain").root
    assert entity_chunks(bare)[0] == b"Content-Type: text/plain\r\n\r\n"
    assert b"".join(assemble(bare)) == b"Subject: a\r\nContent-Type: text/plain\r\n\r\n"
