"""What DLP makes of one document or mail on trial: its text with what was not read, and what single patterns find."""

import time
from dataclasses import replace
from typing import Any, cast

from mailseal.extract.mail import Documents, inspect
from mailseal.extract.sniff import Format, formats
from mailseal.mail.message import with_crlf
from mailseal.mail.mime import parse
from mailseal.policy.dlp.model import Pattern
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.inspection import Gap, Inspection

MAIL, DOCUMENT = "mail", "document"

Row = dict[str, Any]


def kind_of(octets: bytes, name: str, media_type: str) -> str:
    """MAIL or DOCUMENT: what it looks like."""
    return MAIL if Format.MAIL in formats(octets, name, media_type) else DOCUMENT


def extracted(
    octets: bytes, documents: Documents, seconds: float, *, kind: str, name: str = "", media_type: str = ""
) -> Inspection:
    """The text that is looked at in a mail or document; raises MimeError, and TransientError when nobody reads."""
    deadline = time.monotonic() + seconds
    if kind == MAIL:
        return inspect(parse(with_crlf(octets)), documents, deadline)
    return documents.read(octets, name, media_type, documents.budget(deadline), deadline)


def tried(pattern: Pattern, inspection: Inspection) -> Row:
    """What a pattern finds, with a threshold of one, so that what is too little is told too; raises PatternError."""
    began = time.monotonic()
    scanner = Scanner([replace(pattern, threshold=1)])
    compiled = time.monotonic()
    found = scanner.findings(inspection)
    searched = time.monotonic()
    row: Row = {"pattern": pattern.name, "found": 0, "places": [], "excerpt": ""}
    for one in found:
        row |= {"found": one.count, "places": list(one.places), "excerpt": one.excerpt}
    return row | {
        "threshold": pattern.threshold,
        "counts": cast("int", row["found"]) >= pattern.threshold,
        "action": pattern.action.value,
        "compile_ms": round((compiled - began) * 1000, 2),
        "search_ms": round((searched - compiled) * 1000, 2),
    }


def gap_row(one: Gap) -> Row:
    """What was not read, and why."""
    return {"place": one.place, "status": one.status.value, "reason": one.reason.value, "detail": one.detail}
