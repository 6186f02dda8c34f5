"""The texts of the console for translators: collects them, keeps `locale/<language>/LC_MESSAGES/django.po`, compiles.

    python tools/messages.py             collect, merge into each .po, compile each .mo
    python tools/messages.py --check     write nothing; 1 if a .po or .mo is not of these sources, or a translation
                                         names other placeholders
    python tools/messages.py --complete  as --check, and 1 if a text has no translation

English is in the source, and its own translation. Django's makemessages would take programs of GNU gettext.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polib
from django.conf import settings
from django.utils.translation.template import templatize

from mailseal.policy.settings import SETTINGS
from mailseal.policy.text import TEXTS

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "src" / "mailseal" / "web"
ACCOUNTS = ROOT / "src" / "mailseal" / "store" / "accounts"
LOCALE = WEB / "locale"
LANGUAGES = ("de",)
_ONE = {"_", "gettext", "gettext_lazy", "gettext_noop", "now_gettext"}
_MANY = {"ngettext", "ngettext_lazy"}
_CONTEXT = {"pgettext", "pgettext_lazy"}
_STRING = r"""(u?"(?:[^"\\]|\\.)*"|u?'(?:[^'\\]|\\.)*')"""
_IN_TEMPLATE = re.compile(
    rf"(?<!\w)(npgettext|ngettext|pgettext|gettext|_)\(\s*{_STRING}\s*(?:,\s*{_STRING}\s*)?(?:,\s*{_STRING}\s*)?[,)]"
)
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")
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
    for path in sorted(ACCOUNTS.rglob("*.py")):
        for told in _of_errors(path.read_text(encoding="utf-8")):
            found.setdefault(told, []).append(path.relative_to(ROOT).as_posix())
    for text in TEXTS.values():
        found.setdefault(Text(text), []).append("src/mailseal/policy/text.py")
    for info in SETTINGS:
        found.setdefault(Text(info.help), []).append("src/mailseal/policy/settings.py")
    return found


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


def _of_errors(source: str) -> Iterator[Text]:
    """What is said of accounts that cannot be made or changed; the console translates it where it shows it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error"):
            yield from (Text(one.value) for one in node.args[:1] if isinstance(one, ast.Constant) and one.value)


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
        allowed = set(_PLACEHOLDER.findall(entry.msgid + (entry.msgid_plural or "")))
        for one in said:
            if one and not set(_PLACEHOLDER.findall(one)) <= allowed:
                yield f"{name}: other placeholders in the translation of {entry.msgid!r}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    options.add_argument("--check", action="store_true")
    options.add_argument("--complete", action="store_true")
    given = options.parse_args()
    settings.configure()
    wanted, wrong = texts(), []
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
