"""Files that an export makes: never over another, one with a private key for its owner alone; and their passwords."""

import os
import sys
from pathlib import Path

from mailseal.cli.errors import CommandError
from mailseal.cli.output import read_password
from mailseal.cli.session import as_caller
from mailseal.smime.exporting import check_password

PUBLIC_MODE, PRIVATE_MODE = 0o644, 0o600


def destination_of(output: Path | None, *, is_text: bool) -> Path | None:
    """The file to make, None for standard output; raises CommandError.

    Asked before anything is asked or read: a file that exists, a terminal that would show octets.
    """
    destination = None if output is None or str(output) == "-" else output
    if destination is not None and os.path.lexists(destination):
        raise CommandError(f"{destination} exists already", "name another file, or delete it first")
    if destination is None and not is_text and sys.stdout.isatty():
        raise CommandError("this is not for a terminal", "name the file to make with --output")
    return destination


def new_password(file: Path | None) -> bytes:
    """The password for private keys, out of a file or asked for twice; raises CommandError, ExportingError."""
    password = read_password(file, "Password of the file")
    check_password(password)
    if file is None and read_password(None, "The same again") != password:
        raise CommandError("the two passwords are not the same")
    return password


def write(octets: bytes, destination: Path | None, *, mode: int) -> None:
    """Make the file with the rights of the caller, or write to standard output; raises CommandError."""
    if destination is None:
        sys.stdout.buffer.write(octets)
        return
    try:
        with as_caller():
            # O_EXCL follows no link and overwrites nothing, whoever has made the file meanwhile.
            descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise CommandError(f"{destination} cannot be made: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
    except OSError as error:
        with as_caller():
            destination.unlink()  # half a file is of no use
        raise CommandError(f"{destination} cannot be written: {error.strerror}") from None
