"""What of accounts counts no more is deleted: one-time links, failures to sign in, sessions.

Sessions are in tables of libraries. The job worker, which asks for this, need not load these to empty them.
"""

from datetime import timedelta

from django.db.models import Q

from mailseal.store.accounts.models import FailureRow, LinkRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import connection, run

LINKS_KEPT = timedelta(days=30)
FORGOTTEN = timedelta(hours=24)
"""Failures count no more when there was none for so long."""
KNOWN = timedelta(days=30)
"""So long a network where an account has signed in is one of its own."""

_EXPIRED = "DELETE FROM django_session WHERE expire_date < %s"
_UNLISTED = "DELETE FROM usersessions_usersession WHERE session_key NOT IN (SELECT session_key FROM django_session)"


def purge() -> None:
    """Delete it; raises StoreUnavailable."""
    now = utc_now()
    run(lambda: LinkRow.objects.filter(expires__lt=now - LINKS_KEPT).delete())
    old = Q(last__lt=now - FORGOTTEN) & (Q(succeeded=None) | Q(succeeded__lt=now - KNOWN))
    run(lambda: FailureRow.objects.filter(old).delete())
    run(_sessions)


def _sessions() -> None:
    with connection().cursor() as cursor:
        cursor.execute(_EXPIRED, [connection().ops.adapt_datetimefield_value(utc_now())])
        cursor.execute(_UNLISTED)
