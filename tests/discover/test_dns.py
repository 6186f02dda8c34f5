"""Look-ups against a name server of the test's own: what is there, what is not, and what cannot be said."""

import threading
import time

import pytest

from harness.folder import free_port
from harness.name_server import NameServer as Server
from harness.waiting import PATIENCE_SECONDS
from mailseal.config import from_values
from mailseal.config.load import ConfigError
from mailseal.config.sections.dns import NameServer
from mailseal.discover import dns as module
from mailseal.discover.dns import Dns, DnsUnavailableError, Mx, NoRecordsError, NoSuchNameError, Tlsa


@pytest.fixture
def server():
    with Server() as started:
        yield started


@pytest.fixture
def asking(server, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPT_SECONDS", PATIENCE_SECONDS)  # what is late is not asked for twice
    return Dns([NameServer("127.0.0.1", server.port)], PATIENCE_SECONDS)


def test_the_strings_of_a_txt_record_are_joined(server, asking):
    server.txt("a.test", "v=DKIM1; p=" + "A" * 600)
    assert asking.txt("a.test").records == ("v=DKIM1; p=" + "A" * 600,)
    server.txt("b.test", "one", "two")
    assert set(asking.txt("b.test").records) == {"one", "two"}


def test_what_is_no_utf8_does_not_hurt(server, asking):
    server.records["a.test", "TXT"] = [r'"v=\255x"']
    assert asking.txt("a.test").records == ("v=\ufffdx",)


def test_mail_exchangers_come_by_preference(server, asking):
    server.records["a.test", "MX"] = ["20 B.test.", "10 a.test."]
    server.records["null.test", "MX"] = ["0 ."]
    assert asking.mx("a.test").records == (Mx(10, "a.test"), Mx(20, "b.test"))
    assert asking.mx("null.test").records == (Mx(0, ""),)


def test_tlsa_addresses_and_name_servers(server, asking):
    server.records["_25._tcp.mx.test", "TLSA"] = ["3 1 1 " + "ab" * 32]
    server.records["mx.test", "A"] = ["192.0.2.1"]
    server.records["mx.test", "AAAA"] = ["2001:db8::1"]
    server.records["mx.test", "NS"] = ["ns.test."]
    assert asking.tlsa("mx.test").records == (Tlsa(3, 1, 1, bytes.fromhex("ab" * 32)),)
    assert asking.a("mx.test").records == ("192.0.2.1",)
    assert asking.aaaa("mx.test").records == ("2001:db8::1",)
    assert asking.ns("mx.test").records == ("ns.test",)


@pytest.mark.parametrize("secure", [True, False])
def test_the_name_servers_word_on_dnssec_is_passed_on(server, asking, secure):
    server.secure = secure
    server.txt("a.test", "x")
    assert asking.txt("a.test").authenticated is secure
    with pytest.raises(NoRecordsError) as caught:
        asking.mx("a.test")
    assert caught.value.authenticated is secure
    with pytest.raises(NoSuchNameError) as caught:
        asking.mx("b.test")
    assert caught.value.authenticated is secure


def test_an_alias_is_followed(server, asking):
    server.records["a.test", "CNAME"] = ["b.test."]
    server.txt("b.test", "there")
    assert asking.txt("a.test").records == ("there",)
    server.records["c.test", "CNAME"] = ["nowhere.test."]
    with pytest.raises(NoSuchNameError):
        asking.txt("c.test")


def test_failures_are_told_apart(server, asking):
    server.broken.add("broken.test")
    with pytest.raises(DnsUnavailableError):
        asking.txt("broken.test")
    with pytest.raises(NoSuchNameError):
        asking.txt("nobody.test")
    for impossible in ("a..test", "x" * 64 + ".test", "a." * 200 + "test", "x" * 5000, "\ud800.test", r"\999.test"):
        with pytest.raises(NoSuchNameError):
            asking.txt(impossible)


def test_silence_ends_at_the_deadline(server, asking):
    server.silent.add("silent.test")
    before = time.monotonic()
    with pytest.raises(DnsUnavailableError, match="in time"):
        asking.txt("silent.test", before + 1.0)
    assert time.monotonic() - before < PATIENCE_SECONDS / 2, "not the time of a look-up that has no deadline"
    with pytest.raises(DnsUnavailableError, match="no time is left"):
        asking.txt("silent.test", before)


def test_a_closed_port_is_no_answer():
    with pytest.raises(DnsUnavailableError):
        Dns([NameServer("127.0.0.1", free_port())], 0.3).txt("a.test")


def test_the_next_server_is_asked(server):
    server.txt("a.test", "x")
    servers = [NameServer("127.0.0.1", free_port()), NameServer("127.0.0.1", server.port)]
    assert Dns(servers, PATIENCE_SECONDS).txt("a.test").records == ("x",)


def test_a_long_answer_comes_by_tcp_and_an_absurd_one_is_none(server, asking):
    server.txt("long.test", "x" * 5000)
    assert asking.txt("long.test").records == ("x" * 5000,)
    server.txt("absurd.test", "x" * 20_000)
    server.txt("many.test", *(str(number) for number in range(101)))
    for name in ("absurd.test", "many.test"):
        with pytest.raises(DnsUnavailableError, match="more than"):
            asking.txt(name)


def test_answers_are_kept_also_that_there_is_none(server, asking):
    server.txt("a.test", "x")
    for _ in range(3):
        asking.txt("A.test.")
        with pytest.raises(NoSuchNameError):
            asking.txt("b.test")
    assert server.asked == [("a.test", "TXT"), ("b.test", "TXT")]


def test_how_long_is_within_bounds(server, asking, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(module, "LEAST_TTL_SECONDS", 0)
    server.ttl = 0
    server.txt("a.test", "x")
    asking.txt("a.test")
    server.txt("a.test", "y")
    assert asking.txt("a.test").records == ("y",)
    server.ttl = 1 << 30
    server.txt("b.test", "x")
    asking.txt("b.test")
    until, _ = asking._kept["b.test", "TXT"]
    assert now < until <= time.monotonic() + module.MOST_TTL_SECONDS


def test_the_cache_is_bounded(server, asking, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    for number in range(5):
        server.txt(f"{number}.test", "x")
        asking.txt(f"{number}.test")
    assert [name for name, _ in asking._kept] == ["2.test", "3.test", "4.test"]


def test_a_failure_is_kept_for_seconds_only_if_there_was_time(server, asking, monkeypatch):
    monkeypatch.setattr(module, "FAILURE_KEPT_SECONDS", 10 * PATIENCE_SECONDS)
    server.silent.add("a.test")
    with pytest.raises(DnsUnavailableError):
        asking.txt("a.test", time.monotonic() + 0.1)
    server.silent.clear()
    server.txt("a.test", "x")
    assert asking.txt("a.test").records == ("x",)
    server.broken.add("b.test")
    for _ in range(3):
        with pytest.raises(DnsUnavailableError):
            asking.txt("b.test")
    assert server.asked.count(("b.test", "TXT")) == 1


def test_threads_share_it(server, asking):
    server.txt("a.test", "x")
    found, failures = [], []

    def ask():
        try:
            found.append(asking.txt("a.test").records)
            asking.txt("b.test")
        except NoSuchNameError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [("x",)] * 8
    assert len({id(one) for one in failures}) == 8


def test_a_changed_resolv_conf_is_noticed(server, tmp_path, monkeypatch):
    conf = tmp_path / "resolv.conf"
    monkeypatch.setattr(module, "RESOLV_CONF", conf)
    asking = Dns(timeout_seconds=2.0)
    with pytest.raises(DnsUnavailableError, match="names no name server"):
        asking.txt("a.test")
    conf.write_text("nameserver 127.0.0.1\n")
    server.txt("b.test", "x")
    assert asking._current().nameservers == ["127.0.0.1"]


def test_the_configuration_names_servers():
    config = from_values({"dns": {"servers": ["127.0.0.1", "::1", "[::1]:5353", "127.0.0.1:54"]}})
    assert [str(one) for one in config.dns.servers] == ["127.0.0.1:53", "[::1]:53", "[::1]:5353", "127.0.0.1:54"]
    assert from_values({}).dns.servers == ()
    for wrong in (["localhost"], ["localhost:53"], ["127.0.0.1:0"], ["::1:5353x"], ["127.0.0.1"] * 9):
        with pytest.raises(ConfigError):
            from_values({"dns": {"servers": wrong}})
