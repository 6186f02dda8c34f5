"""Makes a backup while mail flows: one snapshot of the database, and the files of the node."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mailseal.backup import container, node_files
from mailseal.backup.errors import BackupError
from mailseal.backup.manifest import CONFIG_MEMBER, DATABASE, MEMBER, FileEntry, KekEntry, Manifest
from mailseal.backup.members import Member, pack, pieces
from mailseal.config import Config
from mailseal.config.load import PREFIX
from mailseal.store import rewrap
from mailseal.store.dump import LOG_TABLES, Dump, Place, snapshot

_NOT_KEYS = frozenset({f"{PREFIX}CONFIG"})


@dataclass(frozen=True, slots=True)
class Source:
    """A node to back up: its configuration, the file that this was read from, and the environment beside it."""

    config: Config
    settings: node_files.Settings
    environ: Mapping[str, str]


def make(
    path: Path,
    passphrase: str,
    source: Source,
    *,
    without_log: bool = False,
    caller: Callable[[], AbstractContextManager[None]] = nullcontext,
    progress: Callable[[int, int], None] = lambda _rows, _total: None,
) -> Manifest:
    """Make the file, whole or not at all. The store is set up; `caller` gives the rights to make it. The node's files
    are read without them: routes are in the database, and links where the roles can put them.

    Raises BackupError, SealError, StoreUnavailable, OSError.
    """
    if len(passphrase) < container.MIN_PASSPHRASE:
        raise BackupError(
            f"the passphrase is shorter than {container.MIN_PASSPHRASE} characters", "choose a longer one"
        )
    config = source.config
    with snapshot(Place(config.database.url, config.database.password)) as database:
        dump = Dump(database, without=LOG_TABLES if without_log else ())
        keks = node_files.keks(config, source.environ)
        names = node_files.named(config, source.settings.document, source.environ) + node_files.of_routes()
        files = node_files.read_all(names)
        manifest = _manifest(source, dump, database.vendor, keks, list(files), without_log=without_log)
        contents = _contents(manifest, dump, source.settings, keks, list(files.values()), progress)
        container.write(path, pack(contents), passphrase, caller=caller)
    return manifest


def _manifest(
    source: Source,
    dump: Dump,
    engine: str,
    keks: list[tuple[str, str, bytes]],
    files: list[Path],
    *,
    without_log: bool,
) -> Manifest:
    ids = {kek_id for kek_id, _, _ in keks}
    head = dump.head
    return Manifest(
        release=head.release,
        made=head.made,
        node=head.node,
        data_dir=str(source.config.data_dir),
        folder=str(Path.cwd()),
        config=str(source.settings.path) if source.settings.path else None,
        engine=engine,
        migrations=head.migrations,
        rows={table.name: table.rows for table in head.tables},
        keks=tuple(KekEntry(f"kek/{kek_id}", kek_id, place) for kek_id, place, _ in keks),
        files=tuple(FileEntry(f"file/{number}", str(path)) for number, path in enumerate(files, 1)),
        environment=tuple(sorted(name for name in source.environ if name.startswith(PREFIX) and name not in _NOT_KEYS)),
        without_log=without_log,
        without_kek=tuple(sorted(rewrap.count_by_kek().keys() - ids - {""})),
    )


def _contents(
    manifest: Manifest,
    dump: Dump,
    settings: node_files.Settings,
    keks: list[tuple[str, str, bytes]],
    files: list[bytes],
    progress: Callable[[int, int], None],
) -> Iterator[Member]:
    yield MEMBER, manifest.to_json()
    for entry, (_, _, key) in zip(manifest.keks, keks, strict=True):
        yield entry.member, key
    if settings.path is not None:
        yield CONFIG_MEMBER, settings.content
    for file, octets in zip(manifest.files, files, strict=True):
        yield file.member, octets
    yield from pieces(DATABASE, _counted(dump, progress))


def _counted(dump: Dump, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    for count, line in enumerate(dump.lines()):
        progress(min(count, dump.head.rows), dump.head.rows)
        yield line
