"""A notice of ours that comes back, by any way: it makes no other notice, and is not held for what it says itself.

The mark says that the text is ours, of the last day; whatever else the header has is looked at as in any mail.
"""

from dataclasses import replace
from datetime import datetime

from mailseal.mail.mime import Entity
from mailseal.notices.mark import COVERED, NAME, is_marked
from mailseal.policy.inspection import Inspection
from mailseal.ports import LoopKeys

_BODY = "body ("
_AS_IT_STANDS = " (as it stands)"


def is_own_notice(root: Entity, keys: LoopKeys | None, at: datetime) -> bool:
    """Whether this is a notice that this gateway, or another node of it, has written; raises TransientError."""
    if keys is None or not root.headers(NAME.lower()):
        return False
    return is_marked(keys.known(), root, at)


def not_ours(inspection: Inspection) -> Inspection:
    """What DLP still looks at in a notice of ours: all but the body and the fields that the mark covers."""
    left = [one for one in inspection.passages if not _is_covered(one.place)]
    return replace(inspection, passages=tuple(left))


def _is_covered(place: str) -> bool:
    return place.startswith(_BODY) or place.removesuffix(_AS_IT_STANDS) in COVERED
