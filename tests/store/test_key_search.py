"""A search from the first question to a key that mail is encrypted to: port, job, a real web server, rows."""

import socket
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.waiting import PATIENCE_SECONDS
from harness.web import Web
from mailseal.config import Discover
from mailseal.discover.fetch import Fetcher, FetchLimits
from mailseal.discover.search import search
from mailseal.discover.wkd import hashed_local_part
from mailseal.errors import TransientError
from mailseal.keys.sealing import Kek
from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.generate import generate
from mailseal.openpgp.select import why_not_encrypt
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from mailseal.ports import LookupState
from mailseal.roles import key_search
from mailseal.roles.handlers import Lane, kinds_of
from mailseal.store import jobs, lookups, pgp_admin
from mailseal.store.lookups import LOOK_UP, Patience, StoreLookups
from mailseal.store.pgp_certificates import StorePgpCertificates
from mailseal.store.reports import REPORT

JOE = Address.parse("joe@outside.example")
HIS = generate(["Joe <joe@outside.example>", "joe@elsewhere.example"], at=datetime.now(UTC) - timedelta(days=1)).octets
HU = hashed_local_part("joe")


def now() -> datetime:
    """Each time anew: the search has a time limit, and it may be long since this file was read."""
    return datetime.now(UTC)


@dataclass
class Node:
    """What the job takes of a node."""

    kek: Kek
    config: object


@dataclass
class Config:
    discover: Discover


@pytest.fixture
def web(tmp_path, monkeypatch):
    with Web(tmp_path, name="outside.example") as server:

        def look_up(host, port, deadline):
            if host != "outside.example":
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return (("127.0.0.1", server.port),)

        def fetcher(config):
            trusting = ssl.create_default_context(cafile=str(server.ca))
            return Fetcher(
                FetchLimits(total_seconds=PATIENCE_SECONDS, allow_private=True), tls=trusting, look_up=look_up
            )

        monkeypatch.setattr(key_search, "fetcher", fetcher)
        yield server


@pytest.fixture
def node(kek):
    return Node(kek, Config(Discover(wkd=True, key_servers=("hkps://outside.example",), limit_minutes=30)))


@pytest.fixture
def certificates(store, kek):
    return StorePgpCertificates(kek)


@pytest.fixture
def searches(certificates):
    hour = timedelta(hours=1)
    return StoreLookups(Patience(0, hour / 2, hour, 24 * hour), forget=certificates.clear)


def work(node):
    """What the worker does next."""
    job = jobs.claim("w", kinds=[LOOK_UP])
    try:
        key_search.search_keys(node, job)
    except TransientError as error:
        jobs.fail(job, str(error))
        raise
    jobs.done(job)


def refusals(certificates, settings, address=JOE):
    stored = certificates.of_recipient(address)
    found = [why_not_encrypt(one, address, now(), trust_wkd=settings.pgp_trust_wkd) for one in stored]
    return [reason and reason.code for reason in found]


def test_what_the_domain_of_the_address_publishes_counts_where_that_is_set(web, node, certificates, searches):
    web.answers[f"GET /.well-known/openpgpkey/hu/{HU}"] = (200, HIS)
    assert not certificates.of_recipient(JOE)
    assert searches.ask(JOE, now(), wait=True).state is LookupState.RUNNING
    work(node)
    assert searches.ask(JOE, now(), wait=True).state is LookupState.FINISHED
    assert refusals(certificates, Settings()) == [ReasonCode.PGP_KEY_UNTRUSTED]
    assert refusals(certificates, Settings(pgp_trust_wkd=True)) == [None]
    # The same key under another domain's address: that domain has published nothing.
    other = Address.parse("joe@elsewhere.example")
    assert refusals(certificates, Settings(pgp_trust_wkd=True), other) == [ReasonCode.PGP_KEY_UNTRUSTED]
    (info,) = pgp_admin.list_keys()
    assert (info.trust, info.provenance) == (PgpTrust.CANDIDATE, "wkd joe@outside.example")


def test_what_the_domain_publishes_no_longer_does_not_count(web, node, certificates, searches):
    place = f"GET /.well-known/openpgpkey/hu/{HU}"
    web.answers[place] = (200, HIS)
    searches.ask(JOE, now(), wait=False)
    work(node)
    for answer, counts in (((500, b""), True), ((404, b""), False), ((200, HIS), True), ((200, b"nothing"), False)):
        web.answers[place] = answer
        key_search.keep(JOE, search(JOE, key_search.sources(node.config.discover)))
        certificates.clear()
        assert (refusals(certificates, Settings(pgp_trust_wkd=True)) == [None]) is counts, answer


def test_a_key_server_is_asked_where_the_domain_has_none_and_is_not_believed(web, node, certificates, searches):
    web.answers["GET /pks/lookup"] = (200, HIS)
    searches.ask(JOE, now(), wait=False)
    work(node)
    searches.ask(JOE, now(), wait=False)
    assert refusals(certificates, Settings(pgp_trust_wkd=True)) == [ReasonCode.PGP_KEY_UNTRUSTED]
    assert [one.split("?")[0] for one in web.asked] == [f"GET /.well-known/openpgpkey/hu/{HU}", "GET /pks/lookup"]


def test_a_search_is_nobody_elses_while_it_lasts(node, store, searches, monkeypatch):
    """A place that is slow is asked to the end: by who has the job."""
    node.config = Config(replace(node.config.discover, total_seconds=60))
    left = []

    def keys_of(_source, _address):
        left.append((jobs.JobRow.objects.get().lease_until - now()).total_seconds())
        return b""

    monkeypatch.setattr(key_search.WebKeyDirectory, "keys_of", keys_of)
    monkeypatch.setattr("mailseal.discover.key_servers.Hkp.keys_of", keys_of)
    searches.ask(JOE, now(), wait=False)
    work(node)
    assert len(left) == 2
    assert min(left) > 3 * 60


def test_reports_do_not_wait_for_searches(store):
    for number in range(3):
        lookups.start(Address.parse(f"x{number}@outside.example"), now())
    jobs.enqueue(REPORT, {})
    assert jobs.claim("w", kinds=kinds_of(Lane.NETWORK)).kind == REPORT
    assert jobs.claim("w", kinds=kinds_of(Lane.NETWORK)) is None
    assert jobs.claim("w", kinds=kinds_of(Lane.SEARCH)).kind == LOOK_UP


def test_nothing_found_is_an_end(web, node, store, searches):
    searches.ask(JOE, now(), wait=False)
    work(node)
    assert searches.ask(JOE, now(), wait=False).state is LookupState.FINISHED
    assert not pgp_admin.list_keys()


def test_while_no_place_answers_it_is_tried_again_and_then_it_ends(web, node, store, searches):
    web.answers["GET /"] = (500, b"")
    searches.ask(JOE, now(), wait=False)
    with pytest.raises(TransientError, match="status 500"):
        work(node)
    assert searches.ask(JOE, now(), wait=False).state is LookupState.RUNNING
    late = lookups.PgpLookupRow.objects.get()
    late.asked = now() - timedelta(minutes=31)
    late.save()
    jobs.JobRow.objects.update(run_at=now() - timedelta(seconds=1))
    work(node)
    assert lookups.PgpLookupRow.objects.get().error.count("status 500") == 2
    assert searches.ask(JOE, now(), wait=False).state is LookupState.FINISHED
