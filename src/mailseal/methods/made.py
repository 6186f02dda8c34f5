"""What a method makes of a mail that leaves."""

from dataclasses import dataclass, field

from mailseal.mail.message import Octets


@dataclass(frozen=True, slots=True)
class Made:
    """An entity (Content-* fields and body) in pieces, and the algorithms that made it as the log names them."""

    entity: tuple[Octets, ...] = field(repr=False)
    algorithm: str


@dataclass(frozen=True, slots=True)
class Signed(Made):
    """A signed entity, and what it is made of, for a method that puts both inside its encryption.

    `content` is the entity before it was signed; `signatures` are as the method itself writes them.
    """

    content: bytes = field(repr=False)
    signatures: tuple[bytes, ...] = field(default=(), repr=False)
