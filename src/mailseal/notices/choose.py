"""Which template counts for a reader: the nearest that is stored for the kind and language, else the catalogue's.

The parts are looked for one by one. Only a text that is stored nearer to the reader than the HTML stands alone: the two
of a message say the same (RFC 2046 §5.1.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailseal.notices import sample
from mailseal.notices.catalogue import ENGLISH, Catalogue, Language, load
from mailseal.notices.check import check
from mailseal.notices.errors import TemplateError
from mailseal.notices.kinds import KINDS
from mailseal.notices.template import Part, compiled
from mailseal.policy.notice_kind import NoticeKind

CATALOGUE = "the catalogue"


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """One part of a notice as an owner has it: "" is everybody, `*.x`, `x` or an address (`policy.levels`)."""

    owner: str
    kind: NoticeKind
    language: str
    part: Part
    text: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The template of a part, and where it comes from: an owner ("" for everybody), or CATALOGUE."""

    text: str
    origin: str


def choose(
    kind: NoticeKind, language: Language, nearest_first: Sequence[StoredTemplate], catalogue: Catalogue
) -> Mapping[Part, Chosen]:
    """The templates that count; `nearest_first`: what is stored at the reader's levels."""
    chosen: dict[Part, Chosen] = {}
    for one in nearest_first:
        if one.kind is kind and one.language == language.code and one.part not in chosen:
            chosen[one.part] = Chosen(one.text, one.owner)
    owners = [one.owner for one in nearest_first]
    text, html = chosen.get(Part.TEXT), chosen.get(Part.HTML)
    if text is not None and (html is None or owners.index(html.origin) > owners.index(text.origin)):
        chosen[Part.HTML] = Chosen("", text.origin)
    return {part: chosen.get(part) or Chosen(catalogue.template(kind, part, language), CATALOGUE) for part in Part}


def checked(one: StoredTemplate) -> None:
    """Raise TemplateError for a template that must not be saved; it is tried for each reader it may have."""
    if one.part is not Part.HTML and not one.text.strip():
        raise TemplateError("is empty", part=one.part)
    if one.part is Part.SUBJECT and len(one.text.strip().splitlines()) > 1:
        raise TemplateError("is longer than one line", part=one.part, line=2)
    template = compiled(one.part, one.text)
    check(template, KINDS[one.kind].known)
    known = load(None)
    for role in KINDS[one.kind].roles:
        values = sample.values(one.kind, role, sample.READER, known, known.languages[ENGLISH])
        if not template.render(values).strip() and one.part is not Part.HTML:
            raise TemplateError(f"comes out empty for a {role}", part=one.part)
