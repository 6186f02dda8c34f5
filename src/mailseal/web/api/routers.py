"""Where the operations are: one table."""

from ninja import Router

from mailseal.web.api import domains

ROUTERS: tuple[tuple[str, Router], ...] = (("/domains", domains.router),)
"""The prefix below `/api/v1`, which is the tag too, and the operations."""
