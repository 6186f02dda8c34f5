"""Texts made from the keys' declarations: the reference page, and the commented file that `mailseal init` writes."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from enum import StrEnum
from typing import Any

from mailseal.config.key import Key
from mailseal.config.load import variable
from mailseal.config.model import SECTIONS, Config, keys_of

_PAGE_HEAD = """\
# Settings of a node: mailseal.toml

This page is made from the source by `make docs`. How mail is treated is policy, in the database: see `policy.md`.

The file is the one named by `--config` or `MAILSEAL_CONFIG`, else `./mailseal.toml`, else
`/etc/mailseal/mailseal.toml`. Without any file the defaults hold. Each key can also be set by an environment
variable, which wins over the file: `MAILSEAL_` and the key, with the section before it, in capitals. A secret can be
given as `<key>_file`, the path of a file that holds it. Lists are written with commas in the environment.
`mailseal check` reports every problem of the file at once.
"""


def page() -> str:
    """docs/settings.md."""
    parts = [_PAGE_HEAD, "## At the top of the file\n", *_rows("", Config)]
    for name, kind in SECTIONS.items():
        parts += [f"\n## [{name}]\n\n{kind.__doc__}\n", *_rows(name, kind)]
    return "\n".join(parts) + "\n"


def commented_file(given: Mapping[str, str]) -> str:
    """A mailseal.toml with every key: those `given` (by dotted name, as TOML values) set, the others as comments."""
    lines = [
        "# The configuration of this node. Every key and its meaning: docs/settings.md. A commented key shows its",
        "# default.",
    ]
    for section, kind in _tables():
        lines += ["", f"[{section}]"] if section else [""]
        for name, key in keys_of(kind).items():
            value = given.get(f"{section}.{name}" if section else name)
            lines += _wrapped(key.help, "# ", 110)
            lines.append(f"{name} = {value}" if value is not None else f"# {name} = {_default(kind, name, key)}")
    return "\n".join(lines) + "\n"


def _tables() -> Iterator[tuple[str, type[Any]]]:
    yield "", Config
    yield from SECTIONS.items()


def _rows(section: str, kind: type[Any]) -> Iterator[str]:
    yield "| key | meaning | default | example | environment |"
    yield "|---|---|---|---|---|"
    for name, key in keys_of(kind).items():
        default = _default(kind, name, key)
        file = f", or `{variable(section, name)}_FILE`" if key.secret else ""
        yield f"| `{name}` | {key.help} | `{default}` | `{key.example}` | `{variable(section, name)}`{file} |"


def _default(kind: type[Any], name: str, key: Key) -> str:
    if key.default_text:
        return key.default_text
    value = next(item.default for item in fields(kind) if item.name == name)
    return key.example if value is MISSING else _toml(value)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value.value if isinstance(value, StrEnum) else value}"'


def _wrapped(text: str, prefix: str, width: int) -> list[str]:
    lines = [prefix.rstrip()]
    for word in text.split():
        if len(lines[-1]) + 1 + len(word) > width:
            lines.append(prefix.rstrip())
        lines[-1] += f" {word}"
    return lines
