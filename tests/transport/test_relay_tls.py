"""TLS and AUTH towards a next hop: what is sent to whom, and what is not sent at all."""

import logging
import ssl
import time
from dataclasses import replace
from unittest import mock

import pytest

from fake_hop import BARE, CLOSE, HANG, HANG_SECONDS, HELLO, Fake
from harness.tls_servers import CLIENT_AUTH, authority, issue, server_context, write, write_ca
from mailseal.config import NextHop, Tls
from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Recipient
from mailseal.ports import Hop, Transfer
from mailseal.transport import client_tls, opening
from mailseal.transport.connecting import connect
from mailseal.transport.relay import SmtpRelay, Timeouts

STARTTLS = HELLO.replace(b"250-DSN", b"250-STARTTLS")
AUTH = HELLO.replace(b"250-DSN", b"250-AUTH LOGIN PLAIN")
ONLY_LOGIN = HELLO.replace(b"250-DSN", b"250-AUTH LOGIN CRAM-MD5")
PASSWORD = "pass word-\xe9"


@pytest.fixture
def fake(tmp_path):
    made = []

    def start(identity=None, script=(), **options):
        options.setdefault("hello", STARTTLS)
        if identity is not None:
            options["tls"] = server_context(tmp_path, identity, **options.pop("context", {}))
        one = Fake(tmp_path / f"hop{len(made)}", dict(script), tcp=True, **options)
        made.append(one)
        return one

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def relay_to(tmp_path):
    made = []

    def start(server, *, password=PASSWORD, timeouts=None, **changes):
        hop = replace(server.place, **changes)

        def password_of(name):
            assert name == hop.credential
            if password is None:
                raise TransientError("no password is stored")
            return password.encode()

        limits = Timeouts(**(timeouts or {}))
        relay = SmtpRelay({Hop.INSIDE: [hop]}, "me.test", limits, password_of=password_of)
        made.append(relay)
        return relay

    yield start
    for relay in made:
        relay.close()


def transfer(chunks=(b"Subject: x\r\n\r\n", b"body\r\n")):
    recipients = (Recipient(Address.parse("r@y.test")),)
    return Transfer(Hop.INSIDE, Address.parse("s@x.test"), recipients, tuple(chunks))


def verified(tmp_path, **options):
    return {"given": Tls.VERIFIED, "ca": write_ca(tmp_path), "name": "mx.test", **options}


def went(relay):
    (answer,) = relay.send(transfer())
    assert answer.code == 250 or answer == reply.NEXT_HOP_UNAVAILABLE
    return answer.accepted


@pytest.mark.parametrize("implicit", [False, True])
def test_verified_by_ca_and_name(fake, relay_to, tmp_path, implicit):
    server = fake(issue("mx.test"), implicit=implicit, hello_tls=AUTH, users={"me@x": PASSWORD})
    relay = relay_to(server, **verified(tmp_path, implicit=implicit, user="me@x"))
    assert went(relay)
    assert went(relay)
    first = [] if implicit else ["EHLO me.test", "STARTTLS"]
    begin = [*first, "EHLO me.test"]
    assert server.commands[: len(begin)] == begin
    assert server.logins == [(b"PLAIN", b"me@x", PASSWORD.encode())]
    assert server.connections == 1
    assert server.contents == [b"Subject: x\r\n\r\nbody\r\n"] * 2
    assert relay.features() >= {"AUTH", "SIZE"}
    assert "STARTTLS" not in relay.features()


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (lambda: issue("other.test"), "mx.test"),
        (lambda: issue("other.test", common_name="mx.test"), "mx.test"),
        (lambda: issue(common_name="mx.test"), "mx.test"),
        (lambda: issue("*.test", by=authority("Another Root")), "unable to get local issuer"),
        (lambda: issue("mx.test", days=-1), "expired"),
        (lambda: issue("mx.test", by=authority("Another Root")), "unable to get local issuer"),
        (lambda: issue("mx.test", eku=CLIENT_AUTH), "unsuitable certificate purpose"),
        (lambda: None, "does not offer STARTTLS"),
    ],
)
def test_verified_is_not_satisfied_with_less(fake, relay_to, tmp_path, caplog, identity, why):
    who = identity()
    server = fake(who, hello=HELLO if who is None else STARTTLS)
    relay = relay_to(server, **verified(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert not went(relay)
        assert not went(relay)
    assert why in caplog.text
    assert len(caplog.records) == 1
    assert not [line for line in server.commands if line.startswith(("MAIL", "RCPT", "DATA"))]


def test_any_certificate_will_do_for_required_but_not_none(fake, relay_to):
    server = fake(issue("other.test", days=-1))
    assert went(relay_to(server, given=Tls.REQUIRED))
    assert "STARTTLS" in server.commands
    bare = fake(hello=BARE)
    assert not went(relay_to(bare, given=Tls.REQUIRED))
    refusing = fake(issue("other.test"), {"STAR": [b"454 4.7.0 not now\r\n"]})
    assert not went(relay_to(refusing, given=Tls.REQUIRED))
    assert not bare.contents + refusing.contents


@pytest.mark.parametrize(("tls", "goes"), [(Tls.REQUIRED, False), (Tls.OPPORTUNISTIC, True)])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_1_1_is_no_tls(fake, relay_to, tls, goes):
    server = fake(issue("x.test"), context={"most": ssl.TLSVersion.TLSv1_1})
    assert went(relay_to(server, given=tls)) is goes
    assert len(server.contents) == goes


def babble(server, connection):
    connection.recv(1)
    server.say(connection, b"what is this?\r\n" * 10)
    server.say(connection, CLOSE)


@pytest.mark.parametrize("kind", ["garbage", "handshake", "closed", "not offered", "refused"])
def test_opportunistic_goes_on_in_clear_and_says_so_once(fake, relay_to, caplog, kind):
    identity = issue("x.test")
    scripts = {"refused": [b"454 4.7.0 no\r\n"], "garbage": [b"220 go\r\n"]}
    options = {"hello": HELLO} if kind == "not offered" else {}
    server = fake(identity, {"STAR": scripts[kind]} if kind in scripts else (), **options)
    if kind == "garbage":
        server.secure = lambda connection: babble(server, connection)
    elif kind == "closed":
        server.secure = lambda connection: server.say(connection, CLOSE)
    elif kind == "handshake":
        server.tls.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # for a certificate with an elliptic key
        server.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    relay = relay_to(server, given=Tls.OPPORTUNISTIC)
    with caplog.at_level(logging.WARNING):
        assert went(relay)
        server.hang_up()
        relay.close()
        assert went(relay)
    alone = kind in ("not offered", "refused")
    assert len([one for one in caplog.records if "in clear" in one.message]) == (0 if alone else 1)
    assert server.connections == (2 if alone else 4)


def test_opportunistic_takes_tls_where_it_is_offered(fake, relay_to):
    server = fake(issue("nobody.test", days=-10))
    assert went(relay_to(server, given=Tls.OPPORTUNISTIC))
    assert server.commands[:3] == ["EHLO me.test", "STARTTLS", "EHLO me.test"]
    assert server.connections == 1


@pytest.mark.parametrize("tls", [Tls.OPPORTUNISTIC, Tls.REQUIRED])
def test_words_before_tls_are_not_taken_for_words_after_it(fake, relay_to, tls):
    server = fake(issue("x.test"), {"STAR": [b"220 go\r\n250 injected\r\n"]})
    assert not went(relay_to(server, given=tls))
    assert not server.contents


def test_what_was_offered_before_tls_is_forgotten(fake, relay_to):
    before = STARTTLS.replace(b"250-STARTTLS", b"250-STARTTLS\r\n250-DSN")
    server = fake(issue("x.test"), hello=before, hello_tls=BARE)
    relay = relay_to(server, given=Tls.REQUIRED)
    assert went(relay)
    assert relay.features() == frozenset()
    assert "MAIL FROM:<s@x.test>" in server.commands


def test_a_handshake_that_hangs_meets_the_deadline(fake, relay_to):
    server = fake(tls=HANG)
    began = time.monotonic()
    assert not went(relay_to(server, given=Tls.REQUIRED, timeouts={"total_seconds": 0.3}))
    assert time.monotonic() - began < HANG_SECONDS / 2


def test_a_hanging_handshake_leaves_time_for_going_on_in_clear(fake, relay_to):
    server = fake(tls=HANG)
    assert went(relay_to(server, given=Tls.OPPORTUNISTIC, timeouts={"total_seconds": 4}))
    assert server.connections == 2


def test_going_on_in_clear_has_time_to_connect(fake, relay_to, monkeypatch):
    left = []

    def connecting(hop, resolver, deadline):
        left.append(deadline - time.monotonic())
        return connect(hop, resolver, deadline)

    monkeypatch.setattr(opening, "connect", connecting)
    limits = {"connect_seconds": 0.5, "greeting_seconds": 2.0}
    assert went(relay_to(fake(tls=HANG), given=Tls.OPPORTUNISTIC, timeouts=limits))
    assert len(left) == 2
    assert min(left) > 0.1


def test_rights_that_are_mended_are_seen(tmp_path, monkeypatch):
    hop = NextHop("h", 25, given=Tls.VERIFIED, ca=write_ca(tmp_path))
    contexts = client_tls.ClientContexts()
    first = contexts.of(hop, hop.tls)
    write_ca(tmp_path, authority("Another Root"), "new.pem").replace(hop.ca)
    with monkeypatch.context() as unreadable:
        unreadable.setattr(ssl.SSLContext, "load_verify_locations", mock.Mock(side_effect=PermissionError(13, "no")))
        assert contexts.of(hop, hop.tls) is first
    changed = hop.ca.stat().st_ctime_ns
    while hop.ca.stat().st_ctime_ns == changed:  # it is as fine as the kernel's tick
        hop.ca.chmod(0o644)
    assert contexts.of(hop, hop.tls) is not first


def test_a_client_certificate_is_shown_and_read_again_when_it_changes(fake, relay_to, tmp_path):
    server = fake(issue("mx.test"), context={"clients": authority()})
    mine = write(tmp_path, issue("me.test", eku=CLIENT_AUTH), "mine")
    relay = relay_to(server, **verified(tmp_path, certificate=mine))
    assert went(relay)
    first = server.peers[-1]["serialNumber"]
    mine.write_bytes(b"half a file")
    relay.close()
    assert went(relay), "what was read before still serves"
    write(tmp_path, issue("me.test", eku=CLIENT_AUTH), "mine")
    relay.close()
    assert went(relay)
    assert [one["serialNumber"] == first for one in server.peers] == [True, True, False]


def test_without_its_client_certificate_nothing_goes(fake, relay_to, tmp_path, caplog):
    server = fake(issue("mx.test"), context={"clients": authority()})
    assert not went(relay_to(server, **verified(tmp_path)))
    assert not went(relay_to(server, **verified(tmp_path, certificate=tmp_path / "none.pem")))
    assert "none.pem cannot be used" in caplog.text
    opportunistic = relay_to(server, given=Tls.OPPORTUNISTIC, certificate=tmp_path / "none.pem")
    assert not went(opportunistic), "a fault of ours is no reason to go on in clear"
    assert not server.contents


def test_a_large_mail_over_tls(fake, relay_to, tmp_path):
    server = fake(issue("mx.test"))
    relay = relay_to(server, **verified(tmp_path))
    chunks = (b"A: b\r\n", b"\r\n", b".line\r\n" * 700_000, b"end\r\n")
    assert relay.send(transfer(chunks))[0].code == 250
    assert server.contents == [b"".join(chunks).replace(b"\r\n.", b"\r\n..")]


def test_a_server_that_stops_reading_under_tls(fake, relay_to, tmp_path):
    server = fake(issue("mx.test"), {"BODY": [(100, HANG)]})
    relay = relay_to(server, timeouts={"total_seconds": 1}, **verified(tmp_path))
    began = time.monotonic()
    assert relay.send(transfer([b"x" * 70 + b"\r\n"] * 200_000)) == [reply.NEXT_HOP_UNAVAILABLE]
    assert time.monotonic() - began < HANG_SECONDS / 2


# AUTH


def test_login_where_there_is_no_plain(fake, relay_to, tmp_path):
    server = fake(issue("mx.test"), hello_tls=ONLY_LOGIN, users={"me": PASSWORD})
    assert went(relay_to(server, **verified(tmp_path, user="me")))
    assert server.logins == [(b"LOGIN", b"me", PASSWORD.encode())]


def test_a_long_password_goes_after_the_command(fake, relay_to, tmp_path):
    server = fake(issue("mx.test"), hello_tls=AUTH, users={"me": "x" * 600})
    assert went(relay_to(server, password="x" * 600, **verified(tmp_path, user="me")))
    assert "AUTH PLAIN" in server.commands


@pytest.mark.parametrize("answer", [b"535 5.7.8 not with pass word\r\n", b"454 4.7.0 later\r\n", b"334 more\r\n"])
def test_who_is_not_let_in_sends_nothing(fake, relay_to, tmp_path, caplog, answer):
    server = fake(issue("mx.test"), {"AUTH": [answer]}, hello_tls=AUTH)
    with caplog.at_level(logging.DEBUG):
        assert not went(relay_to(server, **verified(tmp_path, user="me")))
    assert answer[:3].decode() in caplog.text
    assert "pass word" not in caplog.text
    assert not server.contents


def test_no_password_or_no_auth(fake, relay_to, tmp_path, caplog):
    server = fake(issue("mx.test"), hello_tls=AUTH)
    assert not went(relay_to(server, password=None, **verified(tmp_path, user="me")))
    assert "no password is stored" in caplog.text
    bare = fake(issue("mx.test"), hello_tls=BARE)
    assert not went(relay_to(bare, **verified(tmp_path, user="me")))
    assert "neither AUTH PLAIN nor AUTH LOGIN" in caplog.text
    assert not server.logins + bare.logins


@pytest.mark.parametrize("tls", [Tls.OFF, Tls.OPPORTUNISTIC, Tls.REQUIRED])
def test_a_password_is_never_sent_to_somebody_unproven(fake, relay_to, monkeypatch, tls):
    """The configuration's reader refuses such a hop already."""
    hello = STARTTLS.replace(b"250 SIZE", b"250-AUTH PLAIN\r\n250 SIZE")
    server = fake(issue("mx.test"), hello=hello, hello_tls=AUTH, users={"me": PASSWORD})
    assert went(relay_to(server, given=tls, user="me")), "on this machine it would be"
    server.logins.clear()
    monkeypatch.setattr(NextHop, "local", False)
    assert not went(relay_to(server, given=tls, user="me"))
    assert not server.logins


def test_on_this_machine_a_password_needs_no_tls(fake, relay_to):
    server = fake(hello=AUTH, users={"me": PASSWORD})
    assert went(relay_to(server, user="me"))
    assert server.logins
