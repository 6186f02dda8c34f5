"""Which user each role runs as, and the folders where roles of different users meet; standard library only.

Started as root, the supervisor keeps its rights for starting alone. A role without a user of its own runs as the owner
of the data folder. A role with one gets, besides its own group, the group of the data folder: with it, and mode 0710,
it passes through to the one folder it reads. Nothing else there is open to that group (umask 0077).
"""

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from mailseal.config import Config
from mailseal.config.sections.users import METRICS_USER
from mailseal.errors import PermanentError
from mailseal.roles.process import Credentials, Role

SEARCHABLE = 0o710
"""Mode of the folders on the way to what a role of another user reads."""
SHARED = 0o2750
"""Mode of that folder: files in it get the reader's group, their writer decides whether it may read them."""
_MAY_BE_ABSENT = frozenset({METRICS_USER})


class UserError(PermanentError):
    """A user of the configuration, or a folder for its role, cannot be used."""


def owner(data_dir: Path) -> Credentials | None:
    """Who owns the data folder; None if nothing can or has to change: not started as root, or it is root's."""
    found = data_dir.stat()
    if os.geteuid() != 0 or found.st_uid == 0:
        return None
    try:
        entry = pwd.getpwuid(found.st_uid)
    except KeyError:
        return Credentials(f"user {found.st_uid}", found.st_uid, found.st_gid, ())
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Credentials(entry.pw_name, entry.pw_uid, entry.pw_gid, groups)


def user_of(role: Role, data_dir: Path) -> Credentials | None:
    """Who a role shall run as, None for the one who starts it; raises UserError for a user that does not exist."""
    keeper = owner(data_dir)
    if keeper is None or role.user is None or role.user == keeper.name:
        return keeper
    try:
        entry = pwd.getpwnam(role.user)
    except KeyError:
        if role.user in _MAY_BE_ABSENT:
            return keeper
        raise UserError(f"{role.name} shall run as {role.user!r}, but there is no such user") from None
    if entry.pw_uid == 0:
        raise UserError(f"{role.name} shall run as {role.user!r}; no role runs as root")
    passing = data_dir.stat().st_gid
    return Credentials(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple({entry.pw_gid, passing}))


def unseparated(config: Config, roles: Iterable[Role]) -> str:
    """What is not separated though it should be, in one line; "" if all is well. Raises OSError."""
    apart = {role.user: role.name for role in roles if role.user is not None}
    names = ", ".join(sorted({role.name.partition(" ")[0] for role in roles}))
    if os.geteuid() != 0:
        return f"no separation of users: not started as root, every role ({names}) runs as {_name(os.geteuid())}"
    keeper = owner(config.data_dir)
    if keeper is None:
        return f"no separation of users: the data folder belongs to root, so every role ({names}) runs as root"
    absent = sorted(name for name in apart if name in _MAY_BE_ABSENT and not exists(name))
    if absent:
        which = ", ".join(f"{apart[name]} ({name})" for name in absent)
        return f"no user of its own for {which}: it runs as {keeper.name}, who can read the keys"
    return ""


def make_folders(config: Config, roles: Iterable[Role]) -> None:
    """The run folder, and what roles of other users need to get at theirs; raises UserError."""
    keeper = None
    try:
        keeper = owner(config.data_dir)
        _make(config.run_dir, SEARCHABLE, keeper)
        for role in roles:
            user = user_of(role, config.data_dir)
            if role.reads is None:
                continue
            if user is None or keeper is None or user.uid == keeper.uid:
                _make(role.reads, SHARED, keeper)
                continue
            for folder in (config.data_dir, config.run_dir):
                _open_to_pass(folder, keeper)
            _make(role.reads, SEARCHABLE, keeper)
            _share(role.reads, keeper.uid, user.gid)
    except FileNotFoundError:
        raise UserError(f"the data folder {config.data_dir} does not exist; `mailseal init` makes it") from None
    except OSError as error:
        raise UserError(f"the data folder {config.data_dir} cannot be used: {error.strerror}") from None


def exists(name: str) -> bool:
    """Whether there is such a user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _make(folder: Path, mode: int, keeper: Credentials | None) -> None:
    if folder.is_dir():
        return
    folder.mkdir(mode=mode)
    if keeper is not None:
        os.chown(folder, keeper.uid, keeper.gid)
    folder.chmod(mode)


def _share(folder: Path, uid: int, gid: int) -> None:
    """Once it is as it shall be, nothing is asked of the system: units may forbid it (RestrictSUIDSGID)."""
    found = folder.stat()
    if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (uid, gid, SHARED):
        os.chown(folder, uid, gid)
        folder.chmod(SHARED)


def _open_to_pass(folder: Path, keeper: Credentials) -> None:
    """Let the group of the data folder search it, and see that this group is no other than its owner's."""
    found = folder.stat()
    if found.st_gid == 0:
        os.chown(folder, -1, keeper.gid)
    if not found.st_mode & stat.S_IXGRP:
        folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXGRP)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
