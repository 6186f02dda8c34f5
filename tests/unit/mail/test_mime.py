import mmap
import re
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mails import messages, mutilated
from mailseal.mail.dsn import cut_to_headers
from mailseal.mail.header import authors, decoded_subject
from mailseal.mail.mime import Entity, Limits, MimeError, parse
from mailseal.mail.outgoing import signable, split_for_protection
from mailseal.mail.trace import hop_count

DELIMITER = re.compile(rb"(?:\r\n|\n)?--[^\r\n]*(?:--)?[ \t]*(?:\r\n|\n|$)")


def multipart(*parts: bytes, boundary: bytes = b"b", subtype: bytes = b"mixed", close: bytes = b"--b--\r\n") -> bytes:
    head = b"Content-Type: multipart/%s; boundary=%s\r\n\r\n" % (subtype, boundary)
    return head + b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + close


def fault(raw: bytes, limits: Limits | None = None) -> str:
    parsed = parse(raw, limits) if limits else parse(raw)
    assert parsed.fault is not None
    assert parsed.root.children == ()
    assert parsed.fault.__traceback__ is None
    return str(parsed.fault)


def reassembled(entity: Entity) -> bytes:
    """The octets of an entity put together from its parts; what lies between parts must be delimiters."""
    if not entity.children:
        return bytes(entity.octets)
    raw = entity.buffer
    pieces = [bytes(entity.header_octets), bytes(entity.preamble)]
    position = entity.preamble_end
    for child in entity.children:
        gap = raw[position : child.start]
        assert DELIMITER.fullmatch(gap), gap
        pieces += [gap, reassembled(child)]
        position = child.end
    gap = raw[position : entity.epilogue_start]
    assert DELIMITER.fullmatch(gap) if entity.closed else not gap
    return b"".join([*pieces, gap, bytes(entity.epilogue)])


def exercise(raw: bytes) -> None:
    """Everything that is read from a mail; only MimeError may come out."""
    try:
        parsed = parse(raw)
    except MimeError:
        return
    root = parsed.root
    assert reassembled(root) == raw
    assert b"".join(field.raw(raw) for field in root.fields) == raw[: root.fields[-1].end if root.fields else 0]
    authors(root)
    assert not set("\r\n\0") & set(decoded_subject(root))
    hop_count(root)
    for entity in root.walk():
        name = entity.filename
        assert name is None or not set("\r\n\0") & set(name)
        try:
            entity.decoded_body(10_000)
        except MimeError:
            continue
    split_for_protection(root)
    signable(root)
    cut_to_headers(root)


@given(st.one_of(messages, mutilated(), st.binary(max_size=300)))
def test_any_octets_are_read_or_refused_by_a_mime_error(raw):
    exercise(raw)


@given(messages)
def test_line_feeds_alone_are_read_too(raw):
    exercise(raw.replace(b"\r\n", b"\n"))


def test_plain_mail():
    raw = b"From: a@b.example\r\nSubject: x\r\n  y\r\n\r\nbody\r\n"
    root = parse(raw).root
    assert [field.name for field in root.fields] == ["from", "subject"]
    assert root.header("subject") == "x  y"
    assert root.header("to") is None
    assert bytes(root.body) == b"body\r\n"
    assert root.content_type.type == "text/plain"
    assert root.path == ""
    assert root.octets.obj is raw  # a view, not a copy


def test_a_field_given_twice_has_no_single_value():
    root = parse(b"Subject: a\r\nSUBJECT : b\r\n\r\n").root
    assert root.header("subject") is None
    assert root.headers("subject") == ["a", "b"]


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"", b""),
        (b"\r\nbody", b"body"),
        (b"\nbody", b"body"),
        (b"A: b", b""),
        (b"A: b\r\n", b""),
        (b"A: b\n\nbody\r\n\r\n", b"body\r\n\r\n"),
        (b"A: b\r\n\nbody", b"body"),
        (b"A: b\n\r\nbody", b"body"),
    ],
)
def test_header_ends_at_the_first_blank_line(raw, body):
    assert bytes(parse(raw).root.body) == body


def test_parts_and_paths():
    inner = multipart(b"\r\none", b"Content-Type: text/html\r\n\r\ntwo", boundary=b"i", close=b"--i--")
    root = parse(multipart(inner, b"\r\nthree\r\n") + b"epilogue").root
    assert [(part.path, part.content_type.type) for part in root.walk()] == [
        ("", "multipart/mixed"),
        ("1", "multipart/mixed"),
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "text/plain"),
    ]
    assert bytes(root.children[0].children[0].body) == b"one"
    assert bytes(root.children[1].body) == b"three\r\n"
    assert bytes(root.epilogue) == b"epilogue"
    assert root.closed


def test_a_boundary_counts_only_as_a_whole_line():
    part = b"\r\nsee --b\r\n--bc\r\n--b-\r\n--b--x\r\n ---b"
    root = parse(multipart(part)).root
    assert [bytes(child.octets) for child in root.children] == [part]


def test_white_space_after_a_boundary_and_empty_parts():
    root = parse(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b \t\r\n--b\r\n\r\n--b-- \r\n").root
    assert [bytes(child.octets) for child in root.children] == [b"", b""]
    assert root.closed


def test_without_closing_delimiter_the_last_part_goes_to_the_end():
    root = parse(multipart(b"\r\none", b"\r\ntwo", close=b"")).root
    assert not root.closed
    assert bytes(root.children[1].body) == b"two\r\n"


def test_parts_of_a_digest_are_messages():
    root = parse(multipart(b"\r\nFrom: a@b.example\r\n\r\nx", subtype=b"digest")).root
    assert root.children[0].content_type.type == "message/rfc822"
    assert root.children[0].children == ()


def test_embedded_messages_are_not_entered():
    raw = b"Content-Type: message/rfc822\r\n\r\n" + multipart(b"\r\nx")
    assert parse(raw).root.children == ()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n", "more than one Content-Type"),
        (b"Content-Type: text/plain\r\ncontent-type : text/plain\r\n\r\n", "more than one Content-Type"),
        (b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: 7bit\r\n\r\n", "Content-Transfer-Encoding"),
        (b"MIME-Version: 1.0\r\nMIME-Version: 2.0\r\n\r\n", "MIME-Version"),
        (b"A: b\r\nno field\r\n\r\n", "no field"),
        (b" folded: first\r\nA: b\r\n\r\n", "no field"),
        (b"A: b\rContent-Type: text/plain\r\n\r\n", "bare CR"),
        (b"Content-Type: multipart/mixed\r\n\r\n", "no boundary"),
        (b'Content-Type: multipart/mixed; boundary=""\r\n\r\n', "no boundary"),
        (b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--a\r\n", "more than one way"),
        (b"Content-Type: multipart/mixed; boundary=a; boundary*0=b\r\n\r\n--a\r\n", "more than one way"),
        (b"Content-Type: multipart/mixed; boundary=a b\r\n\r\n--a\r\n", "more than one way"),
        (b'Content-Type: multipart/mixed; boundary="a\r\n\r\n--a\r\n', "more than one way"),
        (b"Content-Type: multipart/mixed boundary=a\r\n\r\n--a\r\n", "more than one way"),
        (b'Content-Type: multipart/mixed; boundary="a "\r\n\r\n--a\r\n', "cannot have"),
        ("Content-Type: multipart/mixed; boundary=ä\r\n\r\n--a\r\n".encode(), "cannot have"),
        (b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n" % (b"a" * 201), "longer than 200"),
        (b"Content-Transfer-Encoding: base64\r\n" + multipart(b"\r\nx"), "transfer encoding"),
        (b"Content-Type: multipart/mixed; boundary=a\r\n\r\ntext\r\n", "no part"),
        (b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a--\r\n", "no part"),
        (multipart(b"\r\nx") + b"--b\r\n\r\ny\r\n", "again after"),
        (multipart(multipart(b"\r\nx", close=b"")), "no part"),
        (multipart(b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx"), "more than one Content-Type"),
        (multipart(b"A: \0\r\n\r\nx"), "NUL"),
        (multipart(b"just text"), "no field"),
    ],
)
def test_what_readers_read_differently_is_a_fault(raw, says):
    assert says in fault(raw)


def test_contradicting_types_have_no_type():
    parsed = parse(b"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--")
    assert parsed.root.content_type.type == "application/octet-stream"
    assert parsed.fault is not None


def test_the_same_mime_version_twice_is_no_contradiction():
    assert parse(b"MIME-Version: 1.0\r\nMIME-Version:  1.0 \r\n\r\n").fault is None


def test_the_first_line_of_a_saved_mail_is_no_fault():
    parsed = parse(b"From anna@a.example Mon Jan  1 00:00:00 2024\nFrom: anna@a.example\n\nbody\n")
    assert parsed.fault is None
    assert [field.name for field in parsed.root.fields] == ["", "from"]


def test_header_that_cannot_be_read():
    with pytest.raises(MimeError, match="NUL"):
        parse(b"A: \0\r\n\r\n")
    with pytest.raises(MimeError, match="larger"):
        parse(b"A: b\r\n" * 100 + b"\r\n", Limits(max_header_bytes=300))
    with pytest.raises(MimeError, match="fields"):
        parse(b"A: b\r\n" * 100 + b"\r\n", Limits(max_fields=99))


def test_limits_of_structure():
    deep = b"\r\nx"
    for level in range(21):
        deep = multipart(deep, boundary=b"n%d" % level, close=b"--n%d--" % level)
    assert "deeper" in fault(deep)
    assert "too many parts" in fault(multipart(*[b"\r\n"] * 11), Limits(max_parts=10))
    near = b"\r\n" + b"--bx\r\n" * 50
    assert "look like a delimiter" in fault(multipart(near), Limits(max_near_misses=20))
    assert parse(multipart(near)).fault is None


def test_thousands_of_levels_are_a_fault_not_a_recursion():
    levels = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (level, level) for level in range(5000)
    )
    assert "deeper" in fault(levels)


def test_a_memory_map_reads_the_same():
    raw = multipart(b"\r\none", b"Content-Transfer-Encoding: base64\r\n\r\nb25l")
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        root = parse(mapped).root
        assert reassembled(root) == raw
        assert root.children[1].decoded_body(3) == b"one"
        assert parse(memoryview(raw)).root.children[0].path == "1"
        del root
        mapped.close()


@pytest.mark.parametrize(
    ("encoding", "body", "decoded"),
    [
        (b"7BIT", b"a\r\n", b"a\r\n"),
        (b"binary (really)", b"\0\r", b"\0\r"),
        (b"", b"x", b"x"),
        (b"Base64", b"YWJj\r\nZGVm", b"abcdef"),
        (b"base64", b"", b""),
        (b"quoted-printable", b"a=3Db=\r\nc=E4", b"a=bc\xe4"),
    ],
)
def test_decoded_body(encoding, body, decoded):
    root = parse(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body).root
    assert root.decoded_body(100) == decoded


@pytest.mark.parametrize(
    ("encoding", "body", "start"),
    [
        (b"7bit", b"abcdefghijk", b"abcdefgh"),
        (b"base64", b"QU\r\nJDREVG", b"ABC"),
        (b"base64", b"=QUJDREVG", b""),
        (b"quoted-printable", b"=41=42CDEF", b"ABCD"),
        (b"x-odd", b"abc", b"abc"),
    ],
)
def test_the_start_of_a_body(encoding, body, start):
    root = parse(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body).root
    assert root.decoded_start(8) == start


@pytest.mark.parametrize(
    ("encoding", "body", "exactly"),
    [
        (b"base64", b"QUI=\r\n", True),
        (b"base64", b" QUI=\r\n\t\r\n", True),
        (b"base64", b"", True),
        (b"base64", b"QUI=\r\nmore\r\n", False),
        (b"base64", b"QU-I=\r\n", False),
        (b"7bit", b"anything at all", True),
        (b"quoted-printable", b"a=3D", True),
    ],
)
def test_whether_all_of_a_body_is_what_is_decoded(encoding, body, exactly):
    root = parse(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body).root
    assert root.is_exactly_encoded() is exactly


@pytest.mark.parametrize("encoding", [b"7bit", b"base64", b"quoted-printable", b"x-uuencode"])
def test_decoded_body_is_bounded(encoding):
    root = parse(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + b"QUJD" * 4000).root
    for limit in (10, 2_000):
        with pytest.raises(MimeError):
            root.decoded_body(limit)


def test_damaged_base64():
    with pytest.raises(MimeError, match="base64"):
        parse(b"Content-Transfer-Encoding: base64\r\n\r\nQUJDR").root.decoded_body(100)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (b"Content-Type: text/plain", None),
        (b'Content-Type: text/plain; name="a.txt"', "a.txt"),
        (b'Content-Type: x/y; name=no\r\nContent-Disposition: attachment; filename="smime.p7m"', "smime.p7m"),
        (b"Content-Disposition: attachment; filename*=utf-8''%e2%82%ac%0d%0a.txt", "€ .txt"),
        (b"Content-Disposition: attachment;\r\n filename*0=ab; filename*1=cd", "abcd"),
        (b'Content-Disposition: attachment; filename="=?utf-8?q?caf=C3=A9?="', "café"),
        (b"Content-Disposition: attachment", None),
    ],
)
def test_filename(fields, name):
    assert parse(fields + b"\r\n\r\n").root.filename == name
