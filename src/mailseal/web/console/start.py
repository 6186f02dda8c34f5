"""The start page: what needs attention, and how mail went."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from mailseal.web.guard import needs


@needs(None)
def start(request: HttpRequest) -> HttpResponse:
    """Show it."""
    return render(request, "console/start.html")
