"""XML as events, by expat: no tree, so neither depth nor length costs memory. A document type is refused (XML §2.8)."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol
from xml.parsers import expat

_NAMES = 1024


class XmlError(ValueError):
    """Not well-formed, or with a document type: what was told before stands."""


class Events(Protocol):
    """Who is told. Names of elements are without their prefix, those of attributes as they stand."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """Text between tags; there may be more of it."""


def tell(chunks: Iterable[bytes], events: Events) -> None:
    """Read a document piece by piece. Raises XmlError."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = lambda name, attributes: events.start(local(name), attributes)
    parser.EndElementHandler = lambda name: events.end(local(name))
    parser.CharacterDataHandler = events.text
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)  # noqa: FBT003 - by position only
        parser.Parse(b"", True)  # noqa: FBT003 - the same
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise XmlError(str(error)) from None


@lru_cache(_NAMES)
def local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]


def _refuse(*_: object) -> None:
    raise XmlError("a document type")
