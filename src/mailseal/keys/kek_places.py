"""The KEKs of a node, out of all the places that the configuration names. What is wrong with one hides no other."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailseal.config.kek_place import KekPlace
from mailseal.keys.seal_errors import KekFileError, KekNotThereError
from mailseal.keys.sealing import Kek

MAX_KEKS: Final = 64
SUFFIX: Final = ".kek"


@dataclass(frozen=True, slots=True)
class KekFile:
    """A KEK and where it was found: a path, or `credential:NAME`."""

    kek: Kek
    place: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the places hold, in their order, and what is wrong with them."""

    files: tuple[KekFile, ...]
    problems: tuple[KekFileError, ...]

    def of(self, kek_id: str) -> tuple[KekFile, ...]:
        """The places of one KEK."""
        return tuple(file for file in self.files if file.kek.id == kek_id)


def read_keks(places: Sequence[KekPlace], environ: Mapping[str, str] | None = None) -> Found:
    """Read every KEK, 64 at most. Never raises; what cannot be read is a problem."""
    paths: list[tuple[KekPlace, Path]] = []
    problems: list[KekFileError] = []
    for place in places:
        try:
            paths += [(place, path) for path in _paths(place, os.environ if environ is None else environ)]
        except KekFileError as error:
            problems.append(error)
    if len(paths) > MAX_KEKS:
        text = f"there are more than {MAX_KEKS} KEKs; {paths[MAX_KEKS][1]} and what follows is not read"
        problems.append(KekFileError(text, "`mailseal key list` shows which seal nothing: retire them, move them away"))
    files: list[KekFile] = []
    for place, path in paths[:MAX_KEKS]:
        is_credential = place.path is None
        try:
            kek = Kek.load(path, is_credential=is_credential)
        except KekFileError as error:
            problems.append(error)
        else:
            files.append(KekFile(kek, str(place) if is_credential else str(path)))
    return Found(tuple(files), tuple(problems))


def folder_for_new(places: Sequence[KekPlace]) -> Path | None:
    """The first folder among the places; None when there are only files and credentials."""
    for place in places:
        if place.path is not None and (place.folder or place.path.is_dir()):
            return place.path
    return None


def new_kek(folder: Path) -> tuple[Kek, Path]:
    """Make a new KEK in a folder, which is made if it is missing, named after its id; raises KekFileError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise KekFileError(f"the folder {folder} cannot be made: {error.strerror}") from None
    return Kek.generate_in(folder)


def _paths(place: KekPlace, environ: Mapping[str, str]) -> list[Path]:
    """The files of a place; raises KekFileError."""
    if place.path is None:
        return [_credential(place.credential, environ)]
    try:
        status = place.path.stat()
    except FileNotFoundError:
        if place.optional:
            return []
        raise KekNotThereError(f"there is no {place.path}", "put the file back, or mend keys.kek") from None
    except OSError as error:
        raise KekFileError(f"{place.path} cannot be opened: {error.strerror}", "it belongs to this user") from None
    if stat.S_ISDIR(status.st_mode):
        return _folder(place.path, status)
    if place.folder:
        raise KekFileError(f"{place.path} is to be a folder of KEKs, but is a file")
    return [place.path]


def _credential(name: str, environ: Mapping[str, str]) -> Path:
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise KekFileError(
            f"credential:{name} cannot be read: CREDENTIALS_DIRECTORY is not set",
            f"the unit needs LoadCredential={name}:/path; for a command: "
            f"systemd-run -P -p User=mailseal -p LoadCredential={name}:/path",
        )
    return Path(folder) / name


def _folder(path: Path, status: os.stat_result) -> list[Path]:
    if status.st_mode & 0o022:
        mode = stat.S_IMODE(status.st_mode)
        raise KekFileError(f"the folder {path} has mode {mode:04o}: others may put KEKs there; set it to 0700")
    try:
        with os.scandir(path) as entries:
            names = sorted(one.name for one in entries if one.name.endswith(SUFFIX) and not one.name.startswith("."))
    except OSError as error:
        raise KekFileError(f"the folder {path} cannot be read: {error.strerror}", "it belongs to this user") from None
    return [path / name for name in names]
