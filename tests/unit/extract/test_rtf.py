r"""RTF: code pages, Unicode, what is hidden, notes, and files that are embedded."""

import time

import pytest

from documents.archive_writer import zipped
from documents.reading import read, text_of
from mailseal.policy.inspection import GapReason


def rtf(body: bytes) -> bytes:
    return rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}}" + body + b"}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb"41{\b 11}", "4111"),
        (rb"\'e9cole", "école"),
        (rb"\u233?cole", "école"),
        (rb"\uc2\u233 ??cole", "école"),
        (rb"{\uc0 \u233 cole}", "école"),
        (rb"\u-10179?\u-8704?", "\U0001f600"),
        (rb"\f1\'e0\'e1\f0 x", "\u0430\u0431x"),
        (rb"a\par b\tab c", "a\nb\tc"),
        (rb"a\{b\}\\", "a{b}\\"),
        (rb"41{\v hid}11", "4111"),
        (rb"41{\deleted gone}11", "4111"),
        (rb"41{\footnote\pard note}11", "4111"),
        (rb"41\v hid\v0 11", "4111"),
        (b"41\r\n11", "4111"),
        (rb"41{\*\unknown dest}11", "4111"),
        (rb"41\bin4 }}}}11", "4111"),
        (b"line\\\nnext", "line\nnext"),
    ],
)
def test_what_a_reader_sees(body: bytes, text: str) -> None:
    (shown, *_) = [one.text for one in read(rtf(body)).passages if one.place == "file"]
    assert shown == text


@pytest.mark.parametrize(
    "body",
    [
        rb"{\header secret}",
        rb"{\footnote secret}",
        rb"{\v secret}",
        rb"{\deleted secret}",
        rb"{\*\annotation secret}",
        rb'{\field{\*\fldinst HYPERLINK "http://secret"}{\fldrslt x}}',
        rb"{\info{\title secret}{\keywords y}}",
        rb"{\*\docvar {name}{secret}}",
        rb"{\pict{\*\picprop{\sp{\sn wzDescription}{\sv secret}}}\pngblip 00}",
    ],
)
def test_what_is_aside_is_read(body: bytes) -> None:
    assert "secret" in text_of(read(rtf(b"text " + body)))


def test_embedded_files_are_read_in_hexadecimal_and_in_binary() -> None:
    inner = zipped({"a.txt": "the secret"})
    objects = rb"{\object\objemb{\*\objdata 01050000" + inner.hex("\n", 30).encode() + b"}}"
    assert "the secret" in text_of(read(rtf(objects)))
    assert "the secret" in text_of(read(rtf(rb"\bin%d " % len(inner) + inner)))


@pytest.mark.parametrize("piece", [b"{", b"}", rb"\a", rb"\u65?", rb"\'", b"\\", rb"{\v ", rb"\bin9 ", rb"{\pict 0"])
def test_nothing_is_slow(piece: bytes) -> None:
    start = time.process_time()
    found = read(rtf(piece * 30_000))
    assert not [one for one in found.gaps if one.reason is not GapReason.TOO_MANY]
    assert time.process_time() - start < 20
