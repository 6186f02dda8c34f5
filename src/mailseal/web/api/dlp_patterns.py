"""Operations on DLP patterns (`store.dlp_patterns`): what to look for in mail, and what follows."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status

from mailseal.store import dlp_import, dlp_patterns
from mailseal.store.dlp_import import Entry, Imported
from mailseal.store.dlp_names import DlpError, read_home
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.body import FILE_BODY_BYTES
from mailseal.web.api.dlp_shapes import (
    ImportedShown,
    PatternChange,
    PatternGiven,
    PatternsGiven,
    PatternShown,
    pattern_of,
    pattern_shown,
)
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import conflict, not_found

router = Router()
_SEE, _CHANGE = needs(Area.DLP), needs(Area.DLP, Verb.CHANGE)
Force = Annotated[bool, Query(description="Also one that is assigned or in a group: what it looks for then passes.")]


@router.get("", response=Page[PatternShown], auth=_SEE, operation_id="list_patterns")
def list_patterns(
    request: HttpRequest,
    owner: Annotated[
        str | None, Query(max_length=255, description="Only those of a domain; empty: everybody's.")
    ] = None,
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[PatternShown]:
    """Patterns by name."""
    home = None if owner is None else read_home(owner)
    rows = dlp_patterns.list_patterns(owner=home, after=after, limit=limit + 1)
    return page(rows, limit, show=pattern_shown, key=lambda one: one.name)


@router.post("", response={201: PatternShown}, auth=_CHANGE, operation_id="make_pattern")
def make_pattern(request: HttpRequest, given: PatternGiven) -> Status[PatternShown]:
    """Make a pattern. It counts for no mail until it is assigned."""
    entry = Entry(pattern_of(given), tuple(given.groups), given.owner)
    (name,) = dlp_import.put([entry]).added
    return Status(201, pattern_shown(dlp_patterns.find(name)))


@router.post(
    "/import",
    response=ImportedShown,
    auth=needs(Area.DLP, Verb.CHANGE, body_bytes=FILE_BODY_BYTES),
    operation_id="import_patterns",
)
def import_patterns(request: HttpRequest, given: PatternsGiven) -> ImportedShown:
    """Store several patterns, all or none."""
    entries = [Entry(pattern_of(one), tuple(one.groups), one.owner) for one in given.patterns]
    return imported_shown(dlp_import.put(entries, replacing=given.replace))


@router.get("/{name}", response=PatternShown, auth=_SEE, operation_id="get_pattern")
def get_pattern(request: HttpRequest, name: str) -> PatternShown:
    """One pattern."""
    return _find(name)


@router.patch("/{name}", response=PatternShown, auth=_CHANGE, operation_id="change_pattern")
def change_pattern(request: HttpRequest, name: str, change: PatternChange) -> PatternShown:
    """Change a pattern. Findings that were approved before no longer count as approved."""
    shown = _find(name)
    etag.require(request, lambda: shown)
    changes = change.model_dump(exclude_none=True)
    return pattern_shown(dlp_patterns.change(shown.name, changes))


@router.delete("/{name}", response={204: None}, auth=_CHANGE, operation_id="delete_pattern")
def delete_pattern(request: HttpRequest, name: str, force: Force = False) -> Status[None]:  # noqa: FBT002 -- a query
    """Delete a pattern."""

    def write() -> None:
        info = dlp_patterns.find(_find(name).name)
        used = dlp_patterns.in_use(info.assigned_to, info.groups)
        if used and not force:
            raise conflict(f"it is in use: {used}", kind="in-use")
        dlp_patterns.remove(info.name, force=force)

    etag.change(request, lambda: _find(name), write)
    return Status(204, None)


def imported_shown(done: Imported) -> ImportedShown:
    """What was done."""
    return ImportedShown(
        added=list(done.added),
        changed=list(done.changed),
        unchanged=list(done.unchanged),
        groups=list(done.groups),
    )


def _find(name: str) -> PatternShown:
    try:
        return pattern_shown(dlp_patterns.find(name))
    except DlpError:
        raise not_found("pattern") from None
