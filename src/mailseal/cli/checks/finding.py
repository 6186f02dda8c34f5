"""The result of one check."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How it stands. Only `fail` makes the exit status 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `what_to_do` goes with everything that is not ok."""

    subject: str
    status: Status
    text: str
    what_to_do: str = ""

    def as_row(self) -> dict[str, str]:
        """For --json."""
        return {
            "check": self.subject,
            "status": self.status.value,
            "text": self.text,
            "what_to_do": self.what_to_do,
        }
