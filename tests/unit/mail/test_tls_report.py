"""TLS reports: written as the RFC wants them, read as others write them, bounded in all directions."""

import gzip
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mails import messages, mutilated
from mailseal.mail.address import Address
from mailseal.mail.mime import MimeError, parse
from mailseal.mail.tls_report import (
    MAX_COUNT,
    MAX_FAILURES,
    MAX_JSON_BYTES,
    MAX_POLICIES,
    MAX_STRINGS,
    MAX_TEXT_CHARS,
    TlsReportError,
    from_json,
    to_json,
)
from mailseal.mail.tls_report_mail import Letter, compressed, file_name, read_mail, unpacked, write_mail
from tls_reports import EXAMPLE, REPORT, mail

LETTER = Letter(
    Address.parse("tls@alpha.example"),
    Address.parse("reports@beta.example"),
    "alpha.example",
    "beta.example",
    datetime(2026, 11, 30, 1, 2, 3, tzinfo=UTC),
)


def changed(*path: object, value: object) -> bytes:
    report = deepcopy(EXAMPLE)
    place = report
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(report).encode()


def test_the_example_of_the_rfc():
    report = from_json(json.dumps(EXAMPLE).encode())
    assert (report.organization, report.contact) == ("Company-X", "sts-reporting@company-x.example")
    assert report.begins == datetime(2016, 4, 1, tzinfo=UTC)
    assert report.ends - report.begins == timedelta(days=1, seconds=-1)
    [one] = report.policies
    assert (one.policy.type, one.policy.domain, one.policy.mx_hosts) == (
        "sts", "company-y.example", ("*.mail.company-y.example",),
    )  # fmt: skip
    assert (one.succeeded, one.failed) == (5326, 303)
    assert [(each.result, each.sessions, each.mx_address) for each in one.failures] == [
        ("certificate-expired", 100, ""),
        ("starttls-not-supported", 200, "203.0.113.56"),
        ("validation-failure", 3, "203.0.113.58"),
    ]
    assert one.failures[2].reason == "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"


def test_what_is_written_is_what_is_read():
    assert from_json(to_json(REPORT)) == REPORT


def test_what_is_written_has_the_names_of_the_rfc():
    value = json.loads(to_json(REPORT))
    assert value.keys() == EXAMPLE.keys()
    [policy] = value["policies"]
    assert policy.keys() == EXAMPLE["policies"][0].keys()
    assert policy["policy"].keys() == EXAMPLE["policies"][0]["policy"].keys()
    assert value["date-range"] == {"start-datetime": "2026-11-29T00:00:00Z", "end-datetime": "2026-11-29T23:59:59Z"}
    assert policy["failure-details"] == [
        {
            "result-type": "certificate-expired",
            "sending-mta-ip": "192.0.2.1",
            "receiving-mx-hostname": "mx.beta.example",
            "receiving-ip": "203.0.113.5",
            "failed-session-count": 3,
            "failure-reason-code": "certificate has expired",
        }
    ]


@pytest.mark.parametrize(
    "octets",
    [
        changed("policies", 0, "policy", "mx-host", value="mx.company-y.example"),
        changed("policies", 0, "policy", "mx-host", value=None),
        changed("policies", 0, "failure-details", value=None),
        changed("policies", 0, "policy", "policy-string", value=["", 5, None, "x"]),
        changed("organization-name", value=None),
        changed("policies", 0, "policy", "policy-domain", value="Company-Y.example."),
        changed("date-range", "start-datetime", value="2016-04-01T02:00:00+02:00"),
        b"\xef\xbb\xbf" + json.dumps(EXAMPLE).encode(),
        changed("more", value={"deep": [[[[]]]]}),
    ],
)
def test_what_lax_writers_write(octets):
    [one] = from_json(octets).policies
    assert one.policy.domain == "company-y.example"


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"1" * 5000, b"[" * 100_000, b'{"a":' * 50_000,
        b" " * (MAX_JSON_BYTES + 1),
        changed("policies", value=[]),
        changed("policies", value=EXAMPLE["policies"] * (MAX_POLICIES + 1)),
        changed("policies", value={}),
        changed("policies", 0, value=[]),
        changed("policies", 0, "summary", value=None),
        changed("policies", 0, "summary", "total-successful-session-count", value=-1),
        changed("policies", 0, "summary", "total-successful-session-count", value=1.5),
        changed("policies", 0, "summary", "total-successful-session-count", value=True),
        changed("policies", 0, "summary", "total-successful-session-count", value="5"),
        changed("policies", 0, "summary", "total-failure-session-count", value=MAX_COUNT + 1),
        changed("policies", 0, "summary", "total-failure-session-count", value=float("inf")),
        changed("policies", 0, "policy", "policy-domain", value="a b"),
        changed("policies", 0, "policy", "policy-domain", value=None),
        changed("policies", 0, "failure-details", value={"a": 1}),
        changed("date-range", value=None),
        changed("date-range", "start-datetime", value="yesterday"),
        changed("date-range", "start-datetime", value="2016-05-01T00:00:00Z"),
        changed("date-range", "end-datetime", value="9999-12-31T23:59:59-14:00"),
        changed("date-range", "start-datetime", value="0001-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_what_is_no_report(octets):
    with pytest.raises(TlsReportError):
        from_json(octets)


def test_what_is_kept_is_bounded_and_one_line():
    report = deepcopy(EXAMPLE)
    report["organization-name"] = "x\r\nBcc: y\0\u2028\x1b[31m" + "z" * 2000
    policy = report["policies"][0]
    policy["failure-details"] = [policy["failure-details"][0]] * (MAX_FAILURES + 50)
    policy["policy"]["policy-string"] = ["line"] * (MAX_STRINGS + 50)
    found = from_json(json.dumps(report).encode())
    assert found.organization.startswith("x Bcc: y [31m")
    assert found.organization.isprintable()
    assert len(found.organization) == MAX_TEXT_CHARS
    assert len(found.policies[0].failures) == MAX_FAILURES
    assert len(found.policies[0].policy.strings) == MAX_STRINGS
    assert found.policies[0].failed == 303


# ---- by mail


def test_the_mail_is_as_the_rfc_wants_it_and_comes_back():
    octets = write_mail(REPORT, LETTER)
    root = parse(octets).root
    assert root.content_type.type == "multipart/report"
    assert root.content_type.parameters["report-type"] == "tlsrpt"
    assert root.header("tls-report-domain") == "beta.example"
    assert root.header("tls-report-submitter") == "alpha.example"
    assert root.header("subject") == (
        f"Report Domain: beta.example Submitter: alpha.example Report-ID: <{REPORT.report_id}>"
    )
    assert (root.header("from"), root.header("to")) == ("tls@alpha.example", "reports@beta.example")
    text, file = root.children
    assert text.content_type.type == "text/plain"
    assert (file.content_type.type, file.filename) == (
        "application/tlsrpt+gzip", "alpha.example!beta.example!1795910400!1795996799.json.gz",
    )  # fmt: skip
    assert file.filename == file_name(REPORT, "beta.example", "alpha.example")
    assert gzip.decompress(file.decoded_body(1 << 20)) == to_json(REPORT)
    assert read_mail(root) == REPORT
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) <= 160
    assert b"\n" not in octets.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"outer": ""},
        {"kind": "application/gzip"},
        {"kind": "application/octet-stream", "outer": 'multipart/mixed; boundary="=_r"'},
        {"kind": "application/tlsrpt+json", "name": "report"},
        {"kind": "application/json", "name": "report.JSON", "outer": ""},
    ],
    ids=lambda more: " ".join(more.values()) or "as the RFC",
)
def test_every_way_in_which_reports_come(more):
    assert read_mail(parse(mail(EXAMPLE, **more)).root).organization == "Company-X"


@pytest.mark.parametrize(
    "raw",
    [
        mail(EXAMPLE, kind="application/gzip", name="report.gz"),
        mail(EXAMPLE, kind="text/plain"),
        mail(b"no gzip"),
        mail(gzip.compress(json.dumps(EXAMPLE).encode())[:-3]),
        mail(gzip.compress(json.dumps(EXAMPLE).encode()) + b"more"),
        mail(gzip.compress(b"{}") + gzip.compress(json.dumps(EXAMPLE).encode())),
        mail(EXAMPLE).replace(b"base64", b"uuencode"),
        b"From: a@b.example\r\n\r\nHello\r\n",
    ],
)
def test_what_is_no_report_by_mail(raw):
    with pytest.raises(TlsReportError):
        read_mail(parse(raw).root)


def test_a_bomb_is_not_unpacked():
    bomb = gzip.compress(b" " * (100 << 20))
    assert len(bomb) < 120_000
    with pytest.raises(TlsReportError, match="too long"):
        read_mail(parse(mail(bomb)).root)


def test_a_file_that_just_fits():
    octets = json.dumps(EXAMPLE).encode()
    padded = octets + b" " * (MAX_JSON_BYTES - len(octets))
    assert unpacked(gzip.compress(padded)) == padded
    with pytest.raises(TlsReportError):
        unpacked(gzip.compress(padded + b" "))


def test_the_same_report_is_the_same_file():
    assert compressed(REPORT) == compressed(REPORT)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*EXAMPLE, "policy", "summary", "policy-domain", "failure-details"]), inner)
    ),
    max_leaves=12,
)


@given(st.one_of(values.map(lambda value: json.dumps(value).encode()), st.binary(max_size=200)))
def test_any_octets_are_a_report_or_none(octets):
    with pytest.raises(TlsReportError):
        from_json(octets)


@given(st.sampled_from(["policies", "date-range", "contact-info"]), values)
def test_any_value_in_any_place(name, value):
    try:
        found = from_json(changed(name, value=value))
    except TlsReportError:
        return
    assert from_json(to_json(found)).policies == found.policies


@given(st.one_of(messages, mutilated(), st.binary(max_size=200).map(mail)))
def test_any_mail_has_a_report_or_none(raw):
    try:
        root = parse(raw).root
    except MimeError:
        return
    with pytest.raises(TlsReportError):
        read_mail(root)
