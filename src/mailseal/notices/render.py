"""A notice as subject, text and HTML: the values of its variables, made safe, put into its templates."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailseal.mail.encoded_word import one_line
from mailseal.notices.catalogue import Catalogue, Language
from mailseal.notices.errors import TemplateError
from mailseal.notices.facts import Found, Told
from mailseal.notices.kinds import KINDS
from mailseal.notices.template import Part, compiled
from mailseal.policy.model import MethodName
from mailseal.policy.notice_kind import NoticeKind
from mailseal.policy.text import render as render_reason

MAX_VALUE_CHARS = 300
MAX_LISTED = 50
MAX_SUBJECT_CHARS = 200
METHODS = {MethodName.SMIME.value: "S/MIME", MethodName.PGP.value: "OpenPGP"}

Record = dict[str, str | int | None]
Value = str | int | None | list[str] | list[Record]
Values = dict[str, Value]
Source = Callable[[Part], str]
"""The template of each part."""

_MANY_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notice in words; `html` may be empty."""

    subject: str
    text: str
    html: str


def values_of(told: Sequence[Told], reader: str, gateway: str, catalogue: Catalogue, language: Language) -> Values:
    """The values of all variables that the kind of a notice has: about one mail, or about several (a summary)."""
    kinds = {one.kind for one in told}
    (kind,) = kinds
    first = told[0]
    values: Values = {
        "event": catalogue.event(kind, language),
        "role": first.role.value,
        "reader": plain(reader),
        "gateway": plain(gateway),
        "time": _time(first.facts.at),
    }
    about: Values = {
        "sender": plain(first.sender),
        "recipients": _listed([plain(one.recipient) for one in told]),
        "message_id": plain(first.facts.message_id),
        "mail": plain(first.facts.mail),
        "subject": plain(first.facts.subject),
        "found": [_found(one, catalogue, language) for one in _all_found(told)[:MAX_LISTED]],
        "reasons": _reasons(told),
        "held": [_held(one) for one in told[:MAX_LISTED] if one.facts.quarantine],
        "expires": _time(min((one.facts.expires for one in told if one.facts.expires), default=None)),
        "method": METHODS.get(first.facts.detail) or plain(first.facts.detail),
        "way": plain(first.facts.detail),
    }
    return values | {name: about[name] for name in KINDS[kind].variables}


def summary_of(
    mails: Sequence[Sequence[Told]], reader: str, gateway: str, catalogue: Catalogue, language: Language
) -> Values:
    """The values of a notice that stands for those about several mails, all of one kind."""
    first = mails[0][0]
    event = catalogue.event(first.kind, language)
    return {
        "event": f"{event}: {catalogue.event(NoticeKind.SUMMARY, language)}",
        "role": first.role.value,
        "reader": plain(reader),
        "gateway": plain(gateway),
        "time": _time(mails[-1][0].facts.at),
        "count": len(mails),
        "more": max(0, len(mails) - MAX_LISTED),
        "notices": [_line(one) for one in mails[:MAX_LISTED]],
    }


def _held(one: Told) -> Record:
    return {"recipient": plain(one.recipient), "id": plain(one.facts.quarantine), "expires": _time(one.facts.expires)}


def _line(told: Sequence[Told]) -> Record:
    first = told[0]
    return {
        "time": _time(first.facts.at),
        "sender": plain(first.sender),
        "recipients": ", ".join(_listed([plain(one.recipient) for one in told], 5)),
        "subject": plain(first.facts.subject),
        "message_id": plain(first.facts.message_id),
        "found": ", ".join(str(plain(one.name)) for one in _all_found(told)[:MAX_LISTED]) or None,
        "id": plain(first.facts.quarantine),
    }


def render(values: Values, source: Source) -> Rendered:
    """The notice; raises TemplateError."""
    subject, text, html = (
        compiled(part, found).render(values) if (found := source(part)) else ""
        for part in (Part.SUBJECT, Part.TEXT, Part.HTML)
    )
    subject = " ".join(one_line(subject).split())[:MAX_SUBJECT_CHARS]
    if not subject or not text.strip():
        raise TemplateError("comes out empty", part=Part.TEXT if subject else Part.SUBJECT)
    return Rendered(subject, _MANY_LINES.sub("\n\n", _lines(text).strip("\n")) + "\n", _lines(html))


def plain(value: str) -> str | None:
    """A value from outside in one line, without what cannot be seen or turns the direction; None if nothing is left."""
    seen = "".join(
        one for one in one_line(value[: 4 * MAX_VALUE_CHARS]) if unicodedata.category(one) not in ("Cf", "Cn", "Co")
    )
    words = " ".join(seen.split())
    return (words if len(words) <= MAX_VALUE_CHARS else words[:MAX_VALUE_CHARS] + "…") or None


def _lines(text: str) -> str:
    """With line feeds only, and no controls."""
    return "\n".join(one_line(line.replace("\t", "    ")) for line in text.replace("\r", "\n").split("\n"))


def _time(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _listed(texts: Sequence[str | None], most: int = MAX_LISTED) -> list[str]:
    distinct = list(dict.fromkeys(one for one in texts if one))
    more = len(distinct) - most
    return distinct if more <= 0 else [*distinct[:most], f"… (+{more})"]


def _all_found(told: Sequence[Told]) -> list[Found]:
    """Of all recipients: each pattern once, with the largest of its counts."""
    most: dict[tuple[str, str], Found] = {}
    for one in (found for each in told for found in each.facts.found):
        key = (one.name, one.action.value)
        if key not in most or one.count > most[key].count:
            most[key] = one
    return list(most.values())


def _found(one: Found, catalogue: Catalogue, language: Language) -> Record:
    return {"name": plain(one.name), "count": one.count, "action": catalogue.word(one.action, language)}


def _reasons(told: Sequence[Told]) -> list[str]:
    return _listed([plain(render_reason(reason)) for one in told for reason in one.facts.reasons])
