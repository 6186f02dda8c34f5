"""The job that searches the network for the OpenPGP keys of an address and keeps what it finds as candidates."""

import logging
import ssl
from datetime import UTC, datetime, timedelta

from mailseal.config import Discover
from mailseal.discover.fetch import Fetcher, FetchLimits
from mailseal.discover.key_servers import key_server
from mailseal.discover.key_source import KeySource
from mailseal.discover.search import Searched, search
from mailseal.discover.wkd import NAME as BY_WKD
from mailseal.discover.wkd import WebKeyDirectory
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.store import jobs, lookups
from mailseal.store.jobs import Job
from mailseal.store.pgp_candidates import keep_found
from mailseal.store.pgp_keep import Arrival
from mailseal.store.pgp_rows import Provenance
from mailseal.wiring.gateway import Node

MAX_ATTEMPTS = 8
"""About 20 minutes of them; the bound for mail is `discover.limit_minutes`."""

logger = logging.getLogger(__name__)


def fetcher(config: Discover, *, max_bytes: int | None = None, max_redirects: int = 3) -> Fetcher:
    """What fetches within the bounds of the configuration; raises PermanentError for a CA file that is none."""
    limits = FetchLimits(
        total_seconds=config.total_seconds,
        max_bytes=max_bytes or config.max_bytes,
        max_redirects=max_redirects,
        allow_private=config.allow_private,
    )
    if config.ca is None:
        return Fetcher(limits)
    try:
        context = ssl.create_default_context(cafile=str(config.ca))
    except (OSError, ssl.SSLError):
        raise PermanentError(f"discover.ca: {config.ca} cannot be read as PEM certificates") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    return Fetcher(limits, tls=context)


def sources(config: Discover) -> tuple[KeySource, ...]:
    """The places to ask, in order."""
    fetch = fetcher(config)
    own_domain: tuple[KeySource, ...] = (WebKeyDirectory(fetch),) if config.wkd else ()
    return (*own_domain, *(key_server(fetch, url) for url in config.key_servers))


def keep(address: Address, searched: Searched) -> None:
    """Store what was found as candidates; what the address's own domain publishes, or no longer does, is noted."""
    by_wkd = searched.source == BY_WKD
    provenance = (
        Provenance.WKD.with_source(address.key) if by_wkd else Provenance.KEY_SERVER.with_source(searched.source)
    )
    arrivals = [Arrival(one.octets, one.certificate, provenance) for one in searched.found]
    if by_wkd:
        keep_found(arrivals, published_for=address)
        return
    if BY_WKD in searched.without:
        keep_found((), published_for=address)
    if arrivals:
        keep_found(arrivals)


def search_keys(node: Node, job: Job) -> float | None:
    """Search for one address. What no place could be asked for is tried again, for as long as mail may wait for it."""
    address = Address.parse(job.payload[lookups.ADDRESS])
    config = node.config.discover
    places = sources(config)
    # It is one lease for all of it: each place may take its time, the domain twice.
    _keep_job(job, (len(places) + 1) * config.total_seconds + jobs.LEASE_SECONDS)
    searched = search(address, places)
    _keep_job(job, jobs.LEASE_SECONDS)
    now = datetime.now(UTC)
    keep(address, searched)
    if not searched.found and searched.problems and _may_wait(node, address, job, now):
        raise TransientError("; ".join(searched.problems))
    lookups.finish(address, len(searched.found), now, error="; ".join(searched.problems))
    logger.info("a search for OpenPGP keys found %d", len(searched.found))
    return None


def _keep_job(job: Job, seconds: float) -> None:
    if not jobs.fence(job, lease_seconds=seconds):
        raise TransientError("another worker has taken this job over")


def _may_wait(node: Node, address: Address, job: Job, now: datetime) -> bool:
    asked = lookups.running_since(address)
    limit = timedelta(minutes=node.config.discover.limit_minutes)
    return asked is not None and now - asked < limit and job.attempts < MAX_ATTEMPTS
