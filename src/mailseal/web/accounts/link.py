"""The page of one-time links: the secret comes behind the # and is put into the form by the page's script.

Without script it is copied into the field by hand.
"""

from allauth.account.internal.flows.logout import logout
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from mailseal.store.accounts import links, passwords
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.passwords import WeakPasswordError
from mailseal.web.accounts.words import in_words


class LinkForm(forms.Form):
    """The secret and the password, twice."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=200,
        strip=True,
        help_text=gettext_lazy("What stands behind the # of the link."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "data-from-link": "", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label=gettext_lazy("New password"),
        max_length=passwords.MAX_CHARS,
        strip=False,
        help_text=gettext_lazy("At least 12 characters; a few words that nobody guesses are good."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=gettext_lazy("New password once more"),
        max_length=passwords.MAX_CHARS,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, object]:
        """Both are the same."""
        found = super().clean() or {}
        if "password" in found and "again" in found and found["password"] != found["again"]:
            self.add_error("again", _("This is another password."))
        return found


@sensitive_post_parameters()
@never_cache
def link(request: HttpRequest) -> HttpResponseBase:
    """Show the form; set the password. Who is signed in here, as anybody, is signed out."""
    form = LinkForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _use(form):
        if request.user.is_authenticated:
            logout(request, show_message=False)
        messages.success(request, _("Your password is set. Sign in with it."))
        return redirect("account_login")
    return render(request, "account/link.html", {"form": form})


def _use(form: LinkForm) -> bool:
    """There is no delay: a secret of 256 bits is not guessed, and no password is calculated before it is right."""
    try:
        links.use(form.cleaned_data["code"], form.cleaned_data["password"])
    except WeakPasswordError as error:
        form.add_error("password", in_words(error))
    except AccountError as error:
        form.add_error("code", in_words(error))
    return form.is_valid()
