"""The languages of notices: one TOML file each, shipped or in a folder of the administrator's (docs/notices.md).

A file has a table for each kind with its `subject`, `text` and `html`; in these `@name@` stands for a piece of
`[layout]`. What the folder has comes before what is shipped; what a language lacks is told in English.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mailseal.notices.check import check
from mailseal.notices.errors import CatalogueError, TemplateError
from mailseal.notices.kinds import KINDS
from mailseal.notices.template import Part, compiled
from mailseal.policy.model import Action
from mailseal.policy.notice_kind import NoticeKind

ENGLISH = "en"
MAX_FILE_BYTES = 512 * 1024
MAX_FILES = 100

_CODE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}")
_PIECE = re.compile(r"@([a-z]+)@")
_TABLES = frozenset({"name", "layout", "words", "events", *NoticeKind})


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its code and name, what it calls kinds and actions, and its templates."""

    code: str
    name: str
    events: Mapping[NoticeKind, str]
    words: Mapping[str, str]
    templates: Mapping[tuple[NoticeKind, Part], str]

    def missing(self) -> tuple[str, ...]:
        """What it lacks, so that English stands in for it."""
        lacks = [f"[{kind}]" for kind in NoticeKind if any((kind, part) not in self.templates for part in Part)]
        lacks += [f"events.{kind}" for kind in NoticeKind if kind not in self.events]
        return (*lacks, *(f"words.{action}" for action in Action if action.value not in self.words))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All languages by code, and the files that cannot be used, with the reason."""

    languages: Mapping[str, Language]
    broken: tuple[tuple[str, str], ...] = ()
    own: frozenset[str] = field(default=frozenset())

    def language(self, code: str) -> Language:
        """That of a setting: `pt-br`, else `pt`, else English."""
        while code:
            if code in self.languages:
                return self.languages[code]
            code = code.rpartition("-")[0]
        return self.languages[ENGLISH]

    def event(self, kind: NoticeKind, language: Language) -> str:
        """What the language, or English, calls a kind."""
        return language.events.get(kind) or self.languages[ENGLISH].events[kind]

    def word(self, action: Action, language: Language) -> str:
        """What the language, or English, calls an action."""
        return language.words.get(action.value) or self.languages[ENGLISH].words[action.value]

    def template(self, kind: NoticeKind, part: Part, language: Language) -> str:
        """The source of the language, of the shipped one of that name, or in English; all parts from the same place."""
        for one in (language, shipped().get(language.code)):
            if one is not None and (kind, Part.TEXT) in one.templates:
                return one.templates.get((kind, part), "")
        return shipped()[ENGLISH].templates[kind, part]


def read_language(code: str, text: str) -> Language:
    """Read a file; raises CatalogueError for what is not TOML, not known, or not a template that can be used."""
    if not _CODE.fullmatch(code):
        raise CatalogueError(f"{code!r} is not the name of a language, such as en or pt-br")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # not only TOMLDecodeError: numbers and lists without end
        raise CatalogueError(f"not a TOML file: {error}") from None
    if unknown := [name for name in table if name not in _TABLES]:
        raise CatalogueError(f"{unknown[0]!r} is neither a kind of notice nor one of layout, words, events")
    layout = _texts(table, "layout")
    templates = {}
    for kind in NoticeKind:
        for name, source in _texts(table, kind).items():
            if name not in tuple(Part):
                raise CatalogueError(f"[{kind}] has {name!r}, which is none of {', '.join(Part)}")
            part = Part(name)
            templates[kind, part] = _whole(source, part, layout, kind)
            _checked(kind, part, templates[kind, part])
        if (kind, Part.TEXT) in templates and (kind, Part.SUBJECT) not in templates:
            raise CatalogueError(f"[{kind}] has a text and no subject")
    events = {NoticeKind(name): value for name, value in _texts(table, "events").items() if name in tuple(NoticeKind)}
    return Language(code, str(table.get("name", code)), events, _texts(table, "words"), templates)


def _texts(table: Mapping[str, Any], name: str) -> dict[str, str]:
    found = table.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise CatalogueError(f"[{name}] has something that is no text")
    return dict(found)


def _whole(source: str, part: Part, layout: Mapping[str, str], kind: NoticeKind) -> str:
    """A template with the pieces of the layout put in; HTML inside the page that the layout gives."""

    def piece(found: re.Match[str]) -> str:
        name = f"{found[1]}_{part}"
        if name not in layout:
            raise CatalogueError(f"[{kind}] {part}: there is no {name!r} in [layout]")
        return layout[name].strip("\n")

    whole = _PIECE.sub(piece, source.strip("\n"))
    if part is Part.HTML and whole and "html" in layout:
        whole = layout["html"].strip("\n").replace("@content@", whole)
    return whole


def _checked(kind: NoticeKind, part: Part, source: str) -> None:
    try:
        check(compiled(part, source), KINDS[kind].known)
    except TemplateError as error:
        raise CatalogueError(f"[{kind}] {error}") from None


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, Language]:
    """The languages that come with Mailseal."""
    found = sorted((one for one in files("mailseal.notices").joinpath("languages").iterdir()), key=lambda one: one.name)
    return {
        code: read_language(code, one.read_text("utf-8"))
        for one in found
        if one.name.endswith(".toml") and (code := one.name.removesuffix(".toml"))
    }


def read_file(path: Path) -> Language:
    """The language of a file, which is called as its name; raises CatalogueError, OSError, UnicodeError."""
    if not path.is_file():  # a pipe or a device has no end, and no job waits for one
        raise CatalogueError("not a file")
    with path.open("rb") as file:
        octets = file.read(MAX_FILE_BYTES + 1)
    if len(octets) > MAX_FILE_BYTES:
        raise CatalogueError(f"longer than {MAX_FILE_BYTES} octets")
    return read_language(path.stem.lower(), octets.decode("utf-8"))


def load(folder: Path | None) -> Catalogue:
    """The shipped languages, and those of a folder. Never raises: a file that cannot be used is in `broken`."""
    languages = dict(shipped())
    broken: list[tuple[str, str]] = []
    own = set()
    for code, path in _files(folder, broken):
        try:
            languages[code] = read_file(path)
            own.add(code)
        except (CatalogueError, OSError, UnicodeError) as error:
            broken.append((str(path), str(error)))
    return Catalogue(languages, tuple(broken), frozenset(own))


def _files(folder: Path | None, broken: list[tuple[str, str]]) -> Iterator[tuple[str, Path]]:
    if folder is None:
        return
    try:
        found = sorted(folder.glob("*.toml"))
    except OSError as error:
        broken.append((str(folder), str(error)))
        return
    if not folder.is_dir():
        broken.append((str(folder), "no such folder"))
    for path in found[:MAX_FILES]:
        yield path.stem.lower(), path
