"""The state of one run of `process`: the mail, and one outcome per recipient, filled in as effects happen."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import Entity, MimeError
from mailseal.mail.reply import Reply
from mailseal.pipeline.case import Case
from mailseal.pipeline.neighbour import Arrival
from mailseal.policy.model import Fate, Outcome, Waiver
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.ports import Gateway, Hop


@dataclass(slots=True)
class Run:
    """One mail on its way. `fault` says why its structure cannot be trusted, though its headers can be read.

    `waiver`: it was held, and somebody has decided. `envelope.origin` is never NEIGHBOUR: what such mail counts as is
    in `arrival`. `cases`: by `Address.key`, of the copies of the protect path whose fate may be told; `told`: those of
    which it is.
    """

    envelope: Envelope
    message: Message
    gateway: Gateway
    attempt: bytes
    at: datetime
    deadline: float
    root: Entity
    fault: MimeError | None
    arrival: Arrival
    waiver: Waiver | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    internal: set[str] = field(default_factory=set)
    subject_for: set[str] = field(default_factory=set)
    cases: dict[str, Case] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def hop(self, direction: Hop) -> Hop:
        """Where copies go that would go in this direction: mail of a neighbour goes back there, whoever it is for."""
        return Hop.NEIGHBOUR if self.arrival.returns else direction

    @property
    def back(self) -> Hop | None:
        """The hop by which the sender is told something; None: the one that mail to him takes."""
        return Hop.NEIGHBOUR if self.arrival.returns else None

    @property
    def came(self) -> Envelope:
        """The envelope as the mail came."""
        return replace(self.envelope, origin=Origin.NEIGHBOUR) if self.arrival.returns else self.envelope

    def address(self, index: int) -> Address:
        """The address of the recipient at an index."""
        return self.envelope.recipients[index].address

    def pending(self) -> list[int]:
        """Indices of recipients without an outcome; of a repeated address only the first."""
        first: dict[str, int] = {}
        for index, recipient in enumerate(self.envelope.recipients):
            if recipient.address.key not in self.outcomes:
                first.setdefault(recipient.address.key, index)
        return list(first.values())

    def settle(self, index: int, fate: Fate, answer: Reply, reasons: Sequence[Reason]) -> None:
        """Record what became of a copy that did not go to a next hop."""
        address = self.address(index)
        self.outcomes[address.key] = Outcome(address, fate, answer, reasons=tuple(reasons))

    def defer(self, index: int, reason: Reason, answer: Reply = reply.DEFERRED, before: Sequence[Reason] = ()) -> None:
        """The recipient's copy is to be tried again by the client."""
        self.settle(index, Fate.DEFERRED, answer, (*before, reason))

    def out_of_time(self) -> bool:
        """No effect starts after the deadline."""
        return self.gateway.clock.monotonic() >= self.deadline

    def results(self) -> list[Outcome]:
        """One outcome per RCPT, in order, duplicates included."""
        return in_order(self.envelope, self.outcomes)


def in_order(envelope: Envelope, outcomes: dict[str, Outcome]) -> list[Outcome]:
    """One outcome per RCPT, addressed as that RCPT wrote it; a recipient without one is deferred."""
    unknown = because(ReasonCode.UNEXPECTED_FAILURE, kind="no outcome")
    result = []
    for recipient in envelope.recipients:
        found = outcomes.get(recipient.address.key)
        if found is None:
            found = Outcome(recipient.address, Fate.DEFERRED, reply.DEFERRED, reasons=(unknown,))
        # Object by object: the same address may be written in another case.
        result.append(found if found.recipient is recipient.address else replace(found, recipient=recipient.address))
    return result


def ending_with(reasons: Sequence[Reason], last: Reason) -> tuple[Reason, ...]:
    """The reasons, the decisive one once and at the end."""
    return (*(one for one in reasons if one != last), last)


def failure_reason(error: BaseException) -> Reason:
    """Why a copy is deferred: an expected failure by its text, any other by its kind and place only.

    The text of an unexpected exception may hold a piece of the mail, so it is not kept.
    """
    if isinstance(error, TransientError):
        return because(ReasonCode.TRANSIENT_FAILURE, detail=error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('mailseal/')[2]}:{frames[-1].lineno}" if frames else "unknown"
    return because(ReasonCode.UNEXPECTED_FAILURE, kind=type(error).__name__, place=place)
