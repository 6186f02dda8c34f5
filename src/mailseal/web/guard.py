"""The guard of every page: who has not signed in goes there, who may not see it gets 403."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from mailseal.web.access import Area, ForbiddenError, Principal, Verb

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def principal(request: HttpRequest) -> Principal:
    """Who has signed in; for views behind the guard."""
    found = getattr(request, "principal", None)
    assert isinstance(found, Principal)
    return found


def needs(area: Area | None, verb: Verb = Verb.SEE) -> Callable[[View[P]], View[P]]:
    """A view for who may do that (somewhere: a view about one domain asks `principal.require` again); None: all.

    Raises nothing: ForbiddenError from inside is answered with 403 as well.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            who = getattr(request, "principal", None)
            if not isinstance(who, Principal):
                return redirect_to_login(request.get_full_path())
            try:
                if area is not None:
                    who.require(area, verb)
                return view(request, *args, **kwargs)
            except ForbiddenError:
                return render(request, "403.html", status=403)

        guarded.guarded_by = (area, verb)  # type: ignore[attr-defined]  # a test asks every URL for it
        return guarded

    return decorate
