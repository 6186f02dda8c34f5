"""The KEK: its file, and what it seals."""

import os
import stat
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.durable import on_the_disk
from mailseal.errors import PermanentError, TransientError
from mailseal.keys.sealing import (
    BrokenSealError,
    Kek,
    KekExistsError,
    KekFileError,
    SealError,
    WrongKekError,
    sealed_by,
)

KEK = Kek(bytes(range(32)))
ROW = b"key/0123"


def test_round_trip_and_form():
    sealed = KEK.seal(b"secret", identity=ROW)
    assert KEK.open(sealed, identity=ROW) == b"secret"
    assert b"secret" not in sealed
    assert sealed != KEK.seal(b"secret", identity=ROW)
    assert sealed_by(sealed) == KEK.id
    assert len(KEK.id) == 16


@given(st.binary(max_size=2000), st.binary(max_size=100))
def test_round_trip_of_anything(plaintext, identity):
    assert KEK.open(KEK.seal(plaintext, identity=identity), identity=identity) == plaintext


def test_another_row():
    with pytest.raises(BrokenSealError, match="another row"):
        KEK.open(KEK.seal(b"secret", identity=ROW), identity=b"key/0124")


def test_another_kek():
    with pytest.raises(WrongKekError, match=KEK.id):
        Kek(bytes(32)).open(KEK.seal(b"secret", identity=ROW), identity=ROW)


@given(st.data())
def test_any_change_is_noticed(data):
    sealed = bytearray(KEK.seal(b"secret", identity=ROW))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealError):
        KEK.open(bytes(sealed), identity=ROW)


@given(st.binary(max_size=80))
def test_any_octets_raise_only_the_typed_error(data):
    with pytest.raises(SealError):
        KEK.open(data, identity=ROW)


def test_a_cut_value():
    sealed = KEK.seal(b"", identity=ROW)
    for length in range(len(sealed)):
        with pytest.raises(BrokenSealError):
            KEK.open(sealed[:length], identity=ROW)
    with pytest.raises(BrokenSealError):
        sealed_by(sealed[:5])


def test_trouble_with_seals_defers_mail():
    assert issubclass(SealError, TransientError)
    assert issubclass(KekExistsError, PermanentError)


def test_the_key_is_not_shown():
    assert repr(KEK) == f"Kek(id='{KEK.id}')"
    with pytest.raises(KekFileError, match="32 octets"):
        Kek(b"short")


def test_file(tmp_path):
    path = tmp_path / "kek"
    made = Kek.generate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert Kek.load(path).id == made.id
    assert Kek.load(path).open(made.seal(b"x", identity=ROW), identity=ROW) == b"x"


def test_a_file_in_a_folder_is_named_after_its_key(tmp_path):
    made, path = Kek.generate_in(tmp_path)
    assert path == tmp_path / f"{made.id}.kek"
    assert [one.name for one in tmp_path.iterdir()] == [path.name], "nothing is left beside it"
    assert Kek.load(path).id == made.id


def test_it_is_on_the_disk_before_anything_is_sealed_with_it(tmp_path):
    """A power cut that took it would take everything that was sealed since."""
    with on_the_disk() as seen:
        _, path = Kek.generate_in(tmp_path)
    file, folder = path.stat(), tmp_path.stat()
    assert seen == [("synced", file.st_ino, file.st_size), ("named", file.st_ino), ("synced", folder.st_ino, ANY)]


def test_a_file_is_never_overwritten(tmp_path):
    path = tmp_path / "kek"
    path.write_bytes(b"precious")
    with pytest.raises(KekExistsError, match="never overwritten"):
        Kek.generate(path)
    assert path.read_bytes() == b"precious"
    with pytest.raises(KekFileError, match="cannot be written"):
        Kek.generate(tmp_path / "missing" / "kek")


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o600 | 0o020])
def test_a_file_that_others_may_touch(tmp_path, mode):
    path = tmp_path / "kek"
    Kek.generate(path)
    path.chmod(mode)
    with pytest.raises(KekFileError, match="set it to 0400"):
        Kek.load(path)


def test_a_file_of_another_user(tmp_path, monkeypatch):
    path = tmp_path / "kek"
    Kek.generate(path)
    owner = path.stat().st_uid
    if owner == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(KekFileError, match="belongs to user"):
        Kek.load(path)


def test_what_is_no_kek_file(tmp_path):
    path = tmp_path / "kek"
    with pytest.raises(KekFileError, match="cannot be opened"):
        Kek.load(path)
    with pytest.raises(KekFileError):
        Kek.load(tmp_path)  # a directory
    for content in (b"", b"x" * 5000, b"mailseal-kek-1:", b"mailseal-kek-1:AAAA\n", b"mailseal-kek-1:***\n"):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o400)
        with pytest.raises(KekFileError, match="not a KEK file"):
            Kek.load(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(KekFileError, match="cannot be opened"):
        Kek.load(link)
