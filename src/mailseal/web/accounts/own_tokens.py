"""One's own API tokens: made with a purpose and an end, shown once, revoked."""

from datetime import timedelta
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailseal.store.accounts import tokens
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import NAME_CHARS
from mailseal.store.row import utc_now
from mailseal.web.access import Principal
from mailseal.web.accounts.confirmed import confirmed
from mailseal.web.accounts.own import own_account
from mailseal.web.accounts.words import AREAS, SCOPES, VERBS, in_words
from mailseal.web.guard import needs, principal

DAYS = (7, 30, 90, 365)


class TokenForm(forms.Form):
    """`scopes` offers what its owner may do; none chosen is not all."""

    name = forms.CharField(label=gettext_lazy("What for"), max_length=NAME_CHARS)
    days = forms.TypedChoiceField(label=gettext_lazy("Good for"), coerce=int, initial=90)
    reach = forms.ChoiceField(
        label=gettext_lazy("It may do"),
        choices=[("chosen", gettext_lazy("Only what is chosen below")), ("all", gettext_lazy("All that I may"))],
        initial="chosen",
        widget=forms.RadioSelect,
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Chosen"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, data: object, who: Principal) -> None:
        super().__init__(data)  # type: ignore[arg-type]  # a QueryDict or None
        days = self.fields["days"]
        scopes = self.fields["scopes"]
        assert isinstance(days, forms.TypedChoiceField)
        assert isinstance(scopes, forms.MultipleChoiceField)
        days.choices = [(count, _("%(count)d days") % {"count": count}) for count in DAYS]
        scopes.choices = [
            (f"{area.value}:{verb.value}", f"{AREAS[area]}: {VERBS[verb]}")
            for area, verb in SCOPES
            if who.may(area, verb)
        ]

    def clean(self) -> dict[str, object]:
        """Something has to be chosen."""
        found = super().clean() or {}
        if found.get("reach") == "chosen" and not found.get("scopes"):
            self.add_error("scopes", _("Choose what the token may do."))
        return found


@needs(None)
def token_list(request: HttpRequest) -> HttpResponseBase:
    """Show them."""
    account = own_account(request)
    facts = {"tokens": tokens.list_tokens(account.pk), "now": utc_now()}
    return render(request, "account/tokens.html", facts)


@needs(None)
@confirmed
def make(request: HttpRequest) -> HttpResponseBase:
    """Make one; its secret is in this one answer, and nowhere else."""
    account = own_account(request)
    form = TokenForm(request.POST if request.method == "POST" else None, principal(request))
    if request.method == "POST" and form.is_valid():
        found = form.cleaned_data
        scopes = None if found["reach"] == "all" else found["scopes"]
        try:
            token, secret = tokens.make(account.pk, found["name"], scopes, utc_now() + timedelta(days=found["days"]))
        except AccountError as error:
            form.add_error(None, in_words(error))
        else:
            return render(request, "account/token_made.html", {"token": token, "secret": secret})
    return render(request, "account/token_new.html", {"form": form})


@needs(None)
def revoke(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Ask, then delete it."""
    account = own_account(request)
    found = next((one for one in tokens.list_tokens(account.pk) if one.id == token_id), None)
    if found is None:
        raise Http404
    if request.method == "POST":
        tokens.revoke(account.pk, token_id)
        messages.success(request, _("The token is revoked."))
        return redirect("account_tokens")
    return render(request, "account/token_revoke.html", {"token": found})
