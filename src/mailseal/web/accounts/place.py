"""From where somebody asks, for delays, sessions and what is recorded."""

from django.http import HttpRequest

UNKNOWN = "::"
"""The unspecified address (RFC 4291 §2.5.2): a proxy did not say."""


def place_of(request: HttpRequest) -> str:
    """The client's IP address; the role has put what a trusted proxy says there."""
    return str(request.META.get("REMOTE_ADDR") or UNKNOWN)
