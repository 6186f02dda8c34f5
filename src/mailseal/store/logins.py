"""Logins of users who hand in mail, and what each may write as its envelope sender (docs/submission.md)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.db.transaction import atomic

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.policy.settings import Level
from mailseal.store.audit import record
from mailseal.store.audit_mask import Json
from mailseal.store.login_models import LOGIN_CHARS, LoginRow, LoginUseRow
from mailseal.store.lru import Lru
from mailseal.store.owners import in_domains, owners_of_domain, read_owner, with_places
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, select, writes

MAX_LOGINS_OF_ONE = 300
"""That may use the same address, or the same domain: Postfix is told all of them at once."""
_NAME = re.compile(rf"[a-z0-9][a-z0-9._+@\-]{{0,{LOGIN_CHARS - 1}}}")
_BY_NAME = "SELECT name, password, enabled FROM store_login WHERE name = %s"
_OF_SENDER = (
    "SELECT l.name, l.enabled FROM store_login_use u JOIN store_login l ON l.id = u.login_id WHERE u.owner IN (:owners)"
)


class LoginError(PermanentError):
    """What was given is no login, or cannot be done to one; the text says why."""


@dataclass(frozen=True, slots=True)
class LoginInfo:
    """A login as administrators see it. `may_use`: address keys, domains and wildcards."""

    name: str
    enabled: bool
    may_use: tuple[str, ...]
    created: datetime


@dataclass(frozen=True, slots=True)
class Login:
    """What is needed to let somebody in. `password` is a PHC string."""

    name: str
    password: str = field(repr=False)
    enabled: bool = True


def login_name(text: str) -> str:
    """A login in its stored form; raises LoginError. Upper and lower case are the same to Postfix, too."""
    name = text.lower()
    if not _NAME.fullmatch(name):
        raise LoginError(
            "a login is made of letters and digits without accents, and of . _ + - @ behind the first "
            f"({LOGIN_CHARS} characters at most)"
        )
    return name


def find(name: str) -> Login | None:
    """The login of that stored form, as it is now; raises StoreUnavailable."""
    rows = select(_BY_NAME, (name,))
    return Login(rows[0][0], rows[0][1], bool(rows[0][2])) if rows else None


class StoreSenderLogins:
    """Implements `ports.SenderLogins`: one query per address that the cache does not know."""

    def __init__(self, *, entries: int = 10_000) -> None:
        self._known: Lru[str, frozenset[str]] = Lru(entries)

    def of(self, address: Address) -> frozenset[str]:
        """As of the port; raises StoreUnavailable."""
        known = self._known.get(address.key)
        if known is None:
            generation = self._known.generation
            known = frozenset(name for name, _ in logins_of(address))
            self._known.put(address.key, known, generation)
        return known

    def clear(self) -> None:
        """Forget what was read: the stamp `logins` changed."""
        self._known.clear()


def logins_of(address: Address) -> Sequence[tuple[str, bool]]:
    """The logins that may use an address as envelope sender, by name, and whether each is enabled."""
    owners = (address.key, *owners_of_domain(address.domain))
    rows = select(with_places(_OF_SENDER, len(owners)), owners)
    return sorted({(str(name), bool(enabled)) for name, enabled in rows})


def may_use_owner(text: str) -> str:
    """An address, a domain, `*@domain` (the same) or a wildcard such as `*.example.com`, in its stored form.

    Raises LoginError, AddressError.
    """
    level, owner = read_owner(text.strip().removeprefix("*@"))
    if level is Level.GLOBAL:
        raise LoginError("what a login may use is an address, a domain, or a wildcard such as *.example.com")
    return owner


# ---- what administrators do


@writes
def add(name: str, phc: str, may_use: Collection[str]) -> LoginInfo:
    """Make a login; raises LoginError, AddressError."""
    name = login_name(name)
    try:
        with atomic():  # not get_or_create: the web role's account reads no password (`web_rights`)
            row = LoginRow.objects.create(name=name, password=phc)
    except IntegrityError:
        raise LoginError(f"there is a login {name} already") from None
    _allow(row, may_use)
    bump(Scope.LOGINS)
    record("logins", "add", row.name, after=_told(row))
    return _info(row)


@writes
def set_password(name: str, phc: str) -> None:
    """Set another password; raises LoginError."""
    row = _row(name)
    LoginRow.objects.filter(pk=row.pk).update(password=phc)
    record("logins", "set-password", row.name)


@writes
def allow(name: str, may_use: Collection[str]) -> LoginInfo:
    """Let a login use more; raises LoginError, AddressError."""
    row = _row(name)
    before = _told(row)
    _allow(row, may_use)
    bump(Scope.LOGINS)
    record("logins", "allow", row.name, before=before, after=_told(row))
    return _info(row)


@writes
def deny(name: str, may_use: Collection[str]) -> LoginInfo:
    """Let a login no longer use what it may; raises LoginError, also for what it may not anyway, and AddressError."""
    row = _row(name)
    before = _told(row)
    for owner in map(may_use_owner, may_use):
        if not LoginUseRow.objects.filter(login=row, owner=owner).delete()[0]:
            raise LoginError(
                f"{row.name} has no leave of its own for {owner}; `mailseal submission list` shows what it has"
            )
    bump(Scope.LOGINS)
    record("logins", "deny", row.name, before=before, after=_told(row))
    return _info(row)


@writes
def set_enabled(name: str, *, enabled: bool) -> LoginInfo:
    """Let a login in again, or not; raises LoginError."""
    row = _row(name)
    before = _told(row)
    row.enabled = enabled
    row.save(update_fields=["enabled"])
    bump(Scope.LOGINS)
    record("logins", "enable" if enabled else "disable", row.name, before=before, after=_told(row))
    return _info(row)


@writes
def remove(name: str) -> bool:
    """Delete a login and its leave; False: there was none. Raises LoginError."""
    row = LoginRow.objects.filter(name=login_name(name)).defer("password").first()
    before = None if row is None else _told(row)
    deleted, _ = LoginRow.objects.filter(name=login_name(name)).defer("password").delete()
    bump(Scope.LOGINS)
    if row is not None:
        record("logins", "delete", row.name, before=before)
    return bool(deleted)


@reads
def list_logins() -> tuple[LoginInfo, ...]:
    """All of them, by name."""
    return tuple(_info(row) for row in LoginRow.objects.order_by("name").defer("password").prefetch_related("uses"))


@reads
def page(*, within: Collection[str] | None = None, after: str = "", limit: int = 200) -> tuple[LoginInfo, ...]:
    """Some logins by name, those after `after`; of these domains alone: all that they may use is there."""
    rows = _within(LoginRow.objects.filter(name__gt=after), within)
    return tuple(map(_info, rows.order_by("name").defer("password").prefetch_related("uses")[:limit]))


@reads
def find_info(name: str, *, within: Collection[str] | None = None) -> LoginInfo | None:
    """One login as administrators see it, if it is one of those domains' alone; raises LoginError."""
    row = _within(LoginRow.objects.filter(name=login_name(name)), within).defer("password").first()
    return None if row is None else _info(row)


def _within(rows: QuerySet[LoginRow], domains: Collection[str] | None) -> QuerySet[LoginRow]:
    if domains is None:
        return rows
    uses = LoginUseRow.objects.filter(login=OuterRef("pk"))
    return rows.filter(Exists(uses), ~Exists(uses.exclude(in_domains("owner", domains))))


@reads
def count_enabled() -> int:
    """How many logins are let in."""
    return LoginRow.objects.filter(enabled=True).count()


def _row(name: str) -> LoginRow:
    row = LoginRow.objects.select_for_update().filter(name=login_name(name)).defer("password").first()
    if row is None:
        raise LoginError(f"there is no login {name}; `mailseal submission list` shows all")
    return row


def _allow(row: LoginRow, may_use: Collection[str]) -> None:
    owners = {may_use_owner(one) for one in may_use}
    counted = (
        LoginUseRow.objects.filter(owner__in=owners).exclude(login=row).values("owner").annotate(count=Count("id"))
    )
    for one in counted:
        if one["count"] >= MAX_LOGINS_OF_ONE:
            raise LoginError(f"{MAX_LOGINS_OF_ONE} logins may use {one['owner']} already, and no more can")
    for owner in sorted(owners):
        LoginUseRow.objects.get_or_create(login=row, owner=owner)


def _told(row: LoginRow) -> Json:
    owners = LoginUseRow.objects.filter(login=row).order_by("owner").values_list("owner", flat=True)
    return {"enabled": row.enabled, "may_use": list(owners)}


def _info(row: LoginRow) -> LoginInfo:
    return LoginInfo(row.name, row.enabled, tuple(sorted(one.owner for one in row.uses.all())), row.created)
