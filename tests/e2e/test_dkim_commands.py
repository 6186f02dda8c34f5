"""`mailseal dkim` as it is typed, with a name server of the test's own."""

import base64
import json
import re
import subprocess

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.db import connections

from dkim_keys import ec_key, ed25519_key, rsa_key
from harness.name_server import NameServer
from mailseal.cli import run
from mailseal.cli.checks.dkim import dkim as check
from mailseal.config import load


class Node:
    def __init__(self, folder, capsys, server):
        self.file, self.data, self.capsys = folder / "mailseal.toml", folder / "data", capsys
        self.data.mkdir(mode=0o700)
        self.server = server
        self.write()

    def write(self, timeout_seconds=60):
        dns = f'[dns]\nservers = ["{self.server.place}"]\ntimeout_seconds = {timeout_seconds}\n'
        self.file.write_text(f'data_dir = "{self.data}"\n{dns}')

    def __call__(self, *arguments, status=0):
        found = run(["--config", str(self.file), *map(str, arguments)])
        captured = self.capsys.readouterr()
        assert found == status, captured.err
        self.err = captured.err
        return captured.out

    def json(self, *arguments, status=0):
        return json.loads(self(*arguments, "--json", status=status))

    def checked(self):
        return [(one.status.value, one.text) for one in check(load(self.file, {}))]


@pytest.fixture
def server():
    with NameServer() as started:
        yield started


@pytest.fixture
def node(tmp_path, capsys, server):
    made = Node(tmp_path, capsys, server)
    made("init")
    yield made
    connections.close_all()


def test_from_generating_to_removing(node, server):
    made = node.json("dkim", "generate", "example.com", "--selector", "s1")
    assert made["name"] == "s1._domainkey.example.com"
    assert "".join(made["strings"]) == made["value"]
    assert max(map(len, made["strings"])) == 255
    assert node.checked() == []

    node("dkim", "enable", "example.com", "s1", status=1)
    assert "the DNS has no record s1._domainkey.example.com" in node.err
    assert "--unchecked" in node.err
    server.txt(made["name"], made["value"])
    node("dkim", "enable", "example.com", "s1")
    (row,) = node.json("dkim", "list")
    assert row["active"]
    assert row["published"]
    assert node.json("dkim", "check")[0]["dns"] == "published"
    assert node.checked() == [("ok", "keys that sign: 1, domains: 1; all of them in the DNS")]
    node("dkim", "remove", "example.com", "s1", "--yes", status=1)
    assert "this key signs mail" in node.err
    node("dkim", "disable", "example.com", "s1")
    node("dkim", "remove", "example.com", "s1", "--yes")
    assert node.json("dkim", "list") == []
    node("dkim", "remove", "example.com", "s1", "--yes", status=1)
    assert "example.com has no key" in node.err


@pytest.mark.parametrize(("record", "text"), [
    ("v=DKIM1; p=", "revoked"),
    ("v=DKIM1; k=rsa; p=QUJD", "cannot be read"),
    ("other", "has another key"),
    ("flags", "not for mail"),
    ("two", "more than one"),
])  # fmt: skip
def test_a_wrong_record_is_told(node, server, record, text):
    other = node.json("dkim", "generate", "example.com", "--selector", "s2", "--algorithm", "ed25519")["value"]
    made = node.json("dkim", "generate", "example.com", "--selector", "s1", "--algorithm", "ed25519")
    records = {"other": [other], "flags": [made["value"] + "; s=tlsrpt"], "two": [made["value"], other]}
    server.txt(made["name"], *records.get(record, [record]))
    node("dkim", "enable", "example.com", "s1", status=1)
    assert text in node.err
    node("dkim", "enable", "example.com", "s1", "--unchecked")
    ((status, said),) = node.checked()
    assert status == "fail"
    assert text in said


def test_a_name_server_that_is_silent(node, server):
    node("dkim", "generate", "example.com", "--selector", "s1", "--algorithm", "ed25519")
    server.silent.add("s1._domainkey.example.com")
    node.write(timeout_seconds=1)
    node("dkim", "enable", "example.com", "s1", status=1)
    assert "no answer in time" in node.err
    node("dkim", "enable", "example.com", "s1", "--unchecked")
    assert node.json("dkim", "check", status=1)[0]["dns"] == "unknown"
    assert [status for status, _ in node.checked()] == ["warn"]


def test_a_key_in_testing_says_so(node, server):
    made = node.json("dkim", "generate", "example.com", "--selector", "s1", "--algorithm", "ed25519")
    server.txt(made["name"], made["value"] + "; t=y")
    node("dkim", "enable", "example.com", "s1")
    assert "only tried" in node.err


def test_the_record_for_people_and_for_zone_files(node):
    node("dkim", "generate", "example.com", "--selector", "s1")
    node("dkim", "generate", "example.com", "--selector", "s2", "--algorithm", "ed25519")
    text = node("dkim", "record", "example.com")
    assert text.count("type:  TXT") == 2
    assert text.count("split: ") == 1
    zone = node("dkim", "record", "example.com", "s1", "--zone")
    value = "".join(re.findall(r'"([^"]*)"', zone))
    assert value == node.json("dkim", "record", "example.com", "s1")[0]["value"]
    assert zone.startswith("s1._domainkey.example.com. IN TXT (")
    node("dkim", "record", "example.org", status=1)
    assert "example.org has no key" in node.err


def test_what_is_printed_is_what_openssl_and_dkimpy_read(node, tmp_path):
    made = node.json("dkim", "generate", "example.com", "--selector", "s1")
    der = base64.b64decode(re.search("p=(.*)", made["value"])[1])
    shown = subprocess.run(
        ["openssl", "pkey", "-pubin", "-inform", "DER", "-noout", "-text"], input=der, capture_output=True, check=True
    )
    assert b"(2048 bit)" in shown.stdout
    assert dkim.evaluate_pk("s1", made["value"].encode())[1] == 2048


def test_keys_come_and_go_under_a_password(node, tmp_path):
    (tmp_path / "password").write_text("a long password\n")
    for name, key in (("r", rsa_key()), ("e", ed25519_key())):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a long password"))
        (tmp_path / f"{name}.pem").write_bytes(pem)
        node("dkim", "import", "example.com", name, tmp_path / f"{name}.pem", "--password-file", tmp_path / "password")
        out = tmp_path / f"{name}.out"
        node("dkim", "export", "example.com", name, "--password-file", tmp_path / "password", "--output", out)
        assert out.stat().st_mode & 0o777 == 0o600
        assert load_pem_private_key(out.read_bytes(), b"a long password").public_key() == key.public_key()
        command = ["openssl", "pkcs8", "-in", str(out), "-passin", f"file:{tmp_path / 'password'}"]
        assert b"BEGIN PRIVATE KEY" in subprocess.run(command, capture_output=True, check=True).stdout
        node("dkim", "export", "example.com", name, "--password-file", tmp_path / "password", "--output", out, status=1)
        assert "exists already" in node.err
    assert [row["active"] for row in node.json("dkim", "list")] == [False, False]
    exported = [one["subject"] for one in node.json("audit", "list") if one["action"] == "export-private-key"]
    assert sorted(exported) == ["e._domainkey.example.com", "r._domainkey.example.com"]


def test_keys_of_other_signers(node, tmp_path):
    """As opendkim-genkey (PKCS#1) and dknewkey (a bare seed) make them."""
    pem = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "opendkim").write_bytes(pem)
    (tmp_path / "dkimpy").write_bytes(base64.b64encode(ed25519_key().private_bytes_raw()) + b"\n")
    assert "rsa-2048" in node("dkim", "import", "example.com", "a", tmp_path / "opendkim")
    assert "ed25519" in node("dkim", "import", "example.com", "b", tmp_path / "dkimpy")


def test_what_is_no_key(node, tmp_path):
    (tmp_path / "password").write_text("wrong\n")
    locked = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"right"))
    plain = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    files = {
        b"": "neither PEM nor",
        b"QUJD\n": "neither PEM nor",
        b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n": "cannot be read",
        locked: "cannot be read, or the password is wrong",
        rsa_key(1024).private_bytes(*plain): "too weak to sign",
        ec_key().private_bytes(*plain): "RSA and Ed25519 keys only",
        b"x" * 70_000: "too large",
    }
    for octets, text in files.items():
        (tmp_path / "key").write_bytes(octets)
        command = ("dkim", "import", "example.com", "a", tmp_path / "key", "--password-file", tmp_path / "password")
        node(*command, status=1)
        assert text in node.err
    assert node.json("dkim", "list") == []
