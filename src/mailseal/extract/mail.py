"""All that a mail says: its text is read here, documents by the port `Documents` in a process of their own."""

from dataclasses import replace
from typing import Protocol

from mailseal.errors import TransientError
from mailseal.extract.budget import Budget, OverBudgetError
from mailseal.extract.dispatch import by_table
from mailseal.extract.message import read_parsed
from mailseal.extract.near import NEAR
from mailseal.extract.sniff import formats
from mailseal.extract.walk import Walk, shown
from mailseal.mail.message import Octets
from mailseal.mail.mime import ParsedMessage
from mailseal.policy.inspection import GapStatus, Inspection


class Documents(Protocol):
    """Who reads what is not text."""

    def budget(self, deadline: float) -> Budget:
        """What reading one mail may cost, all that is in it together."""

    def read(self, document: Octets, name: str, media_type: str, budget: Budget, deadline: float) -> Inspection:
        """What was read of a document; its type with what it says of the charset. Places start with `walk.shown(name)`.

        Files and octets of the budget are spent. A document that is too much for its reader is a gap. Raises
        TransientError when nobody reads.
        """


NEAR_OCTETS = 1 << 20
"""What is longer is read in the process of documents, whatever it is: there it has a time, and keeps nobody waiting."""


class NoDocumentsError(TransientError):
    """Nobody is there who reads documents."""


def inspect(
    parsed: ParsedMessage, documents: Documents | None, deadline: float, budget: Budget | None = None
) -> Inspection:
    """All that can be read of a mail; raises TransientError when documents cannot be read now."""
    near = by_table(lambda: NEAR)

    def handle(octets: bytes, walk: Walk) -> None:
        if len(octets) <= NEAR_OCTETS and NEAR.keys() >= set(formats(octets, walk.name, walk.media_type)):
            near(octets, walk)
        else:
            _read_far(octets, walk, documents, deadline)

    walk = Walk(budget or _budget(documents, deadline), handle)
    try:
        if parsed.fault is not None and len(parsed.root.octets) > NEAR_OCTETS:
            walk.descend(bytes(parsed.root.octets), "", "message/rfc822", "message")
        else:
            read_parsed(parsed, walk)
    except OverBudgetError as error:
        walk.gap(GapStatus.PARTIAL, error.reason, str(error), "message")
    return walk.inspection()


def _budget(documents: Documents | None, deadline: float) -> Budget:
    return Budget(until=deadline) if documents is None else documents.budget(deadline)


def _read_far(octets: bytes, walk: Walk, documents: Documents | None, deadline: float) -> None:
    if documents is None:
        raise NoDocumentsError("documents cannot be read here")
    budget = replace(walk.budget, depth=walk.budget.depth - walk.depth)
    try:
        found = documents.read(octets, walk.name, walk.content_type, budget, deadline)
    except TransientError:
        raise
    except Exception as error:
        raise TransientError(f"a document could not be read: {type(error).__name__}") from error
    # The time is not that which a document has waited for its turn.
    walk.budget.octets, walk.budget.files, walk.budget.until = budget.octets, budget.files, budget.until
    walk.adopt(found, shown(walk.name))
