from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.reason import ReasonCode
from mailseal.smime import ber, der
from mailseal.smime.errors import CmsError

trees = st.recursive(
    st.binary(max_size=300).map(der.octet_string) | st.integers(-(2**200), 2**200).map(der.integer),
    lambda inner: st.lists(inner, max_size=5).map(lambda parts: der.sequence(*parts)),
    max_leaves=20,
)


def walk(element, depth=0):
    """Read everything there is."""
    if element.tag & ber.CONSTRUCTED:
        for child in element.children:
            walk(child, depth + 1)
    return element


def indefinite(octets: bytes) -> bytes:
    """The same with every constructed element in the indefinite form."""
    element = ber.read(octets)
    if not element.tag & ber.CONSTRUCTED:
        return octets
    inside = b"".join(indefinite(child.whole) for child in element.children)
    return bytes([element.tag, 0x80]) + inside + b"\0\0"


@given(trees)
def test_what_is_written_is_read(octets):
    assert der.normalised(ber.read(octets)) == octets
    assert ber.read(octets).whole == octets


@given(trees)
def test_indefinite_lengths_are_the_same_in_der(octets):
    assert der.normalised(ber.read(indefinite(octets))) == octets


@given(st.binary(max_size=400))
def test_any_octets_raise_only_the_typed_error(octets):
    with suppress(CmsError):
        walk(ber.read(octets))


@given(st.integers(-(2**500), 2**500))
def test_integers(value):
    assert ber.integer(ber.read(der.integer(value))) == value


@given(st.integers(0, 2**32 - 1))
def test_lengths_are_written_in_the_shortest_form(length):
    header = der.header(0x04, length)
    if length < 128:
        assert header == bytes([0x04, length])
    else:
        assert header[1] & 0x7F == len(header) - 2
        assert header[2] != 0
        assert int.from_bytes(header[2:], "big") == length


def test_object_identifiers():
    assert der.oid("1.2.840.113549.1.7.2").hex() == "06092a864886f70d010702"
    assert der.oid("2.16.840.1.101.3.4.2.1").hex() == "0609608648016503040201"
    assert der.oid("2.999.0").hex() == "0603883700"


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(("depth", "fits"), [(64, True), (65, False), (100_000, False)])
def test_depth_is_bounded(depth, fits, closed):
    if closed:
        octets = b""
        for _ in range(min(depth, 3000)):
            octets = der.sequence(octets)
    else:
        octets = b"\x30\x80" * depth + b"\0\0" * depth
    if fits:
        walk(ber.read(octets))
        return
    with pytest.raises(CmsError) as caught:
        walk(ber.read(octets))
    assert caught.value.reason is ReasonCode.TOO_DEEP


@pytest.mark.parametrize("outer", [der.sequence, lambda inside: b"\x30\x80" + inside + b"\0\0"])
def test_elements_are_counted(outer):
    with pytest.raises(CmsError) as caught:
        walk(ber.read(outer(b"\x05\x00" * 100_000)))
    assert caught.value.reason is ReasonCode.TOO_LARGE


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30",
        b"\x30\x01",
        b"\x30\x85\x00\x00\x00\x00\x00",
        b"\x30\x82\x01",
        b"\x04\x80\x00\x00",
        b"\x30\x80",
        b"\x30\x80\x00",
        b"\x30\x80\x04\x01\x00",
        b"\x1f\x01\x00",
        b"\x30\xff",
    ],
    ids=bytes.hex,
)
def test_malformed(octets):
    with pytest.raises(CmsError):
        walk(ber.read(octets))


def test_an_end_mark_does_not_reach_beyond_its_parent():
    with pytest.raises(CmsError):
        walk(ber.read(b"\x30\x03\x30\x80\x00\x00"))


@given(st.lists(st.binary(max_size=50), max_size=8), st.booleans())
def test_strings_in_pieces_are_joined(parts, nested):
    inside = b"".join(map(der.octet_string, parts))
    if nested:
        inside = b"\x24\x80" + inside + b"\0\0"
    element = ber.read(b"\x24\x80" + inside + b"\0\0")
    assert ber.octets(element) == b"".join(parts)
    assert ber.octets(ber.read(der.element(0xA0, inside)), 0x80) == b"".join(parts)


def test_strings_with_other_pieces_are_refused():
    with pytest.raises(CmsError):
        ber.octets(ber.read(der.element(0x24, der.integer(1))))
    with pytest.raises(CmsError):
        ber.octets(ber.read(der.integer(1)))


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_sets_are_sorted(parts):
    found = [child.whole for child in ber.read(der.set_of(map(der.octet_string, parts))).children]
    assert found == sorted(found)
