"""What may be shown of a match: never enough to use it."""

from mailseal.policy.dlp.model import Mask

HIDDEN = "█"
_KEPT = 4
_MIN_HIDDEN = 4
_MAX_HIDDEN = 12


def hidden(length: int) -> str:
    """As many blocks as there are characters, within bounds: a long secret does not tell its length."""
    return HIDDEN * min(_MAX_HIDDEN, max(_MIN_HIDDEN, length))


def masked(found: str, mask: Mask) -> str:
    """A match as its pattern's mask shows it; what is shorter than three times the part kept is hidden whole."""
    if len(found) < 3 * _KEPT:
        return hidden(len(found))
    match mask:
        case Mask.ALL:
            return hidden(len(found))
        case Mask.FIRST4:
            return found[:_KEPT] + hidden(len(found) - _KEPT)
        case Mask.LAST4:
            return hidden(len(found) - _KEPT) + found[-_KEPT:]
