"""PEM as a stream: blocks wherever the reading of the file cuts them, and bounds."""

import base64
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.smime import pem
from mailseal.smime.pem import blocks


def block(label, octets, end="\n"):
    return f"-----BEGIN {label}-----{end}{base64.encodebytes(octets).decode()}-----END {label}-----{end}".encode()


def read(data):
    return [(one.label, one.der()) if not one.problem else one.problem for one in blocks(BytesIO(data))]


@given(
    st.lists(st.tuples(st.sampled_from(["A", "CERTIFICATE", "PKCS #7 SIGNED DATA"]), st.binary(max_size=200))),
    st.sampled_from(["\n", "\r\n", " \r\n"]),
    st.integers(1, 300),
    st.binary(max_size=50).filter(lambda octets: b"-" not in octets),
)
def test_whatever_is_written_is_read(members, end, chunk, between):
    written = between + b"\n".join(block(label, octets, end) + between for label, octets in members)
    before, pem.CHUNK_OCTETS = pem.CHUNK_OCTETS, chunk
    try:
        assert read(written) == members
    finally:
        pem.CHUNK_OCTETS = before


@given(st.binary(max_size=500), st.integers(1, 100))
def test_any_octets_are_read(octets, chunk):
    before, pem.CHUNK_OCTETS = pem.CHUNK_OCTETS, chunk
    try:
        data = octets.replace(b"\0", b"-----BEGIN A-----\n").replace(b"\1", b"-----END A-----")
        for one in blocks(BytesIO(data)):
            assert one.problem or b"-----" not in one.text
    finally:
        pem.CHUNK_OCTETS = before


def test_a_block_without_end_does_not_hide_the_next():
    good = block("CERTIFICATE", b"good")
    assert read(good[:40] + b"\n" + good) == ["the PEM block CERTIFICATE has no end", ("CERTIFICATE", b"good")]
    assert read(good.replace(b"END CERT", b"END X509 CERT") + good)[1] == ("CERTIFICATE", b"good")
    assert read(good[:40]) == ["the PEM block CERTIFICATE has no end"]


def test_what_is_not_base64():
    (one,) = blocks(BytesIO(b"-----BEGIN A-----\n*\n-----END A-----\n"))
    with pytest.raises(ValueError, match="not base64"):
        one.der()


def test_a_block_is_given_back_as_it_stood():
    text = b"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END A-----\n"
    (one,) = blocks(BytesIO(b"before\n" + text))
    assert one.has_headers
    assert one.whole == text


def test_a_block_that_is_too_long():
    long = block("A", bytes(3000))
    good = block("B", b"good")
    found = list(blocks(BytesIO(long + good), max_block_octets=100))
    # The first read already holds both: the limit counts for what would have to be read besides.
    assert [one.problem for one in found] == ["", ""]
    pem.CHUNK_OCTETS, before = 64, pem.CHUNK_OCTETS
    try:
        found = list(blocks(BytesIO(long + good), max_block_octets=1000))
    finally:
        pem.CHUNK_OCTETS = before
    assert [(one.label, one.problem) for one in found] == [("A", "the PEM block A has no end"), ("B", "")]


class Endless:
    """Blocks for ever, made as they are read."""

    def __init__(self, octets):
        self.left = octets
        self.text = block("CERTIFICATE", bytes(1000)) * 200

    def read(self, octets):
        octets = min(octets, self.left)
        self.left -= octets
        return (self.text * (octets // len(self.text) + 1))[:octets]


def test_memory_does_not_grow_with_the_file():
    peaks = []
    for megabytes in (2, 20):
        tracemalloc.start()
        assert sum(1 for _ in blocks(Endless(megabytes << 20))) > megabytes * 500
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 100_000
