"""Fuzz the readers of documents that are our own: `python fuzz/documents.py [--seconds N]`.

Compound files with what is in them, TNEF, cells, the objects of PDF (PDFium itself is left out: it cannot be watched).
Starts from documents that the tests make. Anything that comes out but text and gaps stops the run. Prints the count.
"""

import sys
from contextlib import suppress
from pathlib import Path

import atheris
from driver import fuzz

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("src", "tests", "tests/unit/extract")]

with atheris.instrument_imports(include=["mailseal.extract"]):
    from test_hostile_documents import GOOD

    from mailseal.extract.budget import Budget, OverBudgetError
    from mailseal.extract.cells import read_cells
    from mailseal.extract.ole import read_ole
    from mailseal.extract.pdf_objects import PdfFilterError, object_strings, split, unpacked
    from mailseal.extract.tnef import read_tnef
    from mailseal.extract.walk import Walk

SEEDS = {good.__name__: good() for good, _ in GOOD}
READERS = ((b"\xd0\xcf\x11\xe0", read_ole), (b"\x78\x9f\x3e\x22", read_tnef), (b"PK", read_cells))


def say(octets: bytes, walk: Walk) -> None:
    walk.say(octets.decode("latin-1"))


def read_objects(data: bytes, walk: Walk) -> None:
    for objects, stream in split(data):
        walk.say("\n".join(object_strings(objects)))
        if stream is not None:
            with suppress(PdfFilterError):
                walk.say("\n".join(object_strings(unpacked(objects, stream, walk.budget.unpack))))


def one_input(data: bytes) -> None:
    """Read it as what it begins as."""
    reader = next((reader for mark, reader in READERS if data.startswith(mark)), read_objects)
    with suppress(OverBudgetError):
        reader(data, Walk(Budget(characters=1_000_000, octets=10_000_000), say))


if __name__ == "__main__":
    fuzz("documents", __doc__, one_input, SEEDS)
