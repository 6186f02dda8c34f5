import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import compressed
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, der
from mailseal.smime.compress import decompress
from mailseal.smime.errors import CmsError


@given(st.binary(max_size=2000), st.integers(0, 20))
def test_content_comes_back_up_to_the_limit_and_no_further(content, missing):
    octets = compressed(zlib.compress(content))
    assert decompress(octets, len(content)) == content
    if 0 < missing <= len(content):
        with pytest.raises(CmsError) as caught:
            decompress(octets, len(content) - missing)
        assert caught.value.reason is ReasonCode.TOO_LARGE


def test_a_bomb_is_not_inflated():
    octets = compressed(zlib.compress(bytes(50_000_000), 9))
    assert len(octets) < 60_000
    with pytest.raises(CmsError) as caught:
        decompress(octets, 1000)
    assert caught.value.reason is ReasonCode.TOO_LARGE


@pytest.mark.parametrize("content", [b"", b"no zlib", zlib.compress(b"whole")[:-3]], ids=["empty", "other", "cut"])
def test_damage(content):
    with pytest.raises(CmsError) as caught:
        decompress(compressed(content), 1000)
    assert caught.value.reason is ReasonCode.MALFORMED


def test_other_structures_and_algorithms():
    octets = compressed(zlib.compress(b"x"))
    with pytest.raises(CmsError) as caught:
        decompress(octets.replace(algorithms.ZLIB, der.oid("1.2.840.113549.1.9.16.3.9")), 1000)
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM
    with pytest.raises(CmsError):
        decompress(octets.replace(algorithms.COMPRESSED_DATA, der.oid("1.2.840.113549.1.9.16.1.8")), 1000)


def test_content_in_pieces():
    packed = zlib.compress(b"Hello " * 100)
    pieces = b"".join(der.octet_string(packed[at : at + 5]) for at in range(0, len(packed), 5))
    inside = der.sequence(algorithms.DATA, der.element(0xA0, b"\x24\x80" + pieces + b"\0\0"))
    whole = der.sequence(der.integer(0), der.sequence(algorithms.ZLIB), inside)
    octets = der.sequence(algorithms.COMPRESSED_DATA, der.element(0xA0, whole))
    assert decompress(octets, 600) == b"Hello " * 100
    with pytest.raises(CmsError):
        decompress(octets, 599)


def indefinite(octets: bytes) -> bytes:
    """The same in BER: every constructed length indefinite, every octet string in pieces."""
    element = ber.read(octets)
    if element.tag == ber.OCTET_STRING:
        value = element.value
        pieces = b"".join(der.octet_string(value[at : at + 7]) for at in range(0, len(value), 7))
        return b"\x24\x80" + pieces + b"\0\0"
    if not element.tag & ber.CONSTRUCTED:
        return octets
    return bytes((element.tag, 0x80)) + b"".join(indefinite(one.whole) for one in element.children) + b"\0\0"


@given(st.binary(max_size=300))
def test_ber_everywhere(content):
    octets = indefinite(compressed(zlib.compress(content)))
    assert decompress(octets, 300) == content


@pytest.mark.parametrize("layers", [2, 10])
def test_compressed_within_compressed_is_taken_off_layer_by_layer(layers):
    content = b"Hello"
    for _ in range(layers):
        content = compressed(zlib.compress(content))
    for _ in range(layers):
        assert content != b"Hello"
        content = decompress(content, 10_000)
    assert content == b"Hello"


def test_a_bomb_within_a_bomb_is_bounded_at_each_layer():
    bomb = compressed(zlib.compress(compressed(zlib.compress(bytes(30_000_000), 9)), 9))
    inner = decompress(bomb, 100_000)
    with pytest.raises(CmsError) as caught:
        decompress(inner, 100_000)
    assert caught.value.reason is ReasonCode.TOO_LARGE


def test_memory_stays_near_the_limit():
    octets = compressed(zlib.compress(bytes(50_000_000), 9))
    tracemalloc.start()
    try:
        with pytest.raises(CmsError):
            decompress(octets, 1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("content", [der.NULL, der.sequence(), der.integer(1), b"\x24\x02\x05\0"])
def test_content_that_is_no_octet_string(content):
    inside = der.sequence(algorithms.DATA, der.element(0xA0, content))
    whole = der.sequence(der.integer(0), der.sequence(algorithms.ZLIB), inside)
    with pytest.raises(CmsError) as caught:
        decompress(der.sequence(algorithms.COMPRESSED_DATA, der.element(0xA0, whole)), 1000)
    assert caught.value.reason is ReasonCode.MALFORMED
