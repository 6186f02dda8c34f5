"""Replies of a next hop that come when nothing was asked, or before all was said, are taken for what they are."""

import socket
import threading
import time

import pytest

from fake_hop import BARE, HELLO, Fake
from harness.waiting import PATIENCE_SECONDS
from mailseal.mail.address import Address
from mailseal.mail.envelope import Recipient
from mailseal.ports import Hop, Transfer
from mailseal.transport.connection import Connection
from mailseal.transport.exchange import Exchange
from mailseal.transport.relay import SmtpRelay, Timeouts

BIG = (b"x" * 70 + b"\r\n",) * 200_000


def transfer(*names, chunks=(b"Subject: x\r\n\r\n", b"body\r\n")):
    recipients = tuple(Recipient(Address.parse(name)) for name in names or ("r@y.test",))
    return Transfer(Hop.INSIDE, Address.parse("s@x.test"), recipients, chunks)


def codes(replies):
    return [one.code for one in replies]


@pytest.mark.parametrize("hello", [HELLO, BARE])
def test_words_between_two_mails_are_no_answer_to_the_second(tmp_path, hello):
    """Each reply would be taken for that to the command before it: the wrong recipient refused."""
    answers = [b"250 ok\r\n", b"250 ok\r\n", b"550 5.1.1 no\r\n"]
    server = Fake(tmp_path / "hop", {"RCPT": answers}, hello=hello)
    relay = SmtpRelay({Hop.INSIDE: [server.place]}, "me.test", Timeouts())
    try:
        assert codes(relay.send(transfer())) == [250]
        server.open[0].sendall(b"250 2.0.0 once more\r\n")  # a socket of this machine: it is there at once
        assert codes(relay.send(transfer("a@y.test", "b@y.test"))) == [250, 550]
        assert server.connections == 2
    finally:
        relay.close()
        server.stop()


def test_a_refusal_that_comes_before_the_end_of_the_content_is_read():
    """The server goes on to stand there and reads no more, so that its reply is there in any case."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    connection = Connection(ours, lmtp=False)
    connection.features = {"PIPELINING": ""}

    def serve():
        theirs.recv(1000, socket.MSG_WAITALL)  # the envelope, and some of the content
        theirs.sendall(b"552 5.3.4 too big\r\n")
        theirs.shutdown(socket.SHUT_RD)

    theirs.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
    server = threading.Thread(target=serve)
    server.start()
    with theirs:
        assert codes(
            Exchange(connection, transfer(chunks=BIG), time.monotonic() + PATIENCE_SECONDS, PATIENCE_SECONDS).run()
        ) == [552]
        server.join()
    assert not connection.reusable
    connection.close()
