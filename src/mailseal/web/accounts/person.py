"""One account, for administrators: change it, give its owner a link, take what gets in by it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailseal.store.accounts import accounts, links, lockout, sessions, tokens
from mailseal.store.accounts.accounts import AccountInfo
from mailseal.store.accounts.errors import AccountError, NoAccountError, StaleAccountError
from mailseal.store.accounts.roles import Role
from mailseal.web.access import Area, Verb
from mailseal.web.accounts.confirmed import confirmed
from mailseal.web.accounts.people import AccountForm, form_of
from mailseal.web.accounts.words import ROLES, in_words
from mailseal.web.guard import needs, principal


@dataclass(frozen=True, slots=True)
class Step:
    """What can be done to an account, after a question. `tone` is that of its button."""

    question: str | Promise
    button: str | Promise
    done: str | Promise
    act: Callable[[UUID], object]
    tone: str = "danger"


def _deactivate(account_id: UUID) -> None:
    accounts.set_active(account_id, active=False)


def _activate(account_id: UUID) -> None:
    accounts.set_active(account_id, active=True)


def _reset(account_id: UUID) -> None:
    info = accounts.reset(account_id)
    lockout.forget([info.email, str(info.id)])


STEPS: Mapping[str, Step] = {
    "deactivate": Step(
        gettext_lazy("Let this person in no longer? Their sessions, tokens and links end at once."),
        gettext_lazy("Deactivate"),
        gettext_lazy("The account is deactivated."),
        _deactivate,
    ),
    "activate": Step(
        gettext_lazy("Let this person in again? Their password and second factors are as they were."),
        gettext_lazy("Activate"),
        gettext_lazy("The account is active."),
        _activate,
        "primary",
    ),
    "reset": Step(
        gettext_lazy(
            "Take this person's password, second factors, sessions and tokens? They get in again by a one-time link."
        ),
        gettext_lazy("Reset"),
        gettext_lazy("The account is reset. Make a one-time link for its owner."),
        _reset,
    ),
    "end-sessions": Step(
        gettext_lazy("End all sessions of this person? They sign in again."),
        gettext_lazy("End sessions"),
        gettext_lazy("The sessions have ended."),
        sessions.end_all,
    ),
}
"""By the last word of the URL."""


@needs(Area.ACCOUNTS)
def person(request: HttpRequest, account_id: UUID) -> HttpResponseBase:
    """Show an account; who may, changes it (`change`)."""
    info = _info(account_id)
    facts = _facts(info, form_of(info)) | {"may_change": principal(request).may(Area.ACCOUNTS, Verb.CHANGE)}
    return render(request, "accounts/one.html", facts)


@needs(Area.ACCOUNTS, Verb.CHANGE)
@confirmed
def change(request: HttpRequest, account_id: UUID) -> HttpResponseBase:
    """Save name, roles and domains; the page again, with both, when somebody else was faster."""
    info = _info(account_id)
    form = AccountForm(request.POST)
    if request.method != "POST":
        return redirect("account_of", account_id=account_id)
    if form.is_valid():
        try:
            accounts.change(account_id, **form.chosen(), expected=form.cleaned_data["version"])
        except StaleAccountError as error:
            data = request.POST.copy()
            data["version"] = info.version
            form.data = data
            form.add_error(None, in_words(error))
            facts = _facts(info, form) | {"now": form_of(info)}
            return render(request, "accounts/one.html", facts, status=409)
        except AccountError as error:
            form.add_error(None, in_words(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("account_of", account_id=account_id)
    return render(request, "accounts/one.html", _facts(info, form))


@needs(Area.ACCOUNTS, Verb.CHANGE)
@confirmed
def step(request: HttpRequest, account_id: UUID, name: str) -> HttpResponseBase:
    """Ask, then do one of STEPS."""
    info, chosen = _info(account_id), STEPS.get(name)
    if chosen is None:
        raise Http404
    if request.method == "POST":
        try:
            chosen.act(account_id)
        except AccountError as error:
            messages.error(request, in_words(error))
        else:
            messages.success(request, str(chosen.done))
        return redirect("account_of", account_id=account_id)
    return render(request, "accounts/step.html", {"info": info, "step": chosen, "name": name})


@needs(Area.ACCOUNTS, Verb.CHANGE)
@confirmed
def make_link(request: HttpRequest, account_id: UUID) -> HttpResponseBase:
    """Ask, then make a one-time link and show it, in this one answer."""
    info = _info(account_id)
    if request.method != "POST":
        return render(request, "accounts/make_link.html", {"info": info})
    try:
        secret, expires = links.make(account_id)
    except AccountError as error:
        messages.error(request, in_words(error))
        return redirect("account_of", account_id=account_id)
    lockout.forget([info.email, str(info.id)])
    url = f"{request.build_absolute_uri(reverse('account_link'))}#{secret}"
    return render(request, "accounts/link.html", {"info": info, "link": url, "expires": expires})


def _info(account_id: UUID) -> AccountInfo:
    try:
        return accounts.find(account_id)
    except NoAccountError:
        raise Http404 from None


def _facts(info: AccountInfo, form: AccountForm) -> dict[str, Any]:
    return {
        "info": info,
        "roles": [ROLES[role] for role in Role if role in info.roles],
        "form": form,
        "may_change": True,
        "sessions": sessions.list_sessions(info.id, ""),
        "tokens": tokens.list_tokens(info.id),
    }
