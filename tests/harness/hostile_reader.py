"""A reader that a document of type HOSTILE takes over: its octets are run as Python, where it has been read till then.

What such a document leaves in `said` is its text. All other documents are read as ever.
"""

from mailseal.extract import nested
from mailseal.extract.walk import shown
from mailseal.policy.inspection import Inspection, Passage

HOSTILE = "application/x-hostile"
harmless = nested.read_document


def read_document(octets, name, media_type, budget):
    if media_type != HOSTILE:
        return harmless(octets, name, media_type, budget)
    scope = {}
    exec(octets, scope)
    return Inspection((Passage(shown(name), scope.get("said", "nothing")),))


def take_over():
    nested.read_document = read_document
