"""OpenID Connect providers, for administrators."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailseal.store.accounts import providers
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.providers import Provider
from mailseal.web import secrets
from mailseal.web.access import Area, Verb
from mailseal.web.accounts.confirmed import confirmed
from mailseal.web.accounts.providers import PURPOSE
from mailseal.web.accounts.words import in_words
from mailseal.web.guard import needs


class ProviderForm(forms.Form):
    """A provider; its secret is never shown again."""

    id = forms.CharField(
        label=gettext_lazy("Short name"), max_length=30, help_text=gettext_lazy("Part of the callback URL.")
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=providers.MAX_CHARS)
    issuer = forms.CharField(label=gettext_lazy("Issuer"), max_length=500, help_text="https://login.example.com/realm")
    client_id = forms.CharField(label=gettext_lazy("Client ID"), max_length=providers.MAX_CHARS)
    secret = forms.CharField(
        label=gettext_lazy("Client secret"),
        max_length=1000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Left empty, it stays as it is."),
    )
    domains = forms.CharField(
        label=gettext_lazy("Believed for these domains"),
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=10_000,
        help_text=gettext_lazy("One a line: whose addresses the provider may vouch for."),
    )
    asks_second_factor = forms.BooleanField(
        label=gettext_lazy("The provider asks for a second factor itself"),
        required=False,
        help_text=gettext_lazy("Who signs in by it then needs none here."),
    )


@needs(Area.ACCOUNTS, Verb.CHANGE)
@confirmed
def edit(request: HttpRequest, provider_id: str = "") -> HttpResponseBase:
    """Add a provider or change one."""
    known = next((one for one in providers.list_providers() if one.id == provider_id), None)
    if provider_id and known is None:
        raise Http404
    form = ProviderForm(request.POST if request.method == "POST" else None, initial=_initial(known))
    form.fields["id"].disabled = known is not None
    if request.method == "POST" and form.is_valid():
        try:
            _save(form.cleaned_data)
        except AccountError as error:
            form.add_error(None, in_words(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("accounts")
    callback = reverse("openid_connect_callback", kwargs={"provider_id": provider_id or "SHORT-NAME"})
    facts = {"form": form, "known": known, "callback": request.build_absolute_uri(callback)}
    return render(request, "accounts/provider.html", facts)


@needs(Area.ACCOUNTS, Verb.CHANGE)
@confirmed
def remove(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Ask, then delete it."""
    if request.method != "POST":
        return render(request, "accounts/provider_remove.html", {"provider_id": provider_id})
    try:
        providers.remove(provider_id)
        messages.success(request, _("The provider is removed."))
    except AccountError as error:
        messages.error(request, in_words(error))
    return redirect("accounts")


def _save(found: dict[str, Any]) -> None:
    provider = Provider(
        found["id"],
        found["name"],
        found["issuer"].rstrip("/"),
        found["client_id"],
        frozenset(found["domains"].split()),
        found["asks_second_factor"],
    )
    providers.save(provider, secrets.seal(found["secret"], purpose=PURPOSE) if found["secret"] else None)


def _initial(known: Provider | None) -> dict[str, Any]:
    if known is None:
        return {}
    return {
        "id": known.id,
        "name": known.name,
        "issuer": known.issuer,
        "client_id": known.client_id,
        "domains": "\n".join(sorted(known.domains)),
        "asks_second_factor": known.asks_second_factor,
    }
