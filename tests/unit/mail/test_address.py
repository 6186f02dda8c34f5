import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.address import Address, AddressError, domain_to_ascii
from mailseal.mail.address_list import MAX_ADDRESSES, read_addresses


def keys(text):
    return [str(address) for address in read_addresses(text)]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Anna@EXAMPLE.com", "anna@example.com"),
        ('"Anna"@example.com', "anna@example.com"),
        ('"an\\na"@example.com', "anna@example.com"),
        ('"an na"@example.com', '"an na"@example.com'),
        ('"a\\"b"@example.com', '"a\\"b"@example.com'),
        ("x@bücher.example", "x@xn--bcher-kva.example"),
        ("ü@example.com", "ü@example.com"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@[IPv6:2001:db8::1]", "a@[ipv6:2001:db8::1]"),
        ('"a@b"@c.example', '"a@b"@c.example'),
    ],
)
def test_address(text, key):
    assert Address.parse(text).key == key
    assert Address.parse(text) == Address.parse(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@b",
        "a@",
        "a b@c",
        "a@b c",
        "a@b..c",
        ".a@b",
        "a@b@c",
        "<a@b>",
        "a\r\n@b",
        "a@b\n",
        "a@b.",
        "a@-b",
        "x" * 65 + "@b",
        "a@" + "b." * 127,
        "a@faß.example",
        "a@ab\u200dc.example",
        "\ufffd@b",
        "a\udc80@b",
        "a\u2028@b",
        "a@\ud800",
    ],
)
def test_no_address(text):
    with pytest.raises(AddressError):
        Address.parse(text)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_an_address_or_an_address_error(local, domain):
    for call, text in ((Address.parse, f"{local}@{domain}"), (domain_to_ascii, domain)):
        try:
            call(text)
        except AddressError:
            continue


@given(st.text(max_size=60))
def test_parsing_what_was_parsed_changes_nothing(text):
    try:
        address = Address.parse(f"{text}@example.com")
    except AddressError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@x.example", ["a@x.example"]),
        ('A <a@x.example>, b@x.example ,\t"C, d" <c@x.example>', ["a@x.example", "b@x.example", "c@x.example"]),
        ("", []),
        (",, a@x.example ,", ["a@x.example"]),
        ("undisclosed-recipients:;", []),
        ("Team: a@x.example, B <b@x.example>; c@x.example", ["a@x.example", "b@x.example", "c@x.example"]),
        ("(c) a (d) . b (e) @ (f) x.example (g (h))", ["a.b@x.example"]),
        ("<@r.example,@s.example:a@x.example>", ["a@x.example"]),
        ('"a b"@x.example', ['"a b"@x.example']),
        ("A <a@[192.0.2.1]>", ["a@[192.0.2.1]"]),
        ("a@x.example <mailto>", []),
        ("ä <ä@bücher.example>", ["ä@xn--bcher-kva.example"]),
        ("a@x.example; b@x.example", ["a@x.example", "b@x.example"]),
    ],
)
def test_lists(value, expected):
    assert keys(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "boss@good.example <evil@bad.example>",
        '"boss@good.example" <evil@bad.example>',
        '"<boss@good.example>," <evil@bad.example>',
        '"boss@good.example\\" <boss@good.example>" <evil@bad.example>',
        "(boss@good.example) evil@bad.example",
        "(<boss@good.example>, \\) <boss@good.example>) <evil@bad.example>",
        "boss@good.example: evil@bad.example;",
        "=?utf-8?q?boss=40good.example?= <evil@bad.example>",
        "=?utf-8?q?=3Cboss=40good.example=3E=2C?= <evil@bad.example>",
        "evil@bad.example (boss@good.example)",
        'evil@bad.example, "boss@good.example',
        "evil@bad.example, (boss@good.example",
        "evil@bad.example, <boss@good.example",
    ],
)
def test_an_address_in_a_name_or_comment_is_none(value):
    assert keys(value) == ["evil@bad.example"]


@pytest.mark.parametrize(
    "value",
    [
        "<boss@good.example> <evil@bad.example>",
        "<boss@good.example> evil@bad.example",
        "X <boss@good.example>: evil@bad.example",
    ],
)
def test_where_readers_differ_every_reading_is_returned(value):
    assert set(keys(value)) == {"boss@good.example", "evil@bad.example"}


@pytest.mark.parametrize("value", ["boss@good.example evil@bad.example", "boss@good.example@bad.example", "<a@x<b@y>>"])
def test_what_cannot_be_read_is_no_address(value):
    assert keys(value) == []


@given(st.lists(st.sampled_from([*'<>()",:;@.\\[] a\t', "a@x.example", "é"]), max_size=40).map("".join))
def test_any_value_is_read(value):
    read_addresses(value)


@pytest.mark.parametrize("piece", ["<", "(", '"', "a@b,", "a:", "[", "\\", "<>", '"" ', "(a)", " ", "a <", "@"])
def test_long_lists_in_time(piece):
    assert len(read_addresses(piece * (200_000 // len(piece)))) <= MAX_ADDRESSES


def test_a_domain_of_any_length_is_refused_before_it_is_looked_at():
    with pytest.raises(AddressError, match="longer than a domain name can be"):
        domain_to_ascii("\N{SQUARE KIROMEETORU}" * 16_000)  # IDNA takes seconds for as much
