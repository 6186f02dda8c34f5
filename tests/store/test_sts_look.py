"""From the first mail to a domain to its policy in force: question, job, name server, web server, rows."""

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from harness.name_server import NameServer
from harness.web import Web
from mailseal.config import Config, from_values
from mailseal.discover.fetch import Fetcher, FetchLimits
from mailseal.postfix.tls_choice import StsMode
from mailseal.roles import sts_look
from mailseal.roles.handlers import HANDLERS, Lane, kinds_of
from mailseal.store import jobs, sts_policies
from mailseal.store.lookups import LOOK_UP
from mailseal.store.sts_policies import LOOK, REFRESH
from mailseal.store.tls_answers import TlsAnswers
from mailseal.store.tls_policy_models import StsPolicyRow

POLICY = b"version: STSv1\nmode: enforce\nmx: mx.a.test\nmx: *.mx.a.test\nmax_age: 604800\n"
ENFORCED = "secure match=mx.a.test:.mx.a.test servername=hostname protocols=>=TLSv1.2"
PATH = "GET /.well-known/mta-sts.txt"
HOUR = timedelta(hours=1)


@dataclass
class Node:
    """What the jobs take of a node."""

    config: Config


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with Web(tmp_path_factory.mktemp("web"), name="mta-sts.a.test") as server:
        yield server


@pytest.fixture
def names():
    with NameServer(secure=True) as server:
        server.txt("_mta-sts.a.test", "v=STSv1; id=1")
        server.records["a.test", "MX"] = ["10 mx.a.test."]
        server.records["mx.a.test", "A"] = ["192.0.2.1"]
        yield server


@pytest.fixture
def node(store, web, names, monkeypatch):
    web.answers[PATH] = (200, POLICY)
    web.fields = {"Content-Type": "text/plain"}
    web.asked.clear()

    def look_up(host, port, deadline):
        if not host.startswith("mta-sts."):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return (("127.0.0.1", web.port),)

    def fetcher(config, **limits):
        trusting = ssl.create_default_context(cafile=str(web.ca))
        return Fetcher(FetchLimits(total_seconds=60, allow_private=True, **limits), tls=trusting, look_up=look_up)

    monkeypatch.setattr(sts_look, "fetcher", fetcher)
    return Node(from_values({"dns": {"servers": [names.place], "timeout_seconds": 60}}))


@pytest.fixture
def asked(node):
    return TlsAnswers.of(node.config)


def work(node, kind=LOOK):
    """What the worker does next; False: nothing."""
    job = jobs.claim("w", kinds=[kind])
    if job is None:
        return False
    again = HANDLERS[kind].handle(node, job)
    jobs.done(job, again_seconds=again)
    return True


def make_due(**values):
    """As if time had passed."""
    StsPolicyRow.objects.update(due=datetime.now(UTC) - HOUR, **values)


def refresh(node):
    jobs.enqueue(REFRESH)
    assert work(node, REFRESH)


def test_the_first_mail_has_it_looked_for_and_the_next_finds_it(asked, node, web):
    first = asked.policy("a.test")
    assert (first.text, first.asking) == ("dane", True)
    assert work(node)
    now = asked.policy("a.test")
    assert (now.text, now.asking) == (ENFORCED, False)
    assert web.asked == ["GET /.well-known/mta-sts.txt"]
    assert not work(node)


def test_first_looks_hold_up_neither_searches_nor_what_is_in_force():
    """Whoever sends us mail chooses domains that its reports go to, and how slowly their name servers answer."""
    assert kinds_of(Lane.LOOK) == (LOOK,)
    assert HANDLERS[REFRESH].lane is HANDLERS[LOOK_UP].lane is Lane.SEARCH


def test_a_domain_without_a_record_is_asked_no_further(asked, node, web):
    asked.policy("b.test")
    assert work(node)
    assert asked.policy("b.test").text == "dane"
    assert not asked.policy("b.test").asking
    assert web.asked == []


def test_usable_tlsa_records_go_before_it(asked, node, names):
    names.records["_25._tcp.mx.a.test", "TLSA"] = ["3 1 1 " + "ab" * 32]
    asked.policy("a.test")
    work(node)
    assert asked.policy("a.test").text == "dane-only"


def test_testing_enforces_nothing(asked, node, web):
    web.answers[PATH] = (200, POLICY.replace(b"enforce", b"testing"))
    asked.policy("a.test")
    work(node)
    assert asked.policy("a.test").text == "dane"
    assert sts_policies.info_of("a.test", datetime.now(UTC)).facts.mode is StsMode.TESTING


@pytest.mark.parametrize("trouble", ["status", "certificate", "dns", "gone", "rubbish"])
def test_a_failure_is_no_policy_at_first_and_changes_nothing_later(asked, node, web, names, trouble):
    def spoil(domain):
        match trouble:
            case "status":
                web.answers[PATH] = (503, b"")
            case "certificate":
                names.txt(f"_mta-sts.{domain}", "v=STSv1; id=2")
            case "dns":
                names.broken.add(f"_mta-sts.{domain}")
            case "gone":
                names.records.pop((f"_mta-sts.{domain}", "TXT"), None)
            case "rubbish":
                web.answers[PATH] = (200, b"<html>")

    names.txt("_mta-sts.b.test", "v=STSv1; id=1")
    asked.policy("a.test")
    work(node)
    spoil("b.test")  # the server has no certificate for mta-sts.b.test
    asked.policy("b.test")
    assert work(node)
    assert (asked.policy("b.test").text, asked.policy("b.test").asking) == ("dane", False)

    spoil("a.test")
    make_due(fetched=datetime.now(UTC) - 30 * HOUR)
    refresh(node)
    assert TlsAnswers.of(node.config).policy("a.test").text == ENFORCED
    info = sts_policies.info_of("a.test", datetime.now(UTC))
    assert bool(info.error) is (trouble not in ("gone", "certificate"))


def test_an_unchanged_record_costs_a_question_and_a_new_id_a_fetch(asked, node, web, names):
    asked.policy("a.test")
    work(node)
    make_due()
    refresh(node)
    assert len(web.asked) == 1
    names.txt("_mta-sts.a.test", "v=STSv1; id=2")
    web.answers[PATH] = (200, POLICY.replace(b"mx: mx.a.test\n", b""))
    make_due()
    refresh(node)
    assert len(web.asked) == 2
    assert TlsAnswers.of(node.config).policy("a.test").text.startswith("secure match=.mx.a.test ")
    make_due(fetched=datetime.now(UTC) - 24 * HOUR)
    refresh(node)
    assert len(web.asked) == 3, "once a day in any case"


def test_dane_is_looked_for_again_though_the_policy_is_unchanged(asked, node, names):
    asked.policy("a.test")
    work(node)
    names.records["_25._tcp.mx.a.test", "TLSA"] = ["3 1 1 " + "ab" * 32]
    make_due()
    refresh(node)
    assert TlsAnswers.of(node.config).policy("a.test").text == "dane-only"
    names.broken.add("a.test")
    make_due()
    refresh(node)
    assert TlsAnswers.of(node.config).policy("a.test").text == "dane-only"


def test_switched_off_nobody_is_asked(asked, node, web, names):
    asked.policy("a.test")
    off = Node(from_values({"dns": {"servers": [names.place]}, "tls": {"mta_sts": False}}))
    assert work(off)
    refresh(off)
    assert names.asked == []
    assert web.asked == []
