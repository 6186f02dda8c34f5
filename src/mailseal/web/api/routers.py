"""Where the operations are: one table."""

from ninja import Router

from mailseal.web.api import addresses, audit, domains, explain, health, jobs, log, logins, me, routes, settings, work

ROUTERS: tuple[tuple[str, Router], ...] = (
    ("/addresses", addresses.router),
    ("/audit", audit.router),
    ("/domains", domains.router),
    ("/explain", explain.router),
    ("/health", health.router),
    ("/jobs", jobs.router),
    ("/log", log.router),
    ("/logins", logins.router),
    ("/me", me.router),
    ("/routes", routes.router),
    ("/settings", settings.router),
    ("/work", work.router),
)
"""The prefix below `/api/v1`, which is the tag too, and the operations."""
