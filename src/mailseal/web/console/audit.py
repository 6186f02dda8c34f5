"""The audit: who changed what, when and from where; whether that is what was recorded; all of it as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods

from mailseal.errors import MailsealError
from mailseal.store import audit, audit_export, audit_signing, console_jobs
from mailseal.store.acting import Way
from mailseal.store.audit import AuditEvent, AuditFilter, Found
from mailseal.store.console_jobs import Failed, StillRunning
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area
from mailseal.web.console import audit_words as words
from mailseal.web.guard import needs

PAGE_ROWS = 50
VERIFY = "audit-verify"


class Filter(forms.Form):
    """What to show."""

    q = forms.CharField(label=_("What was changed contains"), required=False, max_length=OWNER_CHARS)
    area = forms.ChoiceField(label=_("Area"), required=False)
    actor = forms.CharField(label=_("Changed by"), required=False, max_length=OWNER_CHARS)
    way = forms.ChoiceField(label=_("By way of"), required=False)
    since = forms.DateField(label=_("From (UTC)"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To (UTC)"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        areas = [(one, words.area(one)) for one in words.AREAS]
        ways = [(way.value, words.WAYS[way]) for way in Way]
        for name, choices in (("area", areas), ("way", ways)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", _("all")), *choices]

    def clean_until(self) -> datetime | None:
        """The end of that day."""
        until = self.cleaned_data["until"]
        try:
            return None if until is None else datetime.combine(until, time(), UTC) + timedelta(days=1)
        except OverflowError:
            raise forms.ValidationError(_("There are no days after this one.")) from None

    def wanted(self) -> AuditFilter | None:
        """Read; None for what cannot be meant."""
        if not self.is_valid():
            return None
        given = self.cleaned_data
        since = given["since"]
        return AuditFilter(
            area=given["area"] or None,
            containing=given["q"].strip() or None,
            actor=given["actor"].strip() or None,
            way=Way(given["way"]) if given["way"] else None,
            since=None if since is None else datetime.combine(since, time(), UTC),
            until=given["until"],
        )


@needs(Area.AUDIT)
@require_GET
def listed(request: HttpRequest) -> HttpResponse:
    """The newest changes, those that the filter wants; older than one (`before`)."""
    form = Filter(request.GET)
    wanted = form.wanted()
    before = _id(request.GET.get("before", ""))
    found = Found((), None) if wanted is None else audit.search(wanted, before=before, limit=PAGE_ROWS)
    given = {name: request.GET.get(name, "") for name in form.fields if request.GET.get(name)}
    context = {
        "form": form,
        "rows": [_row(one) for one in found.events],
        "filtered": bool(given),
        "query": urlencode(given),
        "newer": f"{reverse('audit')}?{urlencode(given)}" if before else "",
        "older": f"{reverse('audit')}?{urlencode(given | {'before': str(found.rest)})}" if found.rest else "",
    }
    return render(request, "audit/list.html", context, status=200 if wanted is not None else 422)


@needs(Area.AUDIT)
@require_GET
def one(request: HttpRequest, event: UUID) -> HttpResponse:
    """All that is known of one change."""
    found = audit.find_event(event)
    if found is None:
        raise Http404
    same = AuditFilter(area=found.area, subject=found.subject)
    others = [_row(other) for other in audit.list_events(same, limit=PAGE_ROWS) if other.id != found.id]
    return render(request, "audit/one.html", {"row": _row(found), "event": found, "others": others})


@needs(Area.AUDIT)
@require_GET
def export(request: HttpRequest) -> HttpResponseBase:
    """What the filter wants, and all signatures, as JSON lines."""
    wanted = Filter(request.GET).wanted()
    if wanted is None:
        return redirect("audit")
    response = StreamingHttpResponse(_octets(wanted), content_type="application/x-ndjson")
    response.headers["Content-Disposition"] = f'attachment; filename="audit-{datetime.now(UTC):%Y%m%d-%H%M%S}.jsonl"'
    return response


def _octets(wanted: AuditFilter) -> Iterator[bytes]:
    for line in audit_export.lines(wanted):
        yield line.encode()


@needs(Area.AUDIT)
@require_http_methods(["GET", "POST"])
def verify(request: HttpRequest) -> HttpResponse:
    """What is signed; posted: have the worker verify all of it. `job`: one that takes longer."""
    said: object = None
    problem = ""
    job = _id(request.GET.get("job", ""))
    try:
        if request.method == "POST":
            said = console_jobs.call(VERIFY, {})
        elif job is not None:
            found = console_jobs.result(job)
            said, problem = (None, found.text) if isinstance(found, Failed) else (found and found.value, "")
    except StillRunning as running:
        return redirect(f"{reverse('audit-verify')}?job={running.job}")
    except MailsealError as error:
        problem = str(error)
    waits = job is not None and said is None and not problem
    context = {"signed": audit_signing.latest(), "said": said, "problem": problem, "waits": waits}
    return render(request, "audit/verify.html", context, status=503 if problem else 200)


def _row(event: AuditEvent) -> dict[str, Any]:
    return {
        "event": event,
        "area": words.area(event.area),
        "action": words.action(event.action),
        "way": words.WAYS[event.way],
        "differences": words.differences(event),
    }


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
