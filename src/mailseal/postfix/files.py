"""Files of a configuration folder: written as a whole or not at all, and kept before they change."""

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from mailseal.postfix.program import PostfixError

MODE = 0o644
AS_ROOT = "run this as root"


def octets(path: Path) -> bytes | None:
    """What a file holds, None if it is not there; raises PostfixError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PostfixError(f"{path} cannot be read: {error.strerror}", AS_ROOT) from None


def put(path: Path, content: bytes) -> None:
    """Write a file, with the owner and mode that it has; raises PostfixError."""
    new = path.with_name(f".{path.name}.mailseal-new")
    try:
        found = path.stat() if path.exists() else None
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        with new.open("xb") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode) if found else MODE)
            if found:
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise PostfixError(f"{path} cannot be written: {error.strerror}", AS_ROOT) from None


def put_back(folder: Path, before: Mapping[str, bytes | None]) -> None:
    """Make files what they were; raises PostfixError."""
    for name, content in before.items():
        if content is not None:
            put(folder / name, content)
        else:
            (folder / name).unlink(missing_ok=True)


def backed_up(path: Path) -> Path:
    """A copy beside a file, named after the time (UTC); raises PostfixError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    backup = path.with_name(f"{path.name}.mailseal-{stamp}")
    try:
        with path.open("rb") as source, backup.open("xb") as target:
            found = os.fstat(source.fileno())
            os.fchmod(target.fileno(), stat.S_IMODE(found.st_mode))
            os.fchown(target.fileno(), found.st_uid, found.st_gid)
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        raise PostfixError(f"the backup {backup} cannot be made: {error.strerror}", AS_ROOT) from None
    return backup


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
