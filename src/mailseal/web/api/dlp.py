"""Operations of DLP: whose mail patterns are looked for in, the starter library, and trials on an upload."""

from dataclasses import replace
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.policy.dlp.library import Starter, starters
from mailseal.policy.model import Action
from mailseal.store import console_jobs, dlp_assignments, dlp_import
from mailseal.store.dlp_import import Entry
from mailseal.store.dlp_models import NAME_CHARS
from mailseal.store.dlp_names import name_key
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area, Verb
from mailseal.web.api.authentication import needs
from mailseal.web.api.body import FILE_BODY_BYTES, File
from mailseal.web.api.dlp_patterns import imported_shown
from mailseal.web.api.dlp_shapes import (
    MAX_NAMES,
    AssignmentShown,
    ImportedShown,
    PatternBody,
    PatternFields,
    assignment_shown,
    body_shown,
)
from mailseal.web.api.paging import ITEMS, After, Limit, Page, after_id, page
from mailseal.web.api.problem import unfit
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()
_SEE, _CHANGE = needs(Area.DLP), needs(Area.DLP, Verb.CHANGE)
_UPLOAD = needs(Area.DLP, body_bytes=FILE_BODY_BYTES)
MAX_ADDRESSES = 20


class AssignGiven(Given):
    """What to look for, and in whose mail."""

    owner: str = Field("", max_length=OWNER_CHARS, description="An address, a domain, a wildcard; empty: all mail.")
    patterns: list[str] = Field([], max_length=MAX_NAMES)
    groups: list[str] = Field([], max_length=MAX_NAMES)


class AssignmentsShown(Shown):
    """All that is assigned to exactly this owner now."""

    assignments: list[AssignmentShown]


class CountingShown(Shown):
    """A pattern that counts, and through which assignments."""

    pattern: str
    through: list[AssignmentShown]


class StarterShown(Shown):
    """A pattern of the library."""

    id: str
    name: str
    group: str
    pattern: PatternBody


class LibraryShown(Shown):
    """The starter library."""

    patterns: list[StarterShown]


class LibraryGiven(Given):
    """What to take from the library."""

    patterns: list[str] = Field([], max_length=MAX_NAMES, description="By ID or name.")
    groups: list[str] = Field([], max_length=100, description="All of these groups, into groups of these names.")
    action: Action | None = Field(None, description="Another action than the library's, for each.")
    replace: bool = False
    owner: str = Field("", max_length=255)


class UploadGiven(Given):
    """A mail or a document. The sandbox reads it."""

    file: File
    name: str = Field("", max_length=255)
    media_type: str = Field("", max_length=255)
    read_as: str = Field("", pattern="^(mail|document|)$", description="What it is; what it looks like without.")


class TrialGiven(UploadGiven):
    """Patterns to try on it."""

    patterns: list[str] = Field([], max_length=50, description="Names of stored ones.")
    draft: PatternFields | None = Field(None, description="One that is not stored yet.")


class PassageShown(Shown):
    """Text and its place."""

    place: str
    text: str


class DocumentGap(Shown):
    """What was not read, and why."""

    place: str
    status: str
    reason: str
    detail: str


class ExtractedShown(Shown):
    """What DLP looks at. `cut`: there is more text."""

    read_as: str
    passages: list[PassageShown]
    gaps: list[DocumentGap]
    cut: bool


class TriedShown(Shown):
    """What a pattern finds. `counts`: at least as often as its threshold."""

    pattern: str
    found: int
    threshold: int
    counts: bool
    action: str
    places: list[str]
    excerpt: str
    compile_ms: float
    search_ms: float


class TrialShown(Shown):
    """What the patterns find in an upload, and what could not be read of it."""

    read_as: str
    characters: int
    patterns: list[TriedShown]
    gaps: list[DocumentGap]


@router.get("/assignments", response=Page[AssignmentShown], auth=_SEE, operation_id="list_assignments")
def list_assignments(
    request: HttpRequest,
    owner: Annotated[str | None, Query(max_length=OWNER_CHARS, description="Of exactly this; empty: all mail.")] = None,
    pattern: Annotated[str, Query(max_length=NAME_CHARS)] = "",
    group: Annotated[str, Query(max_length=NAME_CHARS)] = "",
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[AssignmentShown]:
    """Assignments, the oldest first."""
    rows = dlp_assignments.page(owner=owner, pattern=pattern, group=group, after=after_id(after), limit=limit + 1)
    return page(rows, limit, show=assignment_shown, key=lambda one: one.id)


@router.post("/assignments/assign", response=AssignmentsShown, auth=_CHANGE, operation_id="assign")
def assign(request: HttpRequest, given: AssignGiven) -> AssignmentsShown:
    """Have patterns and groups looked for in somebody's mail; all that is assigned counts, wherever it comes from."""
    return _assignments(dlp_assignments.assign(given.owner, given.patterns, given.groups))


@router.post("/assignments/unassign", response=AssignmentsShown, auth=_CHANGE, operation_id="unassign")
def unassign(request: HttpRequest, given: AssignGiven) -> AssignmentsShown:
    """Look for them no longer, all of them or none."""
    return _assignments(dlp_assignments.unassign(given.owner, given.patterns, given.groups))


@router.get("/counting", response=list[CountingShown], auth=_SEE, operation_id="list_counting")
def list_counting(
    request: HttpRequest,
    address: Annotated[list[str], Query(max_length=MAX_ADDRESSES, description="Sender and recipient, for example.")],
) -> list[CountingShown]:
    """Which patterns count for any of some addresses, and through which assignments."""
    found = dlp_assignments.counting_for(*map(Address.parse, address))
    return [CountingShown(pattern=one.pattern, through=list(map(assignment_shown, one.through))) for one in found]


@router.get("/library", response=LibraryShown, auth=_SEE, operation_id="list_library")
def list_library(request: HttpRequest) -> LibraryShown:
    """Patterns that come with Mailseal, to begin with. None counts before it is imported and assigned."""
    return LibraryShown(patterns=[_starter_shown(one) for one in starters()])


@router.post("/library/import", response=ImportedShown, auth=_CHANGE, operation_id="import_library")
def import_library(request: HttpRequest, given: LibraryGiven) -> ImportedShown:
    """Store patterns of the library; they can be changed then as any other."""
    chosen = [one for one in starters() if one.group in given.groups]
    chosen += [one for one in map(_starter, given.patterns) if one not in chosen]
    if not chosen:
        raise unfit("name patterns or groups of the library", place="body.patterns")
    entries = [_entry(one, given) for one in dict.fromkeys(chosen)]
    return imported_shown(dlp_import.put(entries, replacing=given.replace))


@router.post("/extract", response=worked(ExtractedShown), auth=_UPLOAD, operation_id="extract")
def extract(request: HttpRequest, given: UploadGiven) -> ExtractedShown:
    """The text of an upload that DLP looks at, place by place, and what cannot be read of it. Nothing is kept."""
    return ExtractedShown(**console_jobs.call("dlp-extract", _arguments(given), blob=given.file))


@router.post("/test", response=worked(TrialShown), auth=_UPLOAD, operation_id="test_patterns")
def test_patterns(request: HttpRequest, given: TrialGiven) -> TrialShown:
    """What patterns find in an upload, and how long it takes. Nothing is kept, and nobody is told."""
    if not given.patterns and given.draft is None:
        raise unfit("name patterns, or give a draft", place="body.patterns")
    draft = None if given.draft is None else given.draft.model_dump(mode="json")
    arguments = _arguments(given) | {"patterns": given.patterns, "draft": draft}
    return TrialShown(**console_jobs.call("dlp-test", arguments, blob=given.file))


def _arguments(given: UploadGiven) -> dict[str, object]:
    return {"name": given.name, "media_type": given.media_type, "as": given.read_as}


def _assignments(found: tuple[dlp_assignments.Assignment, ...]) -> AssignmentsShown:
    return AssignmentsShown(assignments=list(map(assignment_shown, found)))


def _starter(name: str) -> Starter:
    for one in starters():
        if name_key(name) in {one.pattern.id, name_key(one.pattern.name)}:
            return one
    raise PermanentError("the library has not all of these patterns")


def _entry(one: Starter, given: LibraryGiven) -> Entry:
    pattern = one.pattern if given.action is None else replace(one.pattern, action=given.action)
    return Entry(pattern, (one.group,) if one.group in given.groups else (), given.owner)


def _starter_shown(one: Starter) -> StarterShown:
    return StarterShown(id=one.pattern.id, name=one.pattern.name, group=one.group, pattern=body_shown(one.pattern))
