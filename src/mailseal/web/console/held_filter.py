"""What to look for in the quarantine, as its filter form and its links say it."""

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from mailseal.policy.held import WhyHeld
from mailseal.store.quarantine import OPEN, HeldFilter, State
from mailseal.web.console.held_words import STATES, WHYS

ALL = "all"


class Filter(forms.Form):
    """Each left out is anything; states are those in which a mail is still here."""

    sender = forms.CharField(label=_("Sender or its domain"), required=False, max_length=400)
    recipient = forms.CharField(label=_("Recipient or its domain"), required=False, max_length=400)
    why = forms.ChoiceField(
        label=_("Why"),
        required=False,
        choices=[("", _("Anything")), *((name.value, WHYS[name].text) for name in WhyHeld)],
    )
    state = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[
            ("", _("Still here")),
            *((name.value, STATES[name].text) for name in State),
            (ALL, _("In every state")),
        ],
    )
    asked = forms.BooleanField(label=_("A second person is asked"), required=False)

    def wanted(self, domains: frozenset[str] | None) -> HeldFilter:
        """For a valid form, of these domains only (None: of all)."""
        given = self.cleaned_data
        states: tuple[State, ...] | None = OPEN
        if given["state"]:
            states = None if given["state"] == ALL else (State(given["state"]),)
        return HeldFilter(
            sender=given["sender"] or None,
            recipient=given["recipient"] or None,
            states=states,
            why=WhyHeld(given["why"]) if given["why"] else None,
            domains=domains,
            asked=given["asked"],
        )


def query(given: QueryDict, **more: str) -> str:
    """The query string of the same filter, with more."""
    found = {name: str(given[name]) for name in Filter.base_fields if given.get(name)}
    made = QueryDict(mutable=True)
    made.update(found | more)
    return made.urlencode()
