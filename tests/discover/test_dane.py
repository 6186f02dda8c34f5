"""Whether the MX hosts of a domain have TLSA records that can be used, and what is proven."""

import pytest

from harness.name_server import NameServer as Server
from harness.waiting import PATIENCE_SECONDS
from mailseal.config.sections.dns import NameServer
from mailseal.discover.dane import has_dane, host_has_dane, usable
from mailseal.discover.dns import Dns, DnsUnavailableError, Tlsa

GOOD = "3 1 1 " + "ab" * 32


@pytest.fixture
def server():
    with Server(secure=True) as started:
        started.records["a.test", "MX"] = ["10 mx1.a.test.", "20 mx2.b.test."]
        started.records["mx1.a.test", "A"] = ["192.0.2.1"]
        started.records["mx2.b.test", "AAAA"] = ["2001:db8::1"]
        yield started


def found(server, domain="a.test"):
    return has_dane(Dns([NameServer("127.0.0.1", server.port)], PATIENCE_SECONDS), domain)


def test_no_records(server):
    assert not found(server)


@pytest.mark.parametrize("host", ["mx1.a.test", "mx2.b.test"])
def test_one_host_is_enough(server, host):
    server.records[f"_25._tcp.{host}", "TLSA"] = ["1 1 1 " + "ab" * 32, GOOD]
    assert found(server)


def test_records_that_cannot_be_used_are_none(server):
    server.records["_25._tcp.mx1.a.test", "TLSA"] = ["1 1 1 " + "ab" * 32, "3 1 3 abcd"]
    assert not found(server)


@pytest.mark.parametrize("name", ["a.test", "mx1.a.test", "_25._tcp.mx1.a.test"])
def test_all_of_it_must_be_proven(server, name):
    server.records["_25._tcp.mx1.a.test", "TLSA"] = [GOOD]
    server.insecure.add(name)
    assert not found(server)


def test_records_that_nobody_can_say_count_in_a_signed_zone(server):
    server.broken.add("_25._tcp.mx1.a.test")
    assert found(server)


def test_in_an_unsigned_one_they_do_not(server):
    server.broken.add("_25._tcp.mx1.a.test")
    server.insecure.add("mx1.a.test")
    assert not found(server)


def test_addresses_that_nobody_can_say_may_be_signed(server):
    server.broken.add("mx1.a.test")
    server.records["_25._tcp.mx1.a.test", "TLSA"] = [GOOD]
    assert found(server)


def test_a_domain_without_mx_is_its_own(server):
    server.records["c.test", "A"] = ["192.0.2.3"]
    server.records["_25._tcp.c.test", "TLSA"] = [GOOD]
    assert found(server, "c.test")


def test_a_port_of_a_host(server):
    server.records["_587._tcp.mx1.a.test", "TLSA"] = [GOOD]
    dns = Dns([NameServer("127.0.0.1", server.port)], PATIENCE_SECONDS)
    assert host_has_dane(dns, "mx1.a.test", 587)
    assert not host_has_dane(dns, "mx1.a.test")


def test_a_domain_that_takes_no_mail(server):
    server.records["c.test", "MX"] = ["0 ."]
    assert not found(server, "c.test")


def test_an_mx_that_nobody_can_say(server):
    server.broken.add("a.test")
    with pytest.raises(DnsUnavailableError):
        found(server)


@pytest.mark.parametrize(
    ("record", "can"),
    [
        (Tlsa(3, 1, 1, b"x" * 32), True), (Tlsa(3, 0, 2, b"x" * 64), True), (Tlsa(2, 0, 0, b"x"), True),
        (Tlsa(2, 1, 1, b"x" * 32), True), (Tlsa(0, 0, 1, b"x" * 32), False), (Tlsa(1, 1, 1, b"x" * 32), False),
        (Tlsa(3, 2, 1, b"x" * 32), False), (Tlsa(3, 1, 3, b"x" * 32), False), (Tlsa(3, 1, 1, b"x" * 31), False),
        (Tlsa(3, 1, 0, b""), False), (Tlsa(3, 1, 2, b"x" * 32), False), (Tlsa(255, 255, 255, b"x"), False),
    ],
)  # fmt: skip
def test_which_records_can_be_used(record, can):
    assert usable(record) is can
