"""Keyrings are cut into certificates as they are read: of any size, damaged, armored, in one block or in many."""

import base64
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.openpgp import ring
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.ring import MAX_MEMBER_OCTETS, RingError, RingForm, open_ring

COUNT = 5000


def certificate(name, *, secret=False, octets=60):
    primary = Tag.SECRET_KEY if secret else Tag.PUBLIC_KEY
    return write_packet(primary, bytes(octets)) + write_packet(Tag.USER_ID, name) + write_packet(Tag.SIGNATURE, b"s")


ANNA, BOB = certificate(b"anna"), certificate(b"bob", secret=True)
REVOCATION = write_packet(Tag.SIGNATURE, bytes(100))


def armored(octets, label="PUBLIC KEY BLOCK", headers="Comment: x\n\n", width=64, end="\n"):
    text = base64.b64encode(octets).decode()
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    whole = f"-----BEGIN PGP {label}-----\n{headers}" + "\n".join((*lines, "=abcd", f"-----END PGP {label}-----", ""))
    return whole.replace("\n", end).encode()


def read(octets):
    found = open_ring(io.BytesIO(octets))
    return found.form, [one.octets or one.problem for one in found.members]


def test_binary():
    assert read(ANNA + BOB + ANNA) == (RingForm.BINARY, [ANNA, BOB, ANNA])
    members = list(open_ring(io.BytesIO(ANNA + BOB)).members)
    assert [(one.number, one.is_certificate) for one in members] == [(1, True), (2, True)]


def test_old_headers_and_every_length():
    for octets in (1, 191, 192, 8383, 8384, 70_000):
        whole = certificate(b"x", octets=octets)
        assert read(whole + whole)[1] == [whole, whole]
    for tag, size in ((0x98, 1), (0x99, 2), (0x9A, 4), (0x94, 1)):
        old = bytes([tag]) + (50).to_bytes(size, "big") + bytes(50)
        assert read(old + BOB)[1] == [old, BOB]


def test_what_means_nothing_is_left_out():
    noise = write_packet(Tag.MARKER, b"PGP") + write_packet(Tag.TRUST, b"x") + write_packet(Tag.PADDING, bytes(9))
    assert read(noise + ANNA + noise + BOB)[1] == [ANNA, BOB]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("headers", ["\n", "Comment: x\nVersion: y\n\n", ""])
@pytest.mark.parametrize("width", [64, 63, 76])
def test_armored(end, headers, width):
    for octets in (ANNA, ANNA + b"", ANNA + BOB, certificate(b"x", octets=61), certificate(b"x", octets=62)):
        form, members = read(b"text around\n" + armored(octets, headers=headers, width=width, end=end) + b"more\n")
        assert form is RingForm.ARMORED
        assert b"".join(members) == octets


def test_many_blocks_and_what_is_between_them():
    whole = b"\xef\xbb\xbf" + armored(ANNA) + b"Dear Bob\n" + armored(BOB, "PRIVATE KEY BLOCK") + armored(ANNA + BOB)
    assert read(whole)[1] == [ANNA, BOB, ANNA, BOB]
    other = armored(b"x", "MESSAGE")
    assert read(other + armored(ANNA))[1] == ["PGP MESSAGE is no key", ANNA]


def test_a_revocation_alone():
    (member,) = open_ring(io.BytesIO(armored(REVOCATION))).members
    assert (member.octets, member.is_certificate) == (REVOCATION, False)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (ANNA + b"no packet", [ANNA, "the rest is damaged: no OpenPGP packet"]),
        (ANNA + BOB[:-1], [ANNA, BOB[:-3], "the last packet is cut off"]),
        (ANNA + b"\xff", [ANNA, "the rest is damaged: no OpenPGP packet"]),
        (write_packet(Tag.USER_ID, b"x") + ANNA, ["packets of type 13 without a key", ANNA]),
        (write_packet(Tag.SEIPD, b"x"), ["packets of type 18 without a key"]),
        (ANNA + bytes((0xC0 | Tag.SIGNATURE, 0xEA)) + bytes(90), [ANNA, "the rest is damaged: no OpenPGP packet"]),
    ],
)
def test_damaged(octets, expected):
    assert read(octets)[1] == expected


def test_a_block_that_does_not_end_hides_none_behind_it():
    begun = armored(ANNA).split(b"=abcd")[0]
    assert read(begun + armored(BOB))[1] == [ANNA, "the armor has no end", BOB]
    assert read(begun)[1] == [ANNA, "the armor has no end"]
    broken = armored(ANNA).replace(b"=abcd", b"!!!!") + armored(BOB)
    assert read(broken)[1][-2:] == ["the armor is damaged: not base64", BOB]


@pytest.mark.parametrize(
    ("octets", "why"),
    [(b"", "no OpenPGP key"), (b"text\n", "no OpenPGP key"), (bytes(8) + b"KBXf" + bytes(20), "gpg --export")],
)
def test_no_ring_at_all(octets, why):
    with pytest.raises(RingError, match=why):
        open_ring(io.BytesIO(octets))


def test_what_is_too_large_is_passed_over(monkeypatch):
    monkeypatch.setattr(ring, "MAX_MEMBER_OCTETS", 300)
    monkeypatch.setattr(ring, "CHUNK_OCTETS", 50)
    poisoned = ANNA + REVOCATION * 5
    one_packet = ANNA + write_packet(Tag.SIGNATURE, bytes(1000))
    for large in (poisoned, one_packet):
        assert read(BOB + large + BOB)[1] == [BOB, "larger than 0 MiB", BOB]
    assert read(BOB + one_packet[:-1])[1] == [BOB, ANNA, "the last packet is cut off"]
    assert MAX_MEMBER_OCTETS == 8 << 20


@pytest.mark.parametrize("armor", [False, True])
def test_no_more_is_held_than_a_part(armor, monkeypatch):
    monkeypatch.setattr(ring, "CHUNK_OCTETS", 1 << 14)
    whole = certificate(b"x", octets=200) * COUNT
    file = io.BytesIO(armored(whole) if armor else whole)
    tracemalloc.start()
    try:
        count = sum(bool(one.octets) for one in open_ring(file).members)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == COUNT
    assert most < len(whole) / 4


@given(st.binary(max_size=300), st.booleans())
def test_any_octets(octets, armor):
    begun = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n" if armor else b"\x99"
    members = list(open_ring(io.BytesIO(begun + octets)).members)
    assert [one.number for one in members] == list(range(1, len(members) + 1))
    assert all(bool(one.octets) != bool(one.problem) for one in members)
