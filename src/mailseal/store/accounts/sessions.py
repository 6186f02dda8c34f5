"""Sessions of accounts in browsers: the rows of Django and of the library that lists them (allauth.usersessions)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from mailseal.store import with_libraries  # noqa: F401 -- the tables below

# isort: split
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from mailseal.store import audit
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import Account
from mailseal.store.row import storable, utc_now
from mailseal.store.transaction import reads, writes

SEEN_EVERY = timedelta(minutes=1)
MAX_LISTED = 200
MAX_BROWSER_CHARS = 200


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Where somebody has signed in. `id` is no secret; the key of the session is in nothing that is shown."""

    id: int
    created: datetime
    last_seen: datetime
    place: str
    browser: str
    current: bool


@reads
def list_sessions(account_id: UUID, current_key: str) -> tuple[SessionInfo, ...]:
    """An account's sessions that have not ended, the latest first; `current_key`: the key of the one that asks."""
    rows = UserSession.objects.filter(user_id=account_id).order_by("-last_seen_at")[:MAX_LISTED]
    live = set(
        Session.objects.filter(
            session_key__in=[row.session_key for row in rows], expire_date__gt=utc_now()
        ).values_list("session_key", flat=True)
    )
    return tuple(
        SessionInfo(row.pk, row.created_at, row.last_seen_at, row.ip, row.user_agent, row.session_key == current_key)
        for row in rows
        if row.session_key in live
    )


@writes
def end(account_id: UUID, session_id: int) -> None:
    """End one of an account's sessions; raises AccountError."""
    row = UserSession.objects.filter(user_id=account_id, pk=session_id).first()
    if row is None:
        raise AccountError("there is no such session")
    _delete([row.session_key])
    audit.record("accounts", "end-session", _email(account_id), before={"place": row.ip})


@writes
def end_all(account_id: UUID, *, but: str = "") -> int:
    """End an account's sessions, but for the one with this key; how many."""
    rows = UserSession.objects.filter(user_id=account_id).exclude(session_key=but)
    keys = list(rows.values_list("session_key", flat=True))
    _delete(keys)
    if keys:
        audit.record("accounts", "end-sessions", _email(account_id), before={"count": len(keys)})
    return len(keys)


@writes
def seen(account_id: UUID, session_key: str, place: str, browser: str) -> None:
    """That a session was used, from an IP address; called at first, and once in SEEN_EVERY. So each can be ended."""
    if not UserSession.objects.filter(session_key=session_key).update(last_seen_at=utc_now(), ip=place):
        browser = storable(browser)[:MAX_BROWSER_CHARS]
        row = UserSession(user_id=account_id, session_key=session_key, ip=place, user_agent=browser)
        UserSession.objects.bulk_create([row], ignore_conflicts=True)


def _delete(keys: list[str]) -> None:
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()


def _email(account_id: UUID) -> str:
    return str(Account.objects.filter(pk=account_id).values_list("email", flat=True).first() or "")
