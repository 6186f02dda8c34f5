"""An OpenPGP key for an operation, if it is the caller's to see, or to change."""

from collections.abc import Collection

from django.http import HttpRequest

from mailseal.store import pgp_admin
from mailseal.store.pgp_admin import NoSuchPgpKeyError, PgpInfo
from mailseal.web.access import Area, Verb
from mailseal.web.api.holdings import reach_some, require_all
from mailseal.web.api.problem import not_found


def find(request: HttpRequest, key: str) -> PgpInfo:
    """One that the caller may see; raises ProblemError (404)."""
    try:
        info = pgp_admin.show(key)
    except NoSuchPgpKeyError:
        raise not_found("key") from None
    reach_some(request, Area.PGP, owners_of(info), "key")
    return info


def to_change(request: HttpRequest, key: str) -> PgpInfo:
    """One that the caller may change; raises ProblemError (404), ForbiddenError."""
    info = find(request, key)
    require_all(request, Area.PGP, Verb.CHANGE, owners_of(info))
    return info


def owners_of(info: PgpInfo) -> Collection[str]:
    """For whom it stands, or would: also whom its user IDs name without being chosen for them."""
    named = (one.address.key for one in info.certificate.user_ids if one.address is not None)
    return frozenset((*(owner for owner, _ in info.uses), *named))
