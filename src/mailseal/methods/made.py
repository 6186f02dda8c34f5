"""What a method makes of a mail that leaves."""

from dataclasses import dataclass, field

from mailseal.mail.message import Octets


@dataclass(frozen=True, slots=True)
class Made:
    """An entity (Content-* fields and body) in pieces, and the algorithms that made it as the log names them."""

    entity: tuple[Octets, ...] = field(repr=False)
    algorithm: str
