"""Mails that are held until somebody has looked at them: the port, and what administrators see (docs/quarantine.md).

A row per (attempt, recipient); the mail itself is stored once for all recipients of an attempt, and deleted with the
last of them. See also `quarantine_actions` for what people do with it, `quarantine_work` for what the worker does.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q, QuerySet
from django.db.transaction import atomic

from mailseal.errors import PermanentError, TransientError
from mailseal.keys.sealing import BrokenSealError, sealed_by
from mailseal.mail.address import Address
from mailseal.mail.message import Message
from mailseal.policy.held import Held, WhyHeld
from mailseal.policy.reason import Reason
from mailseal.ports import ToTell
from mailseal.store import notice_requests, quarantine_details, quarantine_events, stored_messages
from mailseal.store.log import party_filter
from mailseal.store.notice_models import NoticeRow
from mailseal.store.outcomes import known_reasons, reasons_to_json
from mailseal.store.private_keys import Sealing
from mailseal.store.quarantine_details import Details
from mailseal.store.quarantine_events import MAILSEAL, Action
from mailseal.store.quarantine_models import QuarantineRow
from mailseal.store.row import OWNER_CHARS, first_uuid7, storable, utc_now, uuid7
from mailseal.store.stored_message_models import StoredMessageRow
from mailseal.store.transaction import read, reads, run, select


class State(StrEnum):
    """Where a held mail is. The last three are ends: the mail is no longer stored."""

    HELD = "held"
    RELEASING = "releasing"
    RELEASED = "released"
    DELETED = "deleted"
    EXPIRED = "expired"


_HAS = "SELECT 1 FROM store_quarantine WHERE once = %s AND recipient_key = %s"
OPEN = (State.HELD, State.RELEASING)


class NotHeldError(PermanentError):
    """There is no such mail, or it is not held any more."""


class NotStoredError(TransientError):
    """What was to be held went while it was stored, so the client keeps the mail."""


@dataclass(frozen=True, slots=True)
class HeldMail:
    """A mail that is or was held, without what is sealed. `mail` is Mailseal's ID of it; `findings` are safe to log.

    `way`, `releases`, `error`: how the last release is done, the how manyth it is, and why it was none. `asked_by`
    (actor key, "" for nobody) wants it released as it is until `asked_until`.
    """

    id: UUID
    attempt: bytes
    mail: str
    sender: str
    recipient: str
    message_id: str
    why: str
    state: State
    reasons: tuple[Reason, ...]
    findings: tuple[Mapping[str, Any], ...]
    stored: UUID | None
    size_bytes: int
    created: datetime
    expires: datetime
    noticed: datetime | None
    ended: datetime | None
    releases: int
    way: str
    error: str
    asked_by: str
    asked_until: datetime | None

    @property
    def domain(self) -> str:
        """To whose administrators the mail belongs: its sender's domain, by whose policy it is held; "" for none."""
        return Address.parse(self.sender).domain if self.sender else ""


@dataclass(frozen=True, slots=True)
class HeldFilter:
    """What to look for; None is anything. `sender`, `recipient`: an address, or a domain for all of it.

    `domains`: only mails that belong to one of these, see `HeldMail.domain`. `asked`: only those that somebody wants
    released as they are, for which a second person is to decide.
    """

    sender: str | None = None
    recipient: str | None = None
    states: tuple[State, ...] | None = OPEN
    why: WhyHeld | None = None
    mail: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    domains: frozenset[str] | None = None
    asked: bool = False


class StoreQuarantine:
    """The port `Quarantine`."""

    def __init__(self, kek: Sealing) -> None:
        self._kek = kek

    def has(self, attempt: bytes, recipient: Address) -> bool:
        """As of the port; raises StoreUnavailable."""
        return bool(select(_HAS, (attempt.hex(), recipient.key)))

    def hold(self, held: Held, message: Message, to_tell: ToTell | None = None) -> str:
        """As of the port; raises SealError, NotStoredError, StoreUnavailable."""
        recipient = held.recipient.address
        known = read(lambda: _known(held.attempt, recipient))
        if known is not None:
            return str(known)
        row = self._row(held, len(message))
        notices = [notice_requests.sealed_row(one, self._kek) for one in (to_tell(str(row.pk)) if to_tell else ())]
        shared = read(lambda: _stored_with(held.attempt))
        if shared is not None and run(lambda: _insert(row, shared, notices)):
            return str(row.pk)
        return self._with_own_copy(row, notices, held, message)

    def _with_own_copy(self, row: QuarantineRow, notices: Sequence[NoticeRow], held: Held, message: Message) -> str:
        stored = stored_messages.put(message.raw, self._kek)

        def work() -> UUID | None:
            stored_messages.complete(stored)
            if not _insert(row, stored, notices):
                stored_messages.delete(stored)  # another worker has the same mail
            return _known(held.attempt, held.recipient.address)

        found = run(work)
        if found is None:
            raise NotStoredError("the mail that was to be held went while it was stored")
        return str(found)

    def _row(self, held: Held, size_bytes: int) -> QuarantineRow:
        row_id, sender, recipient = uuid7(), held.sender, held.recipient.address
        details = Details(held.envelope, held.subject, held.findings)
        sealed = self._kek.seal(quarantine_details.to_octets(details), identity=quarantine_details.identity(row_id))
        return QuarantineRow(
            id=row_id,
            attempt=held.attempt.hex(),
            once=held.attempt.hex(),
            sender="" if sender is None else str(sender),
            sender_key="" if sender is None else sender.key,
            recipient=str(recipient),
            recipient_key=recipient.key,
            message_id=storable(held.message_id)[:OWNER_CHARS],
            why=held.why.value,
            state=State.HELD.value,
            reasons=reasons_to_json(held.reasons),
            findings=quarantine_details.safe_findings(held.findings),
            size_bytes=size_bytes,
            kek_id=sealed_by(sealed),
            sealed=sealed,
            created=held.at,
            expires=held.at + timedelta(days=held.hold_days),
        )


def _known(attempt: bytes, recipient: Address) -> UUID | None:
    rows = QuarantineRow.objects.filter(once=attempt.hex(), recipient_key=recipient.key)
    return rows.values_list("pk", flat=True).first()


def _stored_with(attempt: bytes) -> UUID | None:
    """What is stored of the mail for another recipient."""
    rows = QuarantineRow.objects.filter(once=attempt.hex(), stored__complete=True)
    return rows.values_list("stored", flat=True).first()


def _insert(row: QuarantineRow, stored: UUID, notices: Sequence[NoticeRow]) -> bool:
    """In the caller's transaction. False: there is a row already, or the mail has just been deleted."""
    # Locked, so that it stays while the last of the others ends.
    if not StoredMessageRow.objects.select_for_update().filter(pk=stored, complete=True).exists():
        return False
    row.stored_id = stored
    try:
        with atomic():  # a savepoint: the caller's transaction survives a key that is taken
            row.save(force_insert=True)
    except IntegrityError:
        return False
    quarantine_events.add(row, MAILSEAL, Action.HELD, row.why)
    for notice in notices:
        notice_requests.keep(notice)
    return True


def conclude(attempt: bytes) -> None:
    """An identical mail from now on is a new mail: SMTP has its 250 (architecture, section 1)."""
    run(lambda: QuarantineRow.objects.filter(once=attempt.hex()).update(once=None))


@reads
def find(held: UUID) -> HeldMail:
    """One of them; raises NotHeldError."""
    row = QuarantineRow.objects.defer("sealed").filter(pk=held).first()
    if row is None:
        raise NotHeldError(f"no mail {held} is or was held")
    return held_mail(row)


@reads
def search(wanted: HeldFilter, *, before: UUID | None = None, limit: int = 100) -> tuple[HeldMail, ...]:
    """The newest ones; `before` is the `id` of the last one of the page before. Raises LogFilterError."""
    found: list[QuarantineRow] = []
    # One state after the other, each in the order of its index: of many that are held none need be sorted.
    for one in [None] if wanted.states is None else wanted.states:
        rows = _filtered(wanted) if one is None else _filtered(wanted).filter(state=one.value)
        if before is not None:
            rows = rows.filter(pk__lt=before)
        found += rows.defer("sealed").order_by("-pk")[:limit]
    return tuple(held_mail(row) for row in sorted(found, key=lambda row: row.pk, reverse=True)[:limit])


@reads
def of_mails(mails: frozenset[str]) -> Mapping[tuple[str, str], UUID]:
    """Under which ID copies are or were held, by (Mailseal's ID of the mail, recipient key)."""
    found: dict[tuple[str, str], UUID] = {}
    for mail in mails:
        rows = QuarantineRow.objects.filter(**_of_mail(mail)).order_by("pk")
        found |= {(mail, key): held for held, key in rows.values_list("pk", "recipient_key")}
    return found


def _filtered(wanted: HeldFilter) -> QuerySet[QuarantineRow]:
    rows = QuarantineRow.objects.all()
    for column, text in (("sender_key", wanted.sender), ("recipient_key", wanted.recipient)):
        if text is not None:
            rows = rows.filter(**party_filter(column, text))
    if wanted.domains is not None:
        rows = rows.filter(_of_domains(wanted.domains))
    if wanted.asked:
        rows = rows.filter(asked_until__gt=utc_now()).exclude(asked_by="")
    if wanted.why is not None:
        rows = rows.filter(why=wanted.why.value)
    if wanted.mail is not None:
        rows = rows.filter(**_of_mail(wanted.mail))
    if wanted.since is not None:
        rows = rows.filter(pk__gte=first_uuid7(wanted.since))
    if wanted.until is not None:
        rows = rows.filter(pk__lt=first_uuid7(wanted.until))
    return rows


def _of_domains(domains: Collection[str]) -> Q:
    """Wildcards are no domain of anybody."""
    found = Q(pk__in=[])
    for domain in domains:
        found |= Q(sender_key__endswith=f"@{domain}")
    return found


def _of_mail(mail: str) -> dict[str, str]:
    # Not LIKE, which finds no index on SQLite. "g" comes behind every hexadecimal digit.
    return {"attempt__gte": mail, "attempt__lt": mail + "g"}


def held_mail(row: QuarantineRow) -> HeldMail:
    """A row as a value."""
    return HeldMail(
        id=row.pk,
        attempt=bytes.fromhex(row.attempt),
        mail=quarantine_events.mail_of(row),
        sender=row.sender,
        recipient=row.recipient,
        message_id=row.message_id,
        why=row.why,
        state=State(row.state),
        reasons=known_reasons(row.reasons),
        findings=tuple(row.findings),
        stored=row.stored_id,
        size_bytes=row.size_bytes,
        created=row.created,
        expires=row.expires,
        noticed=row.noticed,
        ended=row.ended,
        releases=row.releases,
        way=row.way,
        error=row.error,
        asked_by=row.asked_by if row.asked_until is not None and row.asked_until > utc_now() else "",
        asked_until=row.asked_until,
    )


def details(held: UUID, sealing: Sealing) -> Details:
    """What is sealed of one; raises NotHeldError once it has ended, SealError."""
    sealed = read(lambda: QuarantineRow.objects.filter(pk=held).values_list("sealed", flat=True).first())
    if sealed is None:
        raise NotHeldError(f"nothing but its outcome is known of the held mail {held} (any more)")
    opened = sealing.open(bytes(sealed), identity=quarantine_details.identity(held))
    return quarantine_details.from_octets(opened)


def pieces(mail: HeldMail, sealing: Sealing) -> Iterator[bytes]:
    """The octets of a held mail, a piece at a time; raises NotHeldError, SealError."""
    if mail.stored is None:
        raise NotHeldError(f"the held mail {mail.id} is {mail.state.value}: it is no longer stored")
    yield from stored_messages.pieces(mail.stored, sealing)


def octets(mail: HeldMail, sealing: Sealing) -> bytes:
    """All of it; raises NotHeldError, SealError."""
    whole = b"".join(pieces(mail, sealing))
    if len(whole) != mail.size_bytes:
        raise BrokenSealError(f"the held mail {mail.id} is not as long as it was")
    return whole
