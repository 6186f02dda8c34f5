"""The form over the message log, and what a word in its search box may mean."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mailseal.policy.model import Fate, MethodName, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.store.log import LogFilter
from mailseal.web.words import DIRECTIONS, FATES, METHODS, TREATMENTS, any_reason_text

ANY = ("", _("Any"))
PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_MAIL_ID = re.compile(r"[0-9a-f]{16}")
_QUEUE_ID = re.compile(r"[0-9A-Za-z]{6,20}")
_DOMAIN = re.compile(r"@?(?:[^\s@.]+\.)+[^\s@.]{2,}")


class Filter(forms.Form):
    """All optional. Times are UTC."""

    q = forms.CharField(label=_("Search"), required=False, max_length=400)
    fate = forms.ChoiceField(
        label=_("Outcome"), required=False, choices=[ANY, *((one.value, FATES[one].text) for one in Fate)]
    )
    period = forms.ChoiceField(
        label=_("Time"),
        required=False,
        choices=[
            ("", _("All")), ("1h", _("Last hour")), ("24h", _("Last 24 hours")), ("7d", _("Last 7 days")),
            ("30d", _("Last 30 days")),
        ],
    )  # fmt: skip
    direction = forms.ChoiceField(
        label=_("Direction"), required=False, choices=[ANY, *((name, word.text) for name, word in DIRECTIONS.items())]
    )
    sender = forms.CharField(label=_("Sender"), required=False, max_length=400)
    recipient = forms.CharField(label=_("Recipient"), required=False, max_length=400)
    subject = forms.CharField(label=_("Subject"), required=False, max_length=200)
    treatment = forms.ChoiceField(
        label=_("Protection"), required=False, choices=[ANY, *((one.value, TREATMENTS[one].text) for one in Treatment)]
    )
    method = forms.ChoiceField(
        label=_("Method"), required=False, choices=[ANY, *((one.value, METHODS[one]) for one in MethodName)]
    )
    reason = forms.ChoiceField(label=_("Reason"), required=False)
    since = forms.DateTimeField(label=_("From (UTC)"), required=False)
    until = forms.DateTimeField(label=_("Until (UTC)"), required=False)

    FIRST = ("q", "fate", "direction", "period")
    """What is always shown."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["q"].widget.attrs |= {"type": "search", "autocomplete": "off", "spellcheck": "false"}
        reasons = self.fields["reason"]
        assert isinstance(reasons, forms.ChoiceField)
        reasons.choices = [ANY, *((one.value, any_reason_text(one)) for one in ReasonCode)]
        for name in ("since", "until"):
            self.fields[name].widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    @property
    def more_is_used(self) -> bool:
        """Whether any of the fields that are folded away has a value, or an error."""
        hidden = self.fields.keys() - set(self.FIRST)
        return any(self[name].value() for name in hidden)

    def filters(self, domains: frozenset[str] | None) -> Iterator[tuple[str, LogFilter]]:
        """What may be meant, the likeliest first, and as what that takes the word; for a valid form."""
        given = {name: value or None for name, value in self.cleaned_data.items()}
        since = given["since"]
        if period := PERIODS.get(given["period"] or ""):
            since = max(filter(None, (since, datetime.now(UTC) - period)))
        whole = LogFilter(
            sender=given["sender"],
            recipient=given["recipient"],
            subject=given["subject"],
            direction=given["direction"],
            fate=given["fate"] and Fate(given["fate"]),
            treatment=given["treatment"] and Treatment(given["treatment"]),
            method=given["method"] and MethodName(given["method"]),
            reason=given["reason"] and ReasonCode(given["reason"]),
            since=since,
            until=given["until"],
            domains=domains,
        )
        word = given["q"]
        if word is None:
            return iter([("", whole)])
        return (("+".join(one), replace(whole, **one)) for one in meanings(word))


def meanings(word: str) -> Iterator[dict[str, Any]]:
    """What a word may be, the likeliest first: fields of LogFilter."""
    word = word.strip()
    if word.startswith("<") and word.endswith(">") and len(word) > len("<>"):
        yield {"message_id": word}
    elif word == "<>":
        yield {"sender": word}
    elif "@" in word.removeprefix("@") and " " not in word:
        yield {"party": word}
        yield {"message_id": f"<{word}>"}
    else:
        if _DOMAIN.fullmatch(word):
            yield {"party": word}
        if _MAIL_ID.fullmatch(word):
            yield {"message": word}
        if _QUEUE_ID.fullmatch(word):
            yield {"queue_id": word}
        yield {"subject": word}
