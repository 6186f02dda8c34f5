import ipaddress
import time

import pytest

from harness.waiting import wait_until
from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol
from mailseal.transport.receiver import origin_by_network

MAIL = b"MAIL FROM:<a@b.test>\r\n"
RCPT = b"RCPT TO:<c@d.test>\r\n"


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
    wait_until(lambda: served.load.bytes_in_flight == 0)


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
