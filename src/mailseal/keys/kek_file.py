"""One KEK on disk: a line of text in a file that only its reader may read."""

import base64
import binascii
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from mailseal.keys.seal_errors import KekExistsError, KekFileError

KEY_OCTETS: Final = 32

_PREFIX: Final = b"mailseal-kek-1:"
_MAX_OCTETS: Final = 4096
_FILE_BITS: Final = 0o077
_CREDENTIAL_BITS: Final = 0o037
"""systemd makes credentials 0400, or 0440 where an ACL for the service's user shows as its group's right to read."""


def read_key(path: Path, *, is_credential: bool = False) -> bytes:
    """The key in a file of this user or root that others cannot read; raises KekFileError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KekFileError(
            f"the KEK file {path} cannot be opened: {error.strerror}", "put the file there; it belongs to this user"
        ) from None
    try:
        _check(path, os.fstat(descriptor), _CREDENTIAL_BITS if is_credential else _FILE_BITS)
        content = os.read(descriptor, _MAX_OCTETS)
    except OSError as error:
        raise KekFileError(f"the KEK file {path} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    try:
        key = base64.b64decode(content.removeprefix(_PREFIX).strip(), validate=True)
    except binascii.Error:
        key = b""
    if not content.startswith(_PREFIX) or len(key) != KEY_OCTETS:
        raise KekFileError(f"{path} is not a KEK file", "put the right file there, or move this one away")
    return key


def write_key(path: Path, key: bytes) -> None:
    """Make a file of mode 0400, whole or not at all; raises KekExistsError or KekFileError."""
    # Whoever reads the folder meanwhile must not find half a key: written aside, then named.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write_new(aside, _PREFIX + base64.b64encode(key) + b"\n")
        os.link(aside, path, follow_symlinks=False)
        _sync_folder(path.parent)
    except FileExistsError:
        raise KekExistsError(f"{path} exists; a KEK is never overwritten") from None
    except OSError as error:
        raise KekFileError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _check(path: Path, status: os.stat_result, forbidden: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KekFileError(f"the KEK file {path} is not a regular file")
    if status.st_mode & forbidden:
        mode = stat.S_IMODE(status.st_mode)
        raise KekFileError(f"the KEK file {path} has mode {mode:04o}: others may read it; set it to 0400")
    if status.st_uid not in {os.geteuid(), 0}:
        raise KekFileError(
            f"the KEK file {path} belongs to user {status.st_uid}, not to this one", f"chown it to {os.geteuid()}"
        )


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Without this a crash could lose the name of the file, and with it everything sealed since."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
