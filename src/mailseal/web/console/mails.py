"""The message log: what became of each copy of each mail; and one mail's page, which says how and why."""

from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from mailseal.store import log
from mailseal.store.log import LogFilter, LogFilterError, LogPage
from mailseal.web.access import Area, Principal
from mailseal.web.console.mail_filter import Filter
from mailseal.web.console.mail_story import Story, story
from mailseal.web.guard import needs, principal

ROWS = 50
SIMULATED = 20
RECIPIENTS = 200
"""Rows of one mail that its page shows; the rest is in the log."""


@needs(Area.LOG)
def listed(request: HttpRequest) -> HttpResponse:
    """A page of the log."""
    form = Filter(request.GET or None)
    page, asked = LogPage(()), {name: value for name, value in request.GET.items() if value and name != "before"}
    if form.is_bound and not form.is_valid():
        form.add_error(None, _("This cannot be looked for; see the fields below."))
    else:
        page = _page(request, form)
    before = request.GET.get("before")
    context = {
        "form": form,
        "page": page,
        "asked": asked,
        "subjects": any(one.subject for one in page.entries),
        "newest": f"?{urlencode(asked)}" if before else "",
        "older": f"?{urlencode({**asked, 'before': str(page.next)})}" if page.next else "",
    }
    template = "mails/rows.html" if getattr(request, "htmx", False) else "mails/list.html"
    return render(request, template, context, status=422 if form.errors else 200)


def _page(request: HttpRequest, form: Filter) -> LogPage:
    domains = principal(request).domains_for(Area.LOG)
    before = _key(request.GET.get("before"))
    tries = form.filters(domains) if form.is_bound else iter([LogFilter(domains=domains)])
    page, failure = LogPage(()), None
    for wanted in tries:
        try:
            page = log.page(wanted, before=before, limit=ROWS)
        except LogFilterError as error:
            failure = error
            continue
        failure = None
        if page.entries or page.next:
            break
    if failure is not None:
        form.add_error(None, str(failure))
    return page


def _key(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Http404 from None


@needs(Area.LOG)
def one(request: HttpRequest, message: str) -> HttpResponse:
    """One mail: the way of each copy that who asks may see."""
    who = principal(request)
    found = log.page(LogFilter(message=message, domains=who.domains_for(Area.LOG)), limit=RECIPIENTS)
    if not found.entries:
        raise Http404
    told = story(found.entries, who)
    context = {"mail": told, "more": found.next, "list": reverse("mails"), "simulate": _simulation(told, who)}
    return render(request, "mails/one.html", context)


def _simulation(told: Story, who: Principal) -> str:
    """Where the same mail can be tried again, as the settings are now; "" for who may not."""
    if not who.may(Area.SIMULATOR):
        return ""
    recipients = "\n".join(way.recipient for way in told.ways[:SIMULATED])
    asked = {"sender": told.sender, "recipients": recipients, "subject": told.subject}
    return f"{reverse('simulator')}?{urlencode(asked)}"
