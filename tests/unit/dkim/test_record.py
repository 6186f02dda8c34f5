"""Key records as they are printed, and as they are read again."""

import re

import pytest

from dkim_keys import ec_key, ed25519_key, rsa_key
from mailseal.dkim.algorithms import Algorithm, KeyUnusableError
from mailseal.dkim.record import (
    RecordError,
    RevokedError,
    read_record,
    record_name,
    record_text,
    strings_of,
    zone_lines,
)


@pytest.mark.parametrize("key", [rsa_key(), ed25519_key()], ids=["rsa", "ed25519"])
def test_what_is_printed_is_read(key):
    text = record_text(key)
    record = read_record(text)
    assert record.key == key.public_key()
    assert record.may_verify(Algorithm(f"{record.key_type}-sha256"))
    assert "".join(strings_of(text)) == text
    assert all(len(one) <= 255 for one in strings_of(text))
    lines = zone_lines(record_name("example.com", "s1"), text)
    assert lines.startswith("s1._domainkey.example.com. IN TXT (\n")
    assert "".join(re.findall(r'"([^"]*)"', lines)) == text


def test_keys_that_are_none():
    for key in (ec_key(), rsa_key(1024)):
        with pytest.raises(KeyUnusableError):
            record_text(key)


def test_records_that_are_none():
    with pytest.raises(RevokedError):
        read_record("v=DKIM1; p=")
    for text in ("v=DKIM1", "", "x", "v=dkim1; p=QUJD", "p=QUJD", "k=ed25519; p=QUJD"):
        with pytest.raises(RecordError):
            read_record(text)
