"""Times and numbers as the reader writes them: ISO 8601 in English, DIN 1355 in German; times are UTC in each."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

from django.utils.formats import number_format
from django.utils.translation import get_language


class Precision(StrEnum):
    """How exact; the value is ISO's format for `strftime`."""

    DAY = "%Y-%m-%d"
    MINUTE = "%Y-%m-%d %H:%M"
    SECOND = "%Y-%m-%d %H:%M:%S"


def written_time(value: date | datetime, precision: Precision) -> str:
    """For people."""
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
    form = precision.value
    if (get_language() or "").startswith("de"):
        form = form.replace(Precision.DAY, "%d.%m.%Y")
    return value.strftime(form)


def machine_time(value: date | datetime) -> str:
    """For programs."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat()


def written_number(value: float | Decimal) -> str:
    """With separators."""
    return number_format(value, use_l10n=True, force_grouping=True)
