"""Deleting old rows in short transactions: a long delete would stop every other writer (mta-ha, section 4)."""

from datetime import datetime
from uuid import UUID

from django.db.models import Model

from mailseal.store.transaction import run

CHUNK_ROWS = 1000


def delete_before(model: type[Model], column: str, before: datetime | UUID) -> int:
    """Delete the rows whose `column` is before a bound, oldest first; returns how many."""
    rows = model._default_manager.filter(**{f"{column}__lt": before})  # noqa: SLF001 -- documented API
    deleted = 0
    while True:

        def chunk() -> int:
            keys = list(rows.order_by(column).values_list("pk", flat=True)[:CHUNK_ROWS])
            return model._default_manager.filter(pk__in=keys).delete()[0] if keys else 0  # noqa: SLF001 -- as above

        gone = run(chunk)
        deleted += gone
        if gone < CHUNK_ROWS:
            return deleted
