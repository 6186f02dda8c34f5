"""The web key's file: who may read it, what it opens, and that it is never half there."""

import os

import pytest

from mailseal.keys.sealing import BrokenSealError
from mailseal.keys.web_key import WebKey, WebKeyError, WebKeyMissingError, is_web_key, make_web_key, read_web_key


@pytest.fixture
def path(tmp_path):
    return tmp_path / "web.key"


def test_what_was_made_is_read(path):
    made = make_web_key(path)
    assert path.stat().st_mode & 0o777 == 0o440
    assert is_web_key(path.read_bytes())
    assert read_web_key(path).opens.public == made.opens.public
    assert [one.name for one in path.parent.iterdir()] == ["web.key"]


def test_it_is_never_overwritten(path):
    make_web_key(path)
    before = path.read_bytes()
    with pytest.raises(WebKeyError, match="cannot be written"):
        make_web_key(path)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o444, 0o460, 0o402, 0o450])
def test_a_file_that_others_may_read_or_its_group_write_is_refused(path, mode):
    make_web_key(path)
    path.chmod(mode)
    with pytest.raises(WebKeyError, match=f"has mode {mode:04o}; chmod 0440"):
        read_web_key(path)


def test_what_is_no_web_key(path, tmp_path):
    with pytest.raises(WebKeyMissingError):
        read_web_key(path)
    for octets in (b"", b"mailseal-web-key-1:", b"mailseal-web-key-1:AAAA\n", b"mailseal-kek-1:" + b"A" * 43 + b"=\n"):
        path.write_bytes(octets)
        path.chmod(0o600)
        with pytest.raises(WebKeyError, match="is not a web key"):
            read_web_key(path)
        path.unlink()
    make_web_key(tmp_path / "other")
    path.symlink_to(tmp_path / "other")
    with pytest.raises(WebKeyError, match="cannot be opened"):
        read_web_key(path)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(WebKeyError, match="not a regular file"):
        read_web_key(path)


def test_what_it_sealed_opens_for_the_same_row_alone():
    key = WebKey(bytes(32))
    sealed = key.seal(b"a secret", identity=b"row 1")
    assert key.open(sealed, identity=b"row 1") == b"a secret"
    for octets, identity, other in (
        (sealed, b"row 2", key),
        (sealed, b"row 1", WebKey(bytes(31) + b"1")),
        (sealed[:-1], b"row 1", key),
        (b"\x02" + sealed[1:], b"row 1", key),
        (b"", b"row 1", key),
        (b"\x01", b"row 1", key),
    ):
        with pytest.raises(BrokenSealError):
            other.open(octets, identity=identity)


def test_its_purposes_are_apart_and_nothing_of_it_is_shown():
    key = WebKey(b"k" * 32)
    assert len({key.derive(b"django"), key.derive(b"seal"), key.derive(b"hpke"), b"k" * 32}) == 4
    assert "6b6b" not in repr(key)
