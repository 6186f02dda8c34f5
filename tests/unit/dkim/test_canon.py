"""Canonical bodies: in pieces as in one, however the mail is cut; against a slow and obvious second version."""

import re
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.dkim.canon import SLICE_OCTETS, Canon, body_hash, body_pieces, header_field

ODD = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b"x", b"\xff", b"--b"]), max_size=40).map(b"".join)


def plain(body, canon):
    """RFC 6376 §3.4.3 and §3.4.4, word by word."""
    lines = body.split(b"\r\n")
    if canon is Canon.RELAXED:
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return b"" if canon is Canon.RELAXED else b"\r\n"
    return b"\r\n".join(lines) + b"\r\n"


@given(ODD, st.sampled_from(Canon), st.lists(st.integers(0, 80), max_size=10))
def test_however_it_is_cut(body, canon, cuts):
    places = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    chunks = [body[start:end] for start, end in pairwise(places)]
    assert b"".join(body_pieces(chunks, canon)) == plain(body, canon)


@pytest.mark.parametrize("canon", list(Canon))
@pytest.mark.parametrize("blank", [b"\r\n", b" \r\n", b"\t \r\n", b"\r", b" "])
def test_long_runs_take_linear_time_and_little_memory(canon, blank):
    body = b"x" + blank * (3 * SLICE_OCTETS // len(blank)) + b"y"
    tracemalloc.start()
    digest, length = body_hash([body], canon)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * SLICE_OCTETS
    assert length == len(plain(body, canon))
    assert digest == body_hash([body[:1000], body[1000:]], canon)[0]


@pytest.mark.parametrize(("raw", "relaxed"), [
    (b"Subject: a\r\n", b"subject:a\r\n"),
    (b"SUBJECT \t:\t a \t b \r\n", b"subject:a b\r\n"),
    (b"Subject:\r\n  a\r\n\tb\r\n", b"subject:a b\r\n"),
    (b"Subject:\r\n", b"subject:\r\n"),
    (b"Subject: a", b"subject:a\r\n"),
    (b"Subject: a: b\r\n", b"subject:a: b\r\n"),
    (b"Subject: \xc3\xa4\r\n", b"subject:\xc3\xa4\r\n"),
    (b"Subject: a\rb\r\n", b"subject:a\rb\r\n"),
])  # fmt: skip
def test_header_fields(raw, relaxed):
    assert header_field(raw, Canon.RELAXED) == relaxed
    assert header_field(raw, Canon.SIMPLE) == raw.removesuffix(b"\r\n") + b"\r\n"
