"""The jobs that report on TLS to other domains: once a day for each, where its DNS says (RFC 8460 §3, §5)."""

import logging
import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from mailseal.discover.dns import Dns
from mailseal.discover.fetch import Fetcher
from mailseal.discover.tls_rpt import Place, places_of, tlsa_strings
from mailseal.errors import MailsealError, PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Recipient
from mailseal.mail.tls_report import PolicyReport, PolicyType, TlsReport
from mailseal.mail.tls_report_mail import GZIP, Letter, compressed, write_mail
from mailseal.pipeline.domain_signature import own_mail_signed
from mailseal.ports import Hop, Transfer
from mailseal.roles.key_search import fetcher
from mailseal.store import jobs, tls_reports, tls_sessions
from mailseal.store.jobs import Job
from mailseal.store.pace import Turn
from mailseal.store.tls_reports import DAY, DOMAIN, MadeReport, ReportState
from mailseal.wiring.gateway import Node

DAYS_BACK = 3
"""A day that was missed for longer is not reported any more: who would act on it has acted."""
SETTLED_AFTER = timedelta(hours=1)
"""After midnight, by which all nodes have read their logs."""
SPREAD_SECONDS = 4 * 3600
"""Reports of a night begin within so long, so that nobody is called by all the world at once (§4.1)."""
TURN_SECONDS, AGAIN_SECONDS = 5.0, 1.0
SEND_SECONDS = 60.0

logger = logging.getLogger(__name__)


def collect(node: Node, job: Job) -> float | None:  # noqa: ARG001 -- a Handler's signature
    """Begin the reports about days that are over; as of `handlers.Handler`."""
    if not node.config.tls_reports.contact:
        return None
    now = node.gateway.clock.now()
    turn = Turn(TURN_SECONDS)
    for back in range(1, DAYS_BACK + 1):
        day = (now - SETTLED_AFTER).astimezone(UTC).date() - timedelta(days=back)
        begun = tls_reports.known(day)
        for domain in tls_sessions.domains_of(day):
            if domain in begun:
                continue
            if not turn.goes_on():
                return AGAIN_SECONDS
            pause = random.uniform(0, SPREAD_SECONDS)  # noqa: S311 -- spreads load, no secret
            # Again, if somebody had one sent before the day was over.
            tls_reports.begin(domain, day, at=now, pause=timedelta(seconds=pause), again=True)
    return None


def send(node: Node, job: Job) -> float | None:
    """Send one report; as of `handlers.Handler`."""
    domain, day = str(job.payload[DOMAIN]), date.fromisoformat(str(job.payload[DAY]))
    made = tls_reports.find(domain, day)
    policies = tls_sessions.policies_of(day, domain)
    if made is None or made.state is not ReportState.WAITING or not policies or not node.config.tls_reports.contact:
        return None
    sending = _Sending(node, job, made, Dns(node.config.dns.servers, node.config.dns.timeout_seconds))
    try:
        sending.send(policies)
    except PermanentError as error:
        tls_reports.note(domain, day, ReportState.FAILED, places=sending.done, error=str(error))
        raise
    except TransientError as error:
        given_up = job.attempts >= jobs.MAX_ATTEMPTS
        state = ReportState.FAILED if given_up else ReportState.WAITING
        tls_reports.note(domain, day, state, places=sending.done, error=str(error))
        raise
    return None


def report_of(node: Node, made: MadeReport, policies: tuple[PolicyReport, ...], dns: Dns | None) -> TlsReport:
    """The report about a domain's day; `dns`: TLSA records are looked up."""
    told = node.config.tls_reports
    begins = datetime(made.day.year, made.day.month, made.day.day, tzinfo=UTC)
    return TlsReport(
        told.organization or told.contact.rpartition("@")[2],
        told.contact,
        made.report_id,
        begins,
        begins + timedelta(days=1, seconds=-1),
        policies if dns is None else tuple(_with_records(one, dns) for one in policies),
    )


def _with_records(report: PolicyReport, dns: Dns) -> PolicyReport:
    if report.policy.type != PolicyType.TLSA:
        return report
    return replace(report, policy=replace(report.policy, strings=tlsa_strings(dns, report.policy.domain)))


@dataclass(slots=True)
class _Sending:
    """One report on its way. `done`: the places that have it."""

    node: Node
    job: Job
    made: MadeReport
    dns: Dns
    done: tuple[str, ...] = ()

    def send(self, policies: tuple[PolicyReport, ...]) -> None:
        """To every place that has not got it; one that has it is enough (§3)."""
        self.done = self.made.places
        domain, day = self.made.domain, self.made.day
        places = places_of(self.dns, domain)
        if not places:
            tls_reports.note(domain, day, ReportState.UNWANTED)
            return
        report = report_of(self.node, self.made, policies, self.dns)
        failure: MailsealError | None = None
        for place in places:
            if place.uri in self.done:
                continue
            try:
                self._send_to(place, report)
            except (PermanentError, TransientError) as error:
                failure = error
                continue
            self.done = (*self.done, place.uri)
            tls_reports.note(domain, day, ReportState.WAITING, places=self.done)
        if not self.done and failure is not None:
            raise failure
        said = "" if failure is None else str(failure)
        tls_reports.note(domain, day, ReportState.SENT, places=self.done, error=said)
        logger.info("a TLS report about %s was sent", domain)

    def _send_to(self, place: Place, report: TlsReport) -> None:
        if not jobs.fence(self.job, lease_seconds=SEND_SECONDS + jobs.LEASE_SECONDS):
            raise TransientError("another worker has taken this job over")
        if place.address is None:
            self._post(place, report)
        else:
            self._mail(place.address, report)

    def _post(self, place: Place, report: TlsReport) -> None:
        web: Fetcher = fetcher(self.node.config.discover, max_redirects=0)
        answer = web.post(place.uri, compressed(report), GZIP)
        if not 200 <= answer.status < 300:
            raise TransientError(f"the place for reports answers with status {answer.status}")

    def _mail(self, to: Address, report: TlsReport) -> None:
        gateway = self.node.gateway
        sender = Address.parse(self.node.config.tls_reports.contact)
        now = gateway.clock.now()
        letter = Letter(sender, to, sender.domain, self.made.domain, now)
        chunks = own_mail_signed(gateway, write_mail(report, letter), now)
        hop = Hop.INSIDE if gateway.directory.party(to).internal else Hop.OUTSIDE
        transfer = Transfer(
            hop,
            sender,
            (Recipient(to, notify="NEVER"),),
            tuple(chunks),
            deadline=time.monotonic() + SEND_SECONDS,
            route=gateway.relay.route(hop, to),
        )
        (answer,) = gateway.relay.send(transfer)
        if not answer.accepted:
            said = f"the next hop answered {answer.code} {answer.text}"
            raise PermanentError(said) if answer.refused else TransientError(said)
