"""Certificates of our own servers: self-signed at first, then by ACME, by request, from elsewhere; nothing restarts."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from harness.acme_ca import AcmeCa
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.e2e

NAME = "gate.alpha.example"


@dataclass
class Place:
    folder: Path
    gateway: Gateway
    port: int
    plain: int
    ca: AcmeCa

    def shown(self) -> x509.Certificate:
        pem = ssl.get_server_certificate(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        return x509.load_pem_x509_certificate(pem.encode())

    def rows(self) -> dict[tuple[str, str], dict[str, object]]:
        return {(row["purpose"], row["state"]): row for row in self.gateway.rows("tls-certificate", "list")}


@contextlib.contextmanager
def place(folder: Path) -> Iterator[Place]:
    port, plain = free_port(), free_port()

    def visit(_name: str, token: str) -> str | None:
        url = f"http://127.0.0.1:{plain}/.well-known/acme-challenge/{token}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            return None

    with AcmeCa(folder, visit) as ca:
        gateway = Gateway(
            folder / "gate",
            top={"workers": 1},
            listen={"smtp": f"127.0.0.1:{free_port()}"},
            web={"listen": f"127.0.0.1:{port}", "plain_listen": f"127.0.0.1:{plain}"},
            discover={"allow_private": True, "ca": str(ca.trusted)},
        )
        with gateway:
            gateway.init("alpha.example")
            gateway.start()
            yield Place(folder, gateway, port, plain, ca)


def test_the_life_of_a_servers_certificates():
    with short_folder("t-70") as folder, place(folder) as at:
        wait_until(lambda: ("console", "shown") in at.rows(), "the worker makes a first certificate")
        first = at.rows()["console", "shown"]
        wait_until(lambda: at.shown().fingerprint(SHA256()).hex() == first["fingerprint"], "it is shown")
        assert (first["source"], NAME in first["names"]) == ("self-signed", True)

        _without_tls(at)
        _by_acme(at)
        _by_request(at)
        for key in at.gateway.data.rglob("*.pem"):
            assert key.stat().st_mode & 0o007 == 0
        log = at.gateway.output.read_text()
        assert "PRIVATE" not in log
        assert "unexpected" not in log


def _without_tls(at: Place) -> None:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    opener = urllib.request.build_opener(Stay())

    def ask(path: str, host: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{at.plain}{path}", headers={"Host": host})
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(request, timeout=PATIENCE_SECONDS)
        with caught.value as answer:
            return answer.code, answer.headers.get("Location", "")

    assert ask("/mails/?a=b&c=%22", NAME) == (308, f"https://{NAME}:{at.port}/mails/?a=b&c=%22")
    assert ask("/", "evil.example") == (400, "")
    assert ask("/.well-known/acme-challenge/none", NAME) == (404, "")


def _by_acme(at: Place) -> None:
    directory = ["--directory", f"{at.ca.root}/directory"]
    refused = at.gateway.run("tls-certificate", "acme", "console", *directory)
    assert refused.returncode == 1
    assert "--agree" in refused.stderr
    before = at.shown()
    at.ca.refuse = "not today"
    at.gateway.cli("tls-certificate", "acme", "console", *directory, "--agree")
    wait_until(lambda: at.rows()["console", "asked for"]["problem"], "the CA's words are told")
    assert "not today" in str(at.rows()["console", "asked for"]["problem"])
    assert at.shown() == before

    at.ca.refuse = ""
    at.gateway.cli("tls-certificate", "acme", "console", *directory, "--agree")
    wait_until(lambda: "Pretend CA" in at.shown().issuer.rfc4514_string(), "the console shows what the CA has issued")
    row = at.rows()["console", "shown"]
    assert (row["source"], row["names"]) == ("acme", [NAME])
    assert row["renewed"] < row["not_after"]
    assert ("console", "asked for") not in at.rows()
    assert len(at.ca.accounts) == 1


def _by_request(at: Place) -> None:
    request = at.gateway.cli("tls-certificate", "request", "mail", "--name", NAME, "--name", "mail.alpha.example")
    (at.folder / "request.pem").write_text(request)
    names = _openssl("req", "-in", str(at.folder / "request.pem"), "-noout", "-text", "-verify")
    assert "mail.alpha.example" in names
    ca_key, ca = at.folder / "ca.key", at.folder / "ca.pem"
    _openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(ca_key), "-out", str(ca), "-subj", "/CN=Ours"
    )
    issued = at.folder / "issued.pem"
    _openssl(
        "x509", "-req", "-in", str(at.folder / "request.pem"), "-CA", str(ca), "-CAkey", str(ca_key), "-days", "5",
        "-copy_extensions", "copy", "-out", str(issued),
    )  # fmt: skip
    chain = at.folder / "chain.pem"
    chain.write_bytes(ca.read_bytes() + issued.read_bytes())
    made = json.loads(at.gateway.cli("tls-certificate", "accept", "mail", str(chain), "--json"))
    file = Path(made["file"])
    assert file.stat().st_mode & 0o777 == 0o600
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    assert "Ours" in _openssl("x509", "-in", str(file), "-noout", "-issuer")
    again = at.gateway.run("tls-certificate", "accept", "mail", str(chain))
    assert (again.returncode, "nothing is asked" in again.stderr) == (1, True)


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    return done.stdout + done.stderr
