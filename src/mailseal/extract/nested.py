"""What is read in the sandbox: the table of formats, each with the handler that reads it and what is inside."""

from collections.abc import Mapping

from mailseal.extract.archive import libarchive_problem, read_archives, read_compressed
from mailseal.extract.budget import Budget, OverBudgetError
from mailseal.extract.cells import read_cells
from mailseal.extract.dispatch import by_table
from mailseal.extract.near import NEAR
from mailseal.extract.ole import read_ole
from mailseal.extract.pdf import read_pdf
from mailseal.extract.rtf import read_rtf
from mailseal.extract.sniff import Format
from mailseal.extract.tnef import read_tnef
from mailseal.extract.walk import Handler, Walk, shown
from mailseal.extract.zipped import read_zip
from mailseal.mail.message import Octets
from mailseal.policy.inspection import GapStatus, Inspection

HANDLERS: Mapping[Format, Handler] = {
    **NEAR,
    Format.RTF: read_rtf,
    Format.ZIP: read_zip,
    Format.ARCHIVE: read_archives,
    Format.COMPRESSED: read_compressed,
    Format.OLE: read_ole,
    Format.PDF: read_pdf,
    Format.CELLS: read_cells,
    Format.TNEF: read_tnef,
}

LIBARCHIVE_PROBLEM = libarchive_problem()
"""Asked at import: what has been confined loads no library any more."""


def read_document(document: Octets, name: str, content_type: str, budget: Budget) -> Inspection:
    """All that can be read of a document; never raises. Places start with its name as people are shown it.

    The budget is spent; its depth counts from the document.
    """
    walk = Walk(budget, by_table(lambda: HANDLERS), shown(name), name=name)
    walk.hint(content_type)
    try:
        walk.handler(bytes(document), walk)
    except OverBudgetError as error:
        walk.gap(GapStatus.PARTIAL, error.reason, str(error))
    return walk.inspection()
