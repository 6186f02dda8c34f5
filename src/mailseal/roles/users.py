"""Which user each role runs as, and the folders where roles of different users meet; standard library only.

Started as root, the supervisor keeps its rights for starting alone. A role without a user of its own runs as the owner
of the data folder. A role with one has its own group and no other. For one that reads a folder of it, the data folder
gets that group and mode 0710, so that the role passes through; one that reads nothing stays outside. If there are two,
the second has the group of the first besides, to pass. Nothing else there is open to anybody (umask 0077), and what the
owner's group may read elsewhere (a TLS key, a log) is not for such a role.
"""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from mailseal.config import Config
from mailseal.config.sections.users import METRICS_USER, SANDBOX_USER, WEB_USER
from mailseal.errors import PermanentError
from mailseal.roles.process import Credentials, Role, Shared

SEARCHABLE = 0o710
"""Mode of the folders on the way to what a role of another user reads."""
READABLE, SHARED = 0o750, 0o2750
"""Modes of that folder, before and after it is shared: its files get the reader's group, and the mode says the rest."""
READ, WRITTEN = 0o040, 0o060
"""What the group of a role may do with the files of a folder that it shares."""
_MAY_BE_ABSENT = frozenset({METRICS_USER, SANDBOX_USER, WEB_USER})


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
    if role.privileged:
        return None
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
    if not role.apart and entry.pw_uid != keeper.uid:
        raise UserError(
            f"{role.name} shall run as {role.user!r}, but {data_dir} belongs to {keeper.name}: the role could read "
            f"neither key nor database there; chown -R {role.user}: {data_dir}, or leave its user out of [users]"
        )
    passing = _passing_group(data_dir, keeper) if role.folders else None
    groups = (entry.pw_gid,) if passing in (None, entry.pw_gid) else (entry.pw_gid, passing)
    return Credentials(entry.pw_name, entry.pw_uid, entry.pw_gid, groups)


def _passing_group(data_dir: Path, keeper: Credentials) -> int | None:
    """The group that passes through the data folder; never one of its owner's, which may read files elsewhere."""
    found = data_dir.stat()
    keepers = found.st_gid == 0 or found.st_gid in (keeper.gid, *keeper.groups)
    return None if keepers or not found.st_mode & stat.S_IXGRP else found.st_gid


def become(user: Credentials) -> None:
    """Be this user from now on, with nothing of root."""
    os.setgroups(user.groups)
    os.setgid(user.gid)
    os.setuid(user.uid)


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
        return f"no user of its own for {which}: what runs as {keeper.name} can read the keys"
    return ""


@contextlib.contextmanager
def as_owner(data_dir: Path) -> Iterator[None]:
    """With the rights of the owner of the data folder: root follows no link that this user may have put there."""
    keeper, groups = owner(data_dir), os.getgroups()
    if keeper is None:
        yield
        return
    os.setgroups(keeper.groups)
    os.setegid(keeper.gid)
    os.seteuid(keeper.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def make_folders(config: Config, roles: Iterable[Role]) -> None:
    """The run folder, and what roles of other users need to get at theirs; raises UserError."""
    reading = [role for role in roles if role.folders]
    try:
        with as_owner(config.data_dir):
            for folder, mode in (
                (config.run_dir, SEARCHABLE),
                *((folder, READABLE) for role in reading for folder in role.folders),
            ):
                if not folder.is_dir():
                    folder.mkdir()
                    folder.chmod(mode)  # whatever the umask
        keeper = owner(config.data_dir)
        users = [(role, user) for role in reading if (user := user_of(role, config.data_dir)) is not None]
        apart = [(role, user) for role, user in users if keeper is not None and user.uid != keeper.uid]
        for role, user in apart:
            assert keeper is not None
            _let_through(apart[0][1].gid, keeper, config)
            _let_in(role, user, keeper)
    except FileNotFoundError:
        raise UserError(f"the data folder {config.data_dir} does not exist; `mailseal init` makes it") from None
    except OSError as error:
        raise UserError(f"the data folder {config.data_dir} cannot be used: {error.strerror}") from None


def _let_through(gid: int, keeper: Credentials, config: Config) -> None:
    for folder in (config.data_dir, config.run_dir):
        with _opened(folder, keeper) as (descriptor, found):
            if (found.st_gid, found.st_mode & stat.S_IRWXG) != (gid, stat.S_IXGRP):
                os.fchown(descriptor, -1, gid)
                os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~stat.S_IRWXG | stat.S_IXGRP)


def _let_in(role: Role, user: Credentials, keeper: Credentials) -> None:
    for folder in role.folders:
        with _opened(folder, keeper) as (descriptor, found):
            # Once it is as it shall be, nothing is asked of the system: units may forbid it (RestrictSUIDSGID=).
            if (found.st_gid, stat.S_IMODE(found.st_mode)) != (user.gid, SHARED):
                os.fchown(descriptor, -1, user.gid)
                os.fchmod(descriptor, SHARED)
    for shared in role.shares:
        _share_files(shared, user, keeper)


def _share_files(shared: Shared, user: Credentials, keeper: Credentials) -> None:
    """Those that were there before the folder was shared; later ones get its group by themselves."""
    wanted = WRITTEN if shared.written else READ
    with _opened(shared.folder, keeper) as (folder, _), os.scandir(folder) as entries:
        for name in sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False)):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                found = os.fstat(descriptor)
                # A second name of a file of the owner's elsewhere (a KEK) is not for others.
                if not stat.S_ISREG(found.st_mode) or found.st_uid != keeper.uid or found.st_nlink != 1:
                    continue
                if found.st_gid != user.gid:
                    os.fchown(descriptor, -1, user.gid)
                if found.st_mode & stat.S_IRWXG != wanted:
                    os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~stat.S_IRWXG | wanted)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def _opened(folder: Path, keeper: Credentials) -> Iterator[tuple[int, os.stat_result]]:
    """A folder that is the keeper's own, so that root changes no other one for them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != keeper.uid:
            raise UserError(f"{folder} does not belong to {keeper.name}, who owns the data folder")
        yield descriptor, found
    finally:
        os.close(descriptor)


def exists(name: str) -> bool:
    """Whether there is such a user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
