"""What a command works with: the configuration, and the store when it needs it."""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import click

from mailseal.cli.errors import CommandError
from mailseal.config import Config, load
from mailseal.config.load import variable


class Session:
    """One run of the command. Nothing is read before it is needed."""

    def __init__(self, config_path: Path | None = None) -> None:
        self.config_path = config_path

    @cached_property
    def config(self) -> Config:
        """The configuration; raises ConfigError."""
        return load(self.config_path, os.environ)

    @cached_property
    def config_without_secrets(self) -> Config:
        """The same for a role whose user may not read the files that hold secrets; raises ConfigError."""
        return load(self.config_path, os.environ, with_secrets=False)

    @cached_property
    def config_of_web(self) -> Config:
        """The same for the web role, with its own secrets and no other; raises ConfigError."""
        return load(self.config_path, os.environ, for_web=True)

    @cached_property
    def config_as_it_runs(self) -> Config:
        """With the Postfix that `serve` was started with (`--postfix`), which decides where the sockets are."""
        from mailseal.roles.startup_mark import running_instance  # noqa: PLC0415 - only commands about Postfix need it

        running = running_instance(self.config)
        if running is None or running is self.config.postfix.instance:
            return self.config
        return load(self.config_path, {**os.environ, variable("postfix", "instance"): running.value})

    def open_store(self, *, for_now: bool = False) -> Config:
        """Set the database up for use; a command reads its input files before, since root gives up its rights here.

        `for_now`: it gets them back in `as_caller`, to read files one by one while it works.
        """
        from mailseal import store  # noqa: PLC0415 - Django is loaded only by commands that use the store
        from mailseal.cli.actor import caller  # noqa: PLC0415 - same
        from mailseal.store.acting import Acting, Way, acting  # noqa: PLC0415 - same

        click.get_current_context().with_resource(acting(Acting(caller(), Way.COMMAND)))
        become_owner(self.config.data_dir, for_now=for_now)
        require_program()
        store.setup(self.config)
        return self.config


pass_session = click.make_pass_decorator(Session)


def become_owner(data_dir: Path, *, for_now: bool = False) -> None:
    """Run on as the owner of the data folder, so that root leaves no file there that the roles cannot write."""
    set_group, set_user = (os.setegid, os.seteuid) if for_now else (os.setgid, os.setuid)
    try:
        owner = data_dir.stat()
    except FileNotFoundError:
        raise CommandError(f"the data folder {data_dir} does not exist", "`mailseal init` makes it") from None
    except OSError as error:
        raise CommandError(f"the data folder {data_dir} cannot be used: {error.strerror}") from None
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        entry = pwd.getpwuid(owner.st_uid)
        os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
        set_group(entry.pw_gid)
    except KeyError:
        os.setgroups([])
        set_group(owner.st_gid)
    set_user(owner.st_uid)


def require_program() -> None:
    """What root's successor cannot read would be missing at some later import; the roles could not start either."""
    for path in (sys.executable, __file__):
        if not os.access(path, os.R_OK, effective_ids=True):
            raise CommandError(
                f"the owner of the data folder cannot read {os.path.realpath(path)}",
                "install Mailseal, and the Python that it runs on, where every user can read them, such as /opt",
            )


@contextmanager
def as_caller() -> Iterator[None]:
    """With the rights of who gave the command, for opening files that only the caller may read or make."""
    owner = os.geteuid()
    if owner == os.getuid():
        yield
        return
    os.seteuid(os.getuid())
    try:
        yield
    finally:
        os.seteuid(owner)


@contextmanager
def for_the_roles() -> Iterator[None]:
    """As `as_caller`, for making mailseal.toml: root's umask does not keep it from the roles, who run as others."""
    with as_caller():
        if os.geteuid() != 0:
            yield
            return
        before = os.umask(0o022)
        try:
            yield
        finally:
            os.umask(before)
