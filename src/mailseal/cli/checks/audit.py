"""Checks of the audit: whether it is signed. Whether it is what was recorded tells `mailseal audit verify`."""

from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.store import audit_signing
from mailseal.store.audit_verify import UNSIGNED
from mailseal.store.row import utc_now


def signed(_: Config) -> Iterator[Finding]:
    """Whether something waits for longer than a worker that runs would let it."""
    since = audit_signing.unsigned_since()
    if since is not None and utc_now() - since > UNSIGNED:
        text = f"nothing that was changed since {since:%Y-%m-%d %H:%M} UTC has been signed"
        yield Finding("audit", Status.WARN, text, "`mailseal serve` runs the worker, which signs; its log says more")
    elif heads := audit_signing.latest():
        yield Finding("audit", Status.OK, f"signed as far as {max(one.time for one in heads):%Y-%m-%d %H:%M} UTC")
