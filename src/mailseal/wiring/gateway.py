"""The gateway of a running node: every port served by the store, the relay and the system's clock."""

from dataclasses import dataclass
from datetime import timedelta

from mailseal.config import Config, Discover
from mailseal.keys.kek_ring import KekRing
from mailseal.ports import Gateway, Hop, Relay
from mailseal.store.certificates import StoreCertificates
from mailseal.store.configure import setup
from mailseal.store.credentials import open_password
from mailseal.store.directory import StoreDirectory
from mailseal.store.journaling import StoreJournals
from mailseal.store.keks import open_ring
from mailseal.store.ledger import StoreLedger
from mailseal.store.lookups import Patience, StoreLookups
from mailseal.store.pgp_certificates import StorePgpCertificates
from mailseal.store.reports import StoreReports
from mailseal.store.routes import StoreRoutes
from mailseal.store.stamps import Scope, StampWatch
from mailseal.transport.relay import SmtpRelay
from mailseal.wiring.clock import SystemClock
from mailseal.wiring.memory import NoEffect, NoKeeping, NoLookups, NoNewKeys


@dataclass(frozen=True, slots=True)
class Node:
    """What the roles of one node share."""

    config: Config
    gateway: Gateway
    relay: SmtpRelay
    reports: StoreReports
    stamps: StampWatch
    kek: KekRing


def open_node(config: Config) -> Node:
    """Open database, KEK and relay; raises MailsealError. Nothing is sent or asked yet."""
    setup(config)
    kek = open_ring(config.keys.kek)
    directory = StoreDirectory()
    certificates = StoreCertificates(kek)
    pgp = StorePgpCertificates(kek)
    routes = StoreRoutes()
    relay = SmtpRelay(
        {Hop.INSIDE: config.relay.inside, Hop.OUTSIDE: config.relay.outside},
        config.hostname,
        routes=routes,
        password_of=lambda name: open_password(name, kek),
        places=max(1, config.threads - 1),
    )
    reports = StoreReports(kek)
    journals = StoreJournals(kek)
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
    )
    stamps = StampWatch(
        {
            Scope.SETTINGS: [directory.clear, routes.clear, journals.clear],
            Scope.KEYS: [certificates.clear, pgp.clear],
            Scope.KEKS: [kek.forget],
        }
    )
    return Node(config, gateway, relay, reports, stamps, kek)


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
    )
