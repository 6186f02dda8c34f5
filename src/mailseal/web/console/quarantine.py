"""The quarantine: what is held, one mail with what was done with it, and its safe view."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from mailseal.store import console_jobs, quarantine_events
from mailseal.store import quarantine as held_mails
from mailseal.store.console_jobs import ActionFailed, Failed, Json, StillRunning
from mailseal.store.log import LogFilterError
from mailseal.store.quarantine import HeldMail, NotHeldError, State
from mailseal.store.row import utc_now
from mailseal.web.access import Area, Verb
from mailseal.web.console.held_filter import Filter, query
from mailseal.web.console.held_words import EVENTS, STATES, WAYS, WHYS, word
from mailseal.web.console.scope import allowed, seen
from mailseal.web.guard import needs, principal
from mailseal.web.told import told
from mailseal.web.words import reason_text

PAGE_ROWS = 50
MAX_EVENTS = 200
MAX_DAYS = 3650
_AREA = Area.QUARANTINE


@needs(_AREA)
@require_http_methods(["GET"])
def listed(request: HttpRequest) -> HttpResponse:
    """The newest that may be seen, by a filter; `before` is the last one of the page before."""
    form = Filter(request.GET)
    found: tuple[HeldMail, ...] = ()
    if form.is_valid():
        wanted = form.wanted(principal(request).domains_for(_AREA))
        try:
            found = held_mails.search(wanted, before=_before(request), limit=PAGE_ROWS + 1)
        except LogFilterError as error:
            form.add_error(None, told(str(error)))
    rows = [_row(one) for one in found[:PAGE_ROWS]]
    context = {
        "form": form,
        "rows": rows,
        "older": f"?{query(request.GET, before=str(found[PAGE_ROWS - 1].id))}" if len(found) > PAGE_ROWS else "",
        "newer": f"?{query(request.GET)}" if "before" in request.GET else "",
        "is_filtered": bool(query(request.GET)),
    }
    return render(request, "quarantine/list.html", context, status=400 if form.errors else 200)


@needs(_AREA)
@require_http_methods(["GET"])
def one(request: HttpRequest, held: UUID) -> HttpResponse:
    """One mail, without anything of its content: why it is held, what was done with it, what can be."""
    return shown(request, found(request, held))


def shown(request: HttpRequest, mail: HeldMail, *, status: int = 200) -> HttpResponse:
    """The page of a mail that may be seen."""
    who = principal(request)
    may = {verb.value: who.may_for(mail.domain, _AREA, verb) for verb in Verb}
    is_asker = mail.asked_by == who.actor.key
    events = quarantine_events.list_events(mail.id, limit=MAX_EVENTS)
    asker = next((one.actor.name for one in events if mail.asked_by and one.actor.key == mail.asked_by), "")
    context = _row(mail) | {
        "way": word(WAYS, mail.way).text if mail.way else "",
        "reasons": [reason_text(one) for one in mail.reasons],
        "may": may,
        "is_held": mail.state is State.HELD,
        "is_open": mail.state in held_mails.OPEN,
        "is_asker": is_asker,
        "asker": asker,
        "may_deny": may["approve"] or (is_asker and may["release"]),
        "may_log": who.may_for(mail.domain, Area.LOG),
        "version": version(mail),
        "days_left": max(1, (mail.expires - utc_now()).days),
        "max_days": MAX_DAYS,
        "events": [
            {
                "tone": word(EVENTS, event.action).tone,
                "title": word(EVENTS, event.action).text,
                "time": event.time,
                "text": event.actor.name,
                "details": [word(WHYS, event.note).text] if event.note else [],
            }
            for event in events
        ],
    }
    return render(request, "quarantine/one.html", context, status=status)


@needs(_AREA, Verb.CONTENT)
@require_POST
def view(request: HttpRequest, held: UUID) -> HttpResponse:
    """The safe view, made by the job worker. Posted, since that somebody has looked is recorded."""
    mail = found(request, held)
    allowed(request, _AREA, Verb.CONTENT, mail.domain)
    domains = principal(request).domains_for(_AREA, Verb.CONTENT)
    limits = None if domains is None else sorted(domains)
    try:
        content = console_jobs.call("quarantine-view", {"id": str(held), "domains": limits})
    except StillRunning as running:
        return redirect("held-view", held, running.job)
    except ActionFailed as error:
        return _failed(request, mail, str(error), transient=error.transient)
    return _content(request, mail, content)


@needs(_AREA, Verb.CONTENT)
@require_http_methods(["GET"])
def view_later(request: HttpRequest, held: UUID, job: UUID) -> HttpResponse:
    """The safe view that takes longer, for who asked for it."""
    mail = found(request, held)
    allowed(request, _AREA, Verb.CONTENT, mail.domain)
    said = console_jobs.result(job)
    if said is None:
        return render(request, "quarantine/wait.html", {"mail": mail, "job": job})
    if isinstance(said, Failed):
        return _failed(request, mail, said.text, transient=said.transient)
    return _content(request, mail, said.value)


def found(request: HttpRequest, held: UUID) -> HeldMail:
    """A mail that who asks may see; raises Http404."""
    try:
        mail = held_mails.find(held)
    except NotHeldError:
        raise Http404 from None
    seen(request, _AREA, mail.domain)
    return mail


def version(mail: HeldMail) -> str:
    """Another text when something was done with it."""
    return f"{mail.state}.{mail.releases}.{mail.asked_by}.{mail.expires.timestamp()}"


def _content(request: HttpRequest, mail: HeldMail, content: Json) -> HttpResponse:
    return render(request, "quarantine/view.html", _row(mail) | {"content": content})


def _failed(request: HttpRequest, mail: HeldMail, text: str, *, transient: bool) -> HttpResponse:
    messages.error(request, gettext("Its content cannot be shown: %s") % told(text))
    return shown(request, mail, status=503 if transient else 409)


def _row(mail: HeldMail) -> dict[str, object]:
    return {
        "mail": mail,
        "why": word(WHYS, mail.why),
        "state": word(STATES, mail.state),
        "sender": mail.sender or "<>",
        "is_asked": bool(mail.asked_by),
    }


def _before(request: HttpRequest) -> UUID | None:
    text = request.GET.get("before", "")
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Http404 from None
