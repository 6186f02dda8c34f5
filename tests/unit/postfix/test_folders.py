"""The private instance's folders: nobody but root may be able to put anything else in their place."""

import os
from types import SimpleNamespace

import pytest

from harness.folder import short_folder
from mailseal.config import from_values
from mailseal.postfix import folders, log_file
from mailseal.postfix.folders import FolderError, make, require_roots

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
OTHER = 65534


@pytest.fixture
def short():
    with short_folder("folders") as folder:
        yield folder


@pytest.fixture
def place(short):
    folder = short / "a" / "b"
    folder.mkdir(parents=True, mode=0o755)
    return folder


@AS_ROOT
def test_roots_own_all_the_way_is_taken(place):
    require_roots(place)


@AS_ROOT
@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_who_can_write_above_it_or_in_it_keeps_it_from_being_used(place, mode):
    for one in (place.parent, place):
        one.chmod(mode)
        with pytest.raises(FolderError, match=rf"others than root can write in {one},"):
            require_roots(place)
        one.chmod(0o755)


@AS_ROOT
def test_a_sticky_folder_above_is_no_harm_but_the_folder_itself_must_not_be_one(place):
    place.parent.chmod(0o1777)
    require_roots(place)
    place.chmod(0o1777)
    with pytest.raises(FolderError, match="can write in"):
        require_roots(place)


@AS_ROOT
def test_a_folder_of_somebody_else_is_not_taken(place):
    os.chown(place.parent, OTHER, OTHER)
    with pytest.raises(FolderError, match=f"write in {place.parent},"):
        require_roots(place)


@AS_ROOT
def test_a_link_is_not_followed(place):
    link = place.parent / "link"
    link.symlink_to(place)
    with pytest.raises(FolderError, match="is a link"):
        require_roots(link)
    with pytest.raises(FolderError, match="is a link"):
        require_roots(link / "deeper")


def config_of(folder):
    (folder / "data").mkdir(exist_ok=True)
    return from_values(
        {"data_dir": str(folder / "data"), "postfix": {"instance": "private", "folder": str(folder / "postfix")}}
    )


@AS_ROOT
def test_what_is_made(place, monkeypatch):
    monkeypatch.setattr(folders.pwd, "getpwnam", lambda _: SimpleNamespace(pw_uid=OTHER, pw_gid=OTHER))
    monkeypatch.setattr(folders.grp, "getgrnam", lambda _: SimpleNamespace(gr_gid=OTHER))
    config = config_of(place)
    os.chown(config.data_dir, OTHER, 4321)
    before = os.umask(0o077)
    try:
        make(config)
        make(config)
    finally:
        os.umask(before)
    found = {
        name: ((one := (config.postfix.folder / name).stat()).st_mode & 0o7777, one.st_uid, one.st_gid)
        for name in ("", "etc", "queue", "queue/mailseal", "data", "log", "log/maillog")
    }
    assert found == {
        "": (0o755, 0, 0),
        "etc": (0o755, 0, 0),
        "queue": (0o755, 0, 0),
        "queue/mailseal": (0o750, 0, OTHER),
        "data": (0o700, OTHER, OTHER),
        "log": (0o750, 0, OTHER),
        "log/maillog": (0o640, 0, OTHER),
    }


def test_without_root_it_says_what_to_do(short, monkeypatch):
    monkeypatch.setattr(folders.os, "geteuid", lambda: 1000)
    with pytest.raises(FolderError, match="needs root") as caught:
        make(config_of(short))
    assert "postfix.instance" in caught.value.what_to_do
    assert caught.value.exit_status == 78


@AS_ROOT
def test_without_postfix_it_says_so(place, monkeypatch):
    def nobody(_):
        raise KeyError

    monkeypatch.setattr(folders.pwd, "getpwnam", nobody)
    with pytest.raises(FolderError, match="not installed"):
        make(config_of(place))


def test_a_full_log_makes_room(short, monkeypatch):
    monkeypatch.setattr(log_file, "MAX_BYTES", 10)
    config = config_of(short)
    log = config.postfix.log_file
    log.parent.mkdir(parents=True)
    monkeypatch.setattr(folders.os, "fchown", lambda *_: None)
    for number in range(12):
        log.write_bytes(b"%03d small" % number)
        assert not log_file.rotated(config)
        log.write_bytes(b"%03d full log" % number)
        assert log_file.rotated(config)
        assert log.read_bytes() == b""
    names = sorted(path.name for path in log.parent.iterdir())
    assert names == ["maillog", *(f"maillog.{number}" for number in range(1, 9))]
    assert (log.parent / "maillog.1").read_bytes().startswith(b"011")
    assert (log.parent / "maillog.8").read_bytes().startswith(b"004")
    log.unlink()
    assert log_file.rotated(config)
    assert log.exists()


def test_why_it_ended(tmp_path):
    log = tmp_path / "maillog"
    assert log_file.why(log, 0) == ""
    log.write_text(
        "Nov 30 x postfix/smtpd[1]: fatal: an old story\n"
        "Nov 30 x postfix/master[2]: daemon started\n"
        "Nov 30 x postfix/postqueue[3]: fatal: not a daemon\n"
    )
    since = log.read_text().index("Nov 30 x postfix/master")
    assert log_file.why(log, 0) == ": an old story"
    assert log_file.why(log, since) == ""
    with log.open("a") as file:
        file.write("Nov 30 x postfix/master[2]: fatal: bind 127.0.0.1 port 25: Address already in use\n")
    assert log_file.why(log, since) == ": bind 127.0.0.1 port 25: Address already in use"
    assert log_file.size(log) == log.stat().st_size
    assert log_file.size(tmp_path / "nothing") == 0
