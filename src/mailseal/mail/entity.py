"""A message or body part as spans of the received octets (RFC 5322 §2.1, RFC 2045 §2.4). `mail.mime` makes them."""

import binascii
import re
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

from mailseal.errors import PermanentError
from mailseal.mail.content_type import ContentType, read_parameters
from mailseal.mail.encoded_word import decode_words
from mailseal.mail.message import Octets

Buffer = bytes | mmap

IDENTITY_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
TEXT = ContentType("text/plain")
"""The type of what names none (RFC 2045 §5.2)."""
NEUTRAL_TYPES = frozenset({"application/octet-stream", "application/x-octet-stream", "application/binary"})
"""Types that mail programs and servers give a file which they do not know."""

_LINE_ENDS = re.compile(r"\r?\n")


class MimeError(PermanentError):
    """The octets cannot be read as a mail, within the limits, in only one way."""


class HeaderField(NamedTuple):
    """One field: its name in lower case ("" for a line that is no field) and its span, line end included."""

    name: str
    start: int
    value_start: int
    end: int

    def raw(self, buffer: Octets) -> bytes:
        """The octets of the field as they came."""
        return bytes(memoryview(buffer)[self.start : self.end])

    def value(self, buffer: Octets) -> str:
        """The unfolded value: one line, without white space around it; U+FFFD for octets that are not UTF-8."""
        octets = bytes(memoryview(buffer)[self.value_start : self.end])
        text = octets.decode("utf-8", "replace")
        return _LINE_ENDS.sub("", text).replace("\r", " ").strip(" \t")


class Entity:
    """A message or a body part: spans into one buffer (RFC 2045 §2.4).

    `path` is "" for the message, "1.2" for the second part of its first part. `closed` is False for a multipart
    without its closing delimiter. Children of message/rfc822 are not looked for.
    """

    __slots__ = (
        "body_start",
        "buffer",
        "children",
        "closed",
        "content_type",
        "end",
        "epilogue_start",
        "fields",
        "path",
        "preamble_end",
        "start",
        "transfer_encoding",
    )

    def __init__(self, buffer: Buffer, start: int, body_start: int, end: int, path: str) -> None:
        self.buffer = buffer
        self.start = start
        self.body_start = body_start
        self.end = end
        self.path = path
        self.fields: tuple[HeaderField, ...] = ()
        self.content_type = TEXT
        self.transfer_encoding = "7bit"
        self.children: tuple[Entity, ...] = ()
        self.closed = True
        self.preamble_end = end
        self.epilogue_start = end

    def __repr__(self) -> str:
        return f"Entity({self.path!r}, {self.content_type.type}, {self.start}:{self.body_start}:{self.end})"

    @property
    def octets(self) -> memoryview:
        """The whole entity: header, blank line, body."""
        return memoryview(self.buffer)[self.start : self.end]

    @property
    def body(self) -> memoryview:
        """The body as it stands in the mail, transfer encoding and all."""
        return memoryview(self.buffer)[self.body_start : self.end]

    @property
    def header_octets(self) -> memoryview:
        """The header fields with their line ends and the blank line."""
        return memoryview(self.buffer)[self.start : self.body_start]

    @property
    def preamble(self) -> memoryview:
        """What stands before the first delimiter of a multipart."""
        return memoryview(self.buffer)[self.body_start : self.preamble_end]

    @property
    def epilogue(self) -> memoryview:
        """What stands after the closing delimiter line of a multipart."""
        return memoryview(self.buffer)[self.epilogue_start : self.end]

    def field_octets(self, field: HeaderField) -> bytes:
        """The octets of one of its fields, line ends included."""
        return field.raw(self.buffer)

    def header(self, name: str) -> str | None:
        """The unfolded value of the only field of that name (lower case); None if there is none or more than one."""
        found = self.headers(name)
        return found[0] if len(found) == 1 else None

    def headers(self, name: str) -> list[str]:
        """The unfolded values of all fields of that name (lower case)."""
        return [field.value(self.buffer) for field in self.fields if field.name == name]

    def walk(self) -> "Iterator[Entity]":
        """The entity and all parts under it, in the order in which they stand."""
        waiting = [self]
        while waiting:
            entity = waiting.pop()
            yield entity
            waiting.extend(reversed(entity.children))

    def decoded_body(self, limit_bytes: int) -> bytes:
        """The body without its transfer encoding (RFC 2045 §6); raises MimeError if too large or not decodable."""
        encoding = self.transfer_encoding
        body = self.body
        if encoding in IDENTITY_ENCODINGS:
            _check_size(len(body), limit_bytes)
            return bytes(body)
        if encoding == "base64":
            _check_size(len(body) // 2 - 1000, limit_bytes)  # more white space than content is no mail
            try:
                decoded = binascii.a2b_base64(body)
            except binascii.Error:
                raise MimeError("the base64 body of a part is damaged") from None
        elif encoding == "quoted-printable":
            _check_size(len(body) // 4 - 1000, limit_bytes)
            decoded = binascii.a2b_qp(body)
        else:
            raise MimeError("the transfer encoding of a part is unknown")
        _check_size(len(decoded), limit_bytes)
        return decoded

    def decoded_start(self, octets: int) -> bytes:
        """What so many octets of the body decode to, or a little less; nothing if they cannot be decoded."""
        start = bytes(self.body[:octets])
        if self.transfer_encoding == "quoted-printable":
            return binascii.a2b_qp(start)
        if self.transfer_encoding != "base64":
            return start
        text = start.translate(None, b" \t\r\n")
        try:
            return binascii.a2b_base64(text[: len(text) // 4 * 4])
        except binascii.Error:
            return b""

    def is_exactly_encoded(self) -> bool:
        """Whether its body says nothing besides what is decoded: readers of base64 pass over all behind padding."""
        if self.transfer_encoding != "base64":
            return True
        try:
            binascii.a2b_base64(bytes(self.body).translate(None, b" \t\r\n"), strict_mode=True)
        except binascii.Error:
            return False
        return True

    @property
    def filename(self) -> str | None:
        """The file name that the part is given: data of the sender, one line, never a path to use (RFC 2183)."""
        disposition = self.header("content-disposition")
        if disposition is not None:
            start = disposition.find(";")
            if start >= 0:
                name = read_parameters(disposition, start).values.get("filename")
                if name is not None:
                    return decode_words(name)
        name = self.content_type.parameters.get("name")
        return None if name is None else decode_words(name)


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise MimeError(f"a decoded part is larger than {limit_bytes} bytes")
