"""The octets between DATA and the final dot: dots taken off, bare line feeds noticed (RFC 5321 §4.5.2).

Only CRLF.CRLF ends the content. A bare LF is reported, or made a CRLF by setting, but never ends the content: so no
second mail can be smuggled in. A bare CR is content. All work is done by byte search on whole chunks.
"""

import io

from mailseal.mail.message import with_crlf

_END = b"\r\n.\r\n"
_STUFFED = b"\r\n."


class ContentDecoder:
    """Decodes one mail's content chunk by chunk, whatever the cut points are."""

    __slots__ = ("_at_start", "_held", "_newlines", "_normalise")

    def __init__(self, *, normalise: bool = False) -> None:
        # The content begins at a line start: a line end that is not content is put before it and taken off again.
        self._held = b"\r\n"
        self._at_start = True
        # One pass in C that tells which kinds of line end were seen, also over chunk ends: half of what two
        # `count` calls cost.
        self._normalise = normalise
        self._newlines = io.IncrementalNewlineDecoder(None, translate=False)

    @property
    def bare_line_feed(self) -> bool:
        """True once the content has had an LF without a CR before it."""
        seen = self._newlines.newlines
        return seen is not None and "\n" in (seen if isinstance(seen, tuple) else (seen,))

    def feed(self, octets: bytes) -> tuple[bytes, bytes | None]:
        """The content that `octets` completes, and what follows the final dot (None: it has not come yet)."""
        data = self._held + octets
        first = data.find(_STUFFED)
        if first < 0:
            return self._continue(data, stuffed=False)
        if data[first : first + 5] == _END:  # most mails have no other line that begins with a dot
            return self._pass(data[: first + 2]), data[first + 5 :]
        end = data.find(_END, first)
        if end < 0:
            return self._continue(data, stuffed=True)
        return self._pass(data[: end + 2].replace(_STUFFED, b"\r\n")), data[end + 5 :]

    def _continue(self, data: bytes, *, stuffed: bool) -> tuple[bytes, None]:
        held = _undecided(data)
        self._held = data[len(data) - held :]
        content = data[:-held] if held else data
        if stuffed:
            content = content.replace(_STUFFED, b"\r\n")
        return self._pass(content), None

    def _pass(self, content: bytes) -> bytes:
        if self._at_start and content:
            content = content[2:]
            self._at_start = False
        self._newlines.decode(content.decode("latin-1"))
        if self._normalise and self.bare_line_feed:
            # No content ends between a CR and its LF: such a CR is held back. So this is right chunk by chunk.
            return with_crlf(content)
        return content


def _undecided(data: bytes) -> int:
    """How many octets at the end could be the beginning of the final dot."""
    for length in (4, 3, 2, 1):
        if data.endswith(_END[:length]):
            return length
    return 0
