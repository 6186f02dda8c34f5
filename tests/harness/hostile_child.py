"""A process of the sandbox in which a document of type HOSTILE takes over its reader: its octets are run as Python.

Started as `mailseal.extract.child` is; all else is that program. What such a document leaves in `said` is its text.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from mailseal.extract import child, nested
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


if __name__ == "__main__":
    nested.read_document = read_document
    child.main(sys.argv[1:])
