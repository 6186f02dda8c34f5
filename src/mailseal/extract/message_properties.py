"""What a message of Outlook says, be it a .msg file or TNEF: its properties as text, HTML, RTF."""

from collections.abc import Iterable

from mailseal.extract import mapi
from mailseal.extract.codepage import codec
from mailseal.extract.mapi import Property
from mailseal.extract.rtf_compressed import CompressedRtfError, decompressed
from mailseal.extract.walk import Walk
from mailseal.policy.inspection import GapReason, GapStatus

_NOT_TEXT = (mapi.ATTACH_DATA, mapi.ATTACH_RENDERING)


def say_properties(found: Iterable[Property], walk: Walk, codepage: int, internet_codepage: int) -> None:
    """Say the texts; the bodies in HTML and RTF are read as the files they are."""
    for one in found:
        if one.number == mapi.HTML:
            charset = "utf-16-le" if one.kind == mapi.UNICODE else codec(internet_codepage)
            walk.descend(one.octets, "", f"text/html; charset={charset}", "body (HTML)")
        elif one.number == mapi.COMPRESSED_RTF:
            _say_rtf(one.octets, walk)
        elif one.number not in _NOT_TEXT:
            walk.say(one.text(codepage), one.place)


def _say_rtf(octets: bytes, walk: Walk) -> None:
    try:
        rtf = decompressed(octets)
    except CompressedRtfError:
        walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, "no compressed RTF", "body")
        return
    walk.budget.unpack(len(rtf))
    walk.descend(rtf, "", "application/rtf", "body (RTF)")
