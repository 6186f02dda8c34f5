"""The mailbox that a user ID names: one, without doubt, or none."""

import pytest

from mailseal.openpgp.user_id import address_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Anna <anna@example.com>", "anna@example.com"),
        ("anna@example.com", "anna@example.com"),
        ("<anna@example.com>", "anna@example.com"),
        ("Anna Ä. O'Neil (work) <Anna@EXAMPLE.com>", "Anna@example.com"),
        ("anna@example.com <anna@example.com>", "anna@example.com"),
        ('"anna@example.com" <anna@example.com>', "anna@example.com"),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627 <ali@example.com>", "ali@example.com"),
        ("Anna > Berta <anna@example.com> ", "anna@example.com"),
        ("Anna <anna@bücher.example>", "anna@xn--bcher-kva.example"),
    ],
)
def test_one_address(text, address):
    assert str(address_of(text.encode())) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Anna",
        "Anna <>",
        "Anna <anna>",
        "Anna <anna@example.com",
        "Anna anna@example.com>",
        "<anna@example.com> <eve@example.net>",
        "anna@example.com, eve@example.net",
        "anna@example.com <eve@example.net>",
        '"anna@example.com" <eve@example.net>',
        "Anna <anna@example.com> (really)",
        "Anna <anna@example.com>\n",
        "Anna\r\nBcc: eve@example.net <anna@example.com>",
        "Anna <an\0na@example.com>",
        "=?utf-8?q?eve=40example.net?= <anna@example.com>",
        "Anna <=?utf-8?q?anna?=@example.com>",
        'Anna <"anna@example.com"@example.net>',
        "Anna <anna@example.com@example.net>",
        "Anna < anna@example.com >",
        "\u202emoc.elpmaxe@ave <anna@example.com>",
        "Anna <anna\u200b@example.com>",
        "Anna <anna@exa\u00admple.com>",
        "Anna <<anna@example.com>>",
        "Anna <anna@example.com\u2028>",
    ],
)
def test_no_address(text):
    assert address_of(text.encode()) is None


def test_other_encodings():
    assert address_of("Zoë <zoe@example.com>".encode("latin-1")) is None
    assert address_of(b"\xff\xfe<zoe@example.com>") is None
