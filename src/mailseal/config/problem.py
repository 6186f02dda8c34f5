"""One thing that is wrong with a configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Where it is, what it is, and how it is written right."""

    key: str
    what: str
    example: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.what}" + (f"; for example: {self.example}" if self.example else "")
