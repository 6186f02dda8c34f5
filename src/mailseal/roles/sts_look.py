"""The jobs that look at domains for MTA-STS: for the first time, when mail goes there, and again before it is old.

An unchanged record costs one question to the DNS; the policy itself is fetched when its id has changed, and once a day.
"""

import logging
from datetime import UTC, datetime, timedelta

from mailseal.config import Config
from mailseal.discover.dane import has_dane
from mailseal.discover.dns import Dns, DnsUnavailableError
from mailseal.discover.fetch import Fetcher
from mailseal.discover.mta_sts import MAX_POLICY_BYTES, fetch_policy, published_id
from mailseal.errors import TransientError
from mailseal.postfix.tls_choice import StsMode, StsPolicy
from mailseal.roles.key_search import fetcher
from mailseal.store import jobs, sts_policies
from mailseal.store.jobs import Job
from mailseal.store.pace import Turn
from mailseal.store.sts_policies import Looked, StsInfo
from mailseal.wiring.gateway import Node

FETCHED_AGAIN_AFTER = timedelta(hours=23)
TURN_SECONDS = 10.0
AGAIN_SECONDS = 1.0

logger = logging.getLogger(__name__)


class StsLook:
    """Looks at one domain after the other, with the means of a node."""

    def __init__(self, dns: Dns, fetch: Fetcher) -> None:
        self._dns = dns
        self._fetch = fetch

    @staticmethod
    def by(config: Config) -> "StsLook":
        """As the configuration says; raises PermanentError for a CA file that is none."""
        fetch = fetcher(config.discover, max_bytes=MAX_POLICY_BYTES, max_redirects=0)
        return StsLook(Dns(config.dns.servers, config.dns.timeout_seconds), fetch)

    def at(self, domain: str, known: StsInfo | None, now: datetime) -> Looked:
        """What there is to say of a domain; never raises for what the network says."""
        found_id, policy, error = "", None, ""
        try:
            found_id = published_id(self._dns, domain) or ""
            if found_id and _wanted(known, found_id, now):
                policy = fetch_policy(self._fetch, domain)
        except TransientError as failure:
            error = str(failure)
        return Looked(found_id, policy, self._dane(domain, known, policy), error)

    def _dane(self, domain: str, known: StsInfo | None, policy: StsPolicy | None) -> bool | None:
        """Only of interest where a policy is enforced, which must not get round DANE."""
        mode = policy.mode if policy is not None else known.facts.mode if known is not None else StsMode.ABSENT
        if mode is not StsMode.ENFORCE:
            return None
        try:
            return has_dane(self._dns, domain)
        except DnsUnavailableError:
            return None


def look_first(node: Node, job: Job) -> float | None:
    """Look at a domain that mail goes to for the first time."""
    if node.config.tls.mta_sts:
        _look(StsLook.by(node.config), job, job.payload[sts_policies.DOMAIN], node.config.discover.total_seconds)
    return None


def refresh(node: Node, job: Job) -> float | None:
    """Look again at those that are due."""
    if not node.config.tls.mta_sts:
        return None
    turn = Turn(TURN_SECONDS)
    domains = sts_policies.due(datetime.now(UTC))
    look = StsLook.by(node.config) if domains else None
    for domain in domains:
        if look is None or not turn.goes_on():
            return AGAIN_SECONDS
        _look(look, job, domain, node.config.discover.total_seconds)
    return AGAIN_SECONDS if domains else None


def _look(look: StsLook, job: Job, domain: str, fetch_seconds: float) -> None:
    if not jobs.fence(job, lease_seconds=fetch_seconds + jobs.LEASE_SECONDS):
        raise TransientError("another worker has taken this job over")
    now = datetime.now(UTC)
    known = sts_policies.info_of(domain, now)
    found = look.at(domain, known, now)
    if found.error:
        logger.warning("MTA-STS of %s: %s", domain, found.error)
    if not jobs.fence(job):
        raise TransientError("another worker has taken this job over")
    sts_policies.looked(domain, found, now)


def _wanted(known: StsInfo | None, found_id: str, now: datetime) -> bool:
    """Whether the policy itself has to be fetched."""
    if known is None or known.fetched is None or known.facts.mode is StsMode.ABSENT:
        return True
    return known.policy_id != found_id or not timedelta(0) <= now - known.fetched < FETCHED_AGAIN_AFTER
