"""The file of a backup: opens with the passphrase alone; a damaged, cut or foreign one is told from it."""

import os
import stat
import tarfile
import zlib
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.durable import on_the_disk
from mailseal.backup import container
from mailseal.backup.container import header, open_file, padding, write
from mailseal.backup.errors import BackupError, DamagedBackupError, ExistsError, NotABackupError, WrongPassphraseError
from mailseal.backup.members import MAX_MEMBER_BYTES, PIECE_BYTES, pack, pieces, unpack

PASSPHRASE = "correct horse battery"
MEMBERS = [("manifest.json", b"{}"), ("kek/00ff", b"\0" * 32), ("database/00000001", bytes(range(256)) * 300)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("backup") / "node.backup"
    write(path, pack(MEMBERS), PASSPHRASE)
    return path


def member(path, name):
    with tarfile.open(path) as outer:
        return outer.getmember(name)


@pytest.fixture(scope="module")
def identity(made):
    with open_file(made, PASSPHRASE) as opened:
        assert list(unpack(opened.chunks())) == MEMBERS
        return opened.identity


@pytest.fixture
def unlocked(made, identity, monkeypatch):
    """Without the second that the passphrase takes, as long as what it opens is as it was."""
    size = member(made, "key.age").size
    right = made.read_bytes()[512 : 512 + size]
    real = container._identity
    monkeypatch.setattr(
        container, "_identity", lambda key, passphrase: identity if key == right else real(key, passphrase)
    )


def read(path):
    with open_file(path, PASSPHRASE) as opened:
        return list(unpack(opened.chunks()))


def test_only_its_owner_can_read_it_and_nothing_else_is_left(made):
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert [*made.parent.iterdir()] == [made]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """A power cut leaves a whole one or none."""
    monkeypatch.setattr(container.pyrage.passphrase, "encrypt", lambda octets, _: octets)  # without its second
    with on_the_disk() as seen:
        write(tmp_path / "node.backup", pack(MEMBERS), PASSPHRASE)
    file, folder = (tmp_path / "node.backup").stat(), tmp_path.stat()
    assert seen == [("synced", file.st_ino, file.st_size), ("named", file.st_ino), ("synced", folder.st_ino, ANY)]


def test_another_passphrase_does_not_open_it(made):
    with pytest.raises(WrongPassphraseError), open_file(made, PASSPHRASE + " "):
        pass


def test_a_damaged_octet_anywhere_is_noticed(made, unlocked, tmp_path):
    octets = made.read_bytes()
    at_payload = member(made, "payload.age").offset
    step = max((len(octets) - at_payload) // 150, 1)
    places = {*range(0, 512, 3), *range(at_payload - 60, at_payload + 900, 7), *range(at_payload, len(octets), step)}
    places |= {at_payload - 1, len(octets) - 1025, len(octets) - 1024, len(octets) - 1}
    damaged = tmp_path / "damaged"
    for at in sorted(places):
        damaged.write_bytes(octets[:at] + bytes([octets[at] ^ 0x20]) + octets[at + 1 :])
        with pytest.raises(BackupError):
            read(damaged)


@pytest.mark.parametrize("at", [30, 150])
def test_a_damaged_key_opens_no_more(made, tmp_path, at):
    octets = bytearray(made.read_bytes())
    octets[512 + at] ^= 1
    (tmp_path / "damaged").write_bytes(octets)
    with pytest.raises(WrongPassphraseError):
        read(tmp_path / "damaged")


def test_a_cut_file_is_noticed(made, unlocked, tmp_path):
    octets = made.read_bytes()
    for size in {*range(1, len(octets), len(octets) // 60), len(octets) - 1, len(octets) - 512}:
        (tmp_path / "cut").write_bytes(octets[:size])
        with pytest.raises(BackupError):
            read(tmp_path / "cut")
    (tmp_path / "cut").write_bytes(octets + b"\0")
    with pytest.raises(DamagedBackupError):
        read(tmp_path / "cut")


@given(octets=st.binary(max_size=2000))
def test_a_foreign_file_is_told_at_once(tmp_path_factory, octets):
    path = tmp_path_factory.getbasetemp() / "foreign"
    path.write_bytes(octets)
    with pytest.raises(NotABackupError), open_file(path, PASSPHRASE):
        pass


def test_nothing_is_left_of_one_that_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(container.pyrage.passphrase, "encrypt", lambda octets, _passphrase: octets)

    def broken():
        yield b"x" * 200_000
        raise ValueError("the database went away")

    with pytest.raises(ValueError, match="went away"):
        write(tmp_path / "node.backup", broken(), PASSPHRASE)
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_is_an_error_at_whatever_write_it_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(container.pyrage.passphrase, "encrypt", lambda octets, _passphrase: octets)
    real = container._Sink.write
    for limit in (0, 200, 70_000, 130_000):
        written = 0

        def full(sink, octets, limit=limit):
            nonlocal written
            written += len(octets)
            if written > limit:
                sink.error = OSError(28, "No space left on device")
                raise sink.error
            return real(sink, octets)

        monkeypatch.setattr(container._Sink, "write", full)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "node.backup", [os.urandom(150_000)], PASSPHRASE)
        assert not [*tmp_path.iterdir()]


def test_no_file_is_replaced(made):
    before = made.read_bytes()
    with pytest.raises(ExistsError):
        write(made, pack(MEMBERS), PASSPHRASE)
    assert made.read_bytes() == before


# ---- the payload


@given(st.lists(st.binary(min_size=1, max_size=200).map(lambda line: line.replace(b"\n", b"") + b"\n"), max_size=30))
def test_lines_come_back_out_of_pieces(lines):
    big = [*lines, b"x" * (2 * PIECE_BYTES + 7) + b"\n", *lines]
    found = list(unpack(pack(pieces("database", big))))
    assert b"".join(octets for _, octets in found) == b"".join(big)
    assert [name for name, _ in found] == [f"database/{number:08}" for number in range(1, len(found) + 1)]
    assert max(len(octets) for _, octets in found) <= PIECE_BYTES


def zipped(octets: bytes) -> list[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return [packer.compress(octets) + packer.flush()]


def plain(name: str, content: bytes = b"x") -> bytes:
    return header(name, len(content)) + content + padding(len(content))


def linked(name: str, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, "/etc/passwd", 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


END = bytes(1024)


@pytest.mark.parametrize(
    "octets",
    [
        plain("../kek") + END,
        plain("/etc/cron.d/x") + END,
        plain("file/../../x") + END,
        plain("file/a/b") + END,
        plain("FILE/1") + END,
        linked("file/1", tarfile.SYMTYPE) + END,
        linked("file/1", tarfile.LNKTYPE) + END,
        linked("file/1", tarfile.DIRTYPE) + END,
        linked("file/1", tarfile.FIFOTYPE) + END,
        header("file/1", MAX_MEMBER_BYTES + 1) + END,
        header("file/1", 100) + b"x" * 50,
        plain("file/1"),
        plain("file/1") + bytes(512),
        plain("file/1") + END + b"\0",
        header("file/1", 1) + b"x" + b"\1" * 511 + END,
        b"no tar at all" * 100,
        b"",
    ],
)
def test_only_plain_files_with_names_of_ours_are_taken(octets):
    with pytest.raises(DamagedBackupError):
        list(unpack(zipped(octets)))


def test_a_little_gzip_that_holds_very_much_is_not_taken_into_memory():
    bomb = zipped(header("file/1", MAX_MEMBER_BYTES) + bytes(64 * 1024 * 1024))
    assert len(bomb[0]) < 1_000_000
    with pytest.raises(DamagedBackupError):
        list(unpack(bomb))


def test_a_damaged_or_cut_gzip_is_noticed():
    whole = b"".join(pack(MEMBERS))
    assert list(unpack([whole])) == list(unpack([whole[at : at + 7] for at in range(0, len(whole), 7)])) == MEMBERS
    for octets in (whole[:-1], whole[: len(whole) // 2], whole + b"x", b"", b"PK\3\4"):
        with pytest.raises(DamagedBackupError):
            list(unpack([octets]))
