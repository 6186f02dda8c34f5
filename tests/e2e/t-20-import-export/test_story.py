"""Certificates and keys in and out by the command line, with openssl as the other side."""

import contextlib
import io
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from harness import openssl
from harness.folder import short_folder
from harness.gateway import COMMAND, clean_environment
from harness.site import people
from mailseal.cli import run
from mailseal.smime import exporting
from mailseal.smime.importing import read_certificates, read_pkcs12

PASSWORD = "correct horse"


class Node:
    """A node that nothing runs on; its commands run in this process, which is quicker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "mailseal.toml"
        folder.mkdir()
        self.cli(
            "init", "--data", str(folder / "data"), "--hostname", "x.example", "--internal-domain", "alpha.example"
        )
        self.cli("root", "import", self.put("root.pem", people().root.pem))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            status = run(["--config", str(self.config), *arguments])
        return subprocess.CompletedProcess(arguments, status, *(one.buffer.getvalue().decode() for one in streams))

    def cli(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def put(self, name: str, octets: bytes) -> str:
        path = self.folder / name
        path.write_bytes(octets)
        return str(path)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Node]:
    """With a root, the CA below it, and two keys."""
    with short_folder("t20") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "ITERATIONS", 20_000)  # quicker; nothing else is different
        made = Node(folder / "mailseal")
        who = people()
        others = made.put("others.pem", who.issuing.pem + who.olga.pem)
        own = made.put("own.pem", b"".join(one.pem + one.key_pem for one in (who.anna, who.bert)))
        made.cli("cert", "import", others, own)
        yield made
    connections.close_all()


@pytest.fixture
def password(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return str(path)


def fingerprint(who: object) -> str:
    return who.certificate.fingerprint[:20]


@pytest.mark.parametrize("profile", ["modern", "legacy"])
@pytest.mark.parametrize("name", ["anna", "bert"])
def test_a_key_goes_out_and_openssl_has_it(
    gateway: Node, tmp_path: Path, password: str, name: str, profile: str
) -> None:
    who = getattr(people(), name)
    file = tmp_path / "out.p12"
    gateway.cli(
        "cert", "export", fingerprint(who), "--format", "pkcs12", "--chain", "--profile", profile,
        "--password-file", password, "--output", str(file), "--name", "Somebody",
    )  # fmt: skip

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    legacy = ["-legacy"] if profile == "legacy" else []
    said = openssl.run("pkcs12", *legacy, "-in", str(file), "-passin", f"pass:{PASSWORD}", "-nodes")
    assert b"friendlyName: Somebody" in said
    assert set(read_certificates(said)) == {who.certificate, people().issuing.certificate}
    public = openssl.run("pkey", "-pubout", given=said)
    assert public == openssl.run("pkey", "-pubout", given=who.key_pem)
    imported = read_pkcs12(file.read_bytes(), PASSWORD.encode())
    assert [certificate for certificate, _ in imported.keys] == [who.certificate]

    before = file.read_bytes()
    again = gateway.run(
        "cert", "export", fingerprint(who), "--format", "pkcs12", "--password-file", password, "--output", str(file)
    )
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert file.read_bytes() == before


def test_what_is_not_exported(gateway: Node, tmp_path: Path, password: str) -> None:
    def refused(*arguments: str) -> str:
        file = tmp_path / "refused"
        done = gateway.run("cert", "export", *arguments, "--output", str(file))
        assert done.returncode == 1
        assert not file.exists()
        assert "Traceback" not in done.stderr
        return done.stderr

    short = tmp_path / "short"
    short.write_text("abc")
    who = people()
    keyed = ("--format", "pkcs12", "--password-file")
    assert "no private key here" in refused(fingerprint(who.olga), *keyed, password)
    assert "of one certificate" in refused(fingerprint(who.anna), fingerprint(who.bert), *keyed, password)
    assert "too short" in refused(fingerprint(who.anna), *keyed, str(short))
    assert "password is needed" in refused(fingerprint(who.anna), "--format", "pkcs12")
    assert "DER holds one" in refused(fingerprint(who.anna), fingerprint(who.bert), "--format", "der")
    assert "no certificate has" in refused("0" * 64)
    done = gateway.run("cert", "export", fingerprint(who.anna), "--output", str(tmp_path / "no" / "folder.pem"))
    assert "cannot be made: No such file" in done.stderr


def test_certificates_go_out_in_every_form(gateway: Node, tmp_path: Path) -> None:
    who = people()
    both = [fingerprint(who.anna), fingerprint(who.bert)]
    pem = gateway.cli("cert", "export", *both, "--chain").encode()
    assert read_certificates(pem) == (who.anna.certificate, who.bert.certificate, who.issuing.certificate)
    assert openssl.run("x509", "-noout", "-serial", given=pem)

    pkcs7 = tmp_path / "both.p7b"
    gateway.cli("cert", "export", *both, "--chain", "--format", "pkcs7", "--output", str(pkcs7))
    printed = openssl.run("pkcs7", "-inform", "DER", "-in", str(pkcs7), "-print_certs")
    assert set(read_certificates(printed)) == set(read_certificates(pem))
    assert openssl.run("cms", "-cmsout", "-inform", "DER", "-in", str(pkcs7), "-print")

    der = tmp_path / "anna.der"
    gateway.cli("cert", "export", both[0], "--format", "der", "--output", str(der))
    assert der.read_bytes() == who.anna.der


def test_nothing_but_pem_goes_to_a_terminal(gateway: Node, password: str) -> None:
    master, slave = os.openpty()
    done = subprocess.run(
        [*COMMAND, "--config", gateway.config, "cert", "export", fingerprint(people().anna), "--format", "pkcs12",
         "--password-file", password],
        stdout=slave, stderr=subprocess.PIPE, env=clean_environment(), check=False,
    )  # fmt: skip
    os.close(slave)
    os.close(master)
    assert done.returncode == 1
    assert b"not for a terminal" in done.stderr


@pytest.fixture
def folder(tmp_path: Path, password: str) -> Path:
    """One of each form, some of no use."""
    made = tmp_path / "folder"
    (made / "more").mkdir(parents=True)
    issue = people().issue
    one, two, three, four = (issue(f"{name}@many.example", key="p256") for name in ("one", "two", "three", "four"))
    (made / "a.pem").write_bytes(one.pem)
    (made / "b.pem").write_bytes(two.pem + two.key_pem)
    (made / "c.p12").write_bytes(three.p12(PASSWORD.encode()))
    (made / "d.der").write_bytes(one.der)
    (made / "e.txt").write_text("These are our certificates.")
    (made / "f.pem").write_bytes(two.pem[:200] + one.pem)
    (made / "g.pem").write_bytes(four.key_pem)
    (made / "h.pem").symlink_to("/etc/hostname")
    (made / "more" / "i.pem").write_bytes(four.pem)
    return made


EXPECTED = {
    "a.pem": ("pem", 1, 0, 0, True),
    "b.pem": ("pem", 1, 0, 1, True),
    "c.p12": ("pkcs12", 1, 1, 1, True),
    "d.der": ("der", 0, 1, 0, True),
    "e.txt": (None, 0, 0, 0, False),
    "f.pem": ("pem", 0, 1, 0, True),
    "g.pem": ("pem", 0, 0, 0, False),
    "h.pem": (None, 0, 0, 0, False),
    "i.pem": ("pem", 1, 0, 0, True),
}


def test_every_file_of_a_folder_comes_in(gateway: Node, folder: Path, password: str) -> None:
    done = gateway.run("cert", "import", str(folder), "--recursive", "--password-file", password, "--json")

    assert done.returncode == 1
    said = json.loads(done.stdout)
    rows = {Path(row["file"]).name: row for row in said["files"]}
    fields = ("form", "imported", "known", "keys", "good")
    assert {name: tuple(row[field] for field in fields) for name, row in rows.items()} == EXPECTED
    assert rows["f.pem"]["problems"] == ["member 1: the PEM block CERTIFICATE has no end"]
    assert rows["g.pem"]["problems"] == ["the file holds no certificate for its private key"]
    assert "neither PEM nor DER" in rows["e.txt"]["problems"][0]
    assert "a link that leads out" in rows["h.pem"]["problems"][0]
    assert said["summary"] == {"files": 9, "not_good": 3, "imported": 4, "known": 3, "keys": 2, "waiting": 0}
    keys = {row["addresses"][0]: row["key"] for row in said["certificates"] if row["addresses"]}
    assert keys == {f"{name}@many.example": name in {"two", "three"} for name in ("one", "two", "three", "four")}
    assert all(row["trusted"] for row in said["certificates"])

    # Again, in words: nothing is new, and the same files are no good.
    again = gateway.run("cert", "import", str(folder), "--password-file", password)
    assert again.returncode == 1
    assert "8 files: 0 certificates imported, 6 known already, 2 private keys; 3 files gave nothing" in again.stdout
    assert again.stderr.count("note: ") == 4


def test_files_that_are_good_end_well(gateway: Node, folder: Path) -> None:
    done = gateway.run("cert", "import", str(folder / "a.pem"), str(folder / "d.der"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_folders_without_files(gateway: Node, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = gateway.run("cert", "import", str(tmp_path / "empty"))
    assert done.returncode == 1
    assert "no file to import" in done.stderr
    done = gateway.run("cert", "import", str(tmp_path / "missing"))
    assert done.returncode == 1
    assert "No such file" in done.stderr


def test_what_comes_by_a_pipe(gateway: Node) -> None:
    who = people().issue("pipe@many.example", key="p256")
    done = subprocess.run(
        [*COMMAND, "--config", gateway.config, "cert", "import", "-"],
        input=who.pem + who.key_pem, capture_output=True, env=clean_environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"1 private keys" in done.stdout


def test_our_own_export_comes_in_elsewhere(gateway: Node, tmp_path: Path, password: str) -> None:
    file = tmp_path / "anna.p12"
    gateway.cli(
        "cert", "export", fingerprint(people().anna), "--format", "pkcs12", "--chain", "--password-file", password,
        "--output", str(file),
    )  # fmt: skip
    other = Node(tmp_path / "other")
    said = json.loads(other.cli("cert", "import", str(file), "--password-file", password, "--json"))
    assert [(row["key"], row["trusted"]) for row in said["certificates"]] == [(True, True), (False, True)]


@pytest.mark.skipif(shutil.which("pk12util") is None, reason="libnss3-tools is not installed")
def test_nss_takes_the_key_and_gives_it_back(gateway: Node, tmp_path: Path, password: str) -> None:
    file, back = tmp_path / "anna.p12", tmp_path / "back.p12"
    gateway.cli(
        "cert", "export", fingerprint(people().anna), "--format", "pkcs12", "--password-file", password,
        "--output", str(file), "--name", "anna",
    )  # fmt: skip
    for words in (
        ("certutil", "-N", "--empty-password"),
        ("pk12util", "-i", str(file), "-W", PASSWORD),
        ("pk12util", "-o", str(back), "-n", "anna", "-W", PASSWORD),
    ):
        subprocess.run([*words, "-d", f"sql:{tmp_path}"], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    ((certificate, key),) = read_pkcs12(back.read_bytes(), PASSWORD.encode()).keys
    assert certificate == people().anna.certificate
    assert key.private_numbers() == people().anna.key.private_numbers()
