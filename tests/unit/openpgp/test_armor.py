"""ASCII armor and the cleartext framework: written, read, mangled, refused."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.openpgp.armor import (
    ALL_KINDS,
    MESSAGE,
    PUBLIC_KEY,
    SIGNATURE,
    SIGNED_MESSAGE,
    canonical_text,
    find_armor,
    read_armor,
    read_armored_blocks,
    read_cleartext,
    write_armor,
    write_cleartext,
)
from mailseal.openpgp.crc24 import Crc24
from mailseal.openpgp.errors import PgpError
from mailseal.policy.reason import ReasonCode

OCTETS = bytes(range(256))
BLOCK = b"".join(write_armor(MESSAGE, [OCTETS]))
LINES = BLOCK.split(b"\r\n")


def test_what_is_written():
    assert LINES[0] == b"-----BEGIN PGP MESSAGE-----"
    assert LINES[1] == b""
    assert {len(line) for line in LINES[2:6]} == {76}
    assert (LINES[-3], LINES[-2:]) == (b"=W700", [b"-----END PGP MESSAGE-----", b""])
    assert b"\r\n=" not in b"".join(write_armor(MESSAGE, [OCTETS], checksum=False))


@given(st.lists(st.binary(max_size=300), max_size=4), st.booleans())
def test_what_is_written_is_read(pieces, checksum):
    text = b"before\n" + b"".join(write_armor(SIGNATURE, pieces, checksum=checksum)) + b"behind"
    block = read_armor(text)
    assert (block.kind, block.octets, block.headers) == (SIGNATURE, b"".join(pieces), ())
    assert (text[: block.start], text[block.end :]) == (b"before\n", b"\r\nbehind")


@pytest.mark.parametrize(
    "text",
    [
        BLOCK.replace(b"\r\n", b"\n"),
        BLOCK.replace(b"\r\n", b"  \t\r\n"),  # white space at the end of every line
        BLOCK.replace(b"\r\n", b"\r\n\r\n"),
        BLOCK.replace(b"-----\r\n\r\n", b"-----\r\n"),  # the blank line lost
        BLOCK.replace(b"-----\r\n\r\n", b"-----\r\nVersion: x\r\nComment: a: b\r\nEmpty:\r\n\r\n"),
        BLOCK.replace(b"=W700", b"=AAAA"),  # RFC 9580 §6.1: never a reason to refuse
        BLOCK.replace(b"=W700", b"=W70"),
        BLOCK.replace(b"=W700", b"=W7 00!"),
        BLOCK.replace(b"=W700\r\n", b""),
        BLOCK.replace(b"\r\n=W700", b"=W700"),
        BLOCK.replace(b"\r\n", b"\r\n", 1).rstrip(),
    ],
)
def test_what_became_of_it_on_the_way_is_forgiven(text):
    assert read_armor(text).octets == OCTETS


def test_headers():
    text = BLOCK.replace(b"-----\r\n\r\n", b"-----\r\nVersion: GnuPG v2\r\nComment: \xc3\xbc\xff\r\n\r\n")
    assert read_armor(text).headers == (("Version", "GnuPG v2"), ("Comment", "\u00fc\ufffd"))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no armor",
        b"> " + BLOCK,  # quoted
        b"-" + BLOCK,
        BLOCK.replace(b"-----END PGP MESSAGE-----", b"-----END PGP SIGNATURE-----"),
        BLOCK[:-20],
        BLOCK.replace(LINES[3], b"<br>" + LINES[3]),
        BLOCK.replace(LINES[3], b"\xa0" + LINES[3]),
        BLOCK.replace(LINES[3], LINES[3][:-1] + b"="),  # padding in the middle hides what is behind it
        BLOCK.replace(LINES[3], LINES[3][:-1]),
        BLOCK.replace(LINES[3], b"=" + LINES[3]),
        BLOCK.replace(LINES[5], b"=" + LINES[5]),
        b"-----BEGIN PGP MESSAGE-----",
        b"-----BEGIN PGP MESSAGE-----\n",
        b"-----BEGIN PGP MESSAGE----- x\n\nAAAA\n-----END PGP MESSAGE-----\n",
        b"-----BEGIN PGP NOTHING-----\n\nAAAA\n-----END PGP NOTHING-----\n",
    ],
)
def test_what_is_no_armor(text):
    with pytest.raises(PgpError) as caught:
        read_armor(text)
    assert caught.value.reason is ReasonCode.MALFORMED


def test_too_many_headers():
    text = BLOCK.replace(b"-----\r\n\r\n", b"-----\r\n" + b"Hash: x\r\n" * 65 + b"\r\n")
    with pytest.raises(PgpError) as caught:
        read_armor(text)
    assert caught.value.reason is ReasonCode.TOO_LARGE


def test_several_blocks():
    text = b"\n".join(b"".join(write_armor(kind, [kind.encode()])) for kind in (PUBLIC_KEY, MESSAGE, PUBLIC_KEY))
    assert [block.kind for block in read_armored_blocks(text)] == [PUBLIC_KEY, MESSAGE, PUBLIC_KEY]
    assert [block.octets for block in read_armored_blocks(text, {PUBLIC_KEY})] == [PUBLIC_KEY.encode()] * 2
    assert find_armor(text, kinds={MESSAGE}) == (MESSAGE, text.index(b"-----BEGIN PGP MESSAGE"))
    assert find_armor(text, kinds={SIGNATURE}) is None


def slow_checksum(octets):
    value = 0xB704CE
    for octet in octets:
        value ^= octet << 16
        for _ in range(8):
            value = value << 1 ^ (0x1864CFB if value & 0x800000 else 0)
    return value.to_bytes(3, "big")


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 157, 158, 159, 160, 1000, 20_003, 45_000])
@pytest.mark.parametrize("step", [1, 2, 1000, 50_000])
def test_the_checksum(length, step):
    octets = (b"\xff\0\x12" * 15_000)[:length]
    crc = Crc24()
    for at in range(0, length, max(step, length // 100)):
        crc.update(octets[at : at + max(step, length // 100)])
    assert crc.digest() == slow_checksum(octets)


SIGNATURES = b"\xc2\x03sig"
TEXT = b"- dashes\r\nFrom me  \r\n\r\n\ttab\t\r\n--\r\n-----BEGIN PGP SIGNATURE-----\r\nend"


def test_a_signed_text():
    written = b"".join(write_cleartext(TEXT, SIGNATURES, "SHA256"))
    assert b"\r\n- - dashes\r\n- From me\r\n\r\n\ttab\r\n- --\r\n- -----BEGIN PGP SIGN" in written
    found = read_cleartext(b"before\r\n" + written + b"behind")
    assert found.content == canonical_text(TEXT) == TEXT.replace(b"  \r\n", b"\r\n").replace(b"\t\r\n", b"\r\n")
    assert (found.signatures, found.start) == (SIGNATURES, 8)
    assert (b"before\r\n" + written + b"behind")[found.end :] == b"\r\nbehind"


@given(st.binary(max_size=100))
def test_any_text_can_be_signed(text):
    found = read_cleartext(b"".join(write_cleartext(text, SIGNATURES, "SHA512")))
    assert found.content == canonical_text(text)


def cleartext(text: bytes, headers: bytes = b"Hash: SHA256\n") -> bytes:
    return b"-----BEGIN PGP SIGNED MESSAGE-----\n%b\n%b%b" % (headers, text, b"".join(write_armor(SIGNATURE, [b"x"])))


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (b"\n", b""),
        (b"line\n", b"line"),
        (b"line\r\n", b"line"),
        (b"line\n\n", b"line\r\n"),
        (b"a \nb\t\r\n", b"a\r\nb"),
        (b"a\rb\n", b"a\rb"),
    ],
)
def test_what_is_signed_of_a_text(text, content):
    assert read_cleartext(cleartext(text)).content == content


def test_a_large_text_is_signed_as_a_small_one():
    pieces = (b"- a dash  \r\n", b"\t\r\n", b"x" * 100_000 + b"\r\n", b"y" * 65_535 + b"\n", b"- - b\n" * 20_000)
    text = b"".join(pieces * 2)
    lines = [line[2:] if line.startswith(b"- ") else line for line in text[:-1].split(b"\n")]
    expected = b"\r\n".join(line.rstrip() for line in lines)
    assert read_cleartext(cleartext(text)).content == expected
    with pytest.raises(PgpError):
        read_cleartext(cleartext(text + b"-c\n"))


@pytest.mark.parametrize("headers", [b"", b"Hash: SHA256\n", b"Hash: SHA256,SHA512\nHash: SHA1\n"])
def test_headers_of_a_signed_text(headers):
    assert read_cleartext(cleartext(b"text\n", headers)).content == b"text"


@pytest.mark.parametrize(
    "text",
    [
        cleartext(b"text\n", b"Comment: who would not believe this\n"),
        cleartext(b"text\n", b"NotDashEscaped: yes\n"),
        cleartext(b"text\n", b"Hash: SHA256\nnot a header\n"),
        cleartext(b"-- \nnot escaped\n"),
        cleartext(b"text\n").replace(b"BEGIN PGP SIGNATURE", b"BEGIN PGP MESSAGE"),
        cleartext(b"text\n")[:-30],
        b"-----BEGIN PGP SIGNED MESSAGE-----\n",
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: x",
        BLOCK,
    ],
)
def test_what_is_no_signed_text(text):
    with pytest.raises(PgpError):
        read_cleartext(text)


def test_a_signed_text_is_found():
    assert find_armor(cleartext(b"x\n")) == (SIGNED_MESSAGE, 0)
    assert SIGNED_MESSAGE in ALL_KINDS


@given(st.binary(max_size=200), st.sampled_from([b"MESSAGE", b"SIGNED MESSAGE", b"SIGNATURE"]))
def test_any_octets_raise_only_the_typed_error(octets, kind):
    for text in (octets, b"-----BEGIN PGP %b-----\n%b\n-----END PGP %b-----\n" % (kind, octets, kind)):
        for read in (read_armor, read_cleartext, lambda text: list(read_armored_blocks(text))):
            try:
                read(text)
            except PgpError:
                continue


@given(st.binary(max_size=60), st.integers(0, 200), st.sampled_from([b"!", b"\x00", b"-", b"\n", b"A", b":"]))
def test_nothing_is_passed_over_silently(octets, at, what):
    """What is decoded is all of the base64, or nothing."""
    inside = base64.b64encode(octets)
    at = min(at, len(inside))
    changed = inside[:at] + what + inside[at:]
    try:
        found = read_armor(b"-----BEGIN PGP MESSAGE-----\n\n" + changed + b"\n-----END PGP MESSAGE-----\n").octets
    except PgpError:
        return
    assert found == octets
