"""Deleting old rows beside mail: in short transactions and in turns (mta-ha, section 4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from mailseal.store.pace import Pace, Turn
from mailseal.store.transaction import read, run

FIRST_ROWS, MIN_ROWS, MAX_ROWS = 50, 10, 2000

M = TypeVar("M", bound=Model)


def delete_before(model: type[Model], column: str, before: datetime | UUID, turn: Turn | None = None) -> int:
    """Delete the rows whose `column` is before a bound, oldest first; returns how many.

    `turn.cut_off` says afterwards whether there are more.
    """
    rows = model._default_manager.filter(**{f"{column}__lt": before})  # noqa: SLF001 -- documented API
    return delete_all(rows.order_by(column), turn)


def delete_all(rows: QuerySet[M], turn: Turn | None = None) -> int:
    """Delete all these rows, and what refers to them; returns how many."""
    turn = turn or Turn()
    pace = Pace(FIRST_ROWS, MIN_ROWS, MAX_ROWS)
    deleted = 0
    while turn.goes_on():
        # Looked for outside of the transaction, which would keep other writers out meanwhile.
        size = pace.size
        keys = read(lambda size=size: list(rows.values_list("pk", flat=True)[:size]))  # type: ignore[misc]
        if keys:
            with pace.step():
                deleted += run(lambda keys=keys: delete_those(rows, keys))  # type: ignore[misc]
        if len(keys) < size:
            break
    return deleted


def delete_those(rows: QuerySet[M], keys: Sequence[UUID]) -> int:
    """Delete those of the keys that are still among the rows, in the caller's transaction; returns how many.

    Somebody may have made more of one since it was looked for: an administrator keeps a candidate, say.
    """
    still = list(rows.select_for_update().filter(pk__in=keys).values_list("pk", flat=True))
    rows.model._default_manager.filter(pk__in=still).delete()  # noqa: SLF001 -- documented API
    return len(still)
