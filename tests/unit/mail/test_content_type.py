import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.content_type import parse_content_type

_PIECES = st.sampled_from(
    [
        *[";", "=", '"', "(", ")", "\\", "*", "'", "/", ",", "%", "<", ">", "[", "]", "?", "@"],
        " ",
        "\t",
        "a",
        "text",
        "boundary",
        "*0",
        "*1*",
        "utf-8''",
        "%41",
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=60).map("".join)))
def test_any_text_is_read(text):
    read = parse_content_type("text/plain; " + text)
    assert read.type == "text/plain"
    parse_content_type(text)
    for value in read.parameters.values():
        assert not set("\r\n\0") & set(value)


@pytest.mark.parametrize("text", ["(" * 100_000, '"' * 99_999, '; a="' * 50_000, "; a=(" * 50_000, ";" * 200_000])
def test_long_hostile_values_are_read_in_time(text):
    parse_content_type("text/plain" + text)
    parse_content_type(text)


@pytest.mark.parametrize(
    ("value", "media_type", "parameters"),
    [
        ("text/plain", "text/plain", {}),
        ("TEXT/Html; CHARSET=UTF-8", "text/html", {"charset": "UTF-8"}),
        ("text/plain;charset=us-ascii (Plain (very) text)", "text/plain", {"charset": "us-ascii"}),
        ('(a) text/plain (b) ; (c) charset = (d) "us-ascii" (e);', "text/plain", {"charset": "us-ascii"}),
        ('multipart/mixed; boundary="a;b=\\"c\\\\"', "multipart/mixed", {"boundary": 'a;b="c\\'}),
        ("multipart/mixed; boundary=----=_Part_1/2:3", "multipart/mixed", {"boundary": "----=_Part_1/2:3"}),
        ("x/y; name=my file.pdf; size=3", "x/y", {"name": "my file.pdf", "size": "3"}),
        ("x/y; ;; odd; a=b", "x/y", {"a": "b"}),
        (
            'message/external-body; URL*0="ftp://"; URL*1="cs.utk.edu/x"',
            "message/external-body",
            {"url": "ftp://cs.utk.edu/x"},
        ),
        (
            "x/y; title*0*=us-ascii'en'This%20is%20more%20; title*1*=%2A%2Afun%2A%2A%20; title*2=\"isn't it!\"",
            "x/y",
            {"title": "This is more **fun** isn't it!"},
        ),
        ("x/y; name=plain; name*=iso-8859-1''%E4%0A", "x/y", {"name": "ä "}),
        ("x/y; name*=no-charset''%E4", "x/y", {}),
        ("x/y; name*1=b", "x/y", {}),
        ("x/y; a=1; a=2", "x/y", {"a": "1"}),
    ],
)
def test_values(value, media_type, parameters):
    read = parse_content_type(value)
    assert read.type == media_type
    assert dict(read.parameters) == parameters
    assert not read.malformed


@pytest.mark.parametrize("value", ["", "text", "/plain", "text/", "=?utf-8?q?text/plain?="])
def test_an_unreadable_type_is_text(value):
    read = parse_content_type(value)
    assert read.type == "text/plain"
    assert read.malformed is bool(value)


@pytest.mark.parametrize(
    "parameters",
    [
        "a=1; a=2",
        "a=1; a*=utf-8''2",
        "a*=utf-8''1; a*0=2",
        "a*0=1; a*2=2",
        "a*1=1",
        "a=b c",
        'a="b"c',
        'a="b',
        "a=",
    ],
)
def test_what_readers_read_differently_is_ambiguous(parameters):
    assert "a" in parse_content_type(f"x/y; {parameters}").ambiguous


@pytest.mark.parametrize("value", ["x/y a=b", "x/y; <a=b", "x/y" + "; a=b" * 101])
def test_malformed(value):
    assert parse_content_type(value).malformed
