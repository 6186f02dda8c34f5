"""Files that are sealed: CMS (RFC 5652) and OpenPGP (RFC 9580). What is only signed or packed is read."""

from mailseal.extract.strings import strings
from mailseal.extract.walk import Walk
from mailseal.policy.inspection import GapReason, GapStatus
from mailseal.smime import algorithms
from mailseal.smime.compress import decompress
from mailseal.smime.errors import CmsError
from mailseal.smime.signed import read_signed

_HEAD = 64
_ENTITY = "message/rfc822"
_MAX_RATIO = 100


def read_cms(octets: bytes, walk: Walk) -> None:
    """The content of SignedData and CompressedData; a gap for what is encrypted. Raises OverBudgetError."""
    start = octets[:_HEAD]
    try:
        if algorithms.SIGNED_DATA in start:
            _read_signed(octets, walk)
        elif algorithms.COMPRESSED_DATA in start:
            content = decompress(octets, min(walk.budget.octets, len(octets) * _MAX_RATIO + _MAX_RATIO))
            walk.budget.unpack(len(content))
            walk.descend(content, "", _ENTITY, "content")
        else:
            walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "it is encrypted with S/MIME")
    except CmsError as error:
        walk.say(strings(octets), "strings")
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.BROKEN, str(error.reason))


def _read_signed(octets: bytes, walk: Walk) -> None:
    content = read_signed(octets).econtent
    if content:
        walk.descend(content, "", _ENTITY, "content")
        walk.say(strings(octets.replace(content, b"")), "strings")
    else:
        walk.say(strings(octets), "strings")


def read_pgp(octets: bytes, walk: Walk) -> None:
    """An OpenPGP message, which nobody can read here."""
    walk.say(strings(octets[:4096]), "strings")
    walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "it is encrypted with OpenPGP")
