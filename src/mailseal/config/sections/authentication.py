"""[authentication]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BadValueError

MAX_BELIEVED = 20


def _ids(raw: object) -> tuple[str, ...]:
    found = tuple(values.hostname(one) for one in values.items(raw))
    if len(found) > MAX_BELIEVED:
        raise BadValueError(f"may name {MAX_BELIEVED} at most")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """Authentication-Results (RFC 8601): in whose name they are written, and whose are believed. See docs/dkim.md."""

    authserv_id: str | None = key(
        values.hostname,
        "The name of this gateway in Authentication-Results; the same on all nodes of a cluster. Fields that come in "
        "with it are removed.",
        example='"mx.example.com"',
        default=None,
        default_text="none; the hostname",
    )
    believed: tuple[str, ...] = key(
        _ids,
        "The names of servers before this one (a spam filter) whose Authentication-Results are believed, if they stand "
        "at the top: they go into the ARC seal. Such a server has to remove fields in its name from what comes in.",
        example='["filter.example.com"]',
        default=(),
        default_text="[]",
    )
