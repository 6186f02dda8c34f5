"""What of accounts counts no more is deleted: one-time links, failures to sign in, sessions.

Sessions are in tables of libraries. The job worker, which asks for this, need not load these to empty them.
"""

from datetime import timedelta
from typing import Any

from django.db.models import Q

from mailseal.store.accounts.models import FailureRow, LinkRow
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_all
from mailseal.store.row import utc_now
from mailseal.store.transaction import connection, run, select

LINKS_KEPT = timedelta(days=30)
FORGOTTEN = timedelta(hours=24)
"""Failures count no more when there was none for so long."""
KNOWN = timedelta(days=30)
"""So long a network where an account has signed in is one of its own."""

PAGE = 500
_EXPIRED = "SELECT session_key FROM django_session WHERE expire_date < %s LIMIT %s"
_DELETE_EXPIRED = "DELETE FROM django_session WHERE expire_date < %s AND session_key IN ({marks})"
_UNLISTED = (
    "SELECT session_key FROM usersessions_usersession listed WHERE NOT EXISTS"
    " (SELECT 1 FROM django_session one WHERE one.session_key = listed.session_key) LIMIT %s"
)
_DELETE_UNLISTED = "DELETE FROM usersessions_usersession WHERE session_key IN ({marks})"


def purge(turn: Turn | None = None) -> None:
    """Delete it, in short transactions; raises StoreUnavailable. Strangers can make many failures and sessions."""
    turn = turn or Turn()
    now = utc_now()
    delete_all(LinkRow.objects.filter(expires__lt=now - LINKS_KEPT), turn)
    old = Q(last__lt=now - FORGOTTEN) & (Q(succeeded=None) | Q(succeeded__lt=now - KNOWN))
    delete_all(FailureRow.objects.filter(old), turn)
    moment = connection().ops.adapt_datetimefield_value(now)
    _delete_pages(_EXPIRED, _DELETE_EXPIRED, [moment], turn)
    _delete_pages(_UNLISTED, _DELETE_UNLISTED, [], turn)


def _delete_pages(wanted: str, delete: str, parameters: list[Any], turn: Turn) -> None:
    while turn.goes_on():
        keys = [key for (key,) in select(wanted, [*parameters, PAGE])]
        if keys:
            run(lambda keys=keys: _execute(delete.format(marks=", ".join(["%s"] * len(keys))), [*parameters, *keys]))  # type: ignore[misc]
        if len(keys) < PAGE:
            return


def _execute(sql: str, parameters: list[Any]) -> None:
    with connection().cursor() as cursor:
        cursor.execute(sql, parameters)
