"""The start page: what needs attention, where to ask, and how mail went."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from mailseal.store import findings
from mailseal.store.row import utc_now
from mailseal.web.access import Area
from mailseal.web.console.attention import attention
from mailseal.web.console.traffic import RANGES, charts, figures
from mailseal.web.guard import needs, principal


@needs(None)
def start(request: HttpRequest) -> HttpResponse:
    """Show it; `range` is that of the charts."""
    who, now = principal(request), utc_now()
    chosen = next((one for one in RANGES if one.key == request.GET.get("range")), RANGES[1])
    context = {
        "items": attention(who, now),
        "may_log": who.may(Area.LOG),
        "may_simulate": who.may(Area.SIMULATOR),
        "may_audit": who.may(Area.AUDIT),
        "may_check": who.everywhere(Area.HEALTH),
        "checked": findings.last() if who.everywhere(Area.HEALTH) else (),
    }
    # What is counted is counted for the gateway as a whole.
    if who.everywhere(Area.LOG):
        out, inward, not_sent = charts(chosen, now)
        context |= {
            "figures": figures(now),
            "out": out,
            "inward": inward,
            "not_sent": not_sent,
            "ranges": [(f"?range={one.key}#traffic", one.title, one is chosen) for one in RANGES],
        }
    return render(request, "console/start.html", context)
