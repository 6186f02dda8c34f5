"""Checks of what surrounds the gateway: users, clock, and what is missing without Postfix."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.config.load import inline_secrets, read_document, secret_files
from mailseal.roles.node_roles import node_roles
from mailseal.roles.users import unseparated, user_of

RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right is before the release of this code."""
TOLERANCE_SECONDS = 300


def users(config: Config) -> Iterator[Finding]:
    """Whether the roles run as users of their own, and nobody else can get at what they keep."""
    try:
        owner = config.data_dir.stat()
    except OSError as error:
        yield Finding("users", Status.FAIL, f"{config.data_dir}: {error.strerror}", "run `mailseal init`")
        return
    if owner.st_mode & 0o067:
        yield Finding(
            "users",
            Status.FAIL,
            f"others can get into the data folder {config.data_dir}",
            f"chmod 0700 {config.data_dir}",
        )
    roles = node_roles(None)(config)
    names = {role.name.partition(" ")[0]: user_of(role, config.data_dir) for role in roles}
    lacking = unseparated(config, roles)
    if lacking:
        yield Finding("users", Status.WARN, lacking, _separate(config, owner.st_uid))
        return
    shown = ", ".join(f"{name} as {user.name}" for name, user in names.items() if user is not None)
    yield Finding("users", Status.OK, f"the roles run {shown}")


def configuration_file(path: Path, config: Config) -> Iterator[Finding]:
    """Whether those can read the file who must, and no secret stands in it for everybody."""
    mode, document = path.stat().st_mode, read_document(path)
    if mode & 0o004 and (secrets := inline_secrets(document)):
        yield Finding(
            "configuration",
            Status.WARN,
            f"everybody can read {path}, and {', '.join(secrets)} stands in it",
            f"put it into a file of its own and name that with {secrets[0]}_file",
        )
    for secret, file in secret_files(document, os.environ):
        if file.stat().st_mode & 0o004:
            yield Finding(
                "configuration", Status.WARN, f"everybody can read {file}, which holds {secret}", f"chmod 0600 {file}"
            )
    roles = node_roles(None)(config)
    apart = [role for role in roles if role.apart]
    if apart and not mode & 0o004 and config.data_dir.is_dir() and not unseparated(config, roles):
        yield Finding(
            "configuration",
            Status.WARN,
            f"{apart[0].name} runs as {apart[0].user} and may not be able to read {path}",
            f"chmod 0644 {path}, with secrets in files of their own",
        )


def _separate(config: Config, owner: int) -> str:
    """What to do for separation."""
    if owner == 0:
        return f"`mailseal init --make-users` as root, then chown -R mailseal: {config.data_dir}"
    if os.geteuid() != 0:
        return "start `mailseal serve` as root, or the roles singly by systemd (docs/running.md)"
    return "`mailseal init --make-users` as root"


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
            f"plain SMTP is on ({config.listen.smtp}): no queue, no look-up of MX records, no DANE",
            "for these set postfix.instance (docs/postfix.md)",
        )


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
