"""Shapes of DLP patterns, groups and assignments."""

from datetime import datetime

from pydantic import Field, StrictBool

from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.model import Action
from mailseal.policy.settings import Level
from mailseal.store.dlp_assignments import Assignment
from mailseal.store.dlp_groups import GroupInfo
from mailseal.store.dlp_models import NAME_CHARS
from mailseal.store.dlp_names import MAX_DESCRIPTION_CHARS
from mailseal.store.dlp_patterns import PatternInfo
from mailseal.web.api.shapes import Given, Shown

MAX_TEXT_CHARS = 200_000
MAX_THRESHOLD = 1_000_000
MAX_NAMES = 1000


class PatternBody(Shown):
    """What a pattern looks for, and what follows."""

    kind: Kind
    text: str = Field(description="An RE2 expression; or keywords, one in a line, `word*` begins one.")
    validator: str
    threshold: int
    action: Action
    delayed: bool
    mask: Mask
    description: str


class PatternShown(Shown):
    """A stored pattern. `pattern` is null where it cannot be read; then, and where RE2 takes it no more, mail waits."""

    name: str
    id: str | None
    revision: int | None
    pattern: PatternBody | None
    problem: str
    owner: str = Field(description='A domain, for which alone it can be assigned; "" for everybody.')
    groups: list[str]
    assigned_to: list[str] = Field(description='"" is all mail.')
    created: datetime
    changed: datetime


class PatternFields(Given):
    """What a pattern says of itself."""

    kind: Kind
    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)
    action: Action
    validator: str = Field("", max_length=32, description="What a match must be, such as luhn.")
    threshold: int = Field(1, ge=1, le=MAX_THRESHOLD, description="So many different matches in one mail.")
    delayed: StrictBool = Field(default=False, description="Only for a mail that would leave unencrypted.")
    mask: Mask = Mask.ALL
    description: str = Field("", max_length=MAX_DESCRIPTION_CHARS)


class PatternGiven(PatternFields):
    """A pattern to make. It counts for no mail until it is assigned."""

    name: str = Field(min_length=1, max_length=NAME_CHARS)
    owner: str = Field("", max_length=255, description="A domain.")
    groups: list[str] = Field([], max_length=MAX_NAMES, description="Groups it shall be in; they are made.")


class PatternChange(Given):
    """What to change of a pattern; what is left out stays."""

    name: str | None = Field(None, min_length=1, max_length=NAME_CHARS)
    kind: Kind | None = None
    text: str | None = Field(None, min_length=1, max_length=MAX_TEXT_CHARS)
    action: Action | None = None
    validator: str | None = Field(None, max_length=32)
    threshold: int | None = Field(None, ge=1, le=MAX_THRESHOLD)
    delayed: StrictBool | None = None
    mask: Mask | None = None
    description: str | None = Field(None, max_length=MAX_DESCRIPTION_CHARS)


class PatternsGiven(Given):
    """Patterns to store, all or none."""

    patterns: list[PatternGiven] = Field(min_length=1, max_length=MAX_NAMES)
    replace: StrictBool = Field(default=False, description="Change those whose names are taken; else that is an error.")


class ImportedShown(Shown):
    """Names of patterns by what was done, and of the groups that were made."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    groups: list[str]


class GroupShown(Shown):
    """A group: what is assigned together."""

    name: str
    owner: str
    description: str
    patterns: list[str]
    assigned_to: list[str]
    created: datetime


class AssignmentShown(Shown):
    """A pattern or a group (the other is ""), and whose mail it is looked for in."""

    id: str
    level: Level
    owner: str = Field(description='An address, a domain, a wildcard; "" is all mail.')
    pattern: str
    group: str
    created: datetime


def pattern_shown(one: PatternInfo) -> PatternShown:
    """A stored pattern."""
    found = one.pattern
    return PatternShown(
        name=one.name,
        id=None if found is None else found.id,
        revision=None if found is None else found.revision,
        pattern=None if found is None else body_shown(found),
        problem=one.problem,
        owner=one.owner,
        groups=list(one.groups),
        assigned_to=list(one.assigned_to),
        created=one.created,
        changed=one.changed,
    )


def body_shown(one: Pattern) -> PatternBody:
    """What it looks for."""
    return PatternBody(
        kind=one.kind,
        text=one.text,
        validator=one.validator,
        threshold=one.threshold,
        action=one.action,
        delayed=one.delayed,
        mask=one.mask,
        description=one.description,
    )


def pattern_of(given: PatternGiven) -> Pattern:
    """It as the store takes it."""
    return Pattern("", 0, **{"name": given.name} | given.model_dump(exclude={"name", "owner", "groups"}))


def group_shown(one: GroupInfo) -> GroupShown:
    """A group."""
    return GroupShown(
        name=one.name,
        owner=one.owner,
        description=one.description,
        patterns=list(one.patterns),
        assigned_to=list(one.assigned_to),
        created=one.created,
    )


def assignment_shown(one: Assignment) -> AssignmentShown:
    """An assignment."""
    return AssignmentShown(
        id=str(one.id), level=one.level, owner=one.owner, pattern=one.pattern, group=one.group, created=one.created
    )
