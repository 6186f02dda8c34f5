"""STARTTLS on the SMTP listener as real clients see it; the certificate's life; what `check` says of it."""

from __future__ import annotations

import contextlib
import os
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.client import Client
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.mail import mail
from harness.server_certificate import ServerCertificate, server_certificate
from harness.sink import FEATURES, Sink
from harness.site import INSIDE
from harness.waiting import PATIENCE_SECONDS, wait_until

ANNA, BERT = "anna@alpha.example", "bert@alpha.example"
GATE = "gate.alpha.example"
WORKERS = 2


@dataclass
class Place:
    folder: Path
    gateway: Gateway
    port: int
    files: ServerCertificate
    inside: Sink

    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def openssl(self, *options: str, given: bytes = b"QUIT\n") -> subprocess.CompletedProcess[bytes]:
        command = ["openssl", "s_client", "-starttls", "smtp", "-connect", self.url(), "-crlf", "-ign_eof", *options]
        return subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False)

    def shown(self) -> bytes:
        """The certificate that a new connection is shown (DER)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE_SECONDS) as client:
            client.starttls(context=context)
            return client.sock.getpeercert(binary_form=True)

    def check(self) -> tuple[str, str]:
        rows = {row["check"]: row for row in self.rows_of_check()}
        return rows["listener TLS"]["status"], rows["listener TLS"]["text"]

    def rows_of_check(self) -> list[dict[str, str]]:
        import json  # noqa: PLC0415 -- `check` may rightly fail here for other reasons

        return json.loads(self.gateway.run("check", "--json").stdout)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    port = free_port()
    with short_folder("tls") as folder, Sink() as inside:
        files = server_certificate(folder, GATE)
        listen = {"smtp": f"127.0.0.1:{port}", "smtp_authorised_networks": ["127.0.0.1/32"]}
        listen |= {"tls_certificate": str(files.certificate), "tls_key": str(files.key)}
        for path in (files.certificate, files.key):
            path.chmod(0o600)
        hop = f"smtp://127.0.0.1:{inside.port}"
        with Gateway(folder / "mailseal", listen=listen, relay={"inside": hop, "outside": hop}) as gateway:
            gateway.init(INSIDE)
            gateway.start()
            yield Place(folder, gateway, port, files, inside)


@pytest.fixture(autouse=True)
def _clean(place: Place) -> None:
    place.inside.clear()


def test_openssl_verifies_name_and_chain(place: Place) -> None:
    said = place.openssl("-CAfile", str(place.files.certificate), "-verify_return_error", "-verify_hostname", GATE)
    assert said.returncode == 0, said.stderr.decode()
    assert b"Verification: OK" in said.stdout
    assert b"TLSv1.3" in said.stdout
    assert b"221 2.0.0" in said.stdout


@pytest.mark.parametrize(("version", "taken"), [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True)])
def test_only_tls_1_2_and_later(place: Place, version: str, taken: bool) -> None:
    before = place.gateway.said().count("failed: UNSUPPORTED_PROTOCOL")
    said = place.openssl(version, "-cipher", "ALL:@SECLEVEL=0")
    assert (b"Cipher is (NONE)" not in said.stdout) is taken, said.stdout
    if not taken:
        assert b"unexpected eof" in said.stderr, said.stderr  # the server ended it, not this client's own policy
        place.gateway.wait_until_said("failed: UNSUPPORTED_PROTOCOL", times=before + 1)


def test_no_renegotiation_and_no_compression(place: Place) -> None:
    said = place.openssl("-tls1_2")
    assert b"Compression: NONE" in said.stdout
    direct = [
        "openssl",
        "s_client",
        "-starttls",
        "smtp",
        "-connect",
        place.url(),
        "-tls1_2",
    ]  # without -ign_eof: R acts
    with subprocess.Popen(direct, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        output, _ = client.communicate(b"R\n", timeout=PATIENCE_SECONDS)
    assert b"no renegotiation" in output, output


def test_swaks(place: Place) -> None:
    command = ["swaks", "--server", place.url(), "--tls", "--tls-verify", "--tls-ca-path", str(place.files.certificate)]
    command += ["--from", ANNA, "--to", BERT, "--ehlo", "client.example", "--header", "Subject: by swaks"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [got] = place.inside.wait(1)
    trace = got.fields("Received")[0]
    assert "from client.example" in trace
    assert "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits))" in trace
    assert "with ESMTPS id" in trace


def test_postfix_verifies_us(place: Place) -> None:
    """posttls-finger is the TLS side of Postfix's SMTP client."""
    (place.folder / "main.cf").write_text("")
    command = ["posttls-finger", "-l", "verify", "-F", str(place.files.certificate), f"[127.0.0.1]:{place.port}", GATE]
    environment = {**os.environ, "MAIL_CONFIG": str(place.folder)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=environment
    )
    assert "Verified TLS connection established" in done.stdout + done.stderr
    assert "< 221 2.0.0" in done.stdout + done.stderr


def test_python_verifies_and_sends(place: Place) -> None:
    context = ssl.create_default_context(cafile=str(place.files.certificate))
    with smtplib.SMTP("127.0.0.1", place.port, timeout=PATIENCE_SECONDS) as client:
        client._host = GATE  # the name that smtplib verifies
        client.starttls(context=context)
        assert not client.has_extn("starttls") or client.ehlo()
        assert not client.has_extn("starttls")
        client.sendmail(ANNA, [BERT], mail(ANNA, BERT))
    [got] = place.inside.wait(1)
    assert "with ESMTPS id" in got.fields("Received")[0]


def test_without_tls_as_before(place: Place) -> None:
    with Client(place.port) as client:
        assert "250-STARTTLS" in client.features
        assert client.send(ANNA, [BERT], mail(ANNA, BERT)).end[0].startswith("250")
    [got] = place.inside.wait(1)
    assert "with ESMTP id" in got.fields("Received")[0]
    assert "using" not in got.fields("Received")[0]


def test_a_command_injected_before_the_handshake_is_never_carried_out(place: Place) -> None:
    injected = (
        f"EHLO x\r\nMAIL FROM:<{ANNA}>\r\nRCPT TO:<{BERT}>\r\nDATA\r\nSubject: injected\r\n\r\nx\r\n.\r\n".encode()
    )
    for together in (True, False):
        with socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE_SECONDS) as raw:
            raw.recv(1000)
            raw.sendall(b"STARTTLS\r\n" + (injected if together else b""))
            said = b"" if together else raw.recv(1000)
            if not together:
                raw.sendall(injected)
            with contextlib.suppress(ConnectionResetError):
                while octets := raw.recv(1000):
                    said += octets
        assert b"250" not in said, said
        assert said.startswith(b"421" if together else b"220")
    with Client(place.port) as client:  # what comes later arrives first: nothing of the injected mail is under way
        client.send(ANNA, [BERT], mail(ANNA, BERT))
    assert ["injected" in one.fields("Subject")[0] for one in place.inside.wait(1)] == [False]


def test_unix_sockets_offer_no_tls(place: Place) -> None:
    with Client(path=place.gateway.data / "run" / "lmtp-outside", lmtp=True) as client:
        assert not [line for line in client.features if "STARTTLS" in line]
        assert client.command("STARTTLS").startswith("502")


def test_a_new_certificate_without_a_restart_and_a_broken_one(place: Place) -> None:
    assert place.check()[0] == "ok"
    second = server_certificate(place.folder, GATE)
    # Each looks when somebody connects.
    wait_until(lambda: place.shown() and place.gateway.said().count("show the new certificate") >= WORKERS)
    assert place.shown() == second.der
    second.certificate.write_text("broken")

    def are_told() -> bool:
        assert place.shown() == second.der
        return "keep the certificate they have" in place.gateway.said()

    wait_until(are_told)
    said = place.gateway.said().count("keep the certificate they have")
    assert place.shown() == second.der
    assert said <= 2 * WORKERS  # once per worker, and once where a half-written pair was seen
    server_certificate(place.folder, GATE, days=-1)
    status, text = place.check()
    assert (status, "was valid until" in text) == ("fail", True)
    server_certificate(place.folder, GATE)


def test_success_is_reported_as_relayed_when_the_next_hop_has_given_dsn_up(place: Place) -> None:
    """DSN was announced; then the next hop comes back without it (RFC 3461 §5.2.2)."""
    with Client(place.port) as client:
        assert any("DSN" in line for line in client.features)
        place.inside.down()
        place.inside.features = tuple(one for one in FEATURES if one != "DSN")
        place.inside.up()
        wish = {"parameters": "ENVID=E1", "recipient_parameters": f"NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;{BERT}"}
        assert client.send(ANNA, [BERT], mail(ANNA, BERT), **wish).end[0].startswith("250")
    got = {one.recipients: one for one in place.inside.wait(2)}
    assert got[BERT,].recipient_parameters == ((),)
    report = got[ANNA,]
    assert report.sender == ""
    for line in ("Original-Envelope-Id: E1", f"Original-Recipient: rfc822;{BERT}", "Action: relayed", "Status: 2.0.0"):
        assert line.encode() + b"\r\n" in report.body
    place.inside.down()
    place.inside.features = FEATURES
    place.inside.up()


def test_an_internationalised_sender_gets_a_report_in_the_form_for_that(place: Place) -> None:
    """One of two recipients is refused by the next hop: 250, and one report (RFC 6533)."""
    sender, carl = "jörg@alpha.example", "carl@alpha.example"
    place.inside.rcpt_replies[BERT] = "550 5.1.1 nobody here"
    with Client(place.port) as client:
        reply = client.send(
            sender, [BERT, carl], mail(sender, BERT, subject="Grüße"), parameters="SMTPUTF8 BODY=8BITMIME"
        )
    assert reply.end[0].startswith("250")
    got = {one.recipients: one for one in place.inside.wait(2)}
    assert set(got) == {(carl,), (sender,)}
    report = got[sender,]
    assert (report.sender, "SMTPUTF8" in report.parameters) == ("", True)
    assert report.fields("To") == [sender]
    assert "report-type=global-delivery-status" in report.fields("Content-Type")[0]
    assert b"Remote-MTA: dns; [127.0.0.1]\r\nDiagnostic-Code: smtp; 550 5.1.1 nobody here\r\n" in report.body
    assert b"Content-Type: message/global-headers\r\n" in report.body


def test_a_certificate_that_cannot_be_used_at_the_start(place: Place) -> None:
    """The last one: it starts the gateway anew."""
    place.gateway.stop()
    place.files.certificate.unlink()
    place.gateway.launch()
    place.gateway.wait_until_said("set listen.tls_certificate")
    said = place.gateway.wait_until_said("fullchain.pem: No such file")
    assert "Traceback" not in said
