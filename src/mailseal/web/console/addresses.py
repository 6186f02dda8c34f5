"""Addresses that something was set up for: what the methods can do for each now, and why not; added and deleted."""

from datetime import datetime

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from mailseal.mail.address import Address, AddressError
from mailseal.store import addresses, certificate_admin, pgp_admin
from mailseal.store.abilities import StoreAbilities
from mailseal.store.addresses import AddressInfo
from mailseal.store.row import OWNER_CHARS, utc_now
from mailseal.web.access import Area, Verb
from mailseal.web.console import abilities
from mailseal.web.console.scope import allowed, seen
from mailseal.web.console.setting_fields import settings_of
from mailseal.web.forgetting import forget
from mailseal.web.guard import needs, principal
from mailseal.web.told import told

PAGE_ROWS = 50
MAX_KEYS = 50
_AREA = Area.ADDRESSES


class NewAddress(forms.Form):
    """An address to add."""

    address = forms.CharField(label=_("Address"), max_length=OWNER_CHARS)

    def clean_address(self) -> Address:
        """Read."""
        try:
            return Address.parse(self.cleaned_data["address"])
        except AddressError as error:
            raise forms.ValidationError(told(str(error))) from None


@needs(_AREA)
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """Those that may be seen, by name: of a domain (`domain`), with a text (`q`); posted: one more."""
    form = NewAddress(request.POST or None)
    if request.method == "POST" and form.is_valid():
        address = form.cleaned_data["address"]
        principal(request).require(_AREA, Verb.CHANGE, domain=address.domain)
        new = addresses.add(address)
        text = gettext("%s was added.") if new else gettext("%s was there already.")
        messages.success(request, text % address)
        return redirect("address", str(address))
    text, domain, after = (request.GET.get(name, "")[:OWNER_CHARS].strip() for name in ("q", "domain", "after"))
    within = principal(request).domains_for(_AREA)
    found = addresses.list_addresses(domain=domain or None, domains=within, text=text, after=after, limit=PAGE_ROWS + 1)
    asker, now = StoreAbilities(), utc_now()
    rows = [(one, *_judged(asker, one, now)) for one in found[:PAGE_ROWS]]
    context = {
        "rows": rows,
        "older": _more(found[PAGE_ROWS - 1].key, text, domain) if len(found) > PAGE_ROWS else "",
        "q": text,
        "domain": domain,
        "form": form if principal(request).may(_AREA, Verb.CHANGE) else None,
    }
    return render(request, "addresses/list.html", context, status=422 if form.errors else 200)


@needs(_AREA)
@require_http_methods(["GET"])
def one(request: HttpRequest, address: str) -> HttpResponse:
    """What counts for an address, whether something was set up for it or not."""
    found = _read(request, address)
    asker = StoreAbilities()
    party = asker.party(found)
    who = principal(request)
    certificates = who.may_for(found.domain, Area.CERTIFICATES)
    pgp_keys = who.may_for(found.domain, Area.PGP)
    context = {
        "address": found,
        "info": addresses.find(found),
        "party": party,
        "methods": abilities.rows(asker.of(found, utc_now())),
        "own": settings_of(found.key),
        "certificates": certificate_admin.list_certificates(address=found, limit=MAX_KEYS) if certificates else (),
        "pgp_keys": pgp_admin.list_keys(address=found, limit=MAX_KEYS) if pgp_keys else (),
        "now": utc_now(),
        "may_change": who.may_for(found.domain, _AREA, Verb.CHANGE),
        "may_settings": who.may_for(found.domain, Area.SETTINGS),
        "may_log": who.may_for(found.domain, Area.LOG),
        "may_simulate": who.may(Area.SIMULATOR),
    }
    return render(request, "addresses/one.html", context)


@needs(_AREA, Verb.CHANGE)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, address: str) -> HttpResponse:
    """Ask; posted: forget it with its settings and what was chosen for it by hand."""
    found = _read(request, address)
    allowed(request, _AREA, Verb.CHANGE, found.domain)
    info = addresses.find(found)
    if request.method != "POST":
        if info is None:
            raise Http404
        return render(request, "addresses/delete.html", {"address": found, "info": info})
    forget(principal(request), found)
    messages.success(request, gettext("%s was deleted.") % found)
    return redirect("addresses")


def _read(request: HttpRequest, text: str) -> Address:
    try:
        found = Address.parse(text)
    except AddressError:
        raise Http404 from None
    seen(request, _AREA, found.domain)
    return found


def _judged(asker: StoreAbilities, info: AddressInfo, now: datetime) -> tuple[bool, list[abilities.Row]]:
    """Whether it is internal, and what the methods can do for it."""
    address = Address.parse(info.text)
    return asker.party(address).internal, abilities.rows(asker.of(address, now))


def _more(after: str, text: str, domain: str) -> str:
    given = {"q": text, "domain": domain, "after": after}
    return f"{reverse('addresses')}?{urlencode({name: value for name, value in given.items() if value})}"
