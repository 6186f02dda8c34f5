import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import compressed
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, der
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
