"""What `mailseal message` needs for OpenPGP: keys out of files, and one mail protected by them."""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from mailseal.cli.errors import CommandError
from mailseal.cli.output import read_file, read_password
from mailseal.errors import PermanentError
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.importing import Transferable, read_transferable
from mailseal.openpgp.ring import open_ring

MAX_KEYS = 1000
"""In one file."""


def read_public_keys(files: Sequence[Path]) -> list[Transferable]:
    """The certificates of files, armored or binary; secret keys that they may hold stay unread. Raises CommandError."""
    return [one for file in files for one in _read(file, lambda octets: Transferable(octets, read_certificate(octets)))]


def read_secret_keys(files: Sequence[Path], passwords: Sequence[Path | None]) -> list[Transferable]:
    """Certificates with their secret keys; a password is asked for where a file needs one and none is given."""
    return [one for file, password in zip(files, passwords, strict=True) for one in _unlocked(file, password)]


def _unlocked(file: Path, password_file: Path | None) -> list[Transferable]:
    @cache
    def password() -> str:
        try:
            return read_password(password_file, f"Password of {file}").decode()
        except UnicodeDecodeError:
            raise CommandError("the password is not UTF-8") from None

    found = _read(file, lambda octets: read_transferable(octets, password))
    lost = next((note for one in found if one.lost_key for note in one.notes), None)
    if lost is not None:
        raise CommandError(f"{file}: {lost}")
    if not any(one.keys for one in found):
        raise CommandError(f"{file} holds no secret key", "name a file with public keys by --pgp-cert")
    return found


def _read(file: Path, read: Callable[[bytes], Transferable]) -> list[Transferable]:
    try:
        found = [read(octets) for octets in _members(file)]
    except CommandError:
        raise
    except PermanentError as error:
        raise CommandError(f"{file}: {error}") from None
    if not found:
        raise CommandError(f"{file} holds no OpenPGP key")
    return found


def _members(file: Path) -> Iterator[bytes]:
    for member in open_ring(io.BytesIO(read_file(file))).members:
        if member.problem or not member.is_certificate:
            raise CommandError(f"{file}: {member.problem or 'it has something else than keys'}")
        if member.number > MAX_KEYS:
            raise CommandError(f"{file} has more than {MAX_KEYS} keys")
        yield member.octets
