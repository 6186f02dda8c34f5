"""Which files an import finds, and what it opens."""

import io
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from harness.folder import short_folder
from mailseal.cli import import_files
from mailseal.cli.import_files import Source, sources


def find(*paths, recursive=False):
    return [str(one.path) for one in sources(paths, nullcontext, recursive=recursive)]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "folder"
    (made / "sub" / "deeper").mkdir(parents=True)
    (made / ".git").mkdir()
    for name in ("b.pem", "a.pem", ".hidden", "sub/c.der", "sub/deeper/d.p12", ".git/e.pem"):
        (made / name).write_bytes(name.encode())
    return made


def test_a_folder_without_and_with_what_is_inside(folder):
    assert find(folder) == [f"{folder}/a.pem", f"{folder}/b.pem"]
    assert find(folder, recursive=True) == [
        f"{folder}/a.pem", f"{folder}/b.pem", f"{folder}/sub/c.der", f"{folder}/sub/deeper/d.p12",
    ]  # fmt: skip


def test_a_hidden_file_counts_when_it_is_named(folder):
    assert find(folder / ".hidden", folder / "a.pem") == [f"{folder}/.hidden", f"{folder}/a.pem"]


def test_what_is_not_there_has_a_problem(tmp_path):
    (missing,) = sources([tmp_path / "missing"], nullcontext)
    assert missing.problem == "it cannot be read: No such file or directory"


def test_many_names_come_in_parts(folder, monkeypatch):
    monkeypatch.setattr(import_files, "_SORTED_AT_ONCE", 2)
    for number in range(7):
        (folder / f"{number}.pem").touch()
    assert sorted(find(folder)) == sorted(map(str, folder.glob("[!.]*.pem")))


def test_sizes_are_known_ahead(folder):
    assert [one.octets for one in sources([folder, folder / "a.pem"], nullcontext)] == [5, 5, 5]


def read(path, folder=None):
    with Source(path, folder=folder).open(nullcontext) as file:
        first = file.read()
        file.seek(0)
        assert file.read() == first
        return first


def test_links_are_followed_within_the_folder_only(folder, tmp_path):
    outside = tmp_path / "outside.pem"
    outside.write_bytes(b"outside")
    (folder / "in").symlink_to("sub/c.der")
    (folder / "out").symlink_to(outside)
    (folder / "up").symlink_to("../outside.pem")
    (folder / "round").symlink_to(folder)
    (folder / "away").symlink_to(tmp_path)
    (folder / "gone").symlink_to("nothing")
    found = {one.path.name: one for one in sources([folder], nullcontext, recursive=True)}
    assert set(found) == {"a.pem", "b.pem", "c.der", "d.p12", "in", "out", "up", "round", "away", "gone"}
    with found["in"].open(nullcontext) as file:
        assert file.read() == b"sub/c.der"
    for name in ("out", "up", "round", "away", "gone"):
        with pytest.raises(OSError, match=r"a link|No such file"):
            found[name].open(nullcontext)
    # A link that is named itself is meant.
    assert read(folder / "out") == b"outside"
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert find(link) == [f"{link}/{name}" for name in ("a.pem", "away", "b.pem", "gone", "in", "out", "round", "up")]
    with next(iter(sources([link], nullcontext))).open(nullcontext) as file:
        assert file.read() == b"a.pem"


def test_a_name_that_changes_between_is_seen_through(folder, tmp_path):
    (one, _) = sources([folder], nullcontext)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    one.path.unlink()
    one.path.symlink_to(secret)
    with pytest.raises(OSError, match="a link that leads out of"):
        one.open(nullcontext)


def test_a_pipe_in_a_folder_holds_nothing_up(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="it is no file"):
        read(folder / "pipe", folder=folder)


def test_a_pipe_that_is_named_is_read(tmp_path, monkeypatch):
    ends = os.pipe()
    os.write(ends[1], b"through a pipe")
    os.close(ends[1])
    try:
        assert read(Path(f"/dev/fd/{ends[0]}")) == b"through a pipe"
    finally:
        os.close(ends[0])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"by standard input")))
    assert read(Path("-")) == b"by standard input"
    monkeypatch.setattr(import_files, "MAX_INPUT_BYTES", 3)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"long")))
    with pytest.raises(OSError, match="from a pipe"):
        read(Path("-"))


RIGHTS = """
import os, sys
from pathlib import Path
from mailseal.cli.session import as_caller, become_owner
data, private = map(Path, sys.argv[1:3])
become_owner(data, for_now=sys.argv[3] == "for now")
def readable():
    try:
        return private.read_text()
    except PermissionError:
        return None
print(os.geteuid(), readable())
with as_caller():
    print(os.geteuid(), readable())
(data / "made").touch()
print(os.geteuid(), readable(), (data / "made").stat().st_uid)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="rights are given up by root")
@pytest.mark.parametrize("how", ["for now", "for good"])
def test_root_reads_files_while_it_works_as_somebody_else(how):
    with short_folder("rights") as folder:  # not below pytest's own, which nobody else may enter
        data, private = folder / "data", folder / "private"
        data.mkdir()
        os.chown(data, 65534, 65534)
        private.write_text("content")
        private.chmod(0o600)
        done = subprocess.run([sys.executable, "-c", RIGHTS, data, private, how], capture_output=True, check=True)
    between = "0 content" if how == "for now" else "65534 None"
    assert done.stdout.decode().splitlines() == ["65534 None", between, "65534 None 65534"]
