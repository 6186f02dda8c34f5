"""Operations on groups of DLP patterns (`store.dlp_groups`): what is assigned together."""

from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status
from pydantic import Field

from mailseal.store import dlp_groups
from mailseal.store.dlp_models import NAME_CHARS
from mailseal.store.dlp_names import MAX_DESCRIPTION_CHARS, DlpError
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.dlp_patterns import Force
from mailseal.web.api.dlp_shapes import MAX_NAMES, GroupShown, group_shown
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import conflict, not_found
from mailseal.web.api.shapes import Given

router = Router()
_SEE, _CHANGE = needs(Area.DLP), needs(Area.DLP, Verb.CHANGE)


class GroupGiven(Given):
    """A group to make."""

    name: str = Field(min_length=1, max_length=NAME_CHARS)
    patterns: list[str] = Field([], max_length=MAX_NAMES)
    owner: str = Field("", max_length=255, description="A domain.")
    description: str = Field("", max_length=MAX_DESCRIPTION_CHARS)


class GroupChange(Given):
    """What to change of a group; what is left out stays."""

    name: str | None = Field(None, min_length=1, max_length=NAME_CHARS)
    description: str | None = Field(None, max_length=MAX_DESCRIPTION_CHARS)
    patterns: list[str] | None = Field(None, max_length=MAX_NAMES, description="All that are in it from now on.")


@router.get("", response=Page[GroupShown], auth=_SEE, operation_id="list_groups")
def list_groups(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[GroupShown]:
    """Groups by name."""
    rows = dlp_groups.list_groups(after=after, limit=limit + 1)
    return page(rows, limit, show=group_shown, key=lambda one: one.name)


@router.post("", response={201: GroupShown}, auth=_CHANGE, operation_id="make_group")
def make_group(request: HttpRequest, given: GroupGiven) -> Status[GroupShown]:
    """Make a group."""
    made = dlp_groups.add(given.name, given.patterns, owner=given.owner, description=given.description)
    return Status(201, group_shown(made))


@router.get("/{name}", response=GroupShown, auth=_SEE, operation_id="get_group")
def get_group(request: HttpRequest, name: str) -> GroupShown:
    """One group."""
    return _find(name)


@router.patch("/{name}", response=GroupShown, auth=_CHANGE, operation_id="change_group")
def change_group(request: HttpRequest, name: str, change: GroupChange) -> GroupShown:
    """Change a group: what is in it counts at once wherever it is assigned."""

    def write() -> GroupShown:
        old = _find(name)
        if change.patterns is not None:
            if gone := [one for one in old.patterns if one not in change.patterns]:
                dlp_groups.exclude(old.name, gone)
            dlp_groups.include(old.name, change.patterns)
        changed = dlp_groups.change(old.name, new_name=change.name, description=change.description)
        return group_shown(dlp_groups.find(changed.name))

    return etag.change(request, lambda: _find(name), write)


@router.delete("/{name}", response={204: None}, auth=_CHANGE, operation_id="delete_group")
def delete_group(request: HttpRequest, name: str, force: Force = False) -> Status[None]:  # noqa: FBT002 -- a query
    """Delete a group, not its patterns."""

    def write() -> None:
        info = _find(name)
        if info.assigned_to and not force:
            raise conflict("it is assigned: unassign it first, or force it", kind="in-use")
        dlp_groups.remove(info.name, force=force)

    etag.change(request, lambda: _find(name), write)
    return Status(204, None)


def _find(name: str) -> GroupShown:
    try:
        return group_shown(dlp_groups.find(name))
    except DlpError:
        raise not_found("group") from None
