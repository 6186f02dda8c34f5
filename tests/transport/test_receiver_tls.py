"""STARTTLS on the listener (RFC 3207): a session that begins anew, nothing carried over, handshakes that fail."""

import asyncio
import contextlib
import ipaddress
import logging
import random
import socket
import ssl
import threading
import time

import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from harness.server_certificate import server_certificate
from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.mail import reply
from mailseal.mail.envelope import Protocol, Tls
from mailseal.transport.server_tls import ServerTls, ServerTlsError

MAIL = b"MAIL FROM:<a@b.test>\r\n"
RCPT = b"RCPT TO:<c@d.test>\r\n"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    files = server_certificate(tmp_path_factory.mktemp("tls"))
    return ServerTls(files.certificate, files.key)


@pytest.fixture(params=[None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def smtp(request, serve, tls):
    return lambda **options: serve(
        loop=request.param, **{"protocol": Protocol.ESMTP, "unix": False, "tls": tls, **options}
    )


def words(wire, hello=b"EHLO c.test"):
    wire.send(hello + b"\r\n")
    return {line[4:].strip().decode() for line in wire.reply()}


def send(wire, content=b"x\r\n"):
    wire.send(MAIL + RCPT + b"DATA\r\n")
    assert wire.codes(3) == ["250", "250", "354"]
    wire.send(content + b".\r\n")
    return wire.code()


def test_a_mail_over_tls(smtp):
    served = smtp()
    wire = served.connect(hello=False)
    assert "STARTTLS" in words(wire)
    wire.secure()
    assert wire.ask(MAIL.strip())[:3] == "503"  # EHLO anew
    assert "STARTTLS" not in words(wire)
    assert wire.ask(b"STARTTLS")[:3] == "503"
    assert send(wire) == "250"
    cipher, _, bits = wire.connection.cipher()
    assert served.mails[0][0].tls == Tls("TLSv1.3", cipher, bits)
    assert wire.ask(b"QUIT")[:3] == "221"
    assert wire.at_end()
    wire.close()
    wait_until(lambda: served.load.connections == 0)


def test_without_tls_nothing_is_said_of_it(smtp):
    served = smtp()
    wire = served.connect()
    assert send(wire) == "250"
    assert served.mails[0][0].tls is None
    assert wire.ask(b"STARTTLS now")[:3] == "501"
    wire = smtp(tls=None).connect(hello=False)
    assert "STARTTLS" not in words(wire)
    assert wire.ask(b"STARTTLS")[:3] == "502"


def test_what_was_said_before_tls_is_forgotten(smtp):
    served = smtp(xforward_peers=LOOPBACK)
    wire = served.connect()
    assert wire.ask(b"XFORWARD NAME=evil ADDR=192.0.2.1 IDENT=evil")[:3] == "250"
    wire.send(b"MAIL FROM:<evil@x.test>\r\n" + RCPT)
    assert wire.codes(2) == ["250", "250"]
    wire.secure()
    assert wire.ask(b"DATA")[:3] == "503"
    assert wire.ask(MAIL.strip())[:3] == "503"
    words(wire)
    assert wire.ask(b"DATA")[:3] == "503"
    assert send(wire) == "250"
    [(envelope, _, _)] = served.mails
    assert (str(envelope.sender), envelope.queue_id, envelope.client.address) == ("a@b.test", None, "127.0.0.1")


@pytest.mark.parametrize("after", [b"NOOP\r\n", b"EHLO evil\r\n" + MAIL + RCPT, b"\x16\x03\x01", b"x" * 300_000])
def test_nothing_behind_starttls_is_interpreted(smtp, after):
    served = smtp()
    wire = served.connect()
    wire.send(b"NOOP\r\nSTARTTLS\r\n" + after)
    assert wire.code() == "250"
    assert wire.line()[:9] == b"421 4.7.0"
    assert wire.at_end()
    wait_until(lambda: served.load.connections == 0)


@pytest.mark.parametrize("then", ["nothing", "a handshake"])
def test_commands_between_starttls_and_the_handshake_end_the_session(smtp, then):
    """The injection of CVE-2011-0411, in packets of its own."""
    served = smtp()
    wire = served.connect()
    assert wire.ask(b"STARTTLS")[:3] == "220"
    wire.send(b"EHLO evil\r\n" + MAIL + RCPT)
    if then == "nothing":
        assert b"250" not in wire.connection.recv(1000)  # at most an alert
    else:
        with pytest.raises((ssl.SSLError, OSError)):
            wire.secure(say=False)
    wait_until(lambda: served.load.connections == 0)
    assert served.mails == []
    served.connect().secure()


def test_octets_in_the_way_of_the_220_go_to_the_handshake_only(smtp):
    """STARTTLS and a command in two packets that arrive before the 220 is out."""
    served = smtp()
    for pause in (0, 0.001, 0.01):
        wire = served.connect()
        wire.send(b"STARTTLS\r\n")
        time.sleep(pause)
        wire.send(b"EHLO evil\r\n" + MAIL)
        with contextlib.suppress(OSError):
            assert b"250" not in wire.file.read()
    wait_until(lambda: served.load.connections == 0)


def test_a_handshake_has_a_time_limit_and_leaves_no_count(smtp):
    served = smtp(handshake_seconds=0.1)
    wire = served.connect()
    assert wire.ask(b"STARTTLS")[:3] == "220"
    assert wire.at_end()
    wait_until(lambda: served.load.connections == 0)
    assert not served.house.guests._outside


@pytest.mark.parametrize("end", ["close", "reset", "garbage", "half"])
def test_a_handshake_that_breaks_off_leaves_no_count(smtp, end):
    served = smtp()
    wire = served.connect()
    assert wire.ask(b"STARTTLS")[:3] == "220"
    if end == "reset":
        wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    elif end == "garbage":
        wire.send(random.Random(1).randbytes(5000))
    elif end == "half":
        wire.send(b"\x16\x03\x01\x02\x00\x01")
    wire.close()
    wait_until(lambda: served.load.connections == 0)
    assert served.drain(PATIENCE_SECONDS).result(PATIENCE_SECONDS) == 0


def test_a_peer_that_resets_in_the_breath_of_its_starttls_leaves_nothing_behind(smtp):
    """The connection may end before TLS begins: then nobody tells TLS, which would wait out the handshake's time."""
    served = smtp()
    for _ in range(20):
        wire = served.connect(hello=False)
        wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wire.send(b"STARTTLS\r\n")
        wire.close()
    wait_until(lambda: served.load.connections == 0 and not served.receiver._sessions)


def test_draining_during_and_after_a_handshake(smtp):
    served = smtp()
    during, after = served.connect(), served.connect()
    assert during.ask(b"STARTTLS")[:3] == "220"
    after.secure()
    future = served.drain(PATIENCE_SECONDS)
    assert after.line()[:9] == b"421 4.3.2"
    during.secure(say=False)
    assert during.line()[:9] == b"421 4.3.2"
    after.close()
    during.close()
    assert future.result(PATIENCE_SECONDS) == 0


def test_a_drain_that_ends_cuts_a_handshake(smtp):
    served = smtp()
    wire = served.connect()
    assert wire.ask(b"STARTTLS")[:3] == "220"
    assert served.drain(0.05).result(PATIENCE_SECONDS) == 1
    assert wire.at_end()
    wait_until(lambda: served.load.connections == 0)


def test_much_through_tls(smtp, tmp_path):
    served = smtp(spool_directory=tmp_path, max_connections_per_client=3)
    body = random.Random(2).randbytes(3_000_000).replace(b"\n", b"").replace(b"\r", b"") + b"\r\n..\r\nend\r\n"
    wire = served.connect()
    wire.secure()
    words(wire)
    assert send(wire, body.replace(b"\r\n.", b"\r\n..")) == "250"
    assert served.mails[0][1] == body
    wire.send((MAIL + RCPT + b"DATA\r\nx\r\n.\r\n") * 50 + b"NOOP\r\n" * 30_000)
    assert wire.codes(200 + 30_000) == ["250", "250", "354", "250"] * 50 + ["250"] * 30_000


def test_commands_right_behind_the_handshake_are_answered(smtp):
    """What came with the end of the handshake is read through TLS, so it counts."""
    served = smtp()
    wire = served.connect()
    assert wire.ask(b"STARTTLS")[:3] == "220"
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    client = context.wrap_bio(incoming, outgoing)
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            wire.send(outgoing.read())
            incoming.write(wire.connection.recv(65536))
    client.write(b"EHLO me\r\nNOOP\r\n")
    wire.send(outgoing.read())  # Finished and the commands in one packet
    got = b""
    while not got.endswith(b"250 2.0.0 OK\r\n"):
        try:
            got += client.read()
        except ssl.SSLWantReadError:
            incoming.write(wire.connection.recv(65536))
    assert got.startswith(b"250-mx.test\r\n")


def test_a_peer_that_ends_tls_while_its_mail_is_handled(smtp):
    released = threading.Event()

    async def handler(envelope, message):
        await asyncio.get_running_loop().run_in_executor(None, released.wait, PATIENCE_SECONDS)
        return [reply.ACCEPTED]

    served = smtp(handler=handler)
    wire = served.connect()
    wire.secure()
    words(wire)
    wire.send(MAIL + RCPT + b"DATA\r\nx\r\n.\r\n")
    wire.codes(3)
    with contextlib.suppress(OSError):
        wire.connection.unwrap()
    wire.close()
    wait_until(lambda: served.load.connections == 0)
    released.set()
    assert served.drain(PATIENCE_SECONDS).result(PATIENCE_SECONDS) == 0
    assert len(served.mails) == 1
    wait_until(lambda: served.load.bytes_in_flight == 0)


@pytest.mark.parametrize("command", [b"MAIL FROM:<a@b.test>", b"HELO x", b"VRFY a", b"XFORWARD NAME=a", b"AUTH PLAIN"])
def test_required(smtp, command):
    served = smtp(tls_required=True, xforward_peers=LOOPBACK)
    wire = served.connect()
    assert wire.ask(command)[:9] == "530 5.7.0"
    assert [wire.ask(one)[:3] for one in (b"NOOP", b"RSET", b"EHLO y")] == ["250", "250", "250"]
    wire.secure()
    words(wire)
    assert send(wire) == "250"
    assert served.connect().ask(b"QUIT")[:3] == "221"


def test_idle_time_counts_through_tls(smtp):
    served = smtp()
    wire = served.connect()
    wire.secure()
    words(wire)
    served.limit(idle_seconds=0.2)
    assert wire.line()[:9] == b"421 4.4.2"
    assert wire.at_end()


def test_lmtp_over_tcp(smtp):
    served = smtp(protocol=Protocol.LMTP)
    wire = served.connect(hello=False)
    assert "STARTTLS" in words(wire, b"LHLO x")
    wire.secure()
    words(wire, b"LHLO x")
    assert send(wire) == "250"


def test_a_new_certificate_is_shown_without_a_restart(serve, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    now = [0.0]
    first = server_certificate(tmp_path)
    served = serve(
        unix=False, protocol=Protocol.ESMTP, tls=ServerTls(first.certificate, first.key, clock=lambda: now[0])
    )

    def shown():
        wire = served.connect()
        wire.secure()
        return wire.connection.getpeercert(binary_form=True)

    assert shown() == first.der
    second = server_certificate(tmp_path)
    assert shown() == first.der  # looked at at most once a second
    now[0] += 1
    assert shown() == second.der
    first.key.write_text("broken")
    for _ in range(3):
        now[0] += 1
        assert shown() == second.der
    assert [record.levelname for record in caplog.records if "certificate" in record.message] == ["INFO", "ERROR"]
    third = server_certificate(tmp_path)
    now[0] += 1
    assert shown() == third.der
    third.certificate.unlink()
    now[0] += 1
    assert shown() == third.der


def test_rights_that_are_mended_are_seen(tmp_path):
    """They change nothing else of a file: the renewed certificate was never shown, whatever was done later."""
    now = [0.0]
    files = server_certificate(tmp_path)
    tls = ServerTls(files.certificate, files.key, clock=lambda: now[0])
    before = tls.context()
    server_certificate(tmp_path)
    files.key.chmod(0o644)
    now[0] += 1
    assert tls.context() is before, "not with a key that all can read"
    changed = files.key.stat().st_ctime_ns
    while files.key.stat().st_ctime_ns == changed:  # it is as fine as the kernel's tick
        files.key.chmod(0o600)
    now[0] += 1
    assert tls.context() is not before


def test_key_and_certificate_in_one_file(serve, tmp_path):
    files = server_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
    both.chmod(0o640)
    served = serve(unix=False, protocol=Protocol.ESMTP, tls=ServerTls(both))
    served.connect().secure()


def test_a_certificate_that_cannot_be_used(tmp_path):
    files = server_certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    stranger = server_certificate(other)

    def refused(certificate, key=None):
        with pytest.raises(ServerTlsError) as caught:
            ServerTls(certificate, key)
        assert caught.value.what_to_do
        return str(caught.value)

    assert "No such file" in refused(tmp_path / "none.pem", files.key)
    assert "No such file" in refused(files.certificate, tmp_path / "none.pem")
    assert "does not belong" in refused(files.certificate, stranger.key)
    assert "chmod" in refused(files.certificate)  # no key in it, and everyone may read it
    files.certificate.chmod(0o600)
    assert "no usable certificate" in refused(files.certificate)
    (tmp_path / "empty").touch(mode=0o600)
    assert "no usable certificate" in refused(tmp_path / "empty")
    assert "Is a directory" in refused(files.certificate, other)
    files.key.chmod(0o644)
    assert "chmod" in refused(files.certificate, files.key)
    files.key.chmod(0o600)
    encrypted = tmp_path / "encrypted.pem"
    plain = load_pem_private_key(files.key.read_bytes(), None)
    encrypted.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    encrypted.chmod(0o600)
    assert "password" in refused(files.certificate, encrypted)
