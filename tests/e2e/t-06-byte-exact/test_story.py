"""Mail that needs no change leaves with the octets it came with, however odd. Only a Received field stands on top."""

import pytest

from harness.client import Client
from harness.mail import without_trace
from harness.site import Site

OLGA, CARL = "olga@out.example", "carl@alpha.example"
HEAD = b"From: olga@out.example\r\nTo: carl@alpha.example\r\n"

ODD = {
    "no header but a body": b"\r\nbody\r\n",
    "header only, no empty line": HEAD,
    "empty body": HEAD + b"\r\n",
    "long line": HEAD + b"\r\n" + b"x" * 5000 + b"\r\n",
    "trailing white space": HEAD + b"\r\nline \t\r\n \r\n\t\r\n",
    "dots": HEAD + b"\r\n.\r\n..\r\n.a\r\n...\r\n",
    "bare CR": HEAD + b"\r\none\rtwo\r\rthree\r\n",
    "eight-bit, no declaration": HEAD + "\r\nGrüße aus Zürich\r\n".encode("latin-1"),
    "utf-8 in the header": HEAD + "Subject: Grüße\r\n\r\nhello\r\n".encode(),
    "odd folding": HEAD + b"Subject: a\r\n \r\n\tb\r\n  c\r\nX-Empty:\r\n\r\nbody\r\n",
    "space before the colon": HEAD + b"X-Odd : value\r\nx-UPPER:v\r\n\r\nbody\r\n",
    "duplicate fields": HEAD + b"Subject: one\r\nSubject: two\r\nFrom: else@out.example\r\n\r\nbody\r\n",
    "a line that is no field": HEAD + b"this is no field\r\nSubject: x\r\n\r\nbody\r\n",
    "unclosed multipart": HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n",
    "boundary missing": HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
    "epilogue and preamble": HEAD
    + b"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b \r\n\r\nx\r\n--b-- \r\nepilogue\r\n--b\r\n",
    "two content types": HEAD + b"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    "a signature that nobody here knows": HEAD
    + b"Content-Type: multipart/signed; protocol=application/x-seal-signature; boundary=b; micalg=pgp-sha256\r\n\r\n"
    + b"--b\r\nContent-Type: text/plain\r\n\r\nhi \r\n"
    + b"--b\r\nContent-Type: application/x-seal-signature\r\n\r\nx\r\n--b--\r\n",
    "deep": HEAD
    + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(60))
    + b"\r\nend\r\n",
    "octets of every value but NUL, CR and LF": HEAD
    + b"\r\n" + bytes(one for one in range(1, 256) if one not in b"\r\n") + b"\r\n",
}  # fmt: skip
SIGNED = ODD["a signature that nobody here knows"].replace(b"x-seal", b"pgp")


@pytest.mark.parametrize("name", ODD)
def test_incoming(alpha: Site, outsider: Client, name: str) -> None:
    reply = outsider.send(OLGA, [CARL], ODD[name], parameters="BODY=8BITMIME")

    assert reply.end[0].startswith("250"), reply
    [got] = alpha.inside.wait(1)
    assert without_trace(got.octets) == ODD[name]
    assert got.octets[: -len(ODD[name])].count(b"eceived:") == 1


@pytest.mark.parametrize("name", ODD)
def test_outgoing_of_a_sender_without_a_key(alpha: Site, authorised: Client, name: str) -> None:
    octets = (
        ODD[name]
        .replace(OLGA.encode(), b"carl@alpha.example")
        .replace(b"To: carl@alpha.example", b"To: nora@out.example")
    )

    reply = authorised.send(CARL, ["nora@out.example"], octets, parameters="BODY=8BITMIME")

    assert reply.end[0].startswith("250"), reply
    [got] = alpha.outside.wait(1)
    assert without_trace(got.octets) == octets


def test_a_signature_that_was_looked_at_has_marks_above_and_stays_as_it_came(alpha: Site, outsider: Client) -> None:
    outsider.send(OLGA, [CARL], SIGNED)
    [got] = alpha.inside.wait(1)
    assert got.octets.endswith(b"\r\n" + SIGNED)
    assert without_trace(got.octets).startswith(b"X-Mailseal-")


def test_a_large_mail_is_spooled_and_comes_out_the_same(alpha: Site, outsider: Client) -> None:
    line = bytes(range(33, 127)) * 10 + b"\r\n"
    octets = HEAD + b"\r\n" + line * (8 * 1024 * 1024 // len(line))

    reply = outsider.send(OLGA, [CARL], octets)

    assert reply.end[0].startswith("250")
    [got] = alpha.inside.wait(1)
    assert without_trace(got.octets) == octets
