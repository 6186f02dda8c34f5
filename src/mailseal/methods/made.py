"""What a method makes of a mail that leaves."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Made:
    """An entity (Content-* fields and body), and the algorithms that made it as the log names them."""

    entity: bytes = field(repr=False)
    algorithm: str
