"""`mailseal key` as it is typed, on a node that is not running."""

import json
from pathlib import Path

import pytest
from django.db import connections

from mailseal.cli import run
from mailseal.keys.sealing import Kek
from mailseal.store import credentials, keks, rotation
from mailseal.store.models import KekRow


class Node:
    def __init__(self, folder, capsys):
        self.file, self.data, self.capsys = folder / "mailseal.toml", folder / "data", capsys
        self.data.mkdir(mode=0o700)
        self.file.write_text(f'data_dir = "{self.data}"\n')

    def __call__(self, *arguments, status=0):
        found = run(["--config", str(self.file), *map(str, arguments)])
        captured = self.capsys.readouterr()
        assert found == status, captured.err
        self.err = captured.err
        return captured.out

    def json(self, *arguments, status=0):
        return json.loads(self(*arguments, "--json", status=status))

    def states(self):
        return {row["kek"]: row["state"] for row in self.json("key", "list")}

    def seal(self, name):
        """Something that is sealed with the KEK that seals."""
        found = [Kek.load(path) for path in (self.data / "keks").iterdir()]
        credentials.keep(name, b"secret", next(one for one in found if one.id == keks.active()))


@pytest.fixture
def node(tmp_path, capsys, monkeypatch, no_next_hop):
    monkeypatch.setattr(rotation, "SETTLE_SECONDS", 0.0)
    made = Node(tmp_path, capsys)
    made("init")
    yield made
    connections.close_all()


def test_which_one_is_meant(node):
    (first,) = node.states()
    node("key", "rotate", status=1)
    assert "there is no new KEK" in node.err
    second = node.json("key", "new")["kek"]
    third = node.json("key", "new")["kek"]
    assert "mailseal key rotate" in node.err
    node("key", "rotate", status=1)
    assert f"several new KEKs: {', '.join(sorted((second, third)))}" in node.err
    node("key", "rotate", "--to", "0" * 16, status=75)
    assert "is not at hand" in node.err
    assert node.states() == {first: "active", second: "new", third: "new"}
    node("key", "rotate", "--to", third)
    node("key", "rotate")
    assert node.states() == {first: "replaced", third: "replaced", second: "active"}


def test_a_rotation_that_was_cut_off_goes_on(node):
    (first,) = node.states()
    node.seal("a@b:25")
    second = node.json("key", "new")["kek"]
    rotation.begin(second)
    assert any("1 values are still sealed" in row["text"] for row in node.json("check", status=1))
    assert node.json("key", "rotate") == {"kek": second, "moved": 1, "sealed": 1, "broken": 0, "named": []}
    assert node.states() == {first: "replaced", second: "active"}


def test_retiring_says_what_may_go_and_deletes_nothing(node):
    (first,) = node.states()
    node("key", "retire", "x", status=1)
    assert "there is no KEK x" in node.err
    node("key", "retire", first, status=1)
    assert "is the one that seals" in node.err
    node("key", "new")
    node("key", "rotate")
    KekRow.objects.filter(kek_id=first).update(activated="2026-01-01T00:00:00Z")
    KekRow.objects.exclude(kek_id=first).update(activated="2026-01-02T00:00:00Z")
    (place,) = node.json("key", "retire", first)["may be destroyed"]
    assert Path(place).exists()
    assert "Backups of the database" in node.err
    assert node.states()[first] == "retired"
    node("key", "rotate", "--to", first, status=1)
    assert "is retired" in node.err


def test_a_lost_kek(node):
    (first,) = node.states()
    node.seal("a@b:25")
    (file,) = (node.data / "keks").iterdir()
    file.unlink()
    assert node.states() == {first: "active"}
    second = node.json("key", "new")["kek"]
    passphrase = node.data.parent / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse battery staple")
    told = node.json("backup", node.data.parent / "node.backup", "--passphrase-file", passphrase)
    assert told["missing_keks"] == [first]
    assert first in node.err, "what the backup holds does not open without it"
    told = node.json("key", "rotate", status=1)
    assert (told["kek"], told["broken"], told["named"][0]["what"]) == (second, 1, "credential a@b:25")
    assert "mailseal route password" in node.err
    node.seal("a@b:25")
    assert node.json("key", "rotate", "--to", second)["broken"] == 0


def test_only_a_credential(node, monkeypatch):
    (file,) = (node.data / "keks").iterdir()
    node.file.write_text(f'data_dir = "{node.data}"\n[keys]\nkek = ["credential:kek"]\n')
    node("key", "new", status=1)
    assert "names no folder" in node.err
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    node("key", "rotate", status=75)
    assert "CREDENTIALS_DIRECTORY is not set" in node.err
    assert "LoadCredential=kek:" in node.err
    file.rename(file.with_name("kek"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    (row,) = node.json("key", "list")
    assert (row["state"], row["places"]) == ("active", ["credential:kek"])


def test_another_node_is_set_up_in_the_same_moment(tmp_path, capsys, monkeypatch):
    """Its KEK seals; the one that was made here is told to be of no use before anything is sealed with it."""
    others, real = Kek(b"o" * 32).id, keks.register_first
    monkeypatch.setattr(keks, "register_first", lambda ours: real(others) and real(ours))
    node = Node(tmp_path, capsys)
    try:
        node("init", status=1)
        assert f"the database says that KEK {others} seals, and it is not at hand on this node" in node.err
        assert keks.active() == others
    finally:
        connections.close_all()
