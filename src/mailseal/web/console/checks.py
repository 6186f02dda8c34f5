"""Having the gateway look at itself, from the start page."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from mailseal.store import findings
from mailseal.web.access import Area
from mailseal.web.guard import needs, principal


@needs(Area.HEALTH)
@require_POST
def checks(request: HttpRequest) -> HttpResponse:
    """Have every node look as soon as it can; the start page shows what comes of it."""
    principal(request).require(Area.HEALTH, domain="")
    findings.look_now()
    messages.info(request, _("The gateway looks at itself now; in a moment this page has what it finds."))
    return redirect("start")
