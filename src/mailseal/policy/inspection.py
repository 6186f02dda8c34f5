"""What was read of a mail, and what could not be: the texts that DLP looks at, each with its place."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text. `place` is for people: "subject", "body (text/html)", "report.zip > a.docx"."""

    place: str
    text: str


class GapStatus(StrEnum):
    """How much of a place was not read: some of it, or all."""

    PARTIAL = "partial"
    UNINSPECTABLE = "uninspectable"


class GapReason(StrEnum):
    """Why it was not read."""

    ENCRYPTED = "encrypted"
    BROKEN = "broken"
    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    TOO_MANY = "too-many"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    UNKNOWN_FORMAT = "unknown-format"
    UNSUPPORTED = "unsupported"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Gap:
    """A place that was not read, or not all of it. `detail` is safe to log: it quotes nothing of the content."""

    place: str
    status: GapStatus
    reason: GapReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that was read of a mail or a document."""

    passages: tuple[Passage, ...] = ()
    gaps: tuple[Gap, ...] = ()
