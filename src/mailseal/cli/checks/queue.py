"""Check of Postfix's queue: whether it can be looked after, and what has been waiting in it for long."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mailseal.cli.checks.finding import Finding, Status
from mailseal.cli.output import counted
from mailseal.config import Config, Instance
from mailseal.errors import MailsealError
from mailseal.postfix.queue_reasons import WORDS, WaitKind
from mailseal.postfix.queue_summary import Group, summary_of
from mailseal.roles.listening import is_held
from mailseal.roles.queue_client import our_sockets, queue_client

SUBJECT = "queue"
LONG = timedelta(hours=4)
GROUPS_TOLD = 3
LISTING_SECONDS = 60.0


def queue(config: Config) -> Iterator[Finding]:
    """What waits in it, the largest groups that have waited for long by name."""
    if config.postfix.instance is Instance.OFF or not is_held(config.run_dir / "supervisor.lock"):
        return
    try:
        with queue_client(config).listing(LISTING_SECONDS) as listing:
            summary = summary_of(listing, our_sockets(config))
    except MailsealError as error:
        yield Finding(SUBJECT, Status.WARN, str(error), getattr(error, "what_to_do", "") or "postqueue -j shows it")
        return
    late = [one for one in summary.groups() if _is_late(one, datetime.now(UTC))]
    if not late:
        yield Finding(SUBJECT, Status.OK, f"{counted(summary.mails.total(), 'mail')}, none deferred for long")
        return
    told = "; ".join(f"{one.recipients} recipients: {_words(one)}" for one in late[:GROUPS_TOLD])
    text = f"mail has been waiting for more than {LONG // timedelta(hours=1)} hours: {told}"
    yield Finding(SUBJECT, Status.WARN, text, "mailseal queue list")


def _is_late(group: Group, now: datetime) -> bool:
    return group.kind is not WaitKind.HELD and now - group.oldest > LONG


def _words(group: Group) -> str:
    return WORDS[group.kind] + (f" ({group.next_hop})" if group.next_hop else "")
