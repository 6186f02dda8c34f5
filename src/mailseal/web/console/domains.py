"""Domains and wildcards: which are internal, what is set and usable for their addresses; added, changed, deleted."""

from collections.abc import Sequence

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from mailseal.mail.address import Address, AddressError
from mailseal.store import dkim_keys, domains, routes
from mailseal.store.abilities import StoreAbilities
from mailseal.store.dkim_keys import DkimKeyInfo
from mailseal.store.domains import DomainInfo
from mailseal.store.owners import domain_name, owners_of_domain
from mailseal.store.row import utc_now
from mailseal.web.access import Area, Verb
from mailseal.web.console import abilities
from mailseal.web.console.scope import allowed, seen
from mailseal.web.console.setting_fields import settings_of
from mailseal.web.guard import needs, principal
from mailseal.web.told import told

PAGE_ROWS = 50
MAX_NAME_CHARS = 255
_AREA = Area.DOMAINS


class NewDomain(forms.Form):
    """A domain or wildcard to add."""

    name = forms.CharField(
        label=_("Domain"), max_length=MAX_NAME_CHARS, help_text=_("example.com, or *.example.com for all below")
    )
    external = forms.BooleanField(
        label=_("Not ours"), required=False, help_text=_("An exception below a wildcard that is internal")
    )

    def clean_name(self) -> str:
        """In its stored form."""
        try:
            return domain_name(self.cleaned_data["name"])
        except AddressError as error:
            raise forms.ValidationError(told(str(error))) from None


@needs(_AREA)
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """All that may be seen, by name; posted: one more."""
    form = NewDomain(request.POST or None)
    if request.method == "POST":
        principal(request).require(_AREA, Verb.CHANGE, domain="")
        if form.is_valid():
            name = form.cleaned_data["name"]
            if domains.find(name) is not None:
                messages.info(request, gettext("%s was there already.") % name)
            else:
                domains.add(name, internal=not form.cleaned_data["external"])
                messages.success(request, gettext("%s was added.") % name)
            return redirect("domain", name)
    after = request.GET.get("after", "")[:MAX_NAME_CHARS]
    found = domains.page(within=principal(request).domains_for(_AREA), after=after, limit=PAGE_ROWS + 1)
    asker, now = StoreAbilities(), utc_now()
    rows = [(one, abilities.rows(asker.of(_anybody(one.name), now))) for one in found[:PAGE_ROWS]]
    context = {
        "rows": rows,
        "more": found[PAGE_ROWS - 1].name if len(found) > PAGE_ROWS else "",
        "after": after,
        "form": form if principal(request).may_for("", _AREA, Verb.CHANGE) else None,
    }
    return render(request, "domains/list.html", context, status=422 if form.errors else 200)


@needs(_AREA)
@require_http_methods(["GET"])
def one(request: HttpRequest, name: str) -> HttpResponse:
    """What counts for the addresses of a domain."""
    found = _found(request, name)
    asker = StoreAbilities()
    anybody = _anybody(found.name)
    who = principal(request)
    may_routes = who.may_for(found.name, Area.ROUTES)
    context = {
        "domain": found,
        "settings": asker.party(anybody).settings,
        "methods": abilities.rows(asker.of(anybody, utc_now())),
        "own": settings_of(found.name),
        "dkim": _dkim(found.name) if who.may_for(found.name, Area.DKIM) else (),
        "may_dkim": who.may_for(found.name, Area.DKIM),
        "route": _route(found.name) if may_routes else None,
        "may_routes": may_routes,
        "may_change": who.may_for("", _AREA, Verb.CHANGE),
        "may_settings": who.may_for(found.name, Area.SETTINGS),
        "may_addresses": who.may_for(found.name, Area.ADDRESSES),
    }
    return render(request, "domains/one.html", context)


@needs(_AREA, Verb.CHANGE)
@require_POST
def change(request: HttpRequest, name: str) -> HttpResponse:
    """Say whether a domain is internal (`internal`: yes or no)."""
    found = _found(request, name)
    allowed(request, _AREA, Verb.CHANGE, found.name)
    given = request.POST.get("internal")
    if given not in {"yes", "no"}:  # external is never what was left out: mail to it would no longer be opened
        return render(request, "400.html", status=400)
    internal = given == "yes"
    domains.add(found.name, internal=internal)
    text = gettext("%s is internal now.") if internal else gettext("%s is external now.")
    messages.success(request, text % found.name)
    return redirect("domain", found.name)


@needs(_AREA, Verb.CHANGE)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Ask; posted: delete. Settings made for it stay."""
    found = _found(request, name)
    allowed(request, _AREA, Verb.CHANGE, found.name)
    if request.method != "POST":
        return render(request, "domains/delete.html", {"domain": found})
    domains.delete(found.name)
    messages.success(request, gettext("%s was deleted.") % found.name)
    return redirect("domains")


def _found(request: HttpRequest, name: str) -> DomainInfo:
    try:
        key = domain_name(name)
    except AddressError:
        raise Http404 from None
    seen(request, _AREA, key)
    found = domains.find(key)
    if found is None:
        raise Http404
    return found


def _anybody(domain: str) -> Address:
    """Any address of a domain that has nothing of its own."""
    return Address("", domain, f"@{domain}")


def _dkim(domain: str) -> Sequence[DkimKeyInfo]:
    return dkim_keys.list_keys(domain) if not domain.startswith("*.") else ()


def _route(domain: str) -> routes.RouteInfo | None:
    """The next hops that mail to it takes; None: those of the configuration."""
    found = (routes.find(one) for one in dict.fromkeys((domain, *owners_of_domain(domain))))
    return next((one for one in found if one is not None), None)
