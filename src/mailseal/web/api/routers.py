"""Where the operations are: one table."""

from ninja import Router

from mailseal.web.api import domains, settings

ROUTERS: tuple[tuple[str, Router], ...] = (
    ("/domains", domains.router),
    ("/settings", settings.router),
)
"""The prefix below `/api/v1`, which is the tag too, and the operations."""
