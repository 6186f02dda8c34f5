"""The system users of the roles, made by `mailseal init --make-users` (useradd(8)). Never unasked."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mailseal.cli.errors import CommandError
from mailseal.config import Config
from mailseal.roles.users import exists

KEEPER = "mailseal"
"""Who gets a new data folder, if there is such a user."""
_USERADD_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def make_users(config: Config) -> Iterator[tuple[str, str]]:
    """Make those that are missing, without a login; yields what was done to which. Raises CommandError."""
    if os.geteuid() != 0:
        raise CommandError("only root can make users", "run it as root, or leave --make-users out")
    for name in _wanted(config):
        if exists(name):
            yield "kept", name
            continue
        _useradd(name, config.data_dir)
        yield "made", name


def _wanted(config: Config) -> tuple[str, ...]:
    """A data folder that belongs to somebody has its keeper."""
    users = config.users
    has_keeper = config.data_dir.is_dir() and config.data_dir.stat().st_uid != 0
    keepers = [] if has_keeper else [KEEPER]
    named = [name for name in (users.mail, users.worker, users.metrics, users.sandbox, users.web) if name is not None]
    return tuple(dict.fromkeys([*keepers, *named]))


def _useradd(name: str, home: Path) -> None:
    program = shutil.which("useradd", path=_USERADD_PATH)
    if program is None:
        raise CommandError(f"there is no useradd here to make the user {name}", "make it by the system's own means")
    options = ("--system", "--user-group", "--no-create-home", "--home-dir", str(home), "--shell", "/usr/sbin/nologin")
    done = subprocess.run(  # noqa: S603 - no shell, and the name is one of our configuration, not an option
        [program, *options, "--", name], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise CommandError(f"the user {name} cannot be made: {done.stderr.strip() or done.returncode}")
