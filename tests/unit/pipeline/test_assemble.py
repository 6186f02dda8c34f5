"""A mail put together again: which octets stay, which go, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mails import messages
from mailseal.mail.header import encode_value
from mailseal.mail.mime import parse
from mailseal.pipeline.assemble import assemble, entity_chunks

RAW = (
    b"Received:\tfrom a\r\nSubject: one\r\nX-Odd : kept \r\nMIME-Version: 1.0\r\nsubject: two\r\n"
    b"Content-Type: text/plain\r\nCONTENT-Language: en\r\n\r\nbody\r\n"
)
ROOT = parse(RAW).root
ENTITY = b"Content-Type: text/html\r\n\r\nother\r\n"
VALUES = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]), max_size=80)


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


@given(raw=messages, values=st.lists(VALUES, max_size=3), subject=st.none() | VALUES, every=st.integers(1, 4))
def test_header_edits_keep_every_other_octet(raw, values, subject, every):
    """Whatever is taken off and put on: the fields that stay and the body are the octets that came."""
    root = parse(raw).root
    remove = root.fields[::every] if every > 1 else ()
    prepend = [(f"X-Mailseal-{number}", value) for number, value in enumerate(values)]
    expected = [encode_value(name, value) for name, value in prepend]
    written = subject is None
    for one in root.fields:
        if one in remove or (one.name == "subject" and subject is not None and written):
            continue
        if one.name == "subject" and subject is not None:
            expected.append(encode_value("Subject", subject))
            written = True
            continue
        octets = one.raw(raw)
        expected.append(octets if octets.endswith(b"\n") else octets + b"\r\n")
    if subject and not written:
        expected.append(encode_value("Subject", subject))
    got = b"".join(assemble(root, remove=remove, prepend=prepend, subject=subject))
    assert got == b"".join(expected) + b"\r\n" + raw[root.body_start :]


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
