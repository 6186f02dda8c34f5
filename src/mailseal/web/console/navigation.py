"""Where the pages are: one table, from which the menu of every page is made."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mailseal.web.access import Area, Principal


@dataclass(frozen=True, slots=True)
class Place:
    """A page of the menu: the name of its URL, what it is called, what one must be allowed to see."""

    url: str
    title: str | Promise
    area: Area | None


PLACES: tuple[Place, ...] = (Place("start", _("Start"), None),)


def context(request: HttpRequest) -> dict[str, Any]:
    """For every template: the places that this visitor may go to."""
    who = getattr(request, "principal", None)
    places = PLACES if isinstance(who, Principal) else ()
    return {
        "principal": who,
        "places": [place for place in places if place.area is None or (who and who.may(place.area))],
    }
