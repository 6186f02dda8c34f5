"""A backup is what its manifest says, member by member, or it is not restored."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from mailseal.backup.errors import DamagedBackupError
from mailseal.backup.manifest import MEMBER, FileEntry, KekEntry, Manifest
from mailseal.backup.members import pack
from mailseal.backup.verify import read
from mailseal.keys.sealing import Kek
from mailseal.store.dump_format import DumpError

KEY, OTHER = b"k" * 32, b"o" * 32
KEK = KekEntry(f"kek/{Kek(KEY).id}", Kek(KEY).id, "/keks/one")
FILE = FileEntry("file/1", "/etc/ca.pem")
MANIFEST = Manifest(
    "1", datetime(2026, 3, 2, tzinfo=UTC), "mx1", "/data", "/", None, "sqlite", (), {}, (KEK,), (FILE,), (), False, ()
)
RIGHT = [(MEMBER, MANIFEST.to_json()), (KEK.member, KEY), (FILE.member, b"pem")]


def reading(members):
    return read(SimpleNamespace(chunks=lambda: pack(members)))


@pytest.mark.parametrize(
    ("members", "why"),
    [
        (RIGHT[1:], "does not begin with its manifest"),
        ([], "does not begin with its manifest"),
        ([RIGHT[0], (KEK.member, OTHER), RIGHT[2]], f"KEK {KEK.kek_id} in the backup is not that KEK"),
        ([RIGHT[0], (KEK.member, KEY[:-1]), RIGHT[2]], f"KEK {KEK.kek_id} in the backup is not that KEK"),
        ([RIGHT[0], RIGHT[2], RIGHT[1]], f"lacks {KEK.member}"),
        (RIGHT[:2], f"lacks {FILE.member}"),
    ],
)
def test_what_is_not_as_the_manifest_says(members, why):
    with pytest.raises(DamagedBackupError, match=why):
        reading(members)


def test_up_to_the_database_all_is_right():
    with pytest.raises(DumpError):  # there is none
        reading(RIGHT)
