"""The starter library: patterns for what most places look for, each with texts in which it must and must not find it.

One TOML file a group. In an example `<24*ab>` stands for 24 characters "ababab…": no file here holds a secret's form.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.model import Action

_REPEATED = re.compile(r"<(\d+)\*([^<>]+)>")


@dataclass(frozen=True, slots=True)
class Starter:
    """A pattern of the library. `true`: it is found in each; `false`: in none."""

    pattern: Pattern
    group: str
    true: tuple[str, ...]
    false: tuple[str, ...]


@cache
def starters() -> tuple[Starter, ...]:
    """All of them, by group and in the order of the files. `Pattern.id` is a short name, not a stored one's."""
    found: list[Starter] = []
    for path in sorted(files(__name__).iterdir(), key=lambda one: one.name):
        if path.name.endswith(".toml"):
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            found += [_starter(content["group"], one) for one in content["pattern"]]
    return tuple(found)


def _starter(group: str, row: Mapping[str, Any]) -> Starter:
    pattern = Pattern(
        id=row["id"],
        revision=1,
        name=row["name"],
        kind=Kind(row.get("kind", Kind.EXPRESSION)),
        text=row["text"].strip("\n"),
        action=Action(row["action"]),
        validator=row.get("validator", ""),
        threshold=row.get("threshold", 1),
        delayed=row.get("delayed", False),
        mask=Mask(row.get("mask", Mask.ALL)),
        description=row.get("description", ""),
    )
    return Starter(pattern, group, tuple(map(_expanded, row["true"])), tuple(map(_expanded, row["false"])))


def _expanded(text: str) -> str:
    return _REPEATED.sub(lambda match: (match[2] * int(match[1]))[: int(match[1])], text)
