"""Autocrypt fields: what is read, what is ignored, what is written."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.address import Address
from mailseal.mail.header import encode_value
from mailseal.mail.mime import parse
from mailseal.openpgp.autocrypt import MAX_KEY_OCTETS, MAX_WRITTEN_OCTETS, NAME, read_autocrypt, write_autocrypt

ANNA = Address.parse("anna@inside.example")
DATA = b64encode(b"a key").decode()


def test_a_field_as_the_specification_has_it():
    found = read_autocrypt(f"addr=Anna@inside.example; prefer-encrypt=mutual; keydata={DATA[:4]} {DATA[4:]}")
    assert (found.address, found.keydata, found.prefers_encryption) == (ANNA, b"a key", True)
    found = read_autocrypt(f"_odd=1; addr=anna@inside.example; KEYDATA= {DATA}")
    assert (found.keydata, found.prefers_encryption) == (b"a key", False)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "addr=anna@inside.example",
        f"keydata={DATA}",
        f"addr=anna; keydata={DATA}",
        f"addr=anna@inside.example; critical=1; keydata={DATA}",
        f"addr=anna@inside.example; addr=eve@elsewhere.example; keydata={DATA}",
        "addr=anna@inside.example; keydata=",
        "addr=anna@inside.example; keydata=!!!!",
        f"addr=anna@inside.example; keydata={DATA}x",
        f"addr=anna@inside.example; keydata={b64encode(bytes(MAX_KEY_OCTETS + 1)).decode()}",
        "; ; ;",
    ],
)
def test_what_is_ignored(value):
    assert read_autocrypt(value) is None


@given(keydata=st.binary(min_size=1, max_size=3000))
def test_what_is_written_is_read(keydata):
    line = encode_value(NAME, write_autocrypt(ANNA, keydata))
    assert max(map(len, line.split(b"\r\n"))) <= 80
    found = read_autocrypt(parse(line + b"\r\n").root.header("autocrypt"))
    assert (found.address, found.keydata, found.prefers_encryption) == (ANNA, keydata, True)


def test_what_is_not_written():
    assert write_autocrypt(ANNA, bytes(MAX_WRITTEN_OCTETS + 1)) is None
    assert write_autocrypt(Address.parse('"a;b"@inside.example'), b"a key") is None
    assert write_autocrypt(Address.parse("ännä@inside.example"), b"a key") is None


@given(st.text(max_size=200))
def test_any_text_is_read_or_ignored(text):
    read_autocrypt(text)
