"""Read CompressedData (RFC 3274), never beyond a limit."""

import zlib

from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber
from mailseal.smime.ber import Element, Fields
from mailseal.smime.errors import CmsError, malformed, only_cms_errors
from mailseal.smime.rsa_parameters import algorithm_identifier


@only_cms_errors
def decompress(octets: Octets, limit_bytes: int) -> bytes:
    """The content of a ContentInfo with CompressedData; raises CmsError, TOO_LARGE beyond the limit."""
    outer = Fields(ber.read(octets))
    if ber.oid(outer.take()) != algorithms.COMPRESSED_DATA:
        raise malformed("this is not a compressed message")
    fields = Fields(ber.only_child(outer.take(0xA0)))
    fields.take(ber.INTEGER)  # version
    if algorithm_identifier(fields.take(ber.SEQUENCE))[0] != algorithms.ZLIB:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the compression algorithm is not supported")
    encapsulated = Fields(fields.take(ber.SEQUENCE))
    encapsulated.take(ber.OID)  # content type
    return _inflate(ber.only_child(encapsulated.take(0xA0)), limit_bytes)


def _inflate(content: Element, limit_bytes: int) -> bytes:
    if content.tag & ~ber.CONSTRUCTED != ber.OCTET_STRING:
        raise malformed("the compressed content is not an octet string")
    inflater = zlib.decompressobj()
    found: list[bytes] = []
    # One more than allowed, so that content of exactly the limit is told from more of it.
    left = limit_bytes + 1
    try:
        for piece in ber.string_pieces(content):
            if inflater.eof:
                break  # zlib would add what follows to `unused_data`, and copy all of that for each piece
            found.append(inflater.decompress(piece, left))
            left -= len(found[-1])
            if left <= 0 or inflater.unconsumed_tail:
                raise CmsError(ReasonCode.TOO_LARGE, "the compressed content is too large")
    except zlib.error:
        raise malformed("the compressed content is damaged") from None
    if not inflater.eof:
        raise malformed("the compressed content ends too early")
    return b"".join(found)
