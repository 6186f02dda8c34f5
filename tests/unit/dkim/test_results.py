"""Authentication-Results: what is written, what is believed, and every disguise of a forged one."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.dkim.arc import Chain, ChainState
from mailseal.dkim.results import (
    MAX_BELIEVED,
    MAX_CLAIM_OCTETS,
    ResultsError,
    arc_text,
    believed,
    claims,
    dkim_texts,
    joined,
    normal_id,
    read_results,
)
from mailseal.dkim.verify import Cause, Result, Verdict
from mailseal.mail.mime import parse

OURS = {"mx.example.com"}


def test_what_is_written():
    verdicts = [
        Verdict(Result.PASS, Cause.GOOD, "a.example", "sel", "rsa-sha256", "QUJDREVG"),
        Verdict(Result.FAIL, Cause.BODY, "b.example", "s", "rsa-sha256", "QUJD/+=="),
        Verdict(Result.PERMERROR, Cause.KEY, "c.example", detail='a "detail" \\ \u00e4', testing=True),
        Verdict(Result.NEUTRAL, Cause.SYNTAX),
    ]
    text = joined("mx.example.com", [*dkim_texts(verdicts), arc_text(Chain(ChainState.FAIL, "a reason", highest=2))])
    assert text.split(";\r\n\t") == [
        "mx.example.com",
        "dkim=pass header.d=a.example header.s=sel header.a=rsa-sha256 header.b=QUJDREVG",
        'dkim=fail reason="the body has changed" header.d=b.example header.s=s header.a=rsa-sha256 header.b="QUJD/+=="',
        'dkim=permerror (only being tested) reason="a \\"detail\\" \\\\ ?" header.d=c.example',
        'dkim=neutral reason="the signature field cannot be read"',
        'arc=fail reason="a reason"',
    ]
    read = read_results(text.replace("\r\n", ""))
    assert read.authserv_id == "mx.example.com"
    assert read.methods == {"dkim", "arc"}
    assert len(read.texts) == 5


def test_nobody_writes_a_result_of_his_own_by_the_name_of_an_algorithm():
    """Quoted it would be right, and pass for a result with who only looks for words."""
    verdict = Verdict(Result.PERMERROR, Cause.ALGORITHM, "a.example", "s", "x dkim=pass header.d=bank.example", "QUJD")
    (text,) = dkim_texts([verdict])
    assert "bank" not in text
    assert text.endswith(" header.d=a.example header.s=s header.b=QUJD")


def test_nothing_found():
    assert dkim_texts([]) == ["dkim=none"]
    assert arc_text(Chain(ChainState.NONE)) == "arc=none"
    assert arc_text(Chain(ChainState.PASS, highest=2, domain="x.example")) == "arc=pass (i=2) header.d=x.example"


@pytest.mark.parametrize(("value", "texts"), [
    ("mx.example.com; none", ()),
    ("mx.example.com 1; none", ()),
    ("MX.example.com.; spf=pass", ("spf=pass",)),
    ('"mx.example.com"; spf=pass', ("spf=pass",)),
    ('(a;b) mx.example.com (c(d;)) 1 ; spf=pass (x;y) a.b=c; dkim/1=fail reason="a;b"',
     ("spf=pass (x;y) a.b=c", 'dkim/1=fail reason="a;b"')),
    ("mx.example.com;spf=none;", ("spf=none",)),
    ("mx.example.com", ()),
])  # fmt: skip
def test_what_is_read(value, texts):
    read = read_results(value)
    assert (read.authserv_id, read.texts) == ("mx.example.com", texts)


@pytest.mark.parametrize("value", [
    "", ";", "; spf=pass", "(x); spf=pass", "a b; spf=pass", "a 1 2; spf=pass", "a; pass", "a; spf", "a; spf=",
    "a; spf=pass (x", 'a; spf=pass "x', "a; sp\u00e4=pass", "a; spf=pass\x01", "a; " + "x" * 9000, "a" + ";b=c" * 200,
])  # fmt: skip
def test_what_cannot_be_read(value):
    with pytest.raises(ResultsError):
        read_results(value)


def test_no_line_becomes_too_long_for_a_mail():
    verdict = Verdict(Result.PERMERROR, Cause.ALGORITHM, "d" * 250, "s" * 250, "a" * 16_000, "QUJD", "x " * 5000)
    text = joined("mx.example.com", [*dkim_texts([verdict]), "spf=pass (" + "word " * 1000 + ")"])
    assert max(map(len, text.split("\r\n"))) < 600
    assert text.isascii()
    read = read_results(text.replace("\r\n", ""))
    assert read.methods == {"dkim", "spf"}


FORGED = [
    b"Authentication-Results: mx.example.com; dkim=pass\r\n",
    b"authentication-RESULTS: MX.Example.COM; dkim=pass\r\n",
    b"Authentication-Results : mx.example.com; dkim=pass\r\n",
    b"Authentication-Results\t:mx.example.com; dkim=pass\r\n",
    b"Authentication-Results:mx.example.com\r\n",
    b"Authentication-Results: mx.example.com 1; dkim=pass\r\n",
    b"Authentication-Results: mx.example.com/1; dkim=pass\r\n",
    b"Authentication-Results: mx.example.com.; dkim=pass\r\n",
    b"Authentication-Results:\r\n\tmx.example.com;\r\n\tdkim=pass\r\n",
    b"Authentication-Results: (c) mx.example.com; dkim=pass\r\n",
    b"Authentication-Results: (a;b) mx.example.com; dkim=pass\r\n",
    b"Authentication-Results: (a(b);c) mx.example.com (d); dkim=pass\r\n",
    b"Authentication-Results: (\\); mx.example.com; dkim=pass\r\n",
    b"Authentication-Results: (other; mx.example.com; dkim=pass\r\n",
    b'Authentication-Results: "mx.example.com"; dkim=pass\r\n',
    b'Authentication-Results: "mx\\.example.com"; dkim=pass\r\n',
    b'Authentication-Results: "mx.example.com; dkim=pass\r\n',
    b"Authentication-Results: mx.exa\xe2\x80\x8bmple.com; dkim=pass\r\n",
    b"Authentication-Results: \xef\xbd\x8dx.example.com; dkim=pass\r\n",
    b"Authentication-Results: mx\xe3\x80\x82example.com; dkim=pass\r\n",
    b"Authentication-Results: =?utf-8?q?mx=2Eexample=2Ecom?=; dkim=pass\r\n",
    b"Authentication-Results: mx.example.com dkim=pass\r\n",
    b"Authentication-Results: mx.example.com, dkim=pass\r\n",
    b"Authentication-Results: mx.exam\rple.com; dkim=pass\r\n",
    b"Authentication-Results: \rmx.example.com; dkim=pass\r\n",
    b"X-Other: x\rAuthentication-Results: mx.example.com; dkim=pass\r\n",
    b"\xef\xbb\xbfAuthentication-Results: mx.example.com; dkim=pass\r\n",
    b"X-Other: x\r\xef\xbb\xbfAuthentication-Results: mx.example.com; dkim=pass\r\n",
    b"Authentication-Results: mx.example.com\x01; dkim=pass\r\n",
    b"Authentication-Results: other mx.example.com; dkim=pass\r\n",
    b"Authentication-Results: " + b"(" + b" x%d" * 2000 % tuple(range(2000)) + b"\r\n",
]


@pytest.mark.parametrize("raw", FORGED, ids=range(len(FORGED)))
def test_disguises(raw):
    assert claims(raw, OURS)


@pytest.mark.parametrize("raw", [
    b"Authentication-Results: other.example; dkim=pass\r\n",
    b"Authentication-Results: mx.example.com.evil.example; dkim=pass\r\n",
    b"Authentication-Results: xmx.example.com; dkim=pass\r\n",
    b"Authentication-Results: other.example; spf=pass smtp.helo=mx.example.com\r\n",
    b"Authentication-Results: other.example; spf=pass (mx.example.com: all is well)\r\n",
    b"X-Authentication-Results: mx.example.com; dkim=pass\r\n",
    b"ARC-Authentication-Results: i=1; mx.example.com; dkim=pass\r\n",
    b"Authentication-Results-Original: mx.example.com; dkim=pass\r\n",
    b"Subject: Authentication-Results: mx.example.com; dkim=pass\r\n",
    b"Subject: a\r\n Authentication-Results: mx.example.com; dkim=pass\r\n",
    b"Authentication-Results:\r\n",
])  # fmt: skip
def test_what_nobody_takes_for_ours(raw):
    assert not claims(raw, OURS)


@pytest.mark.parametrize("piece", [
    b"(", b"(a", b")(", b"()", b'"', b'"a', b"\\", b";", b" a", b"=?a?q?", b"=?utf-8?q?a?= ", b"\r", b" ", b"=?",
    b"\rauthentication-results: a ", b"\rauthentication-results ",
])  # fmt: skip
@pytest.mark.parametrize("octets", [MAX_CLAIM_OCTETS - 100, 250_000])
def test_nobody_is_kept_by_a_field_of_any_length(piece, octets):
    """In quadratic time one of these takes minutes, in which no other mail goes on either."""
    claims(b"Authentication-Results: " + piece * (octets // len(piece)) + b"\r\n", OURS)


def test_a_field_that_is_absurdly_long_or_holds_another_is_told_from_ours_by_nobody():
    field = b"Authentication-Results: other.example; spf=pass ("
    assert not claims(field + b"x" * 9000 + b")\r\n", OURS)
    assert claims(field + b"x" * MAX_CLAIM_OCTETS + b")\r\n", OURS)
    assert claims(field + b"\rAuthentication-Results: b.example)\r\n", OURS)


@given(st.binary(max_size=80))
def test_any_octets(octets):
    claims(b"Authentication-Results: " + octets, OURS)
    with suppress(ResultsError):
        read_results(octets.decode("latin-1"))


def run(*lines):
    root = parse(b"".join(lines) + b"From: a@example.com\r\n\r\nx").root
    return [results.authserv_id for _, results in believed(root, {"border.example", "filter.example"})]


BORDER = b"Authentication-Results: border.example; spf=pass\r\n"
FILTER = b"Authentication-Results: Filter.example; spam=no\r\n"
OTHER = b"Authentication-Results: evil.example; spf=pass\r\n"
TRACE = b"Received: from a by b\r\n"


def test_only_the_topmost_run_is_believed():
    assert run(BORDER, FILTER, OTHER, BORDER) == ["border.example", "filter.example"]
    assert run(TRACE, TRACE, BORDER, TRACE, FILTER) == ["border.example"]
    assert run(OTHER, BORDER) == []
    assert run(b"Authentication-Results: border.example; x\r\n", BORDER) == []
    assert run(TRACE) == []
    assert len(run(*[BORDER] * 50)) == MAX_BELIEVED
    assert run(b"Authentication-Results: border.example; spf=pass " + b"x" * 501 + b"\r\n") == []


def test_ids_are_compared_as_names():
    assert normal_id("MX.B\u00fccher.example.") == "mx.xn--bcher-kva.example"
    assert normal_id("Some Thing") == "some thing"
