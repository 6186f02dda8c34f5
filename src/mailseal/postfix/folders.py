"""The folders of a private instance: root's own, all the way up, so that root follows no link of anybody else's making.

It is not below the data folder: that one belongs to the user of the mail workers, who could put another main.cf in its
place, and be root with the next command that Postfix runs for it.

    etc  main.cf, master.cf          queue           Postfix's, made by it       queue/mailseal  our sockets (its group)
    data Postfix's own (its user)    log/maillog     for the owner of the data folder to read
"""

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from mailseal.config import Config
from mailseal.config.sections.postfix import SOCKETS_NAME
from mailseal.errors import PermanentError

USER = "postfix"
OPEN, LISTED, OWN = 0o755, 0o750, 0o700
LOG_MODE = 0o640
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


class FolderError(PermanentError):
    """A private instance cannot have the folder that the configuration names."""

    exit_status = 78
    """EX_CONFIG: nothing changes until an administrator has done something."""

    def __init__(self, text: str, what_to_do: str = "") -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


def make(config: Config) -> None:
    """Make what is missing; raises FolderError."""
    folder = config.postfix.folder
    if os.geteuid() != 0:
        raise FolderError(
            "a private Postfix needs root: its master switches users",
            "start `mailseal serve` as root, or set postfix.instance to off",
        )
    try:
        user = pwd.getpwnam(USER)
        group = grp.getgrnam(config.listen.socket_group).gr_gid
    except KeyError:
        raise FolderError(f"there is no user or group {USER!r}: Postfix is not installed", "install Postfix") from None
    try:
        with _modes():
            folder.mkdir(mode=OPEN, parents=True, exist_ok=True)
            require_roots(folder)
            _made(folder / "etc", OPEN, 0, 0)
            _made(config.postfix.queue_dir, OPEN, 0, 0)
            _made(config.postfix.queue_dir / SOCKETS_NAME, LISTED, 0, group)
            _made(folder / "data", OWN, user.pw_uid, user.pw_gid)
            _made(config.postfix.log_file.parent, LISTED, 0, _readers(config))
            new_log(config)
    except OSError as error:
        raise FolderError(f"{error.filename or folder}: {error.strerror}", "set postfix.folder") from None


def require_roots(folder: Path) -> None:
    """Raises FolderError if anybody but root could put something else in the place of a folder, or of one above it."""
    for one in (*reversed(folder.parents), folder):
        found = one.lstat()
        if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
            raise FolderError(f"{one} is a link or no folder", "set postfix.folder to its real path")
        sticky = bool(found.st_mode & stat.S_ISVTX)  # others may write there, but not rename what is root's
        if found.st_uid != 0 or (found.st_mode & _WRITABLE and not sticky):
            raise FolderError(
                f"others than root can write in {one}, and so be root by the private Postfix below it",
                "set postfix.folder to another place, such as /var/lib/mailseal-postfix",
            )
    if folder.stat().st_mode & _WRITABLE:
        raise FolderError(f"others than root can write in {folder}", f"chmod 0755 {folder}")


def new_log(config: Config) -> None:
    """An empty log, if there is none, that the owner of the data folder can read; Postfix would make it root's own."""
    with contextlib.suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(config.postfix.log_file, flags, 0o600)
        try:
            os.fchown(descriptor, 0, _readers(config))
            os.fchmod(descriptor, LOG_MODE)
        finally:
            os.close(descriptor)


def _readers(config: Config) -> int:
    """The group of the owner of the data folder; the folder's own is that of the metrics user (`roles.users`)."""
    found = config.data_dir.stat()
    try:
        return pwd.getpwuid(found.st_uid).pw_gid
    except KeyError:
        return found.st_gid


def _made(folder: Path, mode: int, uid: int, gid: int) -> None:
    """A folder as it shall be; the one above it is root's alone, so that none of this can be a link of another's."""
    folder.mkdir(mode=OWN, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if (found.st_uid, found.st_gid) != (uid, gid):
            os.fchown(descriptor, uid, gid)
        if stat.S_IMODE(found.st_mode) != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _modes() -> Iterator[None]:
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)
