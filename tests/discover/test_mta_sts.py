"""MTA-STS: records and policies as domains write them, and a web server that does all the wrong things."""

import ssl
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.name_server import NameServer as Server
from harness.web import Web
from mailseal.config.sections.dns import NameServer
from mailseal.discover.dns import Dns, DnsUnavailableError
from mailseal.discover.fetch import Fetcher, FetchError, FetchLimits
from mailseal.discover.mta_sts import (
    MAX_AGE_SECONDS,
    MAX_POLICY_BYTES,
    StsError,
    fetch_policy,
    published_id,
    read_policy,
    read_record,
)
from mailseal.postfix.tls_choice import StsMode, StsPolicy
from mailseal.postfix.tls_policy import Level, TlsPolicy

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx1.a.test\r\nmx: *.mail.a.test\r\nmax_age: 604800\r\n"
READ = StsPolicy(StsMode.ENFORCE, ("mx1.a.test", "*.mail.a.test"), 604800)
PATH = "GET /.well-known/mta-sts.txt"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=STSv1; id=20260301T000000"], "20260301T000000"),
        (["v=STSv1; id=20260301T000000;"], "20260301T000000"),
        (["v=STSv1;id=1;"], "1"),
        (["v=STSv1; ext=x/y; id=1"], "1"),
        (["v=STSv1; id=1; id=2"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1"], "1"),
        (["v=STSv10; id=1", "v=STSv1; id=2"], "2"),
        (["v=STSv1; id=1", "v=STSv1; id=2"], None),
        (["v=STSv1; id=1", "v=STSv1; id=1"], None),
        ([], None),
        (["v=STSv1"], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=a-b"], None),
        (["v=STSv1; id=" + "1" * 33], None),
        (["v=STSv1; ID=1"], None),
        (["v=stsv1; id=1"], None),
        ([" v=STSv1; id=1"], None),
        (["v=STSv1; id=1; a=b=c"], None),
        (["v=STSv1; id=1 2"], None),
        (["v=STSv1; id=1;;"], None),
        (["v=STSv1; x\ufffd=1; id=1"], None),
    ],
)
def test_records(texts, found):
    assert read_record(texts) == found


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (POLICY, READ),
        (POLICY.replace(b"\r\n", b"\n"), READ),
        (POLICY.rstrip(), READ),
        (POLICY + b"\n \n", READ),
        (POLICY.replace(b": ", b":"), READ),
        (POLICY.replace(b": ", b": \t "), READ),
        (POLICY.replace(b"MX1".lower(), b"MX1"), READ),
        (POLICY + b"max_age: 1\nmode: none\nversion: x\nother_1.x: \xc3\xa4 b\n", READ),
        (b"max_age: 604800\nmx: mx1.a.test\nmx: *.mail.a.test\nmx: mx1.a.test\nmode: enforce\nversion: STSv1", READ),
        (b"version: STSv1\nmode: none\nmax_age: 0", StsPolicy(StsMode.NONE, (), 0)),
        (
            b"version: STSv1\nmode: testing\nmx: a.test\nmax_age: 9999999999",
            StsPolicy(StsMode.TESTING, ("a.test",), MAX_AGE_SECONDS),
        ),
        (POLICY + b"mx: mx1.a.test\n" * 200, READ),
    ],
)  # fmt: skip
def test_policies(octets, found):
    assert read_policy(octets) == found


def changed(**fields):
    lines = {"version": "STSv1", "mode": "enforce", "mx": "mx1.a.test", "max_age": "604800"} | fields
    return "\n".join(f"{name}: {value}" for name, value in lines.items() if value is not None).encode()


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "version"),
        (changed(version=None), "version"),
        (changed(version="STSv2"), "version"),
        (changed(version="stsv1"), "version"),
        (changed(mode=None), "mode"),
        (changed(mode=""), "mode"),
        (changed(mode="Enforce"), "mode"),
        (changed(max_age=None), "max_age"),
        (changed(max_age="-1"), "max_age"),
        (changed(max_age="1.5"), "max_age"),
        (changed(max_age="1" * 11), "max_age"),
        (changed(max_age="\u0661"), "max_age"),
        (changed(mx=None), "names no mx"),
        (changed(mx=""), "no name"),
        (changed(mx="*"), "no name"),
        (changed(mx="*.*.a.test"), "no name"),
        (changed(mx=".a.test"), "no name"),
        (changed(mx="a.test."), "no name"),
        (changed(mx="192.0.2.1"), "no name"),
        (changed(mx="a.test:none"), "no name"),
        (changed(mx="a.test none"), "no name"),
        (changed(mx="hostname"), "no name"),
        (changed(mx="nexthop"), "no name"),
        (changed(mx="b\u00fccher.test"), "no name"),
        (changed(mode="none", mx="a b"), "no name"),
        (changed() + b"\n" + b"\n".join(b"mx: x%d.test" % number for number in range(100)), "no name"),
        (changed() + b"\nno field", "no field"),
        (changed() + b"\n: x", "no field"),
        (changed() + b"\n\xef\xbb\xbfa: x", "no field"),
        (changed() + b"\na b: x", "no field"),
        (changed() + b"\na: x\0", "no field"),
        (changed() + b"\na: x\ry", "no field"),
        (changed() + b"\n\xff: x", "no text"),
        (changed() + b"\n" * 1000, "too many lines"),
        (changed() + b"\na: " + b"x" * MAX_POLICY_BYTES, "too long"),
    ],
)
def test_what_is_no_policy(octets, why):
    with pytest.raises(StsError, match=why):
        read_policy(octets)


_LINE = st.tuples(
    st.sampled_from(["version", "mode", "mx", "max_age", "x", ""]),
    st.sampled_from(["STSv1", "enforce", "testing", "none", "a.test", "*.a.test", "604800", "hostname", ""])
    | st.text(max_size=20),
).map(": ".join)


@given(
    st.binary(max_size=300) | st.lists(_LINE, max_size=8).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))
)
def test_any_octets_are_a_policy_that_can_be_carried_out_or_an_error(octets):
    try:
        found = read_policy(octets)
    except StsError:
        return
    assert found.mode is not StsMode.ABSENT
    assert 0 <= found.max_age_seconds <= MAX_AGE_SECONDS
    if found.mode is not StsMode.NONE:
        assert TlsPolicy(Level.SECURE, found.names).names


@given(st.lists(st.text(alphabet=string.printable, max_size=30).map(lambda text: "v=STSv1;" + text), max_size=2))
def test_any_texts_are_a_record_or_none(texts):
    found = read_record(texts)
    assert found is None or (found.isalnum() and found.isascii() and len(found) <= 32)


@pytest.fixture
def server():
    with Server() as started:
        yield started


def test_a_domain_says_whether_it_has_a_policy(server):
    asking = Dns([NameServer("127.0.0.1", server.port)], 60.0)
    server.txt("_mta-sts.a.test", "v=STSv1; id=1")
    server.txt("b.test", "v=STSv1; id=1")
    server.records["_mta-sts.c.test", "CNAME"] = ["_mta-sts.a.test."]
    server.broken.add("_mta-sts.d.test")
    assert published_id(asking, "a.test") == "1"
    assert published_id(asking, "b.test") is None
    assert published_id(asking, "c.test") == "1"
    with pytest.raises(DnsUnavailableError):
        published_id(asking, "d.test")


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with Web(tmp_path_factory.mktemp("web"), name="mta-sts.a.test") as started:
        yield started


def fetched(web, domain="a.test"):
    limits = FetchLimits(total_seconds=60, max_bytes=MAX_POLICY_BYTES, max_redirects=0, allow_private=True)
    context = ssl.create_default_context(cafile=str(web.ca))
    there = Fetcher(limits, tls=context, look_up=lambda host, port, deadline: (("127.0.0.1", web.port),))
    return fetch_policy(there, domain)


def test_a_policy_is_fetched(web):
    web.answers[PATH] = (200, POLICY)
    web.fields = {"Content-Type": "Text/Plain; charset=utf-8"}
    assert fetched(web) == READ
    assert web.asked[-1] == "GET /.well-known/mta-sts.txt"


@pytest.mark.parametrize(
    ("status", "fields", "body", "why"),
    [
        (404, {"Content-Type": "text/plain"}, POLICY, "status 404"),
        (201, {"Content-Type": "text/plain"}, POLICY, "status 201"),
        (301, {"Content-Type": "text/plain", "Location": "/.well-known/mta-sts.txt"}, POLICY, "sends on"),
        (302, {"Content-Type": "text/plain"}, POLICY, "status 302"),
        (200, {}, POLICY, "text/plain"),
        (200, {"Content-Type": "text/html"}, POLICY, "text/plain"),
        (200, {"Content-Type": "text/plain"}, POLICY + b"\n" * MAX_POLICY_BYTES, "more than"),
        (200, {"Content-Type": "text/plain"}, b"<html>", "no field"),
    ],
)
def test_what_is_not_taken(web, status, fields, body, why):
    web.answers[PATH] = (status, body)
    web.fields = fields
    with pytest.raises((FetchError, StsError), match=why):
        fetched(web)


def test_the_certificate_must_name_the_host(web):
    web.answers[PATH] = (200, POLICY)
    web.fields = {"Content-Type": "text/plain"}
    with pytest.raises(FetchError, match="certificate"):
        fetched(web, "b.test")
