"""Content on its way out: dots doubled at line starts (RFC 5321 §4.5.2), large bodies by windows."""

from collections.abc import Iterator, Sequence

from mailseal.mail.message import Octets

WINDOW_BYTES = 256 * 1024


def stuffed(chunks: Sequence[Octets]) -> Iterator[bytes]:
    """The chunks ready for the wire, with CRLF and the final dot; a small mail in one piece.

    A dot after a bare LF is doubled too: a next hop that takes bare LF for a line end must not find an end in there.
    """
    if sum(map(len, chunks)) <= WINDOW_BYTES:
        yield _small(b"".join(chunks))
    else:
        yield from _large(chunks)


def _small(content: bytes) -> bytes:
    end = b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n"
    if content.startswith(b"."):
        content = b"." + content
    if b"\n." in content:
        content = content.replace(b"\n.", b"\n..")
    return content + end


def _large(chunks: Sequence[Octets]) -> Iterator[bytes]:
    tail = b"\r\n"  # the content begins at a line start
    for chunk in chunks:
        for window in _windows(chunk):
            octets = bytes(window)
            if tail.endswith(b"\n") and octets.startswith(b"."):
                yield b"."
            yield octets.replace(b"\n.", b"\n..") if b"\n." in octets else octets
            tail = (tail + octets[-2:])[-2:]
    yield b".\r\n" if tail == b"\r\n" else b"\r\n.\r\n"


def is_ascii(chunk: Octets) -> bool:
    """Whether no octet has its eighth bit set."""
    return all(bytes(window).isascii() for window in _windows(chunk))


def _windows(chunk: Octets) -> Iterator[Octets]:
    with memoryview(chunk) as view:
        for start in range(0, len(view), WINDOW_BYTES):
            with view[start : start + WINDOW_BYTES] as window:
                yield window
