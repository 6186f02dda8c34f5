"""What the readers of documents say of a file, what is in it included."""

from mailseal.extract.budget import Budget
from mailseal.extract.cells import read_cells
from mailseal.extract.dispatch import attempt, by_table
from mailseal.extract.ole import read_ole
from mailseal.extract.pdf import read_pdf
from mailseal.extract.sniff import Format
from mailseal.extract.tnef import read_tnef
from mailseal.extract.walk import Handler, Walk
from mailseal.policy.inspection import Inspection


def _latin(octets: bytes, walk: Walk) -> None:
    walk.say(octets.decode("latin-1"), "text")


HANDLERS: dict[Format, Handler] = {
    **dict.fromkeys(Format, _latin),
    Format.OLE: read_ole,
    Format.PDF: read_pdf,
    Format.TNEF: read_tnef,
    Format.CELLS: read_cells,
}
"""The readers under test; all other formats as the text they are not."""


def read(octets: bytes, handler: Handler | None = None, budget: Budget | None = None) -> Inspection:
    """What is read of a file: by one handler, or by those of its formats."""
    by_format = by_table(lambda: HANDLERS)
    walk = Walk(budget or Budget(), by_format)
    if handler is None:
        walk.descend(octets, "file")
    else:
        attempt(handler, octets, walk)
    return walk.inspection()


def text_of(inspection: Inspection) -> str:
    """All passages, one behind the other."""
    return "\n".join(passage.text for passage in inspection.passages)
