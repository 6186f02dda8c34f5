"""The first member of a backup: what is in it, and where each file of the node was."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from mailseal.backup.errors import DamagedBackupError, NotABackupError

VERSION: Final = 1
MEMBER: Final = "manifest.json"
CONFIG_MEMBER: Final = "config/mailseal.toml"
DATABASE: Final = "database"
_MARK: Final = "mailseal-backup"


@dataclass(frozen=True, slots=True)
class KekEntry:
    """A KEK, and where it was: a path or `credential:NAME`."""

    member: str
    kek_id: str
    place: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file that the configuration or a route names, by its absolute path."""

    member: str
    path: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a backup. `config`: the path of mailseal.toml, None when there was none; `folder`: the current folder,
    from which relative paths in it were taken; `environment`: names of variables that set keys and are not in the
    backup; `rows` by table; `without_kek`: ids of KEKs that sealed rows of it and were not at hand.
    """

    release: str
    made: datetime
    node: str
    data_dir: str
    folder: str
    config: str | None
    engine: str
    migrations: tuple[str, ...]
    rows: Mapping[str, int]
    keks: tuple[KekEntry, ...]
    files: tuple[FileEntry, ...]
    environment: tuple[str, ...]
    without_log: bool
    without_kek: tuple[str, ...]

    def to_json(self) -> bytes:
        """As the member holds it."""
        values = asdict(self) | {"made": self.made.isoformat(), _MARK: VERSION}
        return json.dumps(values, indent=2).encode() + b"\n"


def read_manifest(octets: bytes) -> Manifest:
    """The way back; raises NotABackupError for a newer format, DamagedBackupError."""
    try:
        values: dict[str, Any] = json.loads(octets)
        version = values.pop(_MARK)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DamagedBackupError("the backup has no manifest that can be read") from None
    if version != VERSION:
        raise NotABackupError(
            f"the backup has format {version}, made by release {values.get('release')}; this release reads {VERSION}",
            "use the release that made it, or a newer one",
        )
    try:
        return Manifest(
            **values
            | {
                "made": datetime.fromisoformat(values["made"]),
                "migrations": tuple(values["migrations"]),
                "keks": tuple(KekEntry(**one) for one in values["keks"]),
                "files": tuple(FileEntry(**one) for one in values["files"]),
                "environment": tuple(values["environment"]),
                "without_kek": tuple(values["without_kek"]),
            }
        )
    except (KeyError, TypeError, ValueError):
        raise DamagedBackupError("the backup has a manifest that cannot be read") from None
