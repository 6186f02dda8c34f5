"""The files of a node that a backup holds: mailseal.toml, the KEKs, and what the configuration and the routes name.

Found by the types of the configuration's values, so that a key that is added later is not forgotten.
"""

import errno
import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

from mailseal.backup.errors import BackupError
from mailseal.config import Config, Endpoint, Postfix, find
from mailseal.config.kek_place import KekPlace
from mailseal.config.load import MAX_FILE_BYTES, secret_files
from mailseal.config.model import SECTIONS
from mailseal.config.next_hop import NextHop
from mailseal.keys.kek_file import read_key
from mailseal.keys.kek_places import read_keks
from mailseal.keys.sealing import Kek
from mailseal.store import routes

MAX_BYTES: Final = 4 * 1024 * 1024
_WRITTEN: Final = frozenset({"log", "tls_reports"})
"""Tables whose files are written, by Mailseal or by Postfix: they are not what a node needs."""
_OF_WEB: Final = "web"
"""The table whose files only the web role's user needs to be able to read: they are left out (docs/web.md)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """mailseal.toml as it was found; `path` is None where there is none."""

    path: Path | None
    content: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The file as TOML gives it; it has been read as a configuration before."""
        return tomllib.loads(self.content.decode())


def settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The file that `config.load` reads; raises BackupError."""
    found = find(path, environ)
    return (
        Settings(None, b"") if found is None else Settings(found.absolute(), read_named(found, MAX_FILE_BYTES) or b"")
    )


def named(config: Config, document: Mapping[str, Any], environ: Mapping[str, str]) -> list[Path]:
    """What the configuration names to be read, in its order."""
    paths: list[Path] = []
    for section in SECTIONS:
        if section not in _WRITTEN and section != _OF_WEB:
            paths += _paths(getattr(config, section))
    if not config.keys.web_key.exists():  # a node that answers no browsers
        paths.remove(config.keys.web_key)
    secrets = [path for name, path in secret_files(document, environ) if not name.startswith(f"{_OF_WEB}.")]
    return [*paths, *(path.absolute() for path in secrets)]


def of_routes() -> list[Path]:
    """What the next hops in the database name; raises StoreUnavailable."""
    return [path for route in routes.list_routes() for hop in route.hops for path in _paths(hop)]


def keks(config: Config, environ: Mapping[str, str]) -> list[tuple[str, str, bytes]]:
    """Each KEK that can be read, once: its id, its place, its octets; raises KekFileError when there is none at all."""
    found = read_keks(config.keys.kek, environ)
    by_id: dict[str, tuple[str, str, bytes]] = {}
    for file in found.files:
        if file.kek.id not in by_id:
            by_id[file.kek.id] = (file.kek.id, file.place, _key_at(file.place, environ))
    if not by_id and found.problems:
        raise found.problems[0]
    return list(by_id.values())


def _key_at(place: str, environ: Mapping[str, str]) -> bytes:
    kind, separator, name = place.partition("credential:")
    if separator and not kind:
        return read_key(Path(environ["CREDENTIALS_DIRECTORY"]) / name, is_credential=True)
    return read_key(Path(place))


def kek_id(key: bytes) -> str:
    """The id of a KEK; raises KekFileError."""
    return Kek(key).id


def read_all(paths: Iterable[Path]) -> dict[Path, bytes]:
    """The plain files among these; raises BackupError for what is missing or cannot be read."""
    found: dict[Path, bytes] = {}
    for path in paths:
        if path not in found and (octets := read_named(path, MAX_BYTES)) is not None:
            found[path] = octets
    return found


def read_named(path: Path, limit: int) -> bytes | None:
    """A plain file; None for a folder or socket. Raises BackupError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            return None
        raise BackupError(
            f"{path}, which the configuration or a route names, cannot be read: {error.strerror}",
            "let the owner of the data folder read it, or mend the configuration: without it a node would not be whole",
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        octets = file.read(limit + 1)
    if len(octets) > limit:
        raise BackupError(f"{path}, which the configuration or a route names, is larger than {limit >> 20} MiB")
    return octets


def _paths(value: object) -> Iterator[Path]:
    """The files that a value of the configuration names to be read."""
    match value:
        case Path():
            yield value
        case NextHop():
            yield from (path for path in (value.ca, value.certificate, value.key) if path is not None)
        case Postfix():  # its folders are written, by us or by Postfix
            yield from _paths((value.inside, value.outside))
        case tuple():
            for item in value:
                yield from _paths(item)
        case _ if is_dataclass(value) and not isinstance(value, Endpoint | KekPlace):  # sockets; KEKs have own rules
            for item in fields(value):
                yield from _paths(getattr(value, item.name))
        case _:
            pass
