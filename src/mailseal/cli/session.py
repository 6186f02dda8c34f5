"""What a command works with: the configuration, and the store when it needs it."""

import os
import pwd
from functools import cached_property
from pathlib import Path

import click

from mailseal.cli.errors import CommandError
from mailseal.config import Config, load


class Session:
    """One run of the command. Nothing is read before it is needed."""

    def __init__(self, config_path: Path | None = None) -> None:
        self.config_path = config_path

    @cached_property
    def config(self) -> Config:
        """The configuration; raises ConfigError."""
        return load(self.config_path, os.environ)

    def open_store(self) -> Config:
        """Set the database up for use; a command reads its input files before, since root gives up its rights here."""
        from mailseal import store  # noqa: PLC0415 - Django is loaded only by commands that use the store

        become_owner(self.config.data_dir)
        store.setup(self.config)
        return self.config


pass_session = click.make_pass_decorator(Session)


def become_owner(data_dir: Path) -> None:
    """Run on as the owner of the data folder, so that root leaves no file there that the roles cannot write."""
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
        os.setgid(entry.pw_gid)
    except KeyError:
        os.setgroups([])
        os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
