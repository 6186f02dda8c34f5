"""Whatever the octets are: what comes back is an inspection, the budget is kept, and what is in a mail is not lost."""

import io
import zipfile
from base64 import encodebytes

from hypothesis import example, given, settings
from hypothesis import strategies as st

from documents.archive_writer import written, zipped
from documents.mail_reading import entity, mail, multipart, read_mail
from documents.reading import read
from mails import messages, mutilated
from mailseal.errors import PermanentError
from mailseal.extract.budget import Budget
from mailseal.extract.html import text_of
from mailseal.extract.markup import xml_text
from mailseal.extract.sniff import Format, formats
from mailseal.extract.text import readings
from mailseal.mail.mime import parse
from mailseal.policy.inspection import Inspection

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=20)
OURS = {"TypeError", "AttributeError", "NameError", "KeyError", "IndexError", "AssertionError", "RecursionError"}
"""Errors that say that a reader is wrong, not what it reads."""
SEEDS = [
    zipped({"a.txt": b"hello" * 50, "b.html": b"<p>x</p>"}),
    zipped({"[Content_Types].xml": "<T/>", "word/document.xml": "<w:p><w:t>x</w:t></w:p>"}),
    zipped({"a": b"x" * 200}, zipfile.ZIP_STORED),
    written("7zip", {"a.txt": b"hello"}),
    written("gnutar", {"a.txt": b"hello"}, "gzip"),
    rb"{\rtf1\ansi{\fonttbl{\f0 A;}}a\'e9\u8364?{\*\objdata 0102}\bin3 abc{\footnote x}}",
    b"<html><p hidden title='x'>a<!-- b --><script>c</script>&#65;",
    b"<?xml version='1.0'?><a><!--x--><![CDATA[y]]></a>",
    b"From a@b Mon\nFrom: a\nTo: b\n\nbegin 644 x\n#:&5L\n`\nend\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\x08zTXta\0\0x\x9cK",
    bytes.fromhex("308006092a864886f70d010702a080"),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    octets = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(octets)))
        stop = draw(st.integers(start, min(len(octets), start + 20)))
        octets[start:stop] = draw(st.one_of(st.binary(max_size=12), st.just(bytes(octets[start:stop]) * 2)))
    return bytes(octets)


def budgeted(found: Inspection, characters: int) -> bool:
    return sum(len(one.text) for one in found.passages) <= characters


@settings(max_examples=150, deadline=None)
@given(octets=st.one_of(st.binary(max_size=300), damaged()), characters=st.integers(0, 500))
def test_any_octets_are_an_inspection_within_the_budget(octets: bytes, characters: int) -> None:
    budget = Budget(characters=characters, octets=100_000, files=20, depth=4)
    found = read(octets, budget)
    assert isinstance(found, Inspection)
    assert not {one.detail for one in found.gaps} & OURS
    assert budgeted(found, characters)
    for passage in found.passages:
        passage.text.encode()  # as patterns will
    assert all(one.place.isprintable() or "\ufffd" in one.place for one in found.gaps)


@settings(max_examples=100, deadline=None)
@given(raw=st.one_of(messages, mutilated(), st.binary(max_size=200)), characters=st.integers(0, 2000))
def test_any_mail_is_an_inspection_within_the_budget(raw: bytes, characters: int) -> None:
    try:
        parse(raw)
    except PermanentError:
        return
    found = read_mail(raw, Budget(characters=characters, octets=100_000, files=50, depth=4))
    assert budgeted(found, characters)


@settings(max_examples=100, deadline=None)
@given(raw=mutilated())
def test_a_structure_at_fault_is_always_a_gap(raw: bytes) -> None:
    try:
        fault = parse(raw).fault
    except PermanentError:
        return
    if fault is not None:
        assert any(one.reason == "ambiguous" for one in read_mail(raw).gaps)


@settings(max_examples=60, deadline=None)
@given(
    word=WORDS,
    charset=st.sampled_from(["utf-8", "utf-16", "utf-7", "gb18030"]),
    encoding=st.sampled_from(["8bit", "base64", "quoted-printable"]),
    wrap=st.integers(0, 3),
)
def test_a_word_is_found_in_any_charset_encoding_and_depth(word: str, charset: str, encoding: str, wrap: int) -> None:
    octets = word.encode(charset)
    if encoding == "8bit" and (charset == "utf-16" or word[:1] == "-"):
        return  # line ends in the middle of a character
    body = {"8bit": octets, "base64": encodebytes(octets), "quoted-printable": _quoted(octets)}[encoding]
    part = entity(body, f"text/plain; charset={charset}", f"Content-Transfer-Encoding: {encoding}")
    for _ in range(wrap):
        part = entity(mail(multipart(part, entity(b"x"))), "message/rfc822")
    assert any(word in one.text for one in read_mail(mail(multipart(part))).passages)


def _quoted(octets: bytes) -> bytes:
    return b"".join(b"=%02X" % one for one in octets)


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(max_size=200),
    pieces=st.lists(st.sampled_from(["<b>", "</p>", "<!--", "-->", "&#", ";", '"', "<a b='", ">"])),
)
@example(text="&#" + "1" * 5000, pieces=[])
def test_html_and_xml_never_raise(text: str, pieces: list[str]) -> None:
    html = text.join(pieces) if pieces else text
    text_of(html)
    xml_text(html)
    xml_text(html, joins=False)


@given(words=st.lists(WORDS, min_size=1, max_size=5), tag=st.sampled_from(["b", "span style='x'", "a href=''", "font"]))
def test_inline_tags_take_no_word_apart(words: list[str], tag: str) -> None:
    html = "".join(f"<{tag}>{word}</{tag.split(maxsplit=1)[0]}>" for word in words)
    assert text_of(html).all == "".join(words)


@given(octets=st.binary(max_size=200), charset=st.sampled_from(["", "utf-8", "utf-16", "x", "iso-8859-15", "utf-7"]))
def test_octets_have_a_reading(octets: bytes, charset: str) -> None:
    assert readings(octets, charset)
    assert formats(octets)
    assert formats(b"   \r\n") == (Format.EMPTY,)


def test_a_zip_of_many_sizes_is_read_whole() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for size in (0, 1, 1000, 262_144, 262_145, 600_000):
            archive.writestr(f"{size}.txt", "x" * size + "end")
    assert sum("end" in one.text for one in read(out.getvalue()).passages) == 6
