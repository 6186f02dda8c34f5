"""Packets: both formats, every way to write a length, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.packet import DATA_TAGS, Packet, Tag, read_packets, write_packet
from mailseal.policy.reason import ReasonCode
from pgp_samples import old_packet, partial_packet


def read(octets: bytes) -> list[tuple[int, bytes]]:
    return [(packet.tag, packet.octets) for packet in read_packets(octets)]


@pytest.mark.parametrize("length", [0, 1, 191, 192, 8383, 8384, 70_000])
def test_lengths_of_the_new_format(length):
    body = bytes(length)
    octets = write_packet(Tag.LITERAL, body)
    assert len(octets) - length == (2 if length < 192 else 3 if length < 8384 else 6)
    assert read(octets * 2) == [(11, body)] * 2


@pytest.mark.parametrize("length_octets", [1, 2, 4])
def test_lengths_of_the_old_format(length_octets):
    octets = old_packet(Tag.PUBLIC_KEY, b"body", length_octets) + old_packet(Tag.USER_ID, b"next", 1)
    assert read(octets) == [(6, b"body"), (13, b"next")]


def test_positions():
    first, second = write_packet(Tag.USER_ID, b"a" * 200), old_packet(Tag.TRUST, b"b", 2)
    one, two = read_packets(first + second)
    assert (one.start, one.end, two.start, two.end) == (0, len(first), len(first), len(first + second))


def test_partial_lengths_are_joined():
    body = bytes(range(256)) * 5
    octets = partial_packet(Tag.SEIPD, body, 9, 0, 4, 8) + write_packet(Tag.PADDING, b"x")
    assert read(octets) == [(18, body), (21, b"x")]


def test_an_indeterminate_length_goes_to_the_end():
    assert read(old_packet(Tag.COMPRESSED, b"all of it", 0)) == [(8, b"all of it")]


@pytest.mark.parametrize("tag", sorted(set(range(1, 16)) - DATA_TAGS))
def test_only_data_has_no_length_of_its_own(tag):
    for octets in (old_packet(tag, b"x", 0), partial_packet(tag, bytes(20), 4)):
        with pytest.raises(PgpError, match="other than of data"):
            read(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x0b",  # no packet at all
        b"-----BEGIN",
        b"\xcb",  # no length
        b"\xcb\xc0",  # half a length
        b"\xcb\xff\0\0\0",
        b"\x99\0",
        b"\xcb\x05four",  # cut off
        b"\xac\x05four",
        b"\xd2\xe1xx",  # partial, then nothing
        b"\xd2\xe1xx\x05four",
        b"\xd2\xff\xff\xff\xff\xffx",
        b"\xc0\x01x",  # type 0
        b"\x80\x01x",
    ],
)
def test_what_is_no_packet(octets):
    with pytest.raises(PgpError) as caught:
        read(octets)
    assert caught.value.reason is ReasonCode.MALFORMED


def test_too_many_packets():
    with pytest.raises(PgpError) as caught:
        list(read_packets(write_packet(Tag.MARKER, b"PGP") * 11, max_packets=10))
    assert caught.value.reason is ReasonCode.TOO_LARGE


def test_too_many_pieces(monkeypatch):
    octets = b"\xd2" + b"\xe0x" * 1000 + b"\0"
    assert read(octets) == [(18, b"x" * 1000)]
    monkeypatch.setattr("mailseal.openpgp.packet.MAX_PACKETS", 10)
    with pytest.raises(PgpError) as caught:
        read(octets)
    assert caught.value.reason is ReasonCode.TOO_LARGE


def test_what_means_nothing():
    def packet(tag: int) -> Packet:
        return Packet(tag, memoryview(b""), 0, 0)

    assert [tag for tag in range(1, 64) if packet(tag).ignored] == [10, 12, 21, *range(40, 64)]


@given(st.binary(max_size=200))
def test_any_octets_raise_only_the_typed_error(octets):
    try:
        packets = list(read_packets(octets))
    except PgpError:
        return
    assert [packets[0].start if packets else 0, *(packet.end for packet in packets)][-1] == len(octets)
