"""The receiver with content: smuggling, sizes, order, peers that go away, limits of time and number, drain."""

import asyncio
import random
import threading
import time

import pytest

from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.mail import reply
from mailseal.mail.envelope import Origin

MAIL = b"MAIL FROM:<a@b.test>\r\n"
RCPT = b"RCPT TO:<c@d.test>\r\n"


@pytest.mark.parametrize("fake", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r\n\n.\r\n", b"\n"])
def test_smuggling_is_refused_for_all(serve, fake):
    served = serve()
    wire = served.connect()
    wire.send(MAIL + RCPT + RCPT + b"DATA\r\n")
    wire.codes(4)
    wire.send(b"a" + fake + b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<v@x.test>\r\nDATA\r\nx\r\n.\r\n")
    assert [wire.line()[:9], wire.line()[:9]] == [b"550 5.5.2", b"550 5.5.2"]
    assert wire.ask(b"NOOP")[:3] == "250"
    assert served.mails == []


@pytest.mark.parametrize("content", [b"\r.\r", b"\x00", b"a\rb", b"\r\n.\r.\r\n"])
def test_odd_octets_are_content(serve, content):
    served = serve()
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n")
    wire.codes(3)
    wire.send(b"x" + content + b"MAIL FROM:<evil@x.test>\r\n.\r\n")
    assert wire.code() == "250"
    assert len(served.mails) == 1


def test_bare_line_feeds_normalised_by_setting(serve):
    served = serve(normalise_bare_lf=True)
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n")
    wire.codes(3)
    wire.send(b"a\nb\r\n\n.\n\r\n.\r\n")
    assert wire.code() == "250"
    assert served.mails[0][1] == b"a\r\nb\r\n\r\n.\r\n\r\n"


def test_too_large(serve):
    served = serve(max_message_bytes=1000)
    wire = served.connect()
    assert wire.ask(b"MAIL FROM:<a@b.test> SIZE=1001")[:9] == "552 5.3.4"
    wire.send(MAIL + RCPT + RCPT + b"DATA\r\n")
    wire.codes(4)
    wire.send(b"x" * 1001 + b"\r\n" + b"y" * 100_000 + b"\r\n.\r\n")
    assert [wire.line()[:9], wire.line()[:9]] == [b"552 5.3.4"] * 2
    wire.send(MAIL + RCPT + b"DATA\r\n")
    wire.codes(3)
    wire.send(b"x" * 998 + b"\r\n.\r\n")
    assert wire.code() == "250"
    assert len(served.mails) == 1


def test_bytes_in_flight(serve):
    served = serve(max_bytes_in_flight=5000)
    first, second = served.connect(), served.connect()
    first.send(MAIL + RCPT + b"DATA\r\n" + b"x" * 4000 + b"\r\nx")
    first.codes(3)
    wait_until(lambda: served.load.bytes_in_flight >= 4000)
    assert second.ask(b"MAIL FROM:<a@b.test> SIZE=1500")[:9] == "452 4.3.1"
    second.send(MAIL + RCPT + b"DATA\r\n")
    second.codes(3)
    second.send(b"x" * 1500 + b"\r\n.\r\n")
    assert second.line()[:9] == b"452 4.3.1"
    assert 4000 <= served.load.bytes_in_flight <= 4003
    first.close()
    wait_until(lambda: served.load.bytes_in_flight == 0)
    second.send(MAIL + RCPT + b"DATA\r\n")
    second.codes(3)
    second.send(b"x" * 1500 + b"\r\n.\r\n")
    assert second.code() == "250"


def test_an_announced_size_holds_nothing(serve):
    served = serve(max_bytes_in_flight=5000)
    for _ in range(10):
        assert served.connect().ask(b"MAIL FROM:<a@b.test> SIZE=4900")[:3] == "250"
    wait_until(lambda: served.load.bytes_in_flight == 0)


def test_a_mail_that_did_not_fit_holds_nothing_though_it_goes_on(serve):
    served = serve(max_bytes_in_flight=5000)
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n" + b"x" * 4000)
    wire.codes(3)
    wait_until(lambda: served.load.bytes_in_flight == 4000)
    wire.send(b"x" * 2000)
    wait_until(lambda: served.load.bytes_in_flight == 0)
    wire.send(b"\r\n.\r\n")
    assert wire.line()[:9] == b"452 4.3.1"


def test_a_large_mail_is_mapped_from_an_unlinked_file(serve, tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    served = serve(spool_directory=spool, spool_threshold_bytes=1000)
    wire = served.connect()
    body = random.Random(1).randbytes(300_000).replace(b"\n", b"").replace(b"\r", b"") + b"\r\n..\r\nend\r\n"
    for content, kind in ((body, "mmap"), (b"x" * 998 + b"\r\n", "bytes"), (b"x" * 999 + b"\r\n", "mmap")):
        wire.send(MAIL + RCPT + b"DATA\r\n")
        wire.codes(3)
        wire.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert wire.code() == "250"
        assert served.mails[-1][1:] == (content, kind)
        assert list(spool.iterdir()) == []


def test_a_full_disk_defers(serve, tmp_path):
    served = serve(spool_directory=tmp_path / "missing", spool_threshold_bytes=10)
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n")
    wire.codes(3)
    wire.send(b"x" * 100 + b"\r\n.\r\n")
    assert wire.line()[:9] == b"452 4.3.1"
    wait_until(lambda: served.load.bytes_in_flight == 0)


def test_pipelined_mails_are_answered_in_order(serve):
    async def handler(envelope, message):
        await asyncio.sleep(0.03 if bytes(message.raw) == b"0\r\n" else 0)
        return [reply.Reply(250, "2.0.0", bytes(message.raw).decode().strip())]

    served = serve(handler=handler)
    wire = served.connect()
    wire.send(b"".join(MAIL + RCPT + b"DATA\r\n%d\r\n.\r\n" % number for number in range(5)) + b"NOOP\r\nQUIT\r\n")
    for number in range(5):
        assert wire.codes(3) == ["250", "250", "354"]
        assert wire.line() == b"250 2.0.0 %d\r\n" % number
    assert wire.codes(2) == ["250", "221"]
    assert wire.at_end()


def test_much_sent_ahead_while_a_mail_is_handled(serve):
    async def handler(envelope, message):
        await asyncio.sleep(0.1)
        return [reply.ACCEPTED]

    served = serve(handler=handler)
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n.\r\n" + b"NOOP\r\n" * 30_000)
    assert wire.codes(3 + 1 + 30_000) == ["250", "250", "354"] + ["250"] * 30_001


class Panic(BaseException):
    """As Rust code raises it in a thread: no Exception."""


def test_a_failing_handler_defers(serve, caplog):
    async def handler(envelope, message):
        if message.raw == b"raise\r\n":
            raise ValueError("secret")
        if message.raw == b"panic\r\n":
            raise Panic
        if message.raw == b"few\r\n":
            return [reply.ACCEPTED]
        return [reply.ACCEPTED, reply.Reply(250, "2.0.0", "two\r\n250 lines")]

    served = serve(handler=handler)
    wire = served.connect()
    for content in (b"raise\r\n", b"panic\r\n", b"few\r\n", b"lines\r\n"):
        wire.send(MAIL + RCPT + RCPT + b"DATA\r\n")
        wire.codes(4)
        wire.send(content + b".\r\n")
        assert wire.codes(2) == ["451", "451"]
    assert wire.ask(b"NOOP")[:3] == "250"
    wait_until(lambda: served.load.bytes_in_flight == 0)


def test_peer_gone_before_the_end_delivers_nothing(serve):
    served = serve()
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\nhalf a mail\r\n.")
    wire.codes(3)
    wire.close()
    wait_until(lambda: served.load.connections == 0)
    assert served.mails == []
    wait_until(lambda: served.load.bytes_in_flight == 0)


def test_peer_gone_after_the_end_is_delivered(serve):
    done = []

    async def handler(envelope, message):
        await asyncio.sleep(0.05)
        done.append(bytes(message.raw))
        return [reply.ACCEPTED]

    served = serve(handler=handler, spool_threshold_bytes=10)
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\nall of the mail\r\n.\r\n")
    wire.codes(3)
    wire.close()
    wait_until(lambda: done)
    wait_until(lambda: served.load.bytes_in_flight == 0)
    assert done == [b"all of the mail\r\n"]


def test_a_peer_that_closes_its_side_gets_its_reply(serve):
    async def handler(envelope, message):
        await asyncio.sleep(0.05)
        return [reply.ACCEPTED]

    served = serve(handler=handler)
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n.\r\n")
    wire.connection.shutdown(1)
    assert wire.codes(4) == ["250", "250", "354", "250"]
    assert wire.at_end()


def test_idle_and_total_time(serve):
    served = serve()
    wire = served.connect()
    served.limit(idle_seconds=0.1)
    assert wire.line()[:9] == b"421 4.4.2"
    assert wire.at_end()
    served = serve()
    wire = served.connect()
    served.limit(total_seconds=0.2)
    with pytest.raises(OSError):  # noqa: PT012 -- the trickle ends whenever the server closes
        while True:
            wire.send(b"NOOP\r\n")
            time.sleep(0.02)
    wait_until(lambda: served.load.connections == 0)


def test_a_slow_content_is_cut(serve):
    served = serve()
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n")
    wire.codes(3)
    wire.send(b"some")
    served.limit(total_seconds=0.2)
    assert wire.line()[:9] == b"421 4.4.2"
    assert wire.at_end()
    assert served.mails == []
    wait_until(lambda: served.load.bytes_in_flight == 0)


def test_too_many_connections(serve):
    served = serve(max_connections=2, origin=Origin.AUTHORISED)
    one, _two = served.connect(), served.connect()
    third = served.connect(greet=False)
    assert third.line()[:9] == b"421 4.3.2"
    assert third.at_end()
    one.close()
    wait_until(lambda: served.load.connections == 1)
    served.connect()


def test_octet_by_octet(serve):
    served = serve()
    wire = served.connect()
    for octet in MAIL + RCPT + b"DATA\r\n" + b"a\r\n..b\r\n.\r\n":
        wire.send(bytes((octet,)))
        time.sleep(0.0005)
    assert wire.codes(4) == ["250", "250", "354", "250"]
    assert served.mails[0][1] == b"a\r\n.b\r\n"


def test_a_peer_that_does_not_read_is_not_read(serve):
    served = serve()
    wire = served.connect()
    wire.connection.settimeout(0.5)
    with pytest.raises(TimeoutError):
        wire.send(b"NOOP\r\n" * 5_000_000)
    assert served.load.connections == 1
    served.connect().ask(b"NOOP")


def test_drain(serve):
    released = threading.Event()

    async def handler(envelope, message):
        await asyncio.get_running_loop().run_in_executor(None, released.wait, PATIENCE_SECONDS)
        return [reply.ACCEPTED]

    served = serve(handler=handler)
    idle, busy, late = served.connect(), served.connect(), served.connect()
    busy.send(MAIL + RCPT + b"DATA\r\n.\r\n")
    busy.codes(3)
    late.send(MAIL)
    late.code()
    wait_until(lambda: served.mails)
    future = served.drain(PATIENCE_SECONDS)
    assert idle.line()[:9] == b"421 4.3.2"
    assert idle.at_end()
    late.send(RCPT + b"DATA\r\n.\r\n")
    assert late.codes(2) == ["250", "354"]
    released.set()
    assert late.codes(2) == ["250", "421"]
    assert busy.codes(2) == ["250", "421"]
    assert future.result(PATIENCE_SECONDS) == 0


def test_drain_ends_at_its_deadline(serve):
    served = serve()
    wire = served.connect()
    wire.send(MAIL)
    wire.code()
    assert served.drain(0.05).result(PATIENCE_SECONDS) == 1
    assert wire.at_end()
