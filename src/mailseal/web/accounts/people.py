"""The accounts of all, for administrators: who they are, what for, whether they may sign in."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailseal.store.accounts import accounts, providers
from mailseal.store.accounts.accounts import PAGE_ROWS, AccountInfo
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import EMAIL_CHARS, NAME_CHARS
from mailseal.store.accounts.roles import Role
from mailseal.web.access import Area, Verb
from mailseal.web.accounts.confirmed import confirmed
from mailseal.web.accounts.words import ROLE_HELP, ROLES, in_words
from mailseal.web.guard import needs, principal

MAX_SEARCH_CHARS = 200


class AccountForm(forms.Form):
    """What an administrator sets of an account. `version`: of what was shown."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=NAME_CHARS, required=False)
    roles = forms.MultipleChoiceField(
        label=gettext_lazy("Roles"),
        choices=[(role.value, role.value) for role in Role],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    domains = forms.CharField(
        label=gettext_lazy("Domains"),
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        max_length=20_000,
        help_text=gettext_lazy("Of a domain administrator, one a line."),
    )
    version = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: Any = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        roles = self.fields["roles"]
        assert isinstance(roles, forms.MultipleChoiceField)
        roles.choices = [(role.value, f"{ROLES[role]}: {ROLE_HELP[role]}") for role in Role]

    def chosen(self) -> dict[str, Any]:
        """For the functions of the store."""
        found = self.cleaned_data
        return {
            "name": found["name"],
            "roles": [Role(role) for role in found["roles"]],
            "domains": found["domains"].split(),
        }


class NewAccountForm(AccountForm):
    """With the address by which somebody will sign in."""

    email = forms.CharField(
        label=gettext_lazy("Email address"),
        max_length=EMAIL_CHARS,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("email", "name", "roles", "domains")


@needs(Area.ACCOUNTS)
def people(request: HttpRequest) -> HttpResponseBase:
    """A page of them by address."""
    search = request.GET.get("search", "").strip()[:MAX_SEARCH_CHARS]
    found = accounts.list_accounts(after=request.GET.get("after", "")[:EMAIL_CHARS], search=search)
    rows = [{"info": one, "roles": _roles(one)} for one in found]
    facts = {
        "rows": rows,
        "search": search,
        "older": found[-1].email if len(found) == PAGE_ROWS else "",
        "newer": bool(request.GET.get("after")),
        "providers": providers.list_providers(),
        "may_change": principal(request).may(Area.ACCOUNTS, Verb.CHANGE),
    }
    return render(request, "accounts/list.html", facts)


@needs(Area.ACCOUNTS, Verb.CHANGE)
@confirmed
def new(request: HttpRequest) -> HttpResponseBase:
    """Make an account."""
    form = NewAccountForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = accounts.create(form.cleaned_data["email"], **form.chosen())
        except AccountError as error:
            form.add_error(None, in_words(error))
        else:
            messages.success(request, _("The account is made. Give its owner a one-time link, by which they sign in."))
            return redirect("account_of", account_id=made.id)
    return render(request, "accounts/new.html", {"form": form})


def form_of(info: AccountInfo) -> AccountForm:
    """What is set now."""
    initial = {
        "name": info.name,
        "roles": sorted(role.value for role in info.roles),
        "domains": "\n".join(sorted(info.domains)),
        "version": info.version,
    }
    return AccountForm(initial=initial)


def _roles(info: AccountInfo) -> list[Any]:
    return [ROLES[role] for role in Role if role in info.roles]
