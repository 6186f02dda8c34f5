"""How a next hop is written and read."""

from pathlib import Path

import pytest

from mailseal.config import ConfigError, NextHop, Protocol, Tls, from_values
from mailseal.config.next_hop import credential_name, next_hop, next_hops
from mailseal.config.values import BadValueError

FULL = (
    "smtp://mx.example.net:587?tls=verified&name=other.example.net&ca=/etc/ca%26more.pem"
    "&certificate=/etc/c.pem&key=/etc/k.pem&user=me+gate@example.net"
)


def test_every_parameter():
    hop = next_hop(FULL)
    assert hop == NextHop(
        "mx.example.net", 587, given=Tls.VERIFIED, name="other.example.net", ca=Path("/etc/ca&more.pem"),
        certificate=Path("/etc/c.pem"), key=Path("/etc/k.pem"), user="me+gate@example.net",
    )  # fmt: skip
    assert str(hop) == FULL
    assert hop.place == "smtp://mx.example.net:587"
    assert hop.tls_name == "other.example.net"
    assert hop.credential == "me+gate@example.net@mx.example.net:587"


@pytest.mark.parametrize(
    ("url", "tls", "local"),
    [
        ("smtp://127.0.0.1:25", Tls.OFF, True),
        ("smtp://127.9.9.9:25", Tls.OFF, True),
        ("smtp://[::1]:25", Tls.OFF, True),
        ("smtp://localhost:25", Tls.OFF, True),
        ("lmtp:///run/lmtp", Tls.OFF, True),
        ("smtp://mx.example.net:25", Tls.OPPORTUNISTIC, False),
        ("lmtp://192.0.2.1:24", Tls.OPPORTUNISTIC, False),
        ("smtps://mx.example.net:465", Tls.REQUIRED, False),
        ("smtps://127.0.0.1:465", Tls.REQUIRED, True),
        ("smtp://127.0.0.1:25?tls=required", Tls.REQUIRED, True),
        ("smtp://mx.example.net:25?tls=off", Tls.OFF, False),
    ],
)
def test_what_holds_without_asking(url, tls, local):
    hop = next_hop(url)
    assert (hop.tls, hop.local) == (tls, local)
    assert str(hop) == url
    assert next_hop(str(hop)) == hop


def test_short_forms():
    assert str(next_hop("MX.Example.net:25")) == "smtp://mx.example.net:25"
    assert next_hop("lmtp://h:24").protocol is Protocol.LMTP
    assert next_hop("smtps://h:465").implicit
    assert next_hops("smtp://a:1, b:2") == (NextHop("a", 1), NextHop("b", 2))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h:25", "not smtp, smtps or lmtp"),
        ("smtp://h", "not host:port"),
        ("smtp://h h:25", "not a host name"),
        ("smtp://h:25?tls=maybe", "one of off, opportunistic, required, verified"),
        ("smtp://h:25?TLS=off", "unknown parameter"),
        ("smtp://h:25?tls", "once, with a value"),
        ("smtp://h:25?tls=off&tls=off", "once, with a value"),
        ("smtp://h:25?tls=required&name=x", "only with tls=verified"),
        ("smtp://h:25?ca=/x", "only with tls=verified"),
        ("smtp://h:25?tls=verified&key=/x", "a key without a certificate"),
        ("smtp://h:25?tls=off&certificate=/x", "a certificate needs TLS"),
        ("smtps://h:465?tls=off", "smtps is TLS from the first octet"),
        ("smtps://h:465?tls=opportunistic", "smtps is TLS from the first octet"),
        ("lmtp:///run/x?tls=verified", "needs name="),
        ("smtp://h:25?user=me", "somebody who has not proven who they are"),
        ("smtp://h:25?user=me&tls=required", "somebody who has not proven who they are"),
        ("smtp://h:25?tls=verified&user=%0d%0a", "control characters"),
        ("smtp://me:geheim@h:25", "user=NAME"),
        ("smtp://me:geheim?x@h:25", "user=NAME"),
        ("me:geheim://x@h:25", "user=NAME"),
        ("smtp://[::1 x]:25", "not a host name or an IP address"),
        ("smtp://h:25?tls=verified&ca=~nobody-of-this-name/ca.pem", "does not exist here"),
        ("smtp://h:25?password=geheim", "mailseal route password"),
    ],
)
def test_what_is_refused(url, why):
    with pytest.raises(BadValueError, match=why) as error:
        next_hop(url)
    assert "geheim" not in str(error.value)


def test_one_to_eight_of_them():
    for raw in ([], [f"h:{port}" for port in range(1, 10)], ["h:1", "smtp://h:1"]):
        with pytest.raises(BadValueError):
            next_hops(raw)
    assert len(next_hops([f"h:{port}" for port in range(1, 9)])) == 8


def test_a_password_on_this_machine_needs_no_tls():
    assert next_hop("lmtp:///run/x?user=me").credential == "me@/run/x"


def test_the_name_of_a_password():
    assert credential_name("me@x@MX.example.net:587") == "me@x@mx.example.net:587"
    assert credential_name("me@[::1]:25") == next_hop("smtp://[::1]:25?user=me").credential
    assert credential_name("me@/run/x") == "me@/run/x"
    for bad in ("h:25", "@h:25", "me@h", "me@h:0"):
        with pytest.raises(BadValueError):
            credential_name(bad)


def test_in_the_file_and_the_environment():
    config = from_values(
        {"relay": {"inside": "lmtp:///run/x", "outside": ["a:1", "b:2"]}},
        {"MAILSEAL_RELAY_OUTSIDE": "smtp://c:3?tls=required, d:4"},
    )
    assert [str(one) for one in config.relay.inside] == ["lmtp:///run/x"]
    assert [str(one) for one in config.relay.outside] == ["smtp://c:3?tls=required", "smtp://d:4"]
    with pytest.raises(ConfigError, match=r"relay\.inside: contradicts itself"):
        from_values({"relay": {"inside": "smtp://h:25?user=me"}})
