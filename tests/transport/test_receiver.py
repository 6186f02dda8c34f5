import asyncio
import ipaddress
import random
import threading
import time

import pytest

from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol
from mailseal.transport.receiver import origin_by_network

MAIL = b"MAIL FROM:<a@b.test>\r\n"
RCPT = b"RCPT TO:<c@d.test>\r\n"


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_one_reply_per_recipient_in_lmtp(serve):
    async def handler(envelope, message):
        return [reply.ACCEPTED, reply.DEFERRED, reply.NOT_PROTECTED]

    served = serve(handler=handler)
    wire = served.connect()
    wire.send(MAIL + RCPT + RCPT + b"RCPT TO:<e@d.test>\r\nDATA\r\n")
    assert wire.codes(5) == ["250", "250", "250", "250", "354"]
    wire.send(b"Subject: x\r\n\r\n..dot\r\n.\r\n")
    assert wire.codes(3) == ["250", "451", "550"]
    envelope, raw, _ = served.mails[0]
    assert raw == b"Subject: x\r\n\r\n.dot\r\n"
    assert [str(one.address) for one in envelope.recipients] == ["c@d.test", "c@d.test", "e@d.test"]
    assert (str(envelope.sender), envelope.protocol, envelope.origin) == ("a@b.test", Protocol.LMTP, Origin.OUTSIDE)
    assert served.load.bytes_in_flight == 0


def test_one_reply_per_mail_in_smtp(serve):
    served = serve(protocol=Protocol.ESMTP, unix=False)
    wire = served.connect()
    wire.send(MAIL + RCPT + RCPT + b"DATA\r\n")
    assert wire.codes(4) == ["250", "250", "250", "354"]
    wire.send(b"x\r\n.\r\nNOOP\r\n")
    assert [wire.line(), wire.line()] == [b"250 2.0.0 accepted\r\n", b"250 2.0.0 OK\r\n"]
    assert served.mails[0][0].client.address == "127.0.0.1"
    assert served.mails[0][0].client.helo == "c.test"


def test_what_is_announced(serve):
    served = serve(features={"DSN"}, xforward_unix=True, max_message_bytes=1234)
    wire = served.connect(hello=False)
    wire.send(b"LHLO me\r\n")
    words = {line[4:].strip().decode() for line in wire.reply()}
    assert words >= {"mx.test", "PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 1234"}
    assert "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in words
    wire = serve().connect(hello=False)
    wire.send(b"LHLO me\r\n")
    text = b"".join(wire.reply())
    assert b"DSN" not in text
    assert b"XFORWARD" not in text


def test_parameters_reach_the_envelope(serve):
    served = serve(features={"DSN"}, xforward_unix=True)
    wire = served.connect()
    assert wire.ask(b"XFORWARD NAME=mail.x.test ADDR=IPV6:2001:db8::1 PORT=25 PROTO=ESMTP")[:3] == "250"
    assert wire.ask(b"XFORWARD HELO=he+28lo IDENT=4F1x SOURCE=REMOTE")[:3] == "250"
    wire.send(
        "MAIL FROM:<jörg@bücher.test> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb\r\n"
        "RCPT TO:<c@d.test> NOTIFY=SUCCESS,FAILURE ORCPT=utf-8;jörg@x\r\nDATA\r\n".encode()
    )
    assert wire.codes(3) == ["250", "250", "354"]
    wire.send(b".\r\n")
    assert wire.code() == "250"
    envelope = served.mails[0][0]
    assert str(envelope.sender) == "jörg@xn--bcher-kva.test"
    assert (envelope.eight_bit, envelope.smtputf8, envelope.ret, envelope.envid) == (True, True, "HDRS", "a+2Bb")
    assert (envelope.recipients[0].notify, envelope.recipients[0].orcpt) == ("SUCCESS,FAILURE", "utf-8;jörg@x")
    assert envelope.client.name == "mail.x.test"
    assert envelope.client.address == "2001:db8::1"
    assert envelope.client.helo == "he?lo"
    assert envelope.queue_id == "4F1x"
    # what XFORWARD said holds for one mail
    wire.send(MAIL + RCPT + b"DATA\r\n")
    wire.codes(3)
    wire.send(b".\r\n")
    assert wire.code() == "250"
    assert served.mails[1][0].queue_id is None


def test_xforward_unavailable_and_not_allowed(serve):
    served = serve(xforward_unix=True)
    wire = served.connect()
    for attribute in (b"NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]", b"IDENT=[TEMPUNAVAIL]"):
        assert wire.ask(b"XFORWARD " + attribute)[:3] == "250"
    for bad in (b"", b" FOO=1", b" NAME", b" NAME=a+2", b" ADDR=mx.test", b" NAME=a NAME=b"):
        assert wire.ask(b"XFORWARD" + bad)[:3] == "501"
    wire.send(MAIL)
    assert wire.code() == "250"
    assert wire.ask(b"XFORWARD NAME=a")[:3] == "503"
    assert serve().connect().ask(b"XFORWARD NAME=a")[:9] == "550 5.7.0"


def test_xforward_by_network(serve):
    networks = [ipaddress.ip_network("127.0.0.0/8")]
    served = serve(unix=False, xforward_peers=networks, origin=origin_by_network(networks))
    wire = served.connect()
    assert wire.ask(b"XFORWARD NAME=a")[:3] == "250"
    wire.send(MAIL + RCPT + b"DATA\r\n")
    wire.codes(3)
    wire.send(b".\r\n")
    wire.code()
    assert served.mails[0][0].origin is Origin.AUTHORISED
    served = serve(unix=False, xforward_unix=True, origin=origin_by_network([ipaddress.ip_network("10.0.0.0/8")]))
    assert served.connect().ask(b"XFORWARD NAME=a")[:3] == "550"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"NOOP", "250 2.0.0"),
        (b"noop hello", "250 2.0.0"),
        (b"VRFY a", "252 2.0.0"),
        (b"VRFY", "501 5.5.4"),
        (b"EXPN a", "502 5.5.1"),
        (b"HELP", "502 5.5.1"),
        (b"STARTTLS", "502 5.5.1"),
        (b"AUTH PLAIN x", "502 5.5.1"),
        (b"FOO", "500 5.5.1"),
        (b"", "500 5.5.1"),
        (b"EHLO a", "500 5.5.1"),
        (b"HELO a", "500 5.5.1"),
        (b"LHLO", "501 5.5.4"),
        (b"RSET", "250 2.0.0"),
        (b"RSET x", "501 5.5.4"),
        (b"QUIT x", "501 5.5.4"),
        (b"DATA", "503 5.5.1"),
        (b"DATA x", "501 5.5.4"),
        (b"RCPT TO:<a@b.test>", "503 5.5.1"),
        (b"MAIL", "501 5.5.4"),
        (b"MAIL FROM", "501 5.5.4"),
        (b"MAIL FROM:", "501 5.1.7"),
        (b"MAIL FROM:a@b.test", "501 5.1.7"),
        (b"MAIL FROM:<a@b.test", "501 5.1.7"),
        (b"MAIL FROM:<a b@b.test>", "501 5.1.7"),
        (b"MAIL FROM:<a@b.test>x", "501 5.1.7"),
        (b"MAIL FROM:<a@b..test>", "501 5.1.7"),
        (b"MAIL FROM:<a@b.test>\x00", "501 5.1.7"),
        (b"MAIL FROM:<a\r@b.test>", "501 5.1.7"),
        (b"MAIL FROM:<" + b"a" * 65 + b"@b.test>", "501 5.1.7"),
        (b"MAIL FROM:<a>", "501 5.1.7"),
        (b"MAIL FROM:<@:a@b.test>", "501 5.1.7"),
        (b"MAIL FROM:<\xff@b.test>", "500 5.5.2"),
        (b"MAIL FROM:<j\xc3\xb6@b.test>", "553 5.6.7"),
        (b"MAIL FROM:<j\xc3\xb6@b.test> SMTPUTF8", "250 2.1.0"),
        (b"MAIL FROM:<>", "250 2.1.0"),
        (b"mail from: <a@b.test>", "250 2.1.0"),
        (b"MAIL FROM:<@x.test,@y.test:a@b.test>", "250 2.1.0"),
        (b'MAIL FROM:<"a b>\\" c"@b.test>', "250 2.1.0"),
        (b"MAIL FROM:<a@[127.0.0.1]> SIZE=10", "250 2.1.0"),
        (b"MAIL FROM:<a@b.test> SIZE", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> SIZE=x", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> SIZE=\xc2\xb2", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> SIZE=" + b"9" * 21, "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> SIZE=99999999999", "552 5.3.4"),
        (b"MAIL FROM:<a@b.test> SIZE=1 SIZE=1", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> BODY=BINARYMIME", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> BODY=7bit", "250 2.1.0"),
        (b"MAIL FROM:<a@b.test> SMTPUTF8=1", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> RET=HALF", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> ENVID=a+2", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> ENVID=" + b"a" * 101, "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> AUTH=<>", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test> FOO=1", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test> FOO==1", "501 5.5.4"),
    ],
)
def test_commands(serve, command, answer):
    wire = serve(features={"DSN"}).connect()
    assert wire.ask(command).startswith(answer)
    assert wire.ask(b"NOOP").startswith("250")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"RCPT TO:<>", "501 5.1.3"),
        (b"RCPT TO:<a@>", "501 5.1.3"),
        (b"RCPT FROM:<a@b.test>", "501 5.5.4"),
        (b"RCPT TO:<postmaster>", "550 5.1.1"),
        (b"RCPT TO:<Postmaster@b.test>", "250 2.1.5"),
        (b"RCPT TO:<@r.test:a@b.test>", "250 2.1.5"),
        (b'RCPT TO:<"a b"@b.test>', "250 2.1.5"),
        (b"RCPT TO:<j\xc3\xb6@b.test>", "553 5.6.7"),
        (b"RCPT TO:<a@b.test> NOTIFY=NEVER ORCPT=rfc822;a@b", "250 2.1.5"),
        (b"RCPT TO:<a@b.test> NOTIFY=never", "250 2.1.5"),
        (b"RCPT TO:<a@b.test> NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        (b"RCPT TO:<a@b.test> NOTIFY=SUCCESS,SUCCESS", "501 5.5.4"),
        (b"RCPT TO:<a@b.test> NOTIFY", "501 5.5.4"),
        (b"RCPT TO:<a@b.test> ORCPT=a@b", "501 5.5.4"),
        (b"RCPT TO:<a@b.test> ORCPT=rfc822;a+b", "501 5.5.4"),
        (b"RCPT TO:<a@b.test> ORCPT=rfc822;" + b"a" * 500, "501 5.5.4"),
        (b"RCPT TO:<a@b.test> FOO=1", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test>", "503 5.5.1"),
        (b"DATA", "503 5.5.1"),
    ],
)
def test_commands_after_mail(serve, command, answer):
    wire = serve(features={"DSN"}).connect()
    wire.send(MAIL)
    assert wire.code() == "250"
    assert wire.ask(command).startswith(answer)


def test_no_dsn_parameters_when_the_next_hop_has_none(serve):
    wire = serve().connect()
    assert wire.ask(b"MAIL FROM:<a@b.test> RET=HDRS")[:9] == "555 5.5.4"
    wire.send(MAIL)
    assert wire.code() == "250"
    assert wire.ask(b"RCPT TO:<a@b.test> NOTIFY=NEVER")[:9] == "555 5.5.4"


def test_hello_comes_first_and_resets(serve):
    wire = serve(protocol=Protocol.ESMTP).connect(hello=False)
    assert wire.ask(b"MAIL FROM:<a@b.test>")[:3] == "503"
    assert wire.ask(b"LHLO x")[:3] == "500"
    assert wire.ask(b"HELO x") == "250 mx.test"
    assert wire.ask(b"MAIL FROM:<a@b.test>")[:3] == "250"
    assert wire.ask(b"EHLO x")[:3] == "250"
    assert wire.ask(b"RCPT TO:<a@b.test>")[:3] == "503"
    assert wire.ask(b"QUIT")[:3] == "221"
    assert wire.at_end()


@pytest.mark.parametrize("verb", [b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"CONNECT a:25", b"BDAT 10 LAST"])
def test_other_protocols_are_cut(serve, verb):
    wire = serve().connect()
    assert wire.ask(verb)[:3] == "421"
    assert wire.at_end()


def test_bare_line_feed_ends_no_command(serve):
    wire = serve().connect()
    wire.send(b"NOOP\nMAIL FROM:<a@b.test>\r\n")
    assert wire.line()[:9] == b"500 5.5.2"
    assert wire.at_end()


def test_too_long_a_command_keeps_in_step(serve):
    wire = serve().connect()
    wire.send(b"NOOP " + b"x" * 2041 + b"\r\n")
    assert wire.code() == "250"
    for size in (2042, 3000, 70_000, 600_000):
        wire.send(b"NOOP " + b"x" * size + b"\r\nNOOP\r\n")
        assert wire.line()[:9] == b"500 5.5.2"
        assert wire.code() == "250"
    for piece in (b"NOOP " + b"y" * 3000, b"y" * 5, b"\r", b"\n", b"NOOP\r\n"):
        wire.send(piece)
        time.sleep(0.01)
    assert wire.codes(2) == ["500", "250"]


def test_too_many_errors(serve):
    wire = serve(max_errors=3).connect()
    wire.send(b"FOO\r\n" * 5)
    assert wire.codes(4) == ["500", "500", "500", "421"]
    assert wire.at_end()


def test_too_many_recipients(serve):
    served = serve(max_recipients=100)
    wire = served.connect()
    wire.send(MAIL + RCPT * 103)
    assert wire.codes(104) == ["250"] * 101 + ["452"] * 3
    assert wire.ask(b"DATA")[:3] == "354"
    wire.send(b".\r\n")
    assert wire.codes(100) == ["250"] * 100


def test_content_that_does_not_wait_for_a_refused_data(serve):
    served = serve()
    wire = served.connect()
    wire.send(MAIL + b"DATA\r\nSubject: x\r\nMAIL FROM:<evil@x.test>\r\nRCPT TO:<v@x.test>\r\n.\r\n")
    assert wire.codes(3) == ["250", "503", "421"]
    assert wire.at_end()
    assert served.mails == []


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
    assert first.ask(b"MAIL FROM:<a@b.test> SIZE=4000")[:3] == "250"
    assert second.ask(b"MAIL FROM:<a@b.test> SIZE=1500")[:9] == "452 4.3.1"
    second.send(MAIL + RCPT + b"DATA\r\n")
    second.codes(3)
    second.send(b"x" * 1500 + b"\r\n.\r\n")
    assert second.line()[:9] == b"452 4.3.1"
    assert served.load.bytes_in_flight == 4000
    first.close()
    wait_for(lambda: served.load.bytes_in_flight == 0)
    second.send(MAIL + RCPT + b"DATA\r\n")
    second.codes(3)
    second.send(b"x" * 1500 + b"\r\n.\r\n")
    assert second.code() == "250"


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
    assert served.load.bytes_in_flight == 0


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


def test_a_failing_handler_defers(serve, caplog):
    async def handler(envelope, message):
        if message.raw == b"raise\r\n":
            raise ValueError("secret")
        if message.raw == b"few\r\n":
            return [reply.ACCEPTED]
        return [reply.ACCEPTED, reply.Reply(250, "2.0.0", "two\r\n250 lines")]

    served = serve(handler=handler)
    wire = served.connect()
    for content in (b"raise\r\n", b"few\r\n", b"lines\r\n"):
        wire.send(MAIL + RCPT + RCPT + b"DATA\r\n")
        wire.codes(4)
        wire.send(content + b".\r\n")
        assert wire.codes(2) == ["451", "451"]
    assert wire.ask(b"NOOP")[:3] == "250"


def test_peer_gone_before_the_end_delivers_nothing(serve):
    served = serve()
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\nhalf a mail\r\n.")
    wire.codes(3)
    wire.close()
    wait_for(lambda: served.load.connections == 0)
    assert served.mails == []
    assert served.load.bytes_in_flight == 0


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
    wait_for(lambda: done)
    wait_for(lambda: served.load.bytes_in_flight == 0)
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
    served = serve(idle_seconds=0.1, total_seconds=30)
    wire = served.connect()
    assert wire.line()[:9] == b"421 4.4.2"
    assert wire.at_end()
    served = serve(idle_seconds=30, total_seconds=0.2)
    wire = served.connect()
    with pytest.raises(OSError):  # noqa: PT012 -- the trickle ends whenever the server closes
        while True:
            wire.send(b"NOOP\r\n")
            time.sleep(0.02)
    wait_for(lambda: served.load.connections == 0)


def test_a_slow_content_is_cut(serve):
    served = serve(idle_seconds=30, total_seconds=0.2)
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n")
    wire.codes(3)
    wire.send(b"some")
    assert wire.line()[:9] == b"421 4.4.2"
    assert wire.at_end()
    assert served.mails == []
    assert served.load.bytes_in_flight == 0


def test_too_many_connections(serve):
    served = serve(max_connections=2)
    one, _two = served.connect(), served.connect()
    third = served.connect(greet=False)
    assert third.line()[:9] == b"421 4.3.2"
    assert third.at_end()
    one.close()
    wait_for(lambda: served.load.connections == 1)
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
        await asyncio.get_running_loop().run_in_executor(None, released.wait, 5)
        return [reply.ACCEPTED]

    served = serve(handler=handler)
    idle, busy, late = served.connect(), served.connect(), served.connect()
    busy.send(MAIL + RCPT + b"DATA\r\n.\r\n")
    busy.codes(3)
    late.send(MAIL)
    late.code()
    wait_for(lambda: served.mails)
    future = served.drain(5)
    assert idle.line()[:9] == b"421 4.3.2"
    assert idle.at_end()
    late.send(RCPT + b"DATA\r\n.\r\n")
    assert late.codes(2) == ["250", "354"]
    released.set()
    assert late.codes(2) == ["250", "421"]
    assert busy.codes(2) == ["250", "421"]
    assert future.result(5) == 0


def test_drain_ends_at_its_deadline(serve):
    served = serve()
    wire = served.connect()
    wire.send(MAIL)
    wire.code()
    assert served.drain(0.05).result(5) == 1
    assert wire.at_end()
