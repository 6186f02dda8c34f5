"""The message log: what became of each copy of each mail; and one mail's page, which says how and why."""

import time
from itertools import dropwhile
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from mailseal.store import log
from mailseal.store.log import LogFilter, LogFilterError, LogPage
from mailseal.store.log_search import BUDGET_SECONDS
from mailseal.web.access import Area, Principal
from mailseal.web.console.mail_filter import Filter
from mailseal.web.console.mail_story import Story, story
from mailseal.web.guard import needs, principal
from mailseal.web.told import told

ROWS = 50
SIMULATED = 20
RECIPIENTS = 200
"""Rows of one mail that its page shows; the rest is in the log."""


LINKS = ("before", "as", "open")
"""What a link to older mail says besides what is looked for: behind which row, as what the word in the search box is
taken, and, as long as nothing was found so, that it may still be taken for something else.
"""


@needs(Area.LOG)
def listed(request: HttpRequest) -> HttpResponse:
    """A page of the log."""
    form = Filter(request.GET or None)
    page, meaning = LogPage(()), ""
    asked = {name: value for name, value in request.GET.items() if value and name not in LINKS}
    before = _key(request.GET.get("before"))
    if form.is_bound and not form.is_valid():
        form.add_error(None, _("This cannot be looked for; see the fields below."))
    else:
        page, meaning = _page(request, form, before)
    older = {"before": str(page.next), "as": meaning}
    if not page.entries and (before is None or "open" in request.GET):
        older["open"] = "1"
    context = {
        "form": form,
        "page": page,
        "asked": asked,
        "subjects": any(one.subject for one in page.entries),
        "newest": f"?{urlencode(asked)}" if before else "",
        "older": f"?{urlencode({**asked, **older})}" if page.next else "",
    }
    template = "mails/rows.html" if getattr(request, "htmx", False) else "mails/list.html"
    return render(request, template, context, status=422 if form.errors else 200)


def _page(request: HttpRequest, form: Filter, before: UUID | None) -> tuple[LogPage, str]:
    """The rows, and as what they take the word; all that it may mean has together the time of one search."""
    give_up_at = time.monotonic() + BUDGET_SECONDS
    failure = None
    for meaning, wanted in _tries(request, form, before):
        left = max(0.0, give_up_at - time.monotonic())
        try:
            page = log.page(wanted, before=before, limit=ROWS, budget_seconds=left)
        except LogFilterError as error:
            failure = error
            continue
        failure = None
        if page.entries or page.next:
            return page, meaning
        before = None
    if failure is not None:
        form.add_error(None, told(str(failure)))
    return LogPage(()), ""


def _tries(request: HttpRequest, form: Filter, before: UUID | None) -> list[tuple[str, LogFilter]]:
    domains = principal(request).domains_for(Area.LOG)
    found = list(form.filters(domains)) if form.is_bound else [("", LogFilter(domains=domains))]
    if before is None:
        return found
    chosen = request.GET.get("as", found[0][0])
    rest = list(dropwhile(lambda one: one[0] != chosen, found))
    if not rest:
        raise Http404
    return rest if "open" in request.GET else rest[:1]


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
    mail = story(found.entries, who)
    context = {"mail": mail, "more": found.next, "list": reverse("mails"), "simulate": _simulation(mail, who)}
    return render(request, "mails/one.html", context)


def _simulation(mail: Story, who: Principal) -> str:
    """Where the same mail can be tried again, as the settings are now; "" for who may not."""
    if not who.may(Area.SIMULATOR):
        return ""
    recipients = "\n".join(way.recipient for way in mail.ways[:SIMULATED])
    asked = {"sender": mail.sender, "recipients": recipients, "subject": mail.subject}
    return f"{reverse('simulator')}?{urlencode(asked)}"
