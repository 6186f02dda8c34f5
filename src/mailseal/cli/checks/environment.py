"""Checks of what surrounds the gateway: users, clock, and what is missing without Postfix."""

import os
import pwd
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config

RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right is before the release of this code."""
TOLERANCE_SECONDS = 300


def users(config: Config) -> Iterator[Finding]:
    """Whether the roles run as users of their own."""
    try:
        owner = config.data_dir.stat()
    except OSError as error:
        yield Finding("users", Status.FAIL, f"{config.data_dir}: {error.strerror}", "run `mailseal init`")
        return
    name = _user_name(owner.st_uid)
    if owner.st_mode & 0o067:
        yield Finding(
            "users",
            Status.FAIL,
            f"others can get into the data folder {config.data_dir}",
            f"chmod 0700 {config.data_dir}",
        )
    if owner.st_uid == 0:
        yield Finding(
            "users",
            Status.WARN,
            "the data folder belongs to root, so every role runs as root",
            f"adduser --system --group mailseal, then chown -R mailseal: {config.data_dir}",
        )
    elif os.geteuid() != 0:
        yield Finding(
            "users",
            Status.WARN,
            f"no separation of users: every role runs as {_user_name(os.geteuid())}",
            "start `mailseal serve` as root; the roles then run as the owner of the data folder",
        )
    else:
        yield Finding("users", Status.OK, f"the roles run as {name}")


def clock(config: Config) -> Iterator[Finding]:
    """Whether the clock can be right: signatures, certificates and retries depend on it."""
    now = time.time()
    mend = "set the clock and keep it right (systemd-timesyncd, chrony)"
    if now < RELEASED.timestamp():
        yield Finding("clock", Status.FAIL, f"the clock says {_shown(now)}, before this release was made", mend)
        return
    newest = max((_changed(path) for path in (config.data_dir, config.run_dir, config.journal_dir)), default=0.0)
    if newest > now + TOLERANCE_SECONDS:
        text = f"the clock says {_shown(now)}, but the data folder was changed at {_shown(newest)}"
        yield Finding("clock", Status.FAIL, text, mend)
        return
    yield Finding("clock", Status.OK, _shown(now))


def embedded(config: Config) -> Iterator[Finding]:
    """What running without Postfix means."""
    if config.listen.smtp is not None:
        yield Finding(
            "embedded",
            Status.WARN,
            f"plain SMTP is on ({config.listen.smtp}): no queue, no TLS policy per domain, no DANE",
            "for these put Postfix in front and use the LMTP listeners",
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
