"""Views that ask who sits there once more (password or second factor) unless they did a moment ago."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from django.http import HttpRequest, HttpResponseBase

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def confirmed(view: View[P]) -> View[P]:
    """Behind `needs`: a POST waits until that is done; what was sent is then carried out."""

    @wraps(view)
    def asking(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.method == "POST":
            raise_if_reauthentication_required(request, app="allauth.mfa")
        return view(request, *args, **kwargs)

    return asking
