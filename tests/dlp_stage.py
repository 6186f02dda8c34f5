"""The ports of DLP for a `Stage`: given patterns, documents read in this process, and what was held and told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailseal.extract.budget import Budget
from mailseal.extract.nested import read_document
from mailseal.mail.address import Address
from mailseal.mail.message import Message, Octets
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.held import Held
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection
from mailseal.policy.model import Action
from mailseal.ports import Notice, ToTell
from stage import Interrupter, Stage


def word(text: str, action: Action, *, delayed: bool = False, threshold: int = 1) -> Pattern:
    """A keyword to look for; pattern and keyword have one name."""
    return Pattern(f"id-{text}", 1, text, Kind.KEYWORDS, text, action, threshold=threshold, delayed=delayed)


@dataclass
class PatternsStage:
    """ports.Patterns: by address or domain, "" for all mail."""

    interrupt: Interrupter
    given: dict[str, tuple[Pattern, ...]] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    _made: dict[tuple[Pattern, ...], Scanner] = field(default_factory=dict)

    def of(self, *addresses: Address | None) -> Scanner:
        self.interrupt("patterns.of")
        self.asked.append(tuple(str(one) for one in addresses))
        names = ["", *(name for one in addresses if one is not None for name in (one.domain, one.key))]
        found = tuple(dict.fromkeys(pattern for name in names for pattern in self.given.get(name, ())))
        return self._made.setdefault(found, Scanner(found))


@dataclass
class DocumentsStage:
    """extract.mail.Documents with the real readers. `crashes`: the reader of every document does."""

    interrupt: Interrupter
    names: list[str] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    crashes: bool = False

    def budget(self, deadline: float) -> Budget:
        self.interrupt("documents.budget")
        self.deadlines.append(deadline)
        return Budget(until=deadline, clock=lambda: 0.0)

    def read(self, document: Octets, name: str, media_type: str, budget: Budget, deadline: float) -> Inspection:
        self.interrupt("documents.read")
        self.names.append(name)
        if self.crashes:
            return Inspection(gaps=(Gap(name, GapStatus.UNINSPECTABLE, GapReason.CRASHED),))
        return read_document(document, name, media_type, budget)


@dataclass
class NoticesStage:
    """ports.Notices: what was asked for."""

    interrupt: Interrupter
    asked: list[Notice] = field(default_factory=list)

    def request(self, notice: Notice) -> None:
        self.interrupt("notices.request")
        self.asked.append(notice)

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Kind, role and reader of each."""
        return [(one.kind.value, one.role.value, str(one.reader)) for one in self.asked]


@dataclass
class QuarantineStage:
    """ports.Quarantine: what is held, by attempt and recipient, and told of."""

    interrupt: Interrupter
    notices: NoticesStage
    rows: dict[tuple[bytes, str], Held] = field(default_factory=dict)
    octets: dict[bytes, bytes] = field(default_factory=dict)

    def has(self, attempt: bytes, recipient: Address) -> bool:
        self.interrupt("quarantine.has")
        return (attempt, recipient.key) in self.rows

    def hold(self, held: Held, message: Message, to_tell: ToTell | None = None) -> str:
        self.interrupt("quarantine.hold")
        for notice in to_tell(f"q{len(self.rows) + 1}") if to_tell else ():
            self.notices.request(notice)
        self.rows.setdefault((held.attempt, held.recipient.address.key), held)
        self.octets[held.attempt] = bytes(message.raw)
        return f"q{len(self.rows)}"

    @property
    def held(self) -> list[Held]:
        return list(self.rows.values())


@dataclass
class DlpStage:
    """What is added to a stage."""

    patterns: PatternsStage
    documents: DocumentsStage
    quarantine: QuarantineStage
    notices: NoticesStage


def with_dlp(stage: Stage, given: dict[str, Sequence[Pattern]] | None = None) -> DlpStage:
    """Put the ports of DLP into a stage, with patterns by address or domain."""
    notices = NoticesStage(stage.interrupt)
    ports = DlpStage(
        PatternsStage(stage.interrupt, {name: tuple(some) for name, some in (given or {}).items()}),
        DocumentsStage(stage.interrupt),
        QuarantineStage(stage.interrupt, notices),
        notices,
    )
    stage.gateway_settings |= {
        "patterns": ports.patterns,
        "documents": ports.documents,
        "quarantine": ports.quarantine,
        "notices": ports.notices,
    }
    return ports
