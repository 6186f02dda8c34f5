"""What is inside an encrypted or a signed message (RFC 9580 §10.3): one literal, with signatures or without.

Exactly one of: a literal; one-pass signatures, a literal, as many signatures; signatures, a literal. All of it may be
inside one compressed packet. Anything else is refused: a reader that showed one of several would show another one
than the next reader does.
"""

import bz2
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailseal.mail.message import Octets
from mailseal.openpgp.algorithms import CompressionId
from mailseal.openpgp.errors import PgpError, malformed, only_pgp_errors, unsupported
from mailseal.openpgp.fields import Fields
from mailseal.openpgp.packet import Packet, Tag, packet_header, read_packets, write_packet
from mailseal.openpgp.signature import Signature, read_signature
from mailseal.policy.reason import ReasonCode

MAX_SIGNATURES = 64
MAX_PACKETS = 200
MAX_AROUND_OCTETS = 1 << 20
"""Of what is around a literal: its header, signatures, padding."""
BINARY, TEXT, UTF8 = "b", "t", "u"
_FORMATS = "btuml1"
_MAX_HEAD_OCTETS = 6 + 255
_ONE_PASS_VERSION = {4: 3, 6: 6}
"""Of the one-pass packet, by the version of the signature."""
_RAW_DEFLATE = -zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Inner:
    """The one literal. `format` is BINARY, TEXT or UTF8, or one of old; `created` None where it is not told.

    `signatures` are packets, each with its header, in the order in which they stood.
    """

    literal: bytes = field(repr=False)
    format: str
    filename: str
    created: datetime | None
    signatures: tuple[bytes, ...] = field(repr=False)


@only_pgp_errors
def read_inner(octets: Octets, max_bytes: int) -> Inner:
    """The packets of a message that is not encrypted, or is no more; raises PgpError, TOO_LARGE beyond `max_bytes`."""
    packets = _meaningful(octets)
    if len(packets) == 1 and packets[0].tag == Tag.COMPRESSED:
        packets = _meaningful(_decompressed(packets[0].body, max_bytes + MAX_AROUND_OCTETS))
    before, literal, behind = _around_literal(packets)
    one_pass = [packet for packet in before if packet.tag == Tag.ONE_PASS_SIGNATURE]
    if one_pass:
        whole = len(one_pass) == len(before) == len(behind)
        signatures = behind
    else:
        whole = not behind
        signatures = before
    if not whole or any(packet.tag != Tag.SIGNATURE for packet in signatures):
        raise malformed("the packets of the message do not make one message")
    if len(signatures) > MAX_SIGNATURES:
        raise PgpError(ReasonCode.TOO_MANY_SIGNERS, "the message has too many signatures")
    return _read_literal(literal, tuple(write_packet(Tag.SIGNATURE, one.octets) for one in signatures), max_bytes)


def _meaningful(octets: Octets) -> list[Packet]:
    return [packet for packet in read_packets(octets, max_packets=MAX_PACKETS) if not packet.ignored]


def _around_literal(packets: list[Packet]) -> tuple[list[Packet], Packet, list[Packet]]:
    literals = [at for at, packet in enumerate(packets) if packet.tag == Tag.LITERAL]
    if len(literals) != 1:
        raise malformed("the message does not hold exactly one literal")
    return packets[: literals[0]], packets[literals[0]], packets[literals[0] + 1 :]


def _read_literal(packet: Packet, signatures: tuple[bytes, ...], max_bytes: int) -> Inner:
    """RFC 9580 §5.9."""
    head = Fields(packet.body[:_MAX_HEAD_OCTETS])
    form = chr(head.number())
    if form not in _FORMATS:
        raise unsupported("the format of the literal is not supported")
    filename = head.sized().decode(errors="replace")
    seconds = head.number(4)
    created = datetime.fromtimestamp(seconds, UTC) if seconds else None
    if len(packet.body) - head.at > max_bytes:
        raise too_large()
    return Inner(bytes(packet.body[head.at :]), form, filename, created, signatures)


def too_large() -> PgpError:
    """For content beyond what was allowed."""
    return PgpError(ReasonCode.TOO_LARGE, "the content is too large")


def _decompressed(body: memoryview, limit: int) -> Octets:
    """RFC 9580 §5.6, never more than the limit. What is behind the end of the compressed data is nothing."""
    if not body:
        raise malformed("a compressed packet is empty")
    algorithm, data = body[0], body[1:]
    if algorithm == CompressionId.UNCOMPRESSED:
        return data
    if algorithm == CompressionId.BZIP2:
        return _inflated(bz2.BZ2Decompressor(), data, limit)
    if algorithm in (CompressionId.ZIP, CompressionId.ZLIB):
        bits = _RAW_DEFLATE if algorithm == CompressionId.ZIP else zlib.MAX_WBITS
        return _inflated(zlib.decompressobj(bits), data, limit)
    raise unsupported("the compression is not supported")


def _inflated(inflater: "bz2.BZ2Decompressor | zlib._Decompress", data: memoryview, limit: int) -> bytes:
    try:
        # One more than allowed, so that content of exactly the limit is told from more of it.
        octets = inflater.decompress(data, limit + 1)
    except (zlib.error, OSError):
        raise malformed("the compressed content is damaged") from None
    if len(octets) > limit:
        raise too_large()
    if not inflater.eof:
        raise malformed("the compressed content ends too early")
    return octets


def write_literal(
    content: Sequence[Octets], *, form: str = BINARY, filename: str = "", created: datetime | None = None
) -> list[Octets]:
    """A literal packet in pieces. A name and a date are not protected by a signature (RFC 9580 §5.9)."""
    name = filename.encode()[:255]
    seconds = 0 if created is None else int(created.timestamp())
    head = form.encode() + bytes((len(name),)) + name + seconds.to_bytes(4, "big")
    return [packet_header(Tag.LITERAL, len(head) + sum(map(len, content))) + head, *content]


def write_signed(literal: Sequence[Octets], signatures: Sequence[bytes]) -> list[Octets]:
    """A literal packet with its signatures, in the form for readers in one pass (RFC 9580 §10.3).

    `signatures` are packets. Raises PgpError for what is no signature.
    """
    parsed = [read_signature(one) for one in _bodies(signatures)]
    one_pass = [_one_pass(one, last=at == 0) for at, one in enumerate(parsed)]
    return [*reversed(one_pass), *literal, *signatures]


def _bodies(signatures: Sequence[bytes]) -> list[bytes]:
    packets = [packet for one in signatures for packet in read_packets(one, max_packets=MAX_SIGNATURES)]
    if any(packet.tag != Tag.SIGNATURE for packet in packets):
        raise malformed("a signature is expected")
    return [packet.octets for packet in packets]


def _one_pass(signature: Signature, *, last: bool) -> bytes:
    """RFC 9580 §5.4; `last`: the literal follows, not another one."""
    issuer = bytes.fromhex(signature.issuer or "")
    head = bytes((_ONE_PASS_VERSION[signature.version], signature.kind, signature.digest, signature.algorithm))
    named = bytes((len(signature.salt),)) + signature.salt + issuer if signature.version == 6 else issuer[-8:]
    return write_packet(Tag.ONE_PASS_SIGNATURE, head + named + bytes((last,)))


def write_compressed(packets: Sequence[Octets], algorithm: CompressionId) -> list[Octets]:
    """The packets in a compressed one, in pieces; as they are for UNCOMPRESSED. Raises PgpError for BZIP2."""
    if algorithm == CompressionId.UNCOMPRESSED:
        return list(packets)
    if algorithm not in (CompressionId.ZIP, CompressionId.ZLIB):
        raise unsupported("content is compressed by zip or zlib")
    compressor = zlib.compressobj(wbits=_RAW_DEFLATE if algorithm == CompressionId.ZIP else zlib.MAX_WBITS)
    pieces = [*map(compressor.compress, packets), compressor.flush()]
    return [packet_header(Tag.COMPRESSED, 1 + sum(map(len, pieces))) + bytes((algorithm,)), *pieces]
