"""The kinds of job and who does them: one row each in HANDLERS."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mailseal.roles import account_alerts, audit_work, console_checks, console_work, own_mail, tls_reporting
from mailseal.roles.journal_retry import retry_report
from mailseal.roles.key_search import search_keys
from mailseal.roles.notice_sending import send_notice
from mailseal.roles.quarantine_house import EXPIRE, end_held, expire_held
from mailseal.roles.quarantine_release import release_held
from mailseal.roles.queue_try import try_waiting
from mailseal.roles.sts_look import look_first, refresh
from mailseal.roles.tls_renewal import RENEW, renew
from mailseal.store import (
    audit_signing,
    console_jobs,
    findings,
    harvest,
    jobs,
    journal_failures,
    ledger,
    log,
    lookup_waits,
    lookups,
    notice_requests,
    pgp_candidates,
    quarantine_actions,
    quarantine_events,
    quarantine_work,
    revalidate,
    stored_messages,
    sts_policies,
    tls_received,
    tls_reports,
    tls_sessions,
)
from mailseal.store.accounts import alerts, ended
from mailseal.store.clock import CLOCK
from mailseal.store.jobs import Job
from mailseal.store.pace import Turn
from mailseal.store.reports import REPORT
from mailseal.wiring.gateway import Node

PURGE = "purge"
PURGE_SECONDS = 2.0
PURGE_AGAIN_SECONDS = 1.0
LOOKUPS_KEPT_DAYS = 400
WAITS_KEPT_DAYS = 2
"""Longer than a mail may be deferred for a search."""

logger = logging.getLogger(__name__)

Handler = Callable[[Node, Job], float | None]
"""Does a job, a few seconds of it: after how many seconds it goes on, or None when it is done.

TransientError: try again later; PermanentError: never.
"""


def send_report(node: Node, job: Job) -> float | None:
    """Send a delivery status notification with the null sender; a refused one is gone for good (RFC 5321 §4.5.5)."""
    report = node.reports.open(job)
    own_mail.send(node.gateway, job, report.content, None, report.recipient, report.hop)
    logger.info("a report to the sender was sent on")
    return None


def revalidate_due(node: Node, job: Job) -> float | None:  # noqa: ARG001 -- a Handler's signature
    """Judge again every certificate whose verdict is due."""
    return revalidate.handle(job)


def purge_old(node: Node, job: Job) -> float | None:  # noqa: ARG001 -- a Handler's signature
    """Delete what has been kept long enough, the logs last: they may be millions of rows."""
    if not CLOCK.trusted():
        return None
    now = datetime.now(UTC)
    turn = Turn(PURGE_SECONDS)
    ledger.purge(now - timedelta(days=node.config.ledger.retention_days), turn)
    jobs.purge(now - timedelta(days=node.config.ledger.retention_days), turn)
    lookups.purge(now - timedelta(days=LOOKUPS_KEPT_DAYS), turn)
    lookup_waits.purge(now - timedelta(days=WAITS_KEPT_DAYS), turn)
    notice_requests.purge(now - timedelta(days=node.config.ledger.retention_days), turn)
    harvest.purge_candidates(turn)
    pgp_candidates.purge_candidates(turn)
    sts_policies.purge(now, turn)
    quarantine_work.forget_attempts(now - timedelta(days=node.config.ledger.retention_days), turn)
    quarantine_work.purge(now - timedelta(days=node.config.log.retention_days), turn)
    quarantine_events.purge(node.config.log.retention_days, turn)
    stored_messages.purge(turn)
    journal_failures.purge(now - timedelta(days=node.config.log.retention_days), turn)
    _purge_tls_reports(now - timedelta(days=node.config.tls_reports.keep_days), turn)
    log.purge(now - timedelta(days=node.config.log.retention_days), turn)
    ended.purge(turn)
    # Behind all else: it needs the key of the audit, and what needs none is not to grow because that does not open.
    audit_work.purge(node, now - timedelta(days=node.config.audit.retention_days), turn)
    return PURGE_AGAIN_SECONDS if turn.cut_off else None


def _purge_tls_reports(before: datetime, turn: Turn) -> None:
    tls_sessions.purge(before.date(), turn)
    tls_reports.purge(before.date(), turn)
    tls_received.purge(before, turn)


class Lane(StrEnum):
    """Who does a job: `NETWORK` is for what waits for other machines, so that nothing else waits for it.

    `SEARCH` is for what one mail can start thousands of: a report to its sender does not wait for these. `LOOK` is for
    what strangers can start, at name servers of their own: nothing but the next of its kind waits for these. `CONSOLE`:
    somebody sits in front of a page and waits. `CHECK`: takes long, and nobody waits.
    """

    MAIN = "main"
    NETWORK = "network"
    SEARCH = "search"
    LOOK = "look"
    CONSOLE = "console"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job; `every_seconds` makes one of it run again and again in the cluster."""

    handle: Handler
    every_seconds: int | None = None
    lane: Lane = Lane.MAIN


def kinds_of(lane: Lane) -> tuple[str, ...]:
    """The kinds of job that are done there."""
    return tuple(kind for kind, row in HANDLERS.items() if row.lane is lane)


HANDLERS: Mapping[str, Kind] = {
    REPORT: Kind(send_report, lane=Lane.NETWORK),
    alerts.ALERT: Kind(account_alerts.send_alert, lane=Lane.NETWORK),
    notice_requests.NOTICE: Kind(send_notice, lane=Lane.SEARCH),
    revalidate.REVALIDATE: Kind(revalidate_due, every_seconds=60),
    PURGE: Kind(purge_old, every_seconds=3600),
    audit_signing.SIGN: Kind(audit_work.sign_heads, every_seconds=audit_signing.SIGN_SECONDS),
    lookups.LOOK_UP: Kind(search_keys, lane=Lane.SEARCH),
    sts_policies.LOOK: Kind(look_first, lane=Lane.LOOK),
    sts_policies.REFRESH: Kind(refresh, every_seconds=60, lane=Lane.SEARCH),
    lookup_waits.TRY: Kind(try_waiting, lane=Lane.NETWORK),
    journal_failures.RETRY: Kind(retry_report, lane=Lane.NETWORK),
    quarantine_actions.RELEASE: Kind(release_held, lane=Lane.NETWORK),
    quarantine_actions.ENDED: Kind(end_held),
    EXPIRE: Kind(expire_held, every_seconds=60),
    RENEW: Kind(renew, lane=Lane.SEARCH),
    tls_reports.COLLECT: Kind(tls_reporting.collect, every_seconds=3600),
    tls_reports.SEND: Kind(tls_reporting.send, lane=Lane.SEARCH),
    console_jobs.CONSOLE: Kind(console_work.do_for_console, lane=Lane.CONSOLE),
    findings.CHECK: Kind(console_checks.check_node, lane=Lane.CHECK),
    console_work.FORGET: Kind(console_work.forget_expired, every_seconds=60),
}
