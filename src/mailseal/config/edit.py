"""Sets keys of one section in the text of a mailseal.toml; every other line stays as it is (TOML 1.0).

Edited by lines, and then compared as documents: where the file is written in a way that lines do not show, nothing is
changed.
"""

import re
import tomllib
from collections.abc import Mapping

from mailseal.errors import PermanentError

_HEADER = re.compile(r"[ \t]*\[")
_LONGEST_VALUE_LINES = 500


class EditError(PermanentError):
    """The file cannot be edited by lines."""


def with_keys(text: str, section: str, keys: Mapping[str, str]) -> str:
    """The text with these keys of a section set to these TOML values; raises EditError.

    A key that is set is set anew in its place; one that stands there as a comment is set below it; else it stands below
    the section's header, which is put at the end if there is none.
    """
    before = _read(text)
    if before is None:
        raise EditError("the file is not TOML")
    lines = text.splitlines(keepends=True)
    at = _section(lines, section)
    if at is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        lines += ["\n", f"[{section}]\n"]
        at = len(lines) - 1
    below = at + 1
    for name, value in keys.items():
        below = _set(lines, at, below, name, f"{name} = {value}\n")
    edited = "".join(lines)
    if _read(edited) != _wanted(before, section, keys):
        raise EditError(f"[{section}] is written in a way that is not edited here")
    return edited


def _section(lines: list[str], section: str) -> int | None:
    header = re.compile(rf"[ \t]*\[[ \t]*{re.escape(section)}[ \t]*\][ \t]*(#.*)?\r?\n?")
    return next((number for number, line in enumerate(lines) if header.fullmatch(line)), None)


def _set(lines: list[str], header: int, below: int, name: str, line: str) -> int:
    """Put a key in; where the next one goes that is not there yet."""
    end = next((n for n in range(header + 1, len(lines)) if _HEADER.match(lines[n])), len(lines))
    is_set = re.compile(rf"[ \t]*{re.escape(name)}[ \t]*=")
    is_comment = re.compile(rf"#[ \t]*{re.escape(name)}[ \t]*=")
    for number in range(header + 1, end):
        if is_set.match(lines[number]):
            lines[number : number + _height(lines, number)] = [line]
            return max(below, number + 1)
    for number in range(header + 1, end):
        if is_comment.match(lines[number]):
            lines.insert(number + 1, line)
            return max(below, number + 2)
    lines.insert(below, line)
    return below + 1


def _height(lines: list[str], first: int) -> int:
    """How many lines an assignment takes."""
    for height in range(1, min(_LONGEST_VALUE_LINES, len(lines) - first) + 1):
        try:
            tomllib.loads("".join(lines[first : first + height]))
        except tomllib.TOMLDecodeError:
            continue
        return height
    raise EditError(f"the value of {lines[first].split('=')[0].strip()} does not end")


def _read(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _wanted(document: dict[str, object], section: str, keys: Mapping[str, str]) -> dict[str, object]:
    before = document.get(section, {})
    values = {name: tomllib.loads(f"value = {value}")["value"] for name, value in keys.items()}
    return document | {section: (before if isinstance(before, dict) else {}) | values}
