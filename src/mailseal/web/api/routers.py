"""Where the operations are: one table."""

from ninja import Router

from mailseal.web.api import addresses, domains, jobs, logins, me, routes, settings

ROUTERS: tuple[tuple[str, Router], ...] = (
    ("/addresses", addresses.router),
    ("/domains", domains.router),
    ("/jobs", jobs.router),
    ("/logins", logins.router),
    ("/me", me.router),
    ("/routes", routes.router),
    ("/settings", settings.router),
)
"""The prefix below `/api/v1`, which is the tag too, and the operations."""
