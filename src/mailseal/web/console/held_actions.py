"""What people do with a held mail: release it, ask for and approve a release as it came, delete it, hold it longer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from mailseal.errors import PermanentError
from mailseal.store import quarantine_actions as actions
from mailseal.store.quarantine import HeldMail
from mailseal.store.quarantine_actions import NoRequestError, SamePersonError, Way
from mailseal.store.quarantine_events import MAX_NOTE_CHARS, Actor
from mailseal.store.row import utc_now
from mailseal.web.access import Area, Verb
from mailseal.web.console.quarantine import MAX_DAYS, found, shown, version
from mailseal.web.console.scope import allowed
from mailseal.web.guard import needs, principal
from mailseal.web.told import told

_AREA = Area.QUARANTINE


class DaysError(PermanentError):
    """What was given is no number of days."""


@dataclass(frozen=True, slots=True)
class Act:
    """What must be allowed, what is done (held, actor, note, request), what is said when it was."""

    verb: Verb
    do: Callable[[UUID, Actor, str, HttpRequest], HeldMail]
    said: str | Promise


def _extend(held: UUID, actor: Actor, note: str, request: HttpRequest) -> HeldMail:
    text = request.POST.get("days", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_DAYS):
        raise DaysError(gettext("Give a number of days from 1 to %d.") % MAX_DAYS)
    return actions.extend(held, actor, utc_now() + timedelta(days=int(text)), note)


ACTS: Mapping[str, Act] = {
    "release": Act(
        Verb.RELEASE,
        lambda held, actor, note, _request: actions.release(held, actor, Way.POLICY, note),
        _("It goes on as policy says. What policy of today would hold is held again."),
    ),
    "release-encrypted": Act(
        Verb.RELEASE,
        lambda held, actor, note, _request: actions.release(held, actor, Way.ENCRYPTED, note),
        _("It goes on encrypted, or not at all."),
    ),
    "ask": Act(
        Verb.RELEASE,
        lambda held, actor, note, _request: actions.ask_as_is(held, actor, note),
        _("You have asked for it. Another person has to approve within 24 hours."),
    ),
    "approve": Act(
        Verb.APPROVE,
        lambda held, actor, note, _request: actions.approve(held, actor, note),
        _("Approved: it goes on as it came."),
    ),
    "deny": Act(
        Verb.RELEASE,
        lambda held, actor, note, _request: actions.deny(held, actor, note),
        _("It is not released as it came."),
    ),
    "delete": Act(
        Verb.CHANGE,
        lambda held, actor, note, _request: actions.delete(held, actor, note),
        _("Deleted. What was done with it stays recorded."),
    ),
    "extend": Act(Verb.CHANGE, _extend, _("Its time was changed.")),
}
"""By the last part of the URL."""


@needs(_AREA)
@require_POST
def act(request: HttpRequest, held: UUID, name: str) -> HttpResponse:
    """Do one of ACTS, with a note for the record, to a mail that is as it was shown (`version`)."""
    chosen = ACTS.get(name)
    if chosen is None:
        raise Http404
    mail = found(request, held)
    who = principal(request)
    allowed(request, _AREA, chosen.verb, mail.domain)
    if name == "deny" and mail.asked_by != who.actor.key:
        allowed(request, _AREA, Verb.APPROVE, mail.domain)
    if request.POST.get("version") != version(mail):
        messages.warning(request, gettext("Something was done with it meanwhile. Look at it again."))
        return shown(request, mail, status=409)
    try:
        chosen.do(held, who.actor, request.POST.get("note", "")[:MAX_NOTE_CHARS], request)
    except SamePersonError:
        messages.error(request, gettext("You have asked for it: another person has to approve."))
        return shown(request, found(request, held), status=409)
    except (NoRequestError, PermanentError) as error:
        messages.error(request, told(str(error)))
        return shown(request, found(request, held), status=409)
    messages.success(request, str(chosen.said))
    return redirect("held", held)
