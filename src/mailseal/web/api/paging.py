"""Pages of a list by its last key: the next one is asked for with `after=` what `next` says."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from ninja import Query
from pydantic import Field

from mailseal.web.api.problem import unfit
from mailseal.web.api.shapes import Shown

MAX_ITEMS = 200
ITEMS = 50

T = TypeVar("T")
R = TypeVar("R")

Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="How many at most.")]
"""A parameter `limit: Limit = ITEMS`."""
After = Annotated[str, Query(max_length=1000, description="`next` of the page before.")]
"""A parameter `after: After = ""`."""


class Page(Shown, Generic[T]):
    """Some of a list, in its order."""

    items: list[T]
    next: str | None = Field(description="For `after`, if there are more.")


def page(rows: Sequence[R], limit: int, *, show: Callable[[R], T], key: Callable[[R], object]) -> Page[T]:
    """A page of rows, of which one more than `limit` was asked for; `key` is what the list is ordered by."""
    some = rows[:limit]
    more = str(key(some[-1])) if len(rows) > limit else None
    return Page(items=[show(row) for row in some], next=more)


def after_id(after: str) -> UUID | None:
    """The key of a list that is ordered by UUID; raises ProblemError."""
    if not after:
        return None
    try:
        return UUID(after)
    except ValueError:
        raise unfit("that is not the `next` of a page", place="query.after") from None
