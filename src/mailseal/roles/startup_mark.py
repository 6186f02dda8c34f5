"""The sign that a gateway is up, in its run folder: the supervisor's process ID, and which Postfix it works with."""

import contextlib
import os

from mailseal.config import Config, Instance
from mailseal.roles.listening import is_held
from mailseal.roles.users import as_owner

NAME = "ready"
_MAX_BYTES = 100


def set_mark(config: Config, *, ready: bool) -> None:
    """Leave the sign, or take it away; raises OSError."""
    mark = config.run_dir / NAME
    with as_owner(config.data_dir):
        mark.unlink(missing_ok=True)
        if ready:
            mark.write_text(f"{os.getpid()}\n{config.postfix.instance}\n")


def running_instance(config: Config) -> Instance | None:
    """Which Postfix the gateway of this data folder was started with; None if it does not run, or is not ready."""
    if not is_held(config.run_dir / "supervisor.lock"):
        return None
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(config.run_dir / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            lines = file.read(_MAX_BYTES).decode("ascii", "replace").splitlines()
        return Instance(lines[1]) if len(lines) > 1 else None
    return None
