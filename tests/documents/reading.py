"""What the readers of documents say of a file, what is in it included."""

from mailseal.extract.budget import Budget
from mailseal.extract.nested import read_document
from mailseal.policy.inspection import GapReason, Inspection


def read(octets: bytes, budget: Budget | None = None, name: str = "file") -> Inspection:
    """What is read of a file, as in the sandbox."""
    return read_document(octets, name, "", budget or Budget())


def text_of(inspection: Inspection) -> str:
    """All passages, one behind the other."""
    return "\n".join(passage.text for passage in inspection.passages)


def reasons(inspection: Inspection) -> set[GapReason]:
    """Why something was not read."""
    return {gap.reason for gap in inspection.gaps}
