"""Which certificates and OpenPGP keys end, when, and whom that will hit; the next one first."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from mailseal.store.expiry import Ending, Whose, endings
from mailseal.store.row import utc_now
from mailseal.web.access import Area, Principal
from mailseal.web.guard import needs, principal

PAGE_ROWS = 50
MAX_NAMED = 5
PAST = timedelta(days=30)
SOON = timedelta(days=30)
HORIZONS = (30, 90, 365, 3650)
"""Days ahead."""
_AREA = Area.CERTIFICATES
"""Who may see these sees OpenPGP keys too, in every role."""
_WHOSE = {
    Whose.OURS: _("Ours"),
    Whose.PARTNERS: _("Partners'"),
    Whose.AUTHORITIES: _("CA certificates"),
}
_EXPLAINED = {
    Whose.OURS: _(
        "Private keys that are here: when one ends, its owner can no longer sign, and nobody encrypts to him."
    ),
    Whose.PARTNERS: _("When one ends, mail to its owner is no longer encrypted with it; what must be encrypted waits."),
    Whose.AUTHORITIES: _("When one ends, nothing that hangs on it is trusted any more."),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One that ends. `days`: from now, negative when it has ended."""

    ending: Ending
    days: int
    is_past: bool
    is_soon: bool

    @property
    def shown(self) -> tuple[str, ...]:
        """Owners that it hits first; at most MAX_NAMED."""
        return tuple(one.owner for one in self.ending.hits if one.lasts is None)[:MAX_NAMED]

    @property
    def more(self) -> int:
        """How many more it hits."""
        return max(0, sum(one.lasts is None for one in self.ending.hits) - MAX_NAMED)

    @property
    def replaced(self) -> tuple[str, ...]:
        """Owners for whom there is something that lasts longer; at most MAX_NAMED."""
        return tuple(one.owner for one in self.ending.hits if one.lasts is not None)[:MAX_NAMED]


@needs(_AREA)
@require_http_methods(["GET"])
def expiring(request: HttpRequest) -> HttpResponse:
    """A page of them: `whose`, `days` ahead, `after` the last row of the page before."""
    who, now = principal(request), utc_now()
    whose = _whose(request, who)
    days = _days(request)
    domains = who.domains_for(_AREA)
    since, until = now - PAST, now + timedelta(days=days)
    found = endings(whose, since, until, domains=domains, after=_after(request), limit=PAGE_ROWS + 1)
    rows = [_row(one, now) for one in found[:PAGE_ROWS]]
    context = {
        "rows": rows,
        "whose": whose.value,
        "explained": _EXPLAINED[whose],
        "is_authority": whose is Whose.AUTHORITIES,
        "tabs": [(_url(one, days), title, one is whose) for one, title in _WHOSE.items() if _may(who, one)],
        "horizons": [(_url(whose, one), one, one == days) for one in HORIZONS],
        "days": days,
        "older": _url(whose, days, found[PAGE_ROWS - 1]) if len(found) > PAGE_ROWS else "",
        "may_addresses": who.may(Area.ADDRESSES),
    }
    return render(request, "keys/expiring.html", context)


def _may(who: Principal, whose: Whose) -> bool:
    """CA certificates belong to no domain."""
    return whose is not Whose.AUTHORITIES or who.everywhere(Area.TRUST) or who.everywhere(_AREA)


def _whose(request: HttpRequest, who: Principal) -> Whose:
    try:
        found = Whose(request.GET.get("whose", Whose.OURS.value))
    except ValueError:
        raise Http404 from None
    if not _may(who, found):
        raise Http404
    return found


def _days(request: HttpRequest) -> int:
    text = request.GET.get("days", "")
    return int(text) if text in map(str, HORIZONS) else 90


def _after(request: HttpRequest) -> tuple[datetime, UUID] | None:
    text = request.GET.get("after", "")
    if not text:
        return None
    ends, _, key = text.partition("~")
    try:
        at, last = datetime.fromisoformat(ends), UUID(key)
        if at.tzinfo is None:
            raise Http404
        return at.astimezone(UTC), last
    except (ValueError, OverflowError):  # the latter: it is in no year in UTC
        raise Http404 from None


def _row(ending: Ending, now: datetime) -> Row:
    left = ending.ends - now
    return Row(ending, left.days, is_past=left < timedelta(0), is_soon=left <= SOON)


def _url(whose: Whose, days: int, last: Ending | None = None) -> str:
    given = {"whose": whose.value, "days": str(days)}
    if last is not None:
        given["after"] = f"{last.ends.isoformat()}~{last.id}"
    return f"{reverse('keys')}?{urlencode(given)}"
