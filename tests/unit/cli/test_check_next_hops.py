"""What `mailseal check` says of a next hop's certificate, whatever it is."""

import ssl
from dataclasses import replace

import pytest

from fake_hop import HELLO, Fake
from harness.tls_servers import issue, server_context
from mailseal.cli.checks import next_hops
from mailseal.cli.checks.finding import Status
from mailseal.config import Tls
from mailseal.transport.opening import Opener

STARTTLS = HELLO.replace(b"250-8BITMIME", b"250-8BITMIME\r\n250-STARTTLS")


@pytest.fixture
def look(tmp_path):
    made = []

    def say(identity, octets=b"", instead=b""):
        context = server_context(tmp_path, identity)
        if octets:
            der = ssl.PEM_cert_to_DER_cert(identity.pem.decode())
            assert octets in der
            pem = ssl.DER_cert_to_PEM_cert(der.replace(octets, instead)).encode()
            (tmp_path / "other.pem").write_bytes(identity.key_pem + pem)
            context.load_cert_chain(tmp_path / "other.pem")
        server = Fake(None, {}, tcp=True, hello=STARTTLS, hello_tls=HELLO, tls=context)
        made.append(server)
        hop = replace(server.place, given=Tls.REQUIRED)
        return [one for one in next_hops.next_hop(Opener("me.test"), hop, "w", "mend") if one.subject == "TLS"]

    yield say
    for server in made:
        server.stop()


def test_whom_it_is_of_and_that_it_ends(look):
    (one,) = look(issue("mx.test", days=30))
    assert "certificate of mx.test, until" in one.text
    assert [one.status for one in look(issue("mx.test", days=3))] == [Status.OK, Status.WARN]


@pytest.mark.parametrize(
    ("octets", "instead"),
    [
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"),  # version 6
        (b"mx.test", b"m\xff.test"),
    ],
)
def test_a_malformed_one_is_named_so(look, octets, instead):
    (one,) = look(issue("mx.test"), octets, instead)
    assert "malformed" in one.text


@pytest.mark.parametrize("tls", [Tls.OPPORTUNISTIC, Tls.REQUIRED])
def test_a_client_certificate_that_cannot_be_read_is_our_own_trouble(tmp_path, tls):
    server = Fake(None, {}, tcp=True, hello=STARTTLS, tls=server_context(tmp_path, issue("mx.test")))
    hop = replace(server.place, given=tls, certificate=tmp_path / "none.pem")
    (one,) = next_hops.next_hop(Opener("me.test"), hop, "w", "mend")
    server.stop()
    assert one.status is Status.FAIL
    assert "none.pem cannot be used: No such file" in one.text
    assert "can read" in one.what_to_do
