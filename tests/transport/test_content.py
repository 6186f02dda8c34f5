import os
import random

import pytest

from mailseal.transport.content import ContentDecoder


def reference(stream):
    """A plain reading of RFC 5321 §4.5.2: line by line, CRLF only."""
    end = (b"\r\n" + stream).find(b"\r\n.\r\n")
    if end < 0:
        return None, None
    content = stream[:end] if end else b""
    lines = content.split(b"\r\n")
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines), stream[end + 3 :]


def decode(pieces, **kwargs):
    decoder = ContentDecoder(**kwargs)
    content = b""
    for number, piece in enumerate(pieces):
        more, rest = decoder.feed(piece)
        content += more
        if rest is not None:
            return content, rest + b"".join(pieces[number + 1 :]), decoder.bare_line_feed
    return content, None, decoder.bare_line_feed


def cut(stream, generator):
    pieces = []
    while stream:
        length = generator.randint(1, generator.choice((1, 2, 3, 7, 40)))
        pieces.append(stream[:length])
        stream = stream[length:]
    return pieces


@pytest.mark.parametrize("seed", range(int(os.environ.get("MAILSEAL_EXAMPLES", "60"))))
def test_any_cut_gives_what_the_reference_gives(seed):
    generator = random.Random(seed)
    for _ in range(20):
        body = b"".join(generator.choices([b"\r\n", b".", b"\r", b"a", b"\n", b"..", b"\r\n.", b"x\r\n"], k=30))
        stream = body + b"\r\n.\r\nQUIT\r\n"
        expected, rest = reference(stream)
        content, left, bare = decode(cut(stream, generator))
        assert (content, left) == (expected, rest)
        assert bare == (expected.count(b"\n") != expected.count(b"\r\n"))


def test_empty_content():
    assert decode([b".\r\n"]) == (b"", b"", False)


def test_lone_dots_are_taken_off():
    assert decode([b"..\r\n...\r\n.a\r\n.\r\n"])[0] == b".\r\n..\r\na\r\n"


@pytest.mark.parametrize(
    "fake",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\n\x00.\r\n", b"\r.\r\n", b"\n.\r"],
)
def test_only_crlf_dot_crlf_ends(fake):
    content, rest, bare = decode([b"a" + fake + b"MAIL FROM:<x@y.z>\r\n.\r\nREST"])
    assert rest == b"REST"
    assert b"MAIL FROM" in content
    assert bare == (b"\n" in fake.replace(b"\r\n", b""))


def test_normalising():
    for size in (1, 2, 3, 100):
        stream = b"a\nb\r\nc\rd\n\n.\n.\r\n\r\n.\r\n"
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        content, rest, bare = decode(pieces, normalise=True)
        assert content == b"a\r\nb\r\nc\rd\r\n\r\n.\r\n.\r\n\r\n"
        assert (rest, bare) == (b"", True)
