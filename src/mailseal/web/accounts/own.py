"""One's own account: name and language, how one signs in, where one has signed in, API tokens."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailseal.store.accounts import accounts, factors, sessions, tokens
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import NAME_CHARS, Account
from mailseal.web.accounts.words import ROLES
from mailseal.web.guard import needs


class ProfileForm(forms.Form):
    """What everybody may change of themselves."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=NAME_CHARS, required=False)
    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=[("", gettext_lazy("As the browser asks")), ("en", "English"), ("de", "Deutsch")],
        required=False,
    )


def own_account(request: HttpRequest) -> Account:
    """Who has signed in; for views behind the guard."""
    assert isinstance(request.user, Account)
    return request.user


@needs(None)
def own(request: HttpRequest) -> HttpResponseBase:
    """Show it, or change name and language."""
    account = own_account(request)
    form = ProfileForm(request.POST or None, initial={"name": account.name, "language": account.language})
    if request.method == "POST" and form.is_valid():
        accounts.set_profile(account.pk, name=form.cleaned_data["name"], language=form.cleaned_data["language"])
        messages.success(request, _("Saved."))
        return redirect("account")
    info = accounts.find(account.pk)
    facts = {
        "form": form,
        "info": info,
        "roles": [ROLES[role] for role in sorted(info.roles)],
        "domains": sorted(info.domains),
        "second_factors": factors.kinds_of([account.pk]).get(account.pk, frozenset()),
        "session_count": len(sessions.list_sessions(account.pk, "")),
        "token_count": len(tokens.list_tokens(account.pk)),
    }
    return render(request, "account/own.html", facts)


@needs(None)
def session_list(request: HttpRequest) -> HttpResponseBase:
    """Where one has signed in; POST ends one session, or all but this one."""
    account, key = own_account(request), str(request.session.session_key or "")
    if request.method == "POST":
        chosen = request.POST.get("session", "")
        try:
            if chosen == "others":
                sessions.end_all(account.pk, but=key)
            elif chosen.isascii() and chosen.isdecimal():
                sessions.end(account.pk, int(chosen[:18]))
            messages.success(request, _("Ended."))
        except AccountError:
            messages.info(request, _("That session had ended before."))
        return redirect("usersessions_list")
    found = sessions.list_sessions(account.pk, key)
    return render(request, "account/sessions.html", {"sessions": found})
