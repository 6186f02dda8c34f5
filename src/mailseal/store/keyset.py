"""Pages of long lists by the key of the last row: no OFFSET, which reads all that it leaves out."""

from collections.abc import Mapping

from django.db.models import Q


def behind(last: Mapping[str, object]) -> Q:
    """What comes after a row in the order of these columns, which tell rows apart: `last` has its values, in order."""
    found, same = Q(), Q()
    for column, value in last.items():
        found |= same & Q(**{f"{column}__gt": value})
        same &= Q(**{column: value})
    return found
