"""The gateway of a running node: every port served by the store, the relay and the system's clock."""

from dataclasses import dataclass
from datetime import timedelta

from mailseal.config import SANDBOX, Config, Discover, NextHop, OtherTenants, listeners
from mailseal.config.sections.postfix import Instance
from mailseal.discover.dns import Dns
from mailseal.keys.kek_ring import KekRing
from mailseal.mail.address import Address
from mailseal.ports import Authentication, Gateway, Hop, Neighbour, Relay
from mailseal.store.certificates import StoreCertificates
from mailseal.store.configure import setup
from mailseal.store.credentials import open_password
from mailseal.store.directory import StoreDirectory
from mailseal.store.dkim_keys import StoreDomainKeys
from mailseal.store.dlp_scanners import StorePatterns
from mailseal.store.journaling import StoreJournals
from mailseal.store.keks import open_ring
from mailseal.store.ledger import StoreLedger
from mailseal.store.logins import StoreSenderLogins
from mailseal.store.lookups import Patience, StoreLookups
from mailseal.store.notice_requests import StoreNotices
from mailseal.store.pgp_certificates import StorePgpCertificates
from mailseal.store.quarantine import StoreQuarantine
from mailseal.store.reports import StoreReports
from mailseal.store.routes import StoreRoutes
from mailseal.store.stamps import Scope, StampWatch
from mailseal.store.tls_received import StoreTlsReports
from mailseal.transport.relay import SmtpRelay
from mailseal.transport.sandbox import SandboxDocuments
from mailseal.transport.sandbox_answer import Allowance
from mailseal.wiring.clock import SystemClock
from mailseal.wiring.domain_keys import StoredAndPublished
from mailseal.wiring.loop_keys import NOTICE, KekLoopKeys
from mailseal.wiring.memory import NoEffect, NoHolding, NoInbox, NoKeeping, NoLookups, NoNewKeys


@dataclass(frozen=True, slots=True)
class Node:
    """What the roles of one node share."""

    config: Config
    gateway: Gateway
    relay: SmtpRelay
    reports: StoreReports
    stamps: StampWatch
    kek: KekRing
    documents: SandboxDocuments


def open_node(config: Config) -> Node:
    """Open database, KEK and relay; raises MailsealError. Nothing is sent or asked yet."""
    setup(config)
    kek = open_ring(config.keys.kek)
    directory = StoreDirectory()
    certificates = StoreCertificates(kek)
    pgp = StorePgpCertificates(kek)
    routes = StoreRoutes()
    logins = StoreSenderLogins()
    patterns = StorePatterns()
    relay = _relay(config, kek, routes)
    reports = StoreReports(kek)
    journals = StoreJournals(kek)
    domain_keys = StoreDomainKeys(certificates.private_key)
    documents = sandbox_documents(config)
    gateway = Gateway(
        hostname=config.hostname,
        directory=directory,
        certificates=certificates,
        pgp=pgp,
        lookups=StoreLookups(_patience(config.discover), forget=pgp.clear),
        relay=relay,
        ledger=StoreLedger(),
        reports=reports,
        clock=SystemClock(),
        journals=journals,
        deadline_seconds=config.limits.deadline_seconds,
        neighbour=_neighbour(config, kek),
        authentication=_authentication(config, domain_keys),
        logins=logins,
        tls_reports=_inbox(config),
        quarantine=StoreQuarantine(kek),
        documents=documents,
        notices=StoreNotices(kek),
        notice_keys=KekLoopKeys(kek, NOTICE),
        patterns=patterns,
    )
    stamps = StampWatch(
        {
            Scope.SETTINGS: [directory.clear, routes.clear, journals.clear],
            Scope.KEYS: [certificates.clear, pgp.clear, domain_keys.clear],
            Scope.KEKS: [kek.forget],
            Scope.LOGINS: [logins.clear],
            Scope.PATTERNS: [patterns.clear],
        }
    )
    return Node(config, gateway, relay, reports, stamps, kek, documents)


def sandbox_documents(config: Config) -> SandboxDocuments:
    """The sandbox of this node, which its supervisor starts; it need not be there yet."""
    place = listeners(config)[SANDBOX].path
    assert place is not None
    return SandboxDocuments(place, Allowance(config.dlp, config.limits.deadline_seconds))


def _relay(config: Config, kek: KekRing, routes: StoreRoutes) -> SmtpRelay:
    return SmtpRelay(
        {Hop.INSIDE: config.relay.inside, Hop.OUTSIDE: config.relay.outside, **_back(config)},
        config.hostname,
        routes=routes,
        password_of=lambda name: open_password(name, kek),
        places=max(1, config.threads - 1),
    )


def _back(config: Config) -> dict[Hop, tuple[NextHop, ...]]:
    """To the neighbour by the Postfix that works with us, which queues; without one, to the tenant's host itself."""
    there, place = config.office365.return_to, config.postfix.return_listen
    if there is None:
        return {}
    if config.postfix.instance is not Instance.OFF:
        there = NextHop(host=place.host, port=place.port)
    return {Hop.NEIGHBOUR: (there,)}


def _neighbour(config: Config, kek: KekRing) -> Neighbour | None:
    office365 = config.office365
    if not office365.on:
        return None
    takes_others = office365.other_tenants is OtherTenants.OUTSIDE
    return Neighbour(frozenset(office365.tenants), KekLoopKeys(kek), takes_others=takes_others)


def _inbox(config: Config) -> StoreTlsReports | None:
    told = config.tls_reports
    return StoreTlsReports(Address.parse(told.address), deliver=told.deliver) if told.address else None


def _authentication(config: Config, keys: StoreDomainKeys) -> Authentication:
    dns = Dns(config.dns.servers, config.dns.timeout_seconds)
    told = config.authentication
    return Authentication(StoredAndPublished(keys, dns), told.authserv_id or config.hostname, frozenset(told.believed))


def _patience(discover: Discover) -> Patience:
    return Patience(
        wait_seconds=float(discover.wait_seconds),
        limit=timedelta(minutes=discover.limit_minutes),
        keep_none=timedelta(hours=discover.keep_none_hours),
        keep_found=timedelta(hours=discover.keep_found_hours),
    )


def without_effects(gateway: Gateway) -> Gateway:
    """The same knowledge, but nothing is sent, settled or reported: for explaining."""
    nothing = NoEffect()
    relay: Relay = nothing
    return Gateway(
        hostname=gateway.hostname,
        directory=gateway.directory,
        certificates=gateway.certificates,
        pgp=NoNewKeys(gateway.pgp),
        lookups=NoLookups(),
        relay=relay,
        ledger=nothing,
        reports=nothing,
        clock=gateway.clock,
        journals=None if gateway.journals is None else NoKeeping(gateway.journals),
        deadline_seconds=gateway.deadline_seconds,
        max_hops=gateway.max_hops,
        neighbour=gateway.neighbour,
        logins=gateway.logins,
        tls_reports=None if gateway.tls_reports is None else NoInbox(gateway.tls_reports),
        quarantine=None if gateway.quarantine is None else NoHolding(),
        patterns=gateway.patterns,
        documents=gateway.documents,
        notice_keys=gateway.notice_keys,
    )
