"""A notice of ours that comes back, by any way: it makes no other notice, and is not held for what it says itself.

The mark says that the text is ours, of the last day; whatever else the header has is looked at as in any mail. And only
on its way to whom it was written to: it may say what a sender has chosen (an address, a Message-ID, a subject), so to
anybody else it is a mail like any other.
"""

import re
from datetime import datetime

from mailseal.mail.address import Address
from mailseal.mail.header import addresses
from mailseal.mail.mime import Entity, HeaderField
from mailseal.notices.mark import COVERED, NAME, is_marked
from mailseal.policy.inspection import GapReason, Inspection
from mailseal.ports import LoopKeys

_FIELDS = frozenset({"subject", *(f"header {name}" for name in COVERED)})
_BODY = re.compile(r"body \(text/(?:plain|html)\)(?:: not shown)?")
_OF_SIGNATURES = frozenset({GapReason.ENCRYPTED, GapReason.UNKNOWN_FORMAT, GapReason.UNSUPPORTED})


def is_own_notice(root: Entity, keys: LoopKeys | None, at: datetime) -> bool:
    """Whether this is a notice that this gateway, or another node of it, has written; raises TransientError."""
    if keys is None or not root.headers(NAME.lower()):
        return False
    return is_marked(keys.known(), root, at)


def readers_of(root: Entity, keys: LoopKeys | None, at: datetime) -> tuple[Address, ...]:
    """Whom a notice of ours was written to; () for any other mail. Raises TransientError."""
    return addresses(root, "to") if is_own_notice(root, keys, at) else ()


def own_mark(root: Entity, keys: LoopKeys | None, at: datetime) -> list[HeaderField]:
    """The mark of a notice of ours, which stays on it; [] for any other mail. Raises TransientError."""
    if not is_own_notice(root, keys, at):
        return []
    return [field for field in root.fields if field.name == NAME.lower()]


def not_ours(inspection: Inspection) -> Inspection:
    """What DLP still looks at in a notice of ours on the way to its reader: all but body and fields the mark covers.

    A signature in the body is ours as well, whether or not it can be read.
    """
    passages = [one for one in inspection.passages if not _is_covered(one.place)]
    gaps = [one for one in inspection.gaps if one.reason not in _OF_SIGNATURES]
    return Inspection(tuple(passages), tuple(gaps))


def _is_covered(place: str) -> bool:
    return place in _FIELDS or _BODY.fullmatch(place) is not None
