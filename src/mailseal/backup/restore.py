"""Makes a node out of a backup, in an empty folder.

First the backup is read to its end, so that a damaged one leaves nothing behind. Then the folder is filled, then the
database; the configuration comes last, so that nothing starts on what is half done.
"""

import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mailseal.backup.container import Opened
from mailseal.backup.errors import BackupError, ExistsError
from mailseal.backup.manifest import CONFIG_MEMBER, Manifest
from mailseal.backup.settings_file import forms, moved, to_toml, with_new_paths
from mailseal.backup.verify import Contents, read, verify
from mailseal.config import Config, ConfigError, from_values
from mailseal.config.sections.keys import WEB_FOLDER, WEB_KEY
from mailseal.keys.kek_file import write_key
from mailseal.keys.web_key import MODE as WEB_KEY_MODE
from mailseal.keys.web_key import is_web_key
from mailseal.store import configure, routes
from mailseal.store.audit import record
from mailseal.store.dump import Place
from mailseal.store.keks import open_ring
from mailseal.store.load import load, require_empty
from mailseal.store.rewrap import Broken, count, find_broken

UNFINISHED: Final = "RESTORE-NOT-FINISHED"
FILES: Final = "files"
ORIGINAL: Final = "mailseal.toml.before"
_FOR_ALL_ROLES: Final = 0o644
"""Of the new mailseal.toml, as `mailseal init` makes it: no secret stands in it."""
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to restore to. `database`: another place than the folder, with the file that holds its password."""

    data_dir: Path
    config_path: Path
    database: Place | None = None
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What came out of it; `sealed` rows were opened, `broken` are those that did not."""

    manifest: Manifest
    config: Config
    sealed: int
    broken: Broken


def require_nothing_there(target: Target) -> None:
    """Raise ExistsError if something is where the restore would write."""
    folder = target.data_dir
    if folder.exists() and not folder.is_dir():
        raise ExistsError(f"{folder} is not a folder", "name another one")
    if (folder / UNFINISHED).exists():
        raise ExistsError(f"{folder} holds a restore that was not finished", "delete the folder and restore again")
    if folder.is_dir() and any(folder.iterdir()):
        raise ExistsError(f"{folder} is not empty", "a restore never mixes with what is there: name another folder")
    if target.config_path.exists():
        raise ExistsError(f"{target.config_path} exists", "move it away, or name another file with --config")


def restore(
    opened: Opened,
    target: Target,
    *,
    prepare: Callable[[Path], None],
    caller: Callable[[], AbstractContextManager[None]] = nullcontext,
    progress: Callable[[int, int], None] = lambda _rows, _total: None,
) -> Restored:
    """Restore. `prepare` makes the folder and becomes its owner; `caller` gives the rights to write the configuration.

    Raises BackupError, DumpError, NotEmptyError, ConfigError, SealError, StoreUnavailable, OSError.
    """
    require_nothing_there(target)
    verify(opened, progress=progress)
    database = target.database or Place(_sqlite(target.data_dir))
    if target.database is not None:
        configure.use(database.url, database.password)
        require_empty()
    prepare(target.data_dir)
    with caller():
        _require_place(target.config_path.parent)  # now, and not when all the rows are loaded
    _write(target.data_dir / UNFINISHED, b"This folder is of no use: delete it and restore again.\n")
    contents = read(opened)
    manifest = contents.manifest
    files = _folder(target.data_dir, contents)
    document = _document(contents, target, files)
    config = _checked(document, target)
    configure.use(database.url, database.password, node=config.node)
    load(contents.dump, progress=progress)
    _move_routes(forms(manifest, files))
    record("store", "restore", manifest.node, after={"backup_of": manifest.made, "made_by_release": manifest.release})
    restored = Restored(manifest, config, count(), find_broken(open_ring(config.keys.kek)))
    comment = f"Restored from the backup of node {manifest.node} of {manifest.made:%Y-%m-%d %H:%M} UTC.\n" + _BESIDE
    with caller():
        _write(target.config_path, to_toml(document, comment), aside=True, mode=_FOR_ALL_ROLES)
    (target.data_dir / UNFINISHED).unlink()
    return restored


_BESIDE = f"As it was, with its comments: {FILES}/{ORIGINAL} in the data folder. Every key: docs/settings.md."


def _require_place(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise BackupError(f"no file can be made in {folder}", "name another one with --config")


def _sqlite(data_dir: Path) -> str:
    return str(from_values({"data_dir": str(data_dir)}).database.url)


def _folder(data_dir: Path, contents: Contents) -> dict[str, Path]:
    """Write KEKs and files; the paths of the files by member. Their names are ours: none is taken from the backup."""
    for name in ("keks", "run", "spool", "journal", FILES):
        (data_dir / name).mkdir(mode=0o700)
    for kek in contents.manifest.keks:
        write_key(data_dir / "keks" / f"{kek.kek_id}.kek", contents.files[kek.member])
    if CONFIG_MEMBER in contents.files:
        _write(data_dir / FILES / ORIGINAL, contents.files[CONFIG_MEMBER])
    paths: dict[str, Path] = {}
    for number, entry in enumerate(contents.manifest.files, 1):
        if is_web_key(contents.files[entry.member]):
            paths[entry.member] = web_key = data_dir / WEB_FOLDER / WEB_KEY
            web_key.parent.mkdir(mode=0o700, exist_ok=True)
            _write(web_key, contents.files[entry.member], mode=WEB_KEY_MODE)
            continue
        plain = _ODD.sub("_", Path(entry.path).name)[-80:].lstrip(".") or "file"
        paths[entry.member] = data_dir / FILES / f"{number:02}-{plain}"
        _write(paths[entry.member], contents.files[entry.member])
    return paths


def _document(contents: Contents, target: Target, files: Mapping[str, Path]) -> dict[str, Any]:
    manifest = contents.manifest
    content = contents.files.get(CONFIG_MEMBER, b"")
    document = moved(_toml(content), manifest, target.data_dir, files)
    if target.database is not None:
        document["database"] = {"url": target.database.url}
        if target.password_file is not None:
            document["database"]["password_file"] = str(target.password_file.absolute())
    return document


def _toml(content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except ValueError:
        raise BackupError("the mailseal.toml in the backup cannot be read") from None


def _checked(document: Mapping[str, Any], target: Target) -> Config:
    try:
        return from_values(document, source=f"of the backup, for {target.data_dir}")
    except ConfigError as error:
        raise BackupError(str(error), "restore with the release that made the backup") from None


def _move_routes(names: Mapping[str, str]) -> None:
    for route in routes.list_routes():
        urls = [str(hop) for hop in route.hops]
        new = [with_new_paths(url, names) for url in urls]
        if new != urls:
            routes.set_route(route.domain, new)


def _write(path: Path, octets: bytes, *, aside: bool = False, mode: int = 0o600) -> None:
    """Make a file, which nobody else reads unless `mode` says so; `aside`: under its name only when it is whole."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if aside else path
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    if aside:
        made.rename(path)
