"""Texts of other layers in the reader's language: errors, and what `mailseal check` finds.

They are English there, with values in them; `tools/messages.py` collects their templates into `locale/told.json`.
"""

import json
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

import re2
from django.utils.translation import get_language, gettext, pgettext

MAX_CHARS = 1000
DEPTH = 2
AROUND = "{name}: {problem}; for example: {shown}"
"""Every error of a setting's value."""


def told(text: str, depth: int = DEPTH) -> str:
    """The text in the reader's language; as it is where no translation is known. Never raises."""
    if (get_language() or "en").startswith("en") or not text or len(text) > MAX_CHARS:
        return text
    for as_it_stands in (gettext(text), pgettext("value", text)):
        if as_it_stands != text:
            return as_it_stands
    found = _read(text) if depth else None
    if found is None:
        return text
    template, values = found
    said = {name: told(value, depth - 1) for name, value in values.items()}
    return gettext(template).replace("!r}", "}").format_map(said)


def sentence(text: str) -> str:
    """The same, beginning with a capital letter."""
    said = told(text)
    return said[:1].upper() + said[1:]


def _read(text: str) -> tuple[str, dict[str, str]] | None:
    """The template that a text was filled from, and the values."""
    for template, pattern in _templates():
        match = pattern.fullmatch(text)
        if match is not None:
            return template, match.groupdict()
    return None


@cache
def _templates() -> tuple[tuple[str, Any], ...]:
    """(template, pattern), those first that say most by themselves; before all, what is put around others."""
    found = json.loads(files("mailseal.web").joinpath("locale", "told.json").read_text(encoding="utf-8"))
    return tuple(
        (one, _pattern(one)) for one in sorted(found, key=lambda one: (one == AROUND, _own_chars(one)), reverse=True)
    )


def _own_chars(template: str) -> int:
    return sum(len(literal) for literal, *_ in Formatter().parse(template))


def _pattern(template: str) -> Any:
    pieces = []
    for literal, name, _, conversion in Formatter().parse(template):
        value = """'.*?'|".*?\"""" if conversion == "r" else ".*?"
        pieces.append(re2.escape(literal) + ("" if name is None else f"(?P<{name}>{value})"))
    return re2.compile("(?s)" + "".join(pieces))
