"""Next hops that are real TLS servers: a private Postfix, openssl s_server; and one that wants a password."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fake_hop import HELLO, Fake
from harness.client import Client, Sent
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.mail import mail
from harness.postfix import Postfix
from harness.routes import set_routes
from harness.sink import Sink
from harness.tls_servers import CLIENT_AUTH, authority, issue, server_context, write, write_ca
from harness.waiting import PATIENCE_SECONDS, wait_until

ANNA = "anna@alpha.example"
PASSWORD = "correct h\xf6rse"


@dataclass
class Scene:
    gateway: Gateway
    postfix: Postfix
    sink: Sink
    fake: Fake
    user: str

    def send(self, *recipients: str) -> Sent:
        with Client(path=self.gateway.data / "run" / "lmtp-authorised", lmtp=True) as client:
            return client.send(ANNA, recipients, mail(ANNA, ", ".join(recipients)))

    def findings(self, word: str) -> list[tuple[str, str, str]]:
        rows = json.loads(self.gateway.run("check", "--json").stdout)
        return [(one["status"], one["text"], one["what_to_do"]) for one in rows if word in one["text"]]


def serve_tls(postfix: Postfix, port: int, pem: Path, *options: str) -> None:
    """One more entry of a Postfix that is not started yet."""
    words = [
        "syslog_name=postfix/tls", "content_filter=", f"smtpd_tls_cert_file={pem}", f"smtpd_tls_key_file={pem}",
        "smtpd_tls_security_level=encrypt", "smtpd_tls_received_header=yes", "smtpd_tls_loglevel=1",
        "mynetworks=127.0.0.0/8", "smtpd_relay_restrictions=permit_mynetworks,reject", *options,
    ]  # fmt: skip
    lines = [f"127.0.0.1:{port} inet n - n - - smtpd", *(f"  -o {one}" for one in words)]
    with (postfix.folder / "etc" / "master.cf").open("a") as file:
        file.write("\n".join(lines) + "\n")


@contextlib.contextmanager
def old_server(folder: Path, port: int) -> Iterator[None]:
    """openssl s_server with nothing newer than TLS 1.1."""
    words = [
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-cert",
        str(write(folder, issue("old.test"), "old")),
    ]
    done = subprocess.Popen(
        [*words, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-quiet"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: _answers(port), every=0.05)
        yield
    finally:
        done.kill()
        done.communicate()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS):
        return True
    return False


@pytest.fixture(scope="module")
def scene(need_postfix: None) -> Iterator[Scene]:
    with short_folder("tls") as folder, Sink() as sink, contextlib.ExitStack() as stack:
        postfix = Postfix(folder / "postfix", inside_domains=["in.example"], inside=sink.port, outside=sink.port)
        ca, strange = write_ca(folder), write_ca(folder, authority("Another Root"), "strange.pem")
        mine = write(folder, issue("gate.alpha.example", eku=CLIENT_AUTH), "mine")
        good = write(folder, issue("mx.test"), "good")
        starttls, smtps, ended, old = (free_port() for _ in range(4))
        wants = (f"smtpd_tls_CAfile={ca}", "smtpd_tls_req_ccert=yes")
        serve_tls(postfix, starttls, good, *wants)
        serve_tls(postfix, smtps, good, "smtpd_tls_wrappermode=yes")
        serve_tls(postfix, ended, write(folder, issue("mx.test", days=-1), "ended"))
        hello = HELLO.replace(b"250-DSN", b"250-STARTTLS")
        fake = Fake(
            folder / "fake", {}, tcp=True, tls=server_context(folder, issue("auth.test")), users={"me@x": PASSWORD},
            hello=hello, hello_tls=HELLO.replace(b"250-DSN", b"250-AUTH PLAIN LOGIN"),
        )  # fmt: skip
        stack.callback(fake.stop)
        verified = f"tls=verified&ca={ca}"
        relay = {
            "inside": f"smtp://127.0.0.1:{sink.port}",
            "outside": f"smtp://127.0.0.1:{starttls}?{verified}&name=mx.test&certificate={mine}",
        }
        gateway = stack.enter_context(Gateway(folder / "mailseal", relay=relay))
        gateway.init("alpha.example")
        routes = {
            "smtps": f"smtps://127.0.0.1:{smtps}?{verified}&name=mx.test",
            "required": f"smtp://127.0.0.1:{ended}?tls=required",
            "name": f"smtps://127.0.0.1:{smtps}?{verified}&name=other.test",
            "ended": f"smtp://127.0.0.1:{ended}?{verified}&name=mx.test",
            "ca": f"smtps://127.0.0.1:{smtps}?tls=verified&ca={strange}&name=mx.test",
            "system": f"smtps://127.0.0.1:{smtps}?tls=verified&name=mx.test",
            "nobody": f"smtp://127.0.0.1:{starttls}?{verified}&name=mx.test",
            "bare": f"smtp://127.0.0.1:{sink.port}?tls=required",
            "old": f"smtps://127.0.0.1:{old}?tls=required",
            "auth": f"smtp://127.0.0.1:{fake.place.port}?{verified}&name=auth.test&user=me@x",
        }
        set_routes(gateway, {f"{name}.example": [url] for name, url in routes.items()})
        stack.enter_context(old_server(folder, old))
        stack.enter_context(postfix)
        gateway.start()
        yield Scene(gateway, postfix, sink, fake, f"me@x@127.0.0.1:{fake.place.port}")


@pytest.fixture(autouse=True)
def _clear(scene: Scene) -> None:
    scene.sink.clear()
    scene.postfix.forget_log()


def test_starttls_with_both_certificates_verified(scene: Scene) -> None:
    assert scene.send("olga@out.example").end[0].startswith("250")

    [got] = scene.sink.wait(1)
    [received, *_] = [one for one in got.fields("Received") if "TLSv1.3" in one]
    assert 'Client CN "server"' in received
    # It may be the connection by which the hop was asked what it offers, before this test.
    scene.postfix.wait_for_log("Trusted TLS connection established from", forgotten=True)


def test_tls_from_the_first_octet_and_any_certificate_where_that_will_do(scene: Scene) -> None:
    sent = scene.send("a@smtps.example", "b@required.example")

    assert [one[:3] for one in sent.end] == ["250", "250"]
    assert {one.recipients for one in scene.sink.wait(2)} == {("a@smtps.example",), ("b@required.example",)}


def test_who_cannot_prove_it_gets_nothing(scene: Scene) -> None:
    domains = ("name", "ended", "ca", "system", "nobody", "bare", "old")

    sent = scene.send(*(f"x@{one}.example" for one in domains), "olga@out.example")

    assert [one[:9] for one in sent.end[:-1]] == ["451 4.4.1"] * len(domains)
    assert sent.end[-1].startswith("250"), "the others go on"
    assert [one.recipients for one in scene.sink.wait(1)] == [("olga@out.example",)]


def test_a_password_is_sealed_and_sent_only_when_tls_stands(scene: Scene, tmp_path: Path) -> None:
    assert scene.send("x@auth.example").end[0].startswith("451")
    scene.gateway.wait_until_said(f"mailseal route password {scene.user}")
    (tmp_path / "secret").write_text(PASSWORD + "\n")

    scene.gateway.cli("route", "password", scene.user, "--password-file", str(tmp_path / "secret"))

    assert scene.send("x@auth.example").end[0].startswith("250")
    # each worker logs in for mail, and to ask what is offered
    assert set(scene.fake.logins) == {(b"PLAIN", b"me@x", PASSWORD.encode())}
    everything = b"".join(one.read_bytes() for one in scene.gateway.data.rglob("*") if one.is_file())
    assert PASSWORD.encode() not in everything
    assert PASSWORD not in scene.gateway.said()


def test_check_says_what_tls_came_to_and_what_to_do(scene: Scene) -> None:
    rows = scene.findings("")

    def of(domain: str, word: str) -> tuple[str, str, str]:
        [found] = [one for one in rows if one[1].startswith(domain) and word in one[1]]
        return found

    assert of("outside", "TLSv1.3")[0] == "ok"
    assert "verified for mx.test" in of("outside", "TLSv1.3")[1]
    assert "of mx.test, until 20" in of("name.example", "mismatch")[2]
    assert of("ended.example", "expired")[0] == "fail"
    assert "unable to get local issuer" in of("ca.example", "does not verify")[1]
    assert "does not offer STARTTLS" in of("bare.example", "STARTTLS")[1]
    assert of("old.example", "TLS with the next hop fails")[0] == "fail"
    assert "which tls=required does not verify" in of("required.example", "TLSv1")[1]
