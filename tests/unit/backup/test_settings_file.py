"""mailseal.toml for the new place; the manifest and the files that a backup has to hold."""

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.backup import node_files
from mailseal.backup.errors import BackupError, DamagedBackupError, NotABackupError
from mailseal.backup.manifest import FileEntry, KekEntry, Manifest, read_manifest
from mailseal.backup.settings_file import forms, moved, to_toml, with_new_paths
from mailseal.config import from_values

MANIFEST = Manifest(
    release="1.0",
    made=datetime(2026, 11, 24, tzinfo=UTC),
    node="mx1",
    data_dir="/var/lib/mailseal",
    folder="/etc/mailseal",
    config="/etc/mailseal/mailseal.toml",
    engine="sqlite",
    migrations=("0001_initial",),
    rows={"store_domain": 1},
    keks=(KekEntry("kek/00ff", "00ff", "credential:kek"),),
    files=(
        FileEntry("file/1", "/etc/mailseal/tls/chain.pem"),
        FileEntry("file/2", "/etc/ssl/ca & co.pem"),
    ),
    environment=(),
    without_log=False,
    without_kek=(),
)
FILES = {"file/1": Path("/new/files/01-chain.pem"), "file/2": Path("/new/files/02-ca.pem")}


def test_a_manifest_comes_back():
    assert read_manifest(MANIFEST.to_json()) == MANIFEST


def test_a_manifest_that_is_none_is_refused():
    newer = MANIFEST.to_json().replace(b'"mailseal-backup": 1', b'"mailseal-backup": 2')
    with pytest.raises(NotABackupError, match="format 2"):
        read_manifest(newer)
    for bad in (b"", b"[]", b"{}", b'{"mailseal-backup": 1}', MANIFEST.to_json().replace(b'"keks"', b'"kek"')):
        with pytest.raises(DamagedBackupError):
            read_manifest(bad)


def test_paths_are_those_of_the_new_place():
    document = {
        "data_dir": "/var/lib/mailseal",
        "workers": 2,
        "database": {"url": "mysql://a@b/c", "password_file": "/x"},
        "keys": {"kek": ["credential:kek"]},
        "listen": {
            "smtp": "127.0.0.1:25",
            "tls_certificate": "tls/chain.pem",
            "lmtp_outside": "/var/lib/mailseal/run/lmtp",
            "lmtp_authorised": "/var/lib/mailseal-other/lmtp",
        },
        "relay": {
            "outside": [
                "smtp://mx.example:25?tls=verified&ca=/etc/ssl/ca%20%26%20co.pem&name=mx.example",
                "smtp://mx2.example:25?tls=verified&ca=/etc/mailseal/tls/chain.pem",
            ]
        },
    }
    new = moved(document, MANIFEST, Path("/new"), FILES)
    assert (new["data_dir"], new["node"], new["workers"]) == ("/new", "mx1", 2)
    assert "database" not in new
    assert new["keys"] == {}
    assert new["listen"] == {
        "smtp": "127.0.0.1:25",
        "tls_certificate": "/new/files/01-chain.pem",
        "lmtp_outside": "/new/run/lmtp",
        "lmtp_authorised": "/var/lib/mailseal-other/lmtp",
    }
    assert new["relay"]["outside"] == [
        "smtp://mx.example:25?tls=verified&ca=/new/files/02-ca.pem&name=mx.example",
        "smtp://mx2.example:25?tls=verified&ca=/new/files/01-chain.pem",
    ]
    config = from_values(tomllib.loads(to_toml(new, "two\nlines").decode()))
    assert config.listen.tls_certificate == Path("/new/files/01-chain.pem")
    assert [str(hop.ca) for hop in config.relay.outside] == ["/new/files/02-ca.pem", "/new/files/01-chain.pem"]


def test_what_is_no_path_of_the_backup_stays():
    names = forms(MANIFEST, FILES)
    for text in ("smtp://a:25", "/etc/mailseal/tls/chain.pem.old", "smtp://a:25?name=tls/chain", "chain.pem"):
        assert with_new_paths(text, names) == text


values = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab -", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=5), values, max_size=5))
def test_any_document_is_written_as_toml(document):
    tables = {name: value for name, value in document.items() if isinstance(value, dict) and not value}
    expected = {name: value for name, value in document.items() if name not in tables}
    assert tomllib.loads(to_toml(document, "comment").decode()) == expected


def test_every_file_that_a_configuration_names_is_found(tmp_path):
    for name in ("chain.pem", "ca.pem", "client.pem", "client.key", "password", "other"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "log").write_bytes(b"a line\n")
    document = {
        "data_dir": str(tmp_path / "data"),
        "listen": {"tls_certificate": str(tmp_path / "chain.pem"), "lmtp_outside": str(tmp_path / "socket")},
        "log": {"destination": str(tmp_path / "log")},
        "database": {"url": "mysql://a@b/c", "password_file": str(tmp_path / "password")},
        "relay": {
            "outside": [
                f"smtp://a:25?tls=verified&ca={tmp_path}/ca.pem&certificate={tmp_path}/client.pem&key={tmp_path}/client.key"
            ]
        },
    }
    config = from_values(document)
    found = node_files.read_all(node_files.named(config, document, {}))
    assert {path.name: octets for path, octets in found.items()} == {
        name: name.encode() for name in ("chain.pem", "ca.pem", "client.pem", "client.key", "password")
    }
    environ = {"MAILSEAL_DATABASE_PASSWORD_FILE": str(tmp_path / "other")}
    assert tmp_path / "other" in node_files.named(config, document, environ)
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(BackupError, match=r"ca\.pem"):
        node_files.read_all(node_files.named(config, document, {}))


def test_a_folder_or_a_huge_file_is_not_read(tmp_path):
    assert node_files.read_all([tmp_path]) == {}
    (tmp_path / "huge").write_bytes(bytes(node_files.MAX_BYTES + 1))
    with pytest.raises(BackupError, match="larger"):
        node_files.read_all([tmp_path / "huge"])


def test_a_file_that_was_not_restored_keeps_its_name():
    assert forms(replace(MANIFEST, files=(*MANIFEST.files, FileEntry("file/3", "/x"))), FILES).get("/x") is None
