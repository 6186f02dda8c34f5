import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.encoded_word import decode_text, decode_words, encode_words, is_text_in, one_line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?caf=C3=A9_x?=", "café x"),
        ("=?UTF-8*en?B?w6Q=?= and =?utf-8?b?w6Q?=", "ä and ä"),
        ("=?utf-8?b?w6Q=?= \t =?utf-8?b?w6Q=?=", "ää"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),
        ("=?utf-8?q?=C3=A4?= =?iso-8859-1?q?=E4?=b", "ääb"),
        ("=?iso-8859-8-i?q?=E0?=", "א"),
        ("a=?utf-8?q?b?=c", "abc"),
        ("=?utf-8?q?line=0D=0ABcc:_x?=", "line Bcc: x"),
        ("=?x-unknown?q?abc?= z", "=?x-unknown?q?abc?= z"),
        ("=?punycode?q?abc?=", "=?punycode?q?abc?="),
        ("=?utf-8?b?a?=", "=?utf-8?b?a?="),
        ("=?utf-8?q?=FF?=", "\ufffd"),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
    ],
)
def test_decode(value, text):
    assert decode_words(value) == text


@given(
    st.lists(
        st.sampled_from(["=?", "?=", "?q?", "?b?", "utf-8", "utf-7", "hz-gb-2312", "=41", "w6Q=", " ", "\r", "é"]),
        max_size=30,
    ).map("".join)
)
def test_any_value_decodes_to_one_line(value):
    assert not set("\r\n\0") & set(decode_words(value))


@given(
    st.text(st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="\u2028\u2029")), st.integers(0, 80)
)
def test_words_decode_to_what_was_encoded(text, room):
    words = encode_words(text, room)
    assert all(len(word) <= 75 and re.fullmatch(rb"=\?utf-8\?[qb]\?[!->@-~]*\?=", word) for word in words)
    assert decode_words(" ".join(word.decode() for word in words)) == text


def test_hostile_charsets():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for charset in ("unicode_escape", "idna", "zlib", "rot13", "undefined", "", "iso-8859-99", "utf-8-sig", "mbcs"):
            assert decode_text(b"\\N{x}a", charset) is None


def test_one_line():
    assert one_line("a\r\n\x00\u2028b\ud800c") == "a b c"


def test_long_values_in_time():
    decode_words("=?utf-8?q?" * 20_000)
    decode_words(" " * 200_000 + "=?utf-8?q?x?=" + " " * 200_000 + "\r")


@pytest.mark.parametrize(
    ("octets", "charset", "fits"),
    [
        ("ä\N{REPLACEMENT CHARACTER}".encode(), "UTF-8", True),
        (b"\xe4", "utf-8", False),
        (b"\xc3", "utf-8", False),
        (b"\xe4", "us-ascii", False),
        ("日本".encode("iso-2022-jp"), "iso-2022-jp", True),
        ("שלום".encode("iso-8859-8"), "iso-8859-8-i", True),
        (b"\x81", "windows-1252", False),
        (b"a", "unicode_escape", False),
        (b"a", "punycode", False),
        (b"", "utf-8", True),
        ("ä".encode() * 100_000 + b"x", "utf-8", True),
        (b"x" + "ä".encode() * 100_000, "utf-8", True),
        (b"x" * 200_000 + b"\xff", "utf-8", False),
    ],
)
def test_whether_octets_are_characters_of_a_charset(octets, charset, fits):
    assert is_text_in(octets, charset) is fits
