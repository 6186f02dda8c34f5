"""Rows of DLP patterns as `Pattern` and back. One that cannot be read is told as such, and never left out."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from mailseal.errors import TransientError
from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.dlp.validators import VALIDATORS
from mailseal.policy.model import Action
from mailseal.policy.pattern import PatternError

FIELDS = ("name", "kind", "text", "validator", "threshold", "action", "delayed", "mask", "description")
"""What a pattern says of itself; the columns have the same names."""


class BrokenPatternError(TransientError):
    """A stored pattern cannot be used: mail in which it is to be looked for waits until it is set again."""


def key_of(identity: UUID | str, revision: int) -> str:
    """As `Pattern.key`, from the columns of either database: one knows UUIDs, the other text."""
    return f"{identity_of(identity)}:{revision}"


def identity_of(value: UUID | str) -> str:
    """`Pattern.id`."""
    return (value if isinstance(value, UUID) else UUID(value)).hex


def read_pattern(row: Mapping[str, Any]) -> Pattern:
    """The pattern of a row (`id`, `revision` and FIELDS); raises PatternError in words for an administrator."""
    try:
        pattern = Pattern(
            id=identity_of(row["id"]),
            revision=int(row["revision"]),
            name=row["name"],
            kind=Kind(row["kind"]),
            text=row["text"],
            validator=row["validator"],
            threshold=int(row["threshold"]),
            action=Action(row["action"]),
            delayed=bool(row["delayed"]),
            mask=Mask(row["mask"]),
            description=row["description"],
        )
    except ValueError as error:
        raise PatternError(str(error)) from None
    if pattern.validator and pattern.validator not in VALIDATORS:
        raise PatternError(f"there is no validator {pattern.validator!r}")
    if pattern.threshold < 1:
        raise PatternError("the threshold is at least 1")
    return pattern


def problem_of(pattern: Pattern) -> str:
    """Why a pattern cannot be used, "" if it can: what would not be taken today may have been when it was stored."""
    try:
        Scanner([pattern])
    except PatternError as error:
        return str(error)
    return ""


def columns_of(pattern: Pattern) -> dict[str, object]:
    """The columns of FIELDS."""
    values = asdict(pattern)
    return {name: values[name] for name in FIELDS}
