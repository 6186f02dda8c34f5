"""Check of held mails: whether somebody looks at them, and whether they are whole."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mailseal.cli.checks.finding import Finding, Status
from mailseal.cli.output import counted
from mailseal.config import Config
from mailseal.keys.sealing import SealError
from mailseal.store import gauges
from mailseal.store import quarantine as held_mails
from mailseal.store.keks import open_ring
from mailseal.store.quarantine import HeldFilter, HeldMail, State
from mailseal.store.quarantine_work import expiring

SUBJECT = "quarantine"
MANY = 100
LONG = timedelta(days=7)
SOON = timedelta(days=3)
READ_MAILS = 1000
READ_BYTES = 256 * 1024 * 1024
"""How many held mails are read to see whether they are whole, and how many octets of them."""
NAMED = 3
_LIST = "mailseal quarantine list"


def quarantine(config: Config) -> Iterator[Finding]:
    """Many, old, nearly expired, not released though somebody wants it, damaged."""
    held = gauges.held()
    told = list(_told(held, datetime.now(UTC)))
    told += _not_released()
    told += _damaged(config)
    if held.count and not told:
        told.append(Finding(SUBJECT, Status.OK, f"{counted(held.count, 'mail')} held"))
    yield from told


def _told(held: gauges.HeldMails, now: datetime) -> Iterator[Finding]:
    if held.count > MANY:
        yield Finding(SUBJECT, Status.WARN, f"{held.count} mails are held", _LIST)
    elif held.oldest is not None and now - held.oldest > LONG:
        text = f"mails have been held for up to {(now - held.oldest).days} days, {held.count} in all"
        yield Finding(SUBJECT, Status.WARN, text, _LIST)
    soon = expiring(now + SOON)
    if soon:
        text = f"{counted(soon, 'held mail')} will be deleted within {SOON.days} days"
        yield Finding(SUBJECT, Status.WARN, text, "`mailseal quarantine extend`, or release them")


def _not_released() -> Iterator[Finding]:
    found = held_mails.search(HeldFilter(states=(State.RELEASING,)), limit=READ_MAILS)
    waiting = [one for one in found if one.error]
    if waiting:
        text = f"{counted(len(waiting), 'release')} wait to be tried again: {waiting[0].error}"
        yield Finding(SUBJECT, Status.WARN, text, "mailseal quarantine list --state releasing")


def _damaged(config: Config) -> Iterator[Finding]:
    ring = open_ring(config.keys.kek)
    broken: list[tuple[HeldMail, SealError]] = []
    left = READ_BYTES
    for mail in held_mails.search(HeldFilter(), limit=READ_MAILS):
        try:
            held_mails.details(mail.id, ring)
            if mail.size_bytes <= left:
                left -= sum(map(len, held_mails.pieces(mail, ring)))
        except SealError as error:
            broken.append((mail, error))
        except held_mails.NotHeldError:  # it has ended meanwhile
            continue
    if broken:
        named = "; ".join(f"{mail.id}: {error}" for mail, error in broken[:NAMED])
        text = f"{counted(len(broken), 'held mail')} cannot be read: {named}"
        yield Finding(SUBJECT, Status.FAIL, text, "restore the database; what cannot be read can only be deleted")
