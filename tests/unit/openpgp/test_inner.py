"""The inner grammar: exactly one literal; everything else is refused, and so is what grows beyond its limit."""

import bz2
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.openpgp.algorithms import CompressionId
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.inner import TEXT, UTF8, Inner, read_inner, write_compressed, write_literal, write_signed
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.openpgp.sign import sign_document
from mailseal.policy.reason import ReasonCode
from pgp_craft import key
from pgp_samples import CONTENT, LIMIT, LITERAL, MADE, old_packet, partial_packet, samples

ANNA, V6 = key("ed25519"), key("ed25519", version=6)
SIGNATURE = sign_document(ANNA.private, ANNA.public, CONTENT, at=MADE)
SIGNATURE_V6 = sign_document(V6.private, V6.public, CONTENT, at=MADE)
ONE_PASS = write_packet(Tag.ONE_PASS_SIGNATURE, b"\3\0\x08\x16" + bytes(8) + b"\1")
MARKER, PADDING = write_packet(Tag.MARKER, b"PGP"), write_packet(Tag.PADDING, bytes(100))
PRIVATE_USE = write_packet(60, b"whatever")


def compressed(packets: bytes, algorithm: int = CompressionId.ZIP) -> bytes:
    if algorithm == CompressionId.BZIP2:
        body = bz2.compress(packets)
    elif algorithm == CompressionId.UNCOMPRESSED:
        body = packets
    else:
        body = zlib.compress(packets)
        if algorithm == CompressionId.ZIP:
            body = body[2:-4]
    return write_packet(Tag.COMPRESSED, bytes((algorithm,)) + body)


@pytest.mark.parametrize(
    ("packets", "signatures"),
    [
        (LITERAL, 0),
        (ONE_PASS + LITERAL + SIGNATURE, 1),
        (ONE_PASS * 2 + LITERAL + SIGNATURE * 2, 2),
        (SIGNATURE + LITERAL, 1),
        (SIGNATURE * 2 + LITERAL, 2),
        (MARKER + LITERAL + PADDING, 0),
        (MARKER + ONE_PASS + PRIVATE_USE + LITERAL + SIGNATURE + PADDING, 1),
    ],
)
def test_one_message(packets, signatures):
    for octets in (packets, *(compressed(packets, algorithm) for algorithm in CompressionId)):
        for around in (octets, MARKER + octets + PADDING):
            found = read_inner(around, LIMIT)
            assert (found.literal, found.format, found.filename, found.created) == (CONTENT, "b", "", None)
            assert found.signatures == (SIGNATURE,) * signatures


@pytest.mark.parametrize(
    "packets",
    [
        b"",
        MARKER,
        LITERAL * 2,
        LITERAL + samples()["to-cv25519"],  # a literal before an encrypted message
        samples()["to-cv25519"] + LITERAL,
        samples()["to-cv25519"],
        samples()["to-cv25519"] * 2,
        ONE_PASS + LITERAL,
        LITERAL + SIGNATURE,
        ONE_PASS + LITERAL + SIGNATURE * 2,
        ONE_PASS * 2 + LITERAL + SIGNATURE,
        SIGNATURE + LITERAL + SIGNATURE,
        SIGNATURE + ONE_PASS + LITERAL + SIGNATURE,
        ONE_PASS + SIGNATURE + LITERAL,
        ONE_PASS + LITERAL + LITERAL + SIGNATURE,
        ONE_PASS + LITERAL + write_packet(Tag.USER_ID, b"x"),
        ONE_PASS + compressed(LITERAL) + SIGNATURE,
        compressed(compressed(LITERAL)),
        compressed(LITERAL) * 2,
        compressed(LITERAL) + LITERAL,
        LITERAL + compressed(LITERAL),
        compressed(samples()["to-cv25519"]),
        LITERAL + write_packet(39, b"unknown and critical"),
        write_packet(Tag.SEIPD, b"\1") + LITERAL,
        LITERAL + b"rubbish",
        SIGNATURE,
    ],
)
def test_anything_else_is_refused(packets):
    for octets in (packets, compressed(packets)):
        with pytest.raises(PgpError) as caught:
            read_inner(octets, LIMIT)
        assert caught.value.reason is ReasonCode.MALFORMED


def test_too_many_packets_and_signatures():
    with pytest.raises(PgpError) as caught:
        read_inner(MARKER * 200 + LITERAL, LIMIT)
    assert caught.value.reason is ReasonCode.TOO_LARGE
    with pytest.raises(PgpError) as caught:
        read_inner(SIGNATURE * 65 + LITERAL, LIMIT)
    assert caught.value.reason is ReasonCode.TOO_MANY_SIGNERS


def test_framings_of_old():
    body = next(read_packets(LITERAL)).octets
    for octets in (
        old_packet(Tag.LITERAL, body),
        old_packet(Tag.LITERAL, body, 0),
        partial_packet(Tag.LITERAL, body, 4, 1, 0),
        old_packet(Tag.COMPRESSED, b"\0" + old_packet(Tag.LITERAL, body, 0), 0),
        partial_packet(Tag.COMPRESSED, next(read_packets(compressed(LITERAL))).octets, 3, 3),
    ):
        assert read_inner(octets, LIMIT).literal == CONTENT


def test_literals():
    for form, name in ((TEXT, "a.txt"), (UTF8, "gr\u00fcn"), ("m", ""), ("1", "x" * 255)):
        packets = write_literal([b"con", b"tent"], form=form, filename=name, created=MADE)
        assert read_inner(b"".join(packets), 7) == Inner(b"content", form, name, MADE, ())
    odd = write_packet(Tag.LITERAL, b"b\2\xff\xfe" + bytes(4) + b"x")
    assert read_inner(odd, LIMIT).filename == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", ReasonCode.MALFORMED),
        (b"b", ReasonCode.MALFORMED),
        (b"b\0\0\0\0", ReasonCode.MALFORMED),
        (b"b\xffx", ReasonCode.MALFORMED),
        (b"x\0" + bytes(4), ReasonCode.UNSUPPORTED_ALGORITHM),
    ],
)
def test_what_is_no_literal(body, reason):
    with pytest.raises(PgpError) as caught:
        read_inner(write_packet(Tag.LITERAL, body), LIMIT)
    assert caught.value.reason is reason


@pytest.mark.parametrize("algorithm", list(CompressionId))
def test_the_limit(algorithm):
    size = 5000
    packets = compressed(b"".join(write_literal([bytes(size)])), algorithm)
    assert len(read_inner(packets, size).literal) == size
    with pytest.raises(PgpError) as caught:
        read_inner(packets, size - 1)
    assert caught.value.reason is ReasonCode.TOO_LARGE


@pytest.mark.parametrize("algorithm", [CompressionId.ZIP, CompressionId.ZLIB, CompressionId.BZIP2])
def test_bombs_cost_no_memory(algorithm):
    octets = compressed(b"".join(write_literal([bytes(20_000_000)])), algorithm)
    assert len(octets) < 40_000
    tracemalloc.start()
    with pytest.raises(PgpError) as caught:
        read_inner(octets, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.reason is ReasonCode.TOO_LARGE
    assert peak < 6_000_000


@pytest.mark.parametrize("algorithm", [CompressionId.ZIP, CompressionId.ZLIB, CompressionId.BZIP2])
def test_damaged_compression(algorithm):
    packet = compressed(LITERAL, algorithm)
    body = next(read_packets(packet)).octets
    for damaged in (body[:-10], body[:5], body[:1], body[:1] + b"\xff" + body[1:]):
        with pytest.raises(PgpError) as caught:
            read_inner(write_packet(Tag.COMPRESSED, damaged), LIMIT)
        assert caught.value.reason is ReasonCode.MALFORMED
    # What old programs put behind it is nothing.
    assert read_inner(write_packet(Tag.COMPRESSED, body + b"\0"), LIMIT).literal == CONTENT


@pytest.mark.parametrize(("body", "reason"), [(b"", ReasonCode.MALFORMED), (b"\4x", ReasonCode.UNSUPPORTED_ALGORITHM)])
def test_what_is_not_compressed(body, reason):
    with pytest.raises(PgpError) as caught:
        read_inner(write_packet(Tag.COMPRESSED, body), LIMIT)
    assert caught.value.reason is reason


@pytest.mark.parametrize("signatures", [(SIGNATURE,), (SIGNATURE_V6,), (SIGNATURE, SIGNATURE_V6), (SIGNATURE * 2,)])
def test_signed_messages(signatures):
    octets = b"".join(write_signed(write_literal([CONTENT]), signatures))
    found = read_inner(octets, LIMIT)
    assert (found.literal, b"".join(found.signatures)) == (CONTENT, b"".join(signatures))
    one_pass = [packet.octets for packet in read_packets(octets) if packet.tag == Tag.ONE_PASS_SIGNATURE]
    assert [one[-1] for one in one_pass] == [*[0] * (len(one_pass) - 1), 1]
    issuers = {3: ANNA.public.key_id, 6: V6.fingerprint}
    for packet, signature in zip(one_pass, reversed(found.signatures), strict=True):
        body = next(read_packets(signature)).octets
        assert packet[:4] == bytes((3 if body[0] == 4 else 6, body[1], body[3], body[2]))
        assert packet[:-1].endswith(bytes.fromhex(issuers[packet[0]]))


def test_only_signatures_sign():
    with pytest.raises(PgpError):
        write_signed(write_literal([CONTENT]), [LITERAL])


@pytest.mark.parametrize("algorithm", [CompressionId.UNCOMPRESSED, CompressionId.ZIP, CompressionId.ZLIB])
def test_what_is_compressed_is_read(algorithm):
    octets = b"".join(write_compressed(write_literal([CONTENT, bytes(10_000)]), algorithm))
    assert read_inner(octets, LIMIT).literal == CONTENT + bytes(10_000)
    assert (len(octets) < 1000) is (algorithm != CompressionId.UNCOMPRESSED)


def test_bzip2_is_not_written():
    with pytest.raises(PgpError):
        write_compressed([LITERAL], CompressionId.BZIP2)


PIECES = (LITERAL, SIGNATURE, ONE_PASS, MARKER, PADDING, compressed(LITERAL), compressed(LITERAL + SIGNATURE))


@given(st.lists(st.sampled_from(PIECES), max_size=5))
def test_no_sequence_yields_two_literals(pieces):
    try:
        found = read_inner(b"".join(pieces), LIMIT)
    except PgpError:
        return
    assert found.literal == CONTENT
    assert sum(one in (LITERAL, compressed(LITERAL)) for one in pieces) == 1


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xc8\x50\1", b"\xc8\x50\2", b"\xcb\x20", b"\xa3\1"]))
def test_any_octets_raise_only_the_typed_error(octets, start):
    for one in (octets, start + octets):
        try:
            read_inner(one, LIMIT)
        except PgpError:
            continue
