import mmap
import os
import random

import pytest

from mailseal.transport.content import ContentDecoder
from mailseal.transport.stuffing import WINDOW_BYTES, stuffed


def wire(chunks):
    return b"".join(stuffed(chunks))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], b".\r\n"),
        ([b""], b".\r\n"),
        ([b"a"], b"a\r\n.\r\n"),
        ([b"a\r\n"], b"a\r\n.\r\n"),
        ([b"a\r"], b"a\r\r\n.\r\n"),
        ([b"a\n"], b"a\n\r\n.\r\n"),
        ([b"."], b"..\r\n.\r\n"),
        ([b"a\r\n", b".b\r\n"], b"a\r\n..b\r\n.\r\n"),
        ([b"a\r", b"\n", b".b\r\n"], b"a\r\n..b\r\n.\r\n"),
        ([b"a\r", b"\n.", b"\r\n"], b"a\r\n..\r\n.\r\n"),
        ([b"a\n.\nMAIL"], b"a\n..\nMAIL\r\n.\r\n"),
    ],
)
def test_small(chunks, expected):
    assert wire(chunks) == expected


@pytest.mark.parametrize("seed", range(int(os.environ.get("MAILSEAL_EXAMPLES", "60")) // 2))
def test_large_and_small_agree_and_decode_to_what_was_sent(seed):
    generator = random.Random(seed)
    text = b"".join(generator.choices([b"\r\n", b".", b"\r", b"a", b"\r\n.", b"\n"], k=200))
    whole = wire([text])
    pieces, rest = [], text
    while rest:
        length = generator.randint(0, 5)
        pieces.append(generator.choice([bytes, memoryview])(rest[:length]))
        rest = rest[length:]
    assert wire(pieces) == whole
    filler = b"f" * WINDOW_BYTES
    assert wire([filler, *pieces]) == wire([filler + text])
    padded = b"f" * (WINDOW_BYTES - generator.randint(1, 20)) + text
    expected = padded.replace(b"\n.", b"\n..")
    expected += b".\r\n" if expected.endswith(b"\r\n") else b"\r\n.\r\n"
    assert wire([padded]) == expected
    clean = text.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
    assert ContentDecoder().feed(wire([clean])) == (clean, b"")


def test_a_mapped_file(tmp_path):
    path = tmp_path / "mail"
    body = (b"line\r\n" * 50_000) + b".\r\n" * 100_000
    path.write_bytes(body)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        with memoryview(mapped) as view, view[6:] as cut:
            assert wire([b"head\r\n", cut]) == wire([b"head\r\n" + body[6:]])
        assert wire([mapped]) == wire([body])
