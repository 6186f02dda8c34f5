"""The queue at a glance: which of its mails are meant, and how many recipients wait for what reason and next hop."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailseal.postfix.queue_mails import Awaiting, QueuedMail
from mailseal.postfix.queue_reasons import WORDS, Wait, WaitKind, why

MAX_GROUPS = 1000
"""Strangers choose the domains that mail is for, and so how many next hops there are."""
ELSEWHERE = "…"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail with those of its recipients that are meant, and why each of them waits."""

    mail: QueuedMail
    recipients: Sequence[tuple[Awaiting, Wait]]


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What to look for; None is anything. `sender`, `recipient`: an address or a domain, "<>" is the null sender.

    `reason`: a kind of reason, or a piece of the text that is shown of it.
    """

    queue: str | None = None
    sender: str | None = None
    recipient: str | None = None
    reason: str | None = None

    def meant(self, mail: QueuedMail, ours: Collection[str]) -> Waiting | None:
        """The recipients that fit; None if there are none."""
        if self.queue is not None and mail.queue != self.queue:
            return None
        if self.sender is not None and not _is_of(mail.sender, self.sender):
            return None
        pairs = ((one, why(mail, one, ours)) for one in mail.recipients)
        fitting = [(one, wait) for one, wait in pairs if self._fits(one, wait)]
        return Waiting(mail, fitting) if fitting or not (mail.recipients or self.recipient or self.reason) else None

    def _fits(self, recipient: Awaiting, wait: Wait) -> bool:
        if self.recipient is not None and not _is_of(recipient.address, self.recipient):
            return False
        if self.reason is None:
            return True
        wanted = self.reason.casefold()
        return wanted == wait.kind or any(wanted in text.casefold() for text in (WORDS[wait.kind], wait.text))


@dataclass(slots=True)
class Group:
    """Recipients who wait for the same reason and next hop."""

    kind: WaitKind
    next_hop: str
    oldest: datetime
    recipients: int = 0
    mails: int = 0


@dataclass(slots=True)
class Summary:
    """Of the mails that were added. `mails` by queue; `oldest`: when the first of those that are deferred came."""

    mails: Counter[str] = field(default_factory=Counter)
    recipients: Counter[WaitKind] = field(default_factory=Counter)
    oldest: datetime | None = None
    _groups: dict[tuple[WaitKind, str], Group] = field(default_factory=dict)

    def add(self, waiting: Waiting) -> None:
        """Count one more mail."""
        mail = waiting.mail
        self.mails[mail.queue] += 1
        if mail.queue == "deferred" and (self.oldest is None or mail.arrived < self.oldest):
            self.oldest = mail.arrived
        counted = set[tuple[WaitKind, str]]()
        for _, wait in waiting.recipients:
            self.recipients[wait.kind] += 1
            key = self._key(wait)
            group = self._groups.setdefault(key, Group(*key, mail.arrived))
            group.recipients += 1
            group.mails += key not in counted
            group.oldest = min(group.oldest, mail.arrived)
            counted.add(key)

    def _key(self, wait: Wait) -> tuple[WaitKind, str]:
        key = wait.kind, wait.next_hop
        return key if key in self._groups or len(self._groups) < MAX_GROUPS else (wait.kind, ELSEWHERE)

    def groups(self) -> list[Group]:
        """The largest first."""
        return sorted(self._groups.values(), key=lambda one: (-one.recipients, one.oldest, one.next_hop))


def summary_of(mails: Iterable[QueuedMail], ours: Collection[str]) -> Summary:
    """Of a whole queue."""
    summary, everything = Summary(), QueueFilter()
    for mail in mails:
        if (waiting := everything.meant(mail, ours)) is not None:
            summary.add(waiting)
    return summary


def _is_of(address: str, wanted: str) -> bool:
    """Whether an address is this one, or in this domain."""
    found, wanted = address.casefold(), wanted.strip().casefold()
    if wanted in {"", "<>"}:
        return not found
    if "@" in wanted.removeprefix("@"):
        return found == wanted
    return found.endswith(f"@{wanted.removeprefix('@')}")
