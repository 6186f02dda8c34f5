"""What makes a policy, and that Postfix reads of it what was meant."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.postfix.tls_policy import (
    LeastTls,
    Level,
    ServerName,
    TlsPolicy,
    TlsPolicyError,
    is_name,
    read_fingerprint,
    rendered,
)
from unit.postfix.postfix_reading import LEVELS, read

DIGEST = "0f" * 32
COLONS = ":".join(["0F"] * 32)
CA = Path("/etc/mailseal/ca.pem")


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (TlsPolicy(Level.NONE), "none"),
        (TlsPolicy(Level.MAY), "may"),
        (TlsPolicy(Level.ENCRYPT, least_tls=LeastTls.TLS_1_3), "encrypt protocols=>=TLSv1.3"),
        (TlsPolicy(Level.DANE), "dane"),
        (TlsPolicy(Level.DANE_ONLY), "dane-only"),
        (TlsPolicy(Level.FINGERPRINT, fingerprints=(DIGEST, DIGEST)), f"fingerprint match={COLONS}|{COLONS}"),
        (TlsPolicy(Level.VERIFY), "verify match=hostname"),
        (TlsPolicy(Level.VERIFY, ("a.example", "*.b.example")), "verify match=a.example:.b.example"),
        (TlsPolicy(Level.SECURE), "secure match=nexthop:dot-nexthop"),
        (TlsPolicy(Level.SECURE, ("192.0.2.1",)), "secure match=192.0.2.1"),
        (
            TlsPolicy(Level.SECURE, ("mailhub",), (), LeastTls.TLS_1_2, ServerName.HOST, CA),
            "secure match=mailhub servername=hostname protocols=>=TLSv1.2 tafile=/etc/mailseal/ca.pem",
        ),
    ],
)
def test_as_postfix_reads_it(policy, line):
    assert rendered(policy) == line


@pytest.mark.parametrize(
    ("level", "more", "why"),
    [
        (Level.MAY, {"names": ("a.example",)}, "go with verify and secure"),
        (Level.SECURE, {"fingerprints": (DIGEST,)}, "go with the level fingerprint"),
        (Level.FINGERPRINT, {}, "at least one"),
        (Level.FINGERPRINT, {"fingerprints": ("0F" * 32,)}, "no SHA-256"),
        (Level.FINGERPRINT, {"fingerprints": ("0f" * 20,)}, "no SHA-256"),
        (Level.FINGERPRINT, {"fingerprints": (DIGEST,) * 31}, "at most"),
        (Level.SECURE, {"names": ("a.example",) * 101}, "at most"),
        (Level.NONE, {"least_tls": LeastTls.TLS_1_2}, "without TLS"),
        (Level.NONE, {"server_name": ServerName.HOST}, "without TLS"),
        (Level.DANE, {"server_name": ServerName.HOST}, "given by DANE"),
        (Level.ENCRYPT, {"trust_anchors": CA}, "CAs go with"),
        (Level.SECURE, {"trust_anchors": Path("/etc/a b")}, "part it at"),
        (Level.SECURE, {"trust_anchors": Path("/etc/a,b")}, "part it at"),
        (Level.SECURE, {"trust_anchors": Path("ca.pem")}, "part it at"),
    ],
)
def test_what_makes_no_policy(level, more, why):
    with pytest.raises(TlsPolicyError, match=why):
        TlsPolicy(level, **more)


@pytest.mark.parametrize(
    "name",
    [
        "hostname", "nexthop", "dot-nexthop", "", ".", ".example.com", "*", "*.", "*.com", "a.*.com", "**.a.com",
        "A.example", "a.example:b.example", "a.example none", "a.example,b", "a.example\n", "a|b", "a=b", "{a}", "a..b",
        "-a.example", "a-.example", "bücher.example", "a.example.", "1.2.3", "01.2.3.4", "::1", "x." * 127 + "xx",
        "a" * 64 + ".example", "mx\0.example",
    ],
)  # fmt: skip
def test_what_no_certificate_names(name):
    assert not is_name(name)
    with pytest.raises(TlsPolicyError):
        TlsPolicy(Level.SECURE, (name,))


@pytest.mark.parametrize("text", [DIGEST, COLONS, f" {COLONS.lower()} ", "0F" * 32])
def test_a_fingerprint_as_it_is_copied(text):
    assert read_fingerprint(text) == DIGEST


@pytest.mark.parametrize("text", ["", "0f" * 31, "0g" * 32, "0f" * 33, "sha256:" + DIGEST, f"{DIGEST},{DIGEST}"])
def test_what_is_no_fingerprint(text):
    with pytest.raises(TlsPolicyError):
        read_fingerprint(text)


def test_the_levels():
    assert tuple(Level) == LEVELS
    assert [one.value for one in Level if one.binding] == ["encrypt", "dane-only", "fingerprint", "verify", "secure"]
    assert [one.value for one in Level if one.proves] == ["dane-only", "fingerprint", "verify", "secure"]


_ANY_TEXT = st.text(max_size=40) | st.sampled_from(
    ["a.example", "*.b.example", "none", "a.example none", DIGEST, "hostname"]
)


@given(
    level=st.sampled_from(Level),
    names=st.lists(_ANY_TEXT, max_size=4),
    fingerprints=st.lists(_ANY_TEXT, max_size=4),
    least_tls=st.sampled_from(LeastTls),
    server_name=st.sampled_from(ServerName),
    file=st.none() | _ANY_TEXT.map(lambda text: Path("/" + text)),
)
def test_whatever_a_row_holds_postfix_reads_what_is_meant_or_there_is_no_policy(
    level, names, fingerprints, least_tls, server_name, file
):
    try:
        policy = TlsPolicy(level, tuple(names), tuple(fingerprints), least_tls, server_name, file)
    except TlsPolicyError:
        return
    found = read(rendered(policy))
    assert found.level == level
    assert found.others == {
        name: value
        for name, value in (
            ("servername", server_name.value),
            ("protocols", f">=TLSv{least_tls.value}" if least_tls else ""),
            ("tafile", str(file) if file else ""),
        )
        if value
    }
    match level:
        case Level.FINGERPRINT:
            assert [one.replace(":", "").lower() for one in found.match] == fingerprints
            assert fingerprints
        case Level.VERIFY:
            assert found.match == ([one.removeprefix("*") for one in names] or ["hostname"])
        case Level.SECURE:
            assert found.match == ([one.removeprefix("*") for one in names] or ["nexthop", "dot-nexthop"])
        case _:
            assert found.match == []
