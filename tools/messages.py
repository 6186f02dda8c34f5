"""The texts of the console for translators: collects them, keeps `locale/<language>/LC_MESSAGES/django.po`, compiles.

    python tools/messages.py             collect, merge into each .po, compile each .mo
    python tools/messages.py --check     write nothing; 1 if a .po or .mo is not of these sources, or a translation
                                         names other placeholders
    python tools/messages.py --complete  as --check, and 1 if a text has no translation

English is in the source, and its own translation. Django's makemessages would take programs of GNU gettext.
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import polib
from django.utils.translation.template import templatize

from mailseal.openpgp.certificate import PgpTrust
from mailseal.policy.inspection import GapReason
from mailseal.policy.model import Action
from mailseal.policy.settings import SETTINGS, SettingInfo
from mailseal.policy.text import TEXTS
from mailseal.smime.certificate import CtlEntry
from mailseal.store.accounts.factors import COUNTED
from mailseal.store.quarantine import State

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from told_texts import audit_actions, told_texts  # noqa: E402 -- beside this file

WEB = ROOT / "src" / "mailseal" / "web"
LOCALE = WEB / "locale"
TOLD = LOCALE / "told.json"
LANGUAGES = ("de",)
_ONE = {"_", "gettext", "gettext_lazy", "gettext_noop", "now_gettext"}
_MANY = {"ngettext", "ngettext_lazy"}
_CONTEXT = {"pgettext", "pgettext_lazy"}
_STRING = r"""(u?"(?:[^"\\]|\\.)*"|u?'(?:[^'\\]|\\.)*')"""
_IN_TEMPLATE = re.compile(
    rf"(?<!\w)(npgettext|ngettext|pgettext|gettext|_)\(\s*{_STRING}\s*(?:,\s*{_STRING}\s*)?(?:,\s*{_STRING}\s*)?[,)]"
)
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*(?:!r)?\}")
_WORD = re.compile(r"[a-z]+(-[a-z]+)*")
"""A value of a setting that is a word, not the name of an algorithm."""
_VALUES: tuple[tuple[Iterable[str], str], ...] = (
    (Action, "src/mailseal/policy/model.py"),
    (GapReason, "src/mailseal/policy/inspection.py"),
    (CtlEntry, "src/mailseal/smime/certificate.py"),
    (PgpTrust, "src/mailseal/openpgp/certificate.py"),
    (State, "src/mailseal/store/quarantine.py"),
    (COUNTED, "src/mailseal/store/accounts/factors.py"),
)
"""Closed lists of which pages show values."""
_HEADER = {
    "Project-Id-Version": "Mailseal",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Transfer-Encoding": "8bit",
    "Plural-Forms": "nplurals=2; plural=(n != 1);",
}


@dataclass(frozen=True, slots=True, order=True)
class Text:
    """A text to translate: of one thing, of many, in a context; where one finds it."""

    one: str
    many: str = ""
    context: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.context, self.one


def texts() -> dict[Text, list[str]]:
    """Every text with the files that have it."""
    found: dict[Text, list[str]] = {}
    for path in sorted([*WEB.rglob("*.py"), *WEB.rglob("*.html"), *WEB.rglob("*.txt")]):
        source = path.read_text(encoding="utf-8")
        place = path.relative_to(ROOT).as_posix()
        for text in _of_python(source) if path.suffix == ".py" else _of_template(source, place):
            places = found.setdefault(text, [])
            if place not in places:
                places.append(place)
    for text, place in _of_other_layers():
        places = found.setdefault(text, [])
        if place not in places:
            places.append(place)
    return found


def _of_other_layers() -> Iterator[tuple[Text, str]]:
    """What pages show and others say."""
    for one in TEXTS.values():
        yield Text(one), "src/mailseal/policy/text.py"
    for info in SETTINGS:
        yield Text(info.help), "src/mailseal/policy/table.py"
        if info.unit and info.type is int:
            yield Text(info.unit, context="unit"), "src/mailseal/policy/table.py"
        for value in choices(info):
            yield Text(value, context="setting"), "src/mailseal/policy/choices.py"
    for values, place in _VALUES:
        for value in values:
            yield Text(value, context="value"), place
    for action, place in audit_actions():
        yield Text(action, context="audit"), place
    for said, place in told_texts():
        yield Text(said), place


def choices(info: SettingInfo) -> tuple[str, ...]:
    """The values of a closed list that are words."""
    if info.type is bool:
        return ("yes", "no")
    return tuple(one for one in info.type if _WORD.fullmatch(one)) if issubclass(info.type, StrEnum) else ()


def _of_python(source: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            given = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if name in _ONE and given:
                yield Text(given[0])
            elif name in _MANY and len(given) > 1:
                yield Text(given[0], given[1])
            elif name in _CONTEXT and len(given) > 1:
                yield Text(given[1], context=given[0])


def _of_template(source: str, place: str) -> Iterator[Text]:
    for name, *quoted in _IN_TEMPLATE.findall(templatize(source, origin=place)):
        given = [ast.literal_eval(one) for one in quoted if one]
        if name == "npgettext":
            yield Text(given[1], given[2], given[0])
        elif name == "ngettext":
            yield Text(given[0], given[1])
        elif name == "pgettext":
            yield Text(given[1], context=given[0])
        else:
            yield Text(given[0])


def merged(path: Path, wanted: dict[Text, list[str]]) -> polib.POFile:
    """What the file shall be: the texts that there are, with the translations that it has."""
    old = polib.pofile(str(path)) if path.exists() else polib.POFile()
    known = {(entry.msgctxt or "", entry.msgid): entry for entry in old if not entry.obsolete}
    new = polib.POFile(wrapwidth=110)
    new.metadata = {**_HEADER, "Language": path.parts[-3]}
    for text, places in sorted(wanted.items()):
        before = known.get(text.key)
        entry = polib.POEntry(
            msgid=text.one, msgctxt=text.context or None, occurrences=[(place, "") for place in places],
            flags=["python-format"] if any("%" in one for one in _PLACEHOLDER.findall(text.one + text.many)) else [],
        )  # fmt: skip
        if text.many:
            entry.msgid_plural = text.many
            kept = before.msgstr_plural if before is not None else {}
            entry.msgstr_plural = {number: kept.get(number, "") for number in (0, 1)}
        elif before is not None:
            entry.msgstr = before.msgstr
        new.append(entry)
    return new


def faults(path: Path, wanted: polib.POFile, *, complete: bool) -> Iterator[str]:
    """What is wrong with the files of a language."""
    name = path.relative_to(ROOT)
    if not path.exists() or str(polib.pofile(str(path), wrapwidth=110)) != str(wanted):
        yield f"{name} is not of these sources: python tools/messages.py"
    binary = path.with_suffix(".mo")
    if not binary.exists() or binary.read_bytes() != wanted.to_binary():
        yield f"{binary.relative_to(ROOT)} is not of its .po: python tools/messages.py"
    for entry in wanted:
        said = [entry.msgstr] if not entry.msgid_plural else list(entry.msgstr_plural.values())
        if complete and not all(said):
            yield f"{name}: no translation of {entry.msgid!r}"
        wrong = [place for place, one in enumerate(said) if one and not _fits(entry, place, _placeholders(one))]
        if wrong:
            yield f"{name}: other placeholders in the translation of {entry.msgid!r}"


def _fits(entry: polib.POEntry, place: int, found: set[str]) -> bool:
    """Whether a translation has the placeholders that it must have; that of one thing may say the number or not."""
    one = _placeholders(entry.msgid)
    many = _placeholders(entry.msgid_plural) if entry.msgid_plural else one
    return one <= found <= many if place == 0 else found == many


def _placeholders(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text.replace("{{", "").replace("}}", "")))


def templates(wanted: dict[Text, list[str]]) -> str:
    """told.json: what the web looks for in texts of other layers, to translate them with their values."""
    known = {text for text, _ in told_texts() if "{" in text}
    return json.dumps(sorted(known & {one.one for one in wanted}), ensure_ascii=False, indent=0) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    options.add_argument("--check", action="store_true")
    options.add_argument("--complete", action="store_true")
    given = options.parse_args()
    wanted, wrong = texts(), []
    told = templates(wanted)
    if not (given.check or given.complete):
        TOLD.write_text(told, encoding="utf-8")
    elif not TOLD.exists() or TOLD.read_text(encoding="utf-8") != told:
        wrong.append(f"{TOLD.relative_to(ROOT)} is not of these sources: python tools/messages.py")
    for language in LANGUAGES:
        path = LOCALE / language / "LC_MESSAGES" / "django.po"
        catalogue = merged(path, wanted)
        if not (given.check or given.complete):
            path.parent.mkdir(parents=True, exist_ok=True)
            catalogue.save(str(path))
            catalogue.save_as_mofile(str(path.with_suffix(".mo")))
            print(f"{language}: {len(catalogue)} texts, {len(catalogue.untranslated_entries())} without translation")
        wrong += faults(path, catalogue, complete=given.complete)
    for one in wrong:
        print(one)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
