"""Mails made by grammar, for property tests: well-formed trees with hostile content in them."""

from hypothesis import strategies as st

_BODY_PIECES = st.sampled_from(
    [
        b"Hello world",
        b"\r\n",
        b"\r\n\r\n",
        b" \r\n",
        b"\t\r\n",
        b"From here",
        b"\r\nFrom here",
        b".",
        b"\r\n.\r\n",
        b"=",
        b"=3D",
        b"--",
        b"\r\n--b",
        b"\r\n--b0x\r\n",
        b"\r\n--b0-\r\n",
        "äöü".encode(),
        b"\xff\xfe",
        b"\0",
        b"\r",
        b"\n",
        b"x" * 80,
        b"y" * 1200,
    ]
)
bodies = st.one_of(st.lists(_BODY_PIECES, max_size=8).map(b"".join), st.binary(max_size=60))
texts = st.lists(st.sampled_from(["abc", "ä", "\r\n", " ", "From ", "x" * 90, ".", "=", "\t"]), max_size=12).map(
    "".join
)

_LEAF_TYPES = st.sampled_from(
    [
        b"",
        b"Content-Type: text/plain; charset=utf-8\r\n",
        b"content-type:text/html\r\n",
        b'Content-Type: application/octet-stream;\r\n\tname="a\\"b.bin"\r\n',
        b"Content-Type: message/rfc822\r\n",
        b"X-Odd:   kept \r\nContent-Type: image/png\r\nContent-Transfer-Encoding: 8bit\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: BASE64\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n",
    ]
)
_SUBTYPES = st.sampled_from([b"mixed", b"alternative", b"related", b"signed", b"digest", b"report", b"encrypted"])
_LINE_ENDS = st.sampled_from([b"\r\n", b" \t\r\n"])


def _without_boundary(body: bytes, boundary: bytes) -> bytes:
    return body.replace(b"--" + boundary, b"==" + boundary)


@st.composite
def entities(draw, depth: int = 3) -> bytes:
    """Content fields, blank line and body of an entity; multiparts have boundaries of their own."""
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return draw(_LEAF_TYPES) + b"\r\n" + draw(bodies)
    boundary = b"b%d" % depth + draw(st.sampled_from([b"", b"_x", b"=y'z"]))
    parts = draw(st.lists(entities(depth=depth - 1), min_size=1, max_size=3))
    header = b'Content-Type: multipart/%s; boundary="%s"\r\n' % (draw(_SUBTYPES), boundary)
    preamble = draw(st.sampled_from([b"", b"preamble\r\n", b"two\r\nlines \r\n", b"\r\n"]))
    pieces = [header, b"\r\n", preamble]
    for part in parts:
        pieces += [b"--", boundary, draw(_LINE_ENDS), _without_boundary(part, boundary), b"\r\n"]
    if draw(st.integers(0, 4)):
        pieces += [b"--", boundary, b"--", draw(st.sampled_from([b"", b"\r\n", b" \r\nepilogue\r\n"]))]
    return b"".join(pieces)


_OUTER_FIELDS = st.lists(
    st.sampled_from(
        [
            b"From: Anna <anna@a.example>\r\n",
            b"To: bob@b.example,\r\n carl@c.example\r\n",
            b"Subject: =?utf-8?q?caf=C3=A9?= and\r\n\tmore\r\n",
            b"Received: from x by y;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n",
            b"X-Long: " + b"w " * 200 + b"\r\n",
            b"MIME-Version: 1.0\r\n",
            b"Bcc: secret@d.example\r\n",
            b"X-Eight: \xc3\xa4 \xff\r\n",
        ]
    ),
    max_size=6,
).map(b"".join)

messages = st.builds(lambda fields, entity: fields + entity, _OUTER_FIELDS, entities())
"""Whole mails; structure may still be at fault (a body piece may hold a delimiter)."""


@st.composite
def mutilated(draw) -> bytes:
    """A mail by grammar with octets cut out, doubled or overwritten."""
    mail = bytearray(draw(messages))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(mail)))
        stop = draw(st.integers(start, min(len(mail), start + 40)))
        mail[start:stop] = draw(
            st.sampled_from(
                [b"", b"\n", b"\r", b"\0", b"\r\n\r\n", b"(", b'"', b"--", b";", bytes(mail[start:stop]) * 2]
            )
        )
    return bytes(mail)
