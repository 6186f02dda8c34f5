import mmap
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fake_hop import BARE, CLOSE, HANG, HANG_SECONDS, HELLO, Fake
from mailseal.config import NextHop
from mailseal.config import Protocol as HopProtocol
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Protocol, Recipient
from mailseal.mail.reply import Reply
from mailseal.ports import Hop, Transfer
from mailseal.transport.exchange import UnsafeEnvelopeError
from mailseal.transport.relay import SmtpRelay, Timeouts


@pytest.fixture
def relay_to():
    made = []

    def start(server, **timeouts):
        place = server.place if isinstance(server, Fake) else server
        relay = SmtpRelay({Hop.INSIDE: [place]}, "me.test", Timeouts(**timeouts))
        made.append(relay)
        return relay

    yield start
    for relay in made:
        relay.close()


def transfer(*names, chunks=(b"Subject: x\r\n\r\n", b"body\r\n"), sender="s@x.test", **options):
    recipients = tuple(Recipient(Address.parse(name)) for name in names or ("r@y.test",))
    sender = Address.parse(sender) if sender else None
    return Transfer(Hop.INSIDE, sender, recipients, tuple(chunks), **options)


def codes(replies):
    return [one.code for one in replies]


@pytest.mark.parametrize("tcp", [False, True])
def test_one_mail_then_another_on_the_same_connection(fake, relay_to, tcp):
    server = fake(tcp=tcp)
    relay = relay_to(server)
    for _ in range(3):
        assert relay.send(transfer()) == [Reply(250, "2.0.0", "taken")]
    assert server.connections == 1
    assert server.contents == [b"Subject: x\r\n\r\nbody\r\n"] * 3
    assert server.commands[:4] == ["EHLO me.test", "MAIL FROM:<s@x.test> SIZE=20", "RCPT TO:<r@y.test>", "DATA"]


def test_parameters_go_only_where_they_are_known(fake, relay_to):
    recipients = (Recipient(Address.parse("r@y.test"), "SUCCESS", "rfc822;o@y"), Recipient(Address.parse("q@y.test")))
    mail = Transfer(Hop.INSIDE, None, recipients, (b"x\r\n",), eight_bit=True, ret="HDRS", envid="e+2B")
    server = fake()
    relay_to(server).send(mail)
    assert server.commands[1:4] == [
        "MAIL FROM:<> SIZE=3 BODY=8BITMIME RET=HDRS ENVID=e+2B",
        "RCPT TO:<r@y.test> NOTIFY=SUCCESS ORCPT=rfc822;o@y",
        "RCPT TO:<q@y.test>",
    ]
    server = fake(hello=BARE)
    assert codes(relay_to(server).send(mail)) == [250, 250]
    assert server.commands[1:4] == ["MAIL FROM:<>", "RCPT TO:<r@y.test>", "RCPT TO:<q@y.test>"]


def test_smtputf8(fake, relay_to):
    server = fake()
    relay_to(server).send(transfer("jörg@bücher.test", smtputf8=True))
    assert server.commands[1:3] == ["MAIL FROM:<s@x.test> SIZE=20 SMTPUTF8", "RCPT TO:<jörg@xn--bcher-kva.test>"]
    server = fake(hello=BARE)
    relay = relay_to(server)
    assert relay.send(transfer("r@y.test", "jörg@y.test")) == [reply.NEXT_HOP_WITHOUT_SMTPUTF8] * 2
    assert codes(relay.send(transfer(smtputf8=True, chunks=("Subject: sch\xf6n\r\n\r\n".encode(),)))) == [550]
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 1


@pytest.mark.parametrize("hello", [HELLO.replace(b"250-SMTPUTF8\r\n", b""), BARE])
def test_smtputf8_that_was_asked_for_in_vain(fake, relay_to, hello):
    """Some clients ask for it with every mail: no reason to refuse what is ASCII from end to end."""
    server = fake(hello=hello)
    relay = relay_to(server)
    assert codes(relay.send(transfer(smtputf8=True, chunks=(b"x: y\r\n", memoryview(b"\r\nbody\r\n"))))) == [250]
    assert "SMTPUTF8" not in "".join(server.commands)
    mail = replace(transfer(smtputf8=True), recipients=(Recipient(Address.parse("r@y.test"), orcpt="utf-8;j\xf6@y"),))
    assert codes(relay.send(mail)) == [550]


@pytest.mark.parametrize("hello", [HELLO, BARE])
def test_some_recipients_refused(fake, relay_to, hello):
    server = fake(
        {"RCPT": [b"250 ok\r\n", b"550 5.1.1 unknown\r\n", b"451 4.2.0 later\r\n", b"250 ok\r\n"]}, hello=hello
    )
    relay = relay_to(server)
    replies = relay.send(transfer("a@y.test", "b@y.test", "c@y.test", "d@y.test"))
    assert replies[1:3] == [Reply(550, "5.1.1", "unknown"), Reply(451, "4.2.0", "later")]
    assert codes(replies) == [250, 550, 451, 250]
    assert len(server.contents) == 1


@pytest.mark.parametrize("hello", [HELLO, BARE])
def test_all_refused_leaves_the_connection_usable(fake, relay_to, hello):
    server = fake({"RCPT": [b"550 no\r\n", b"550 no\r\n", b"250 ok\r\n"]}, hello=hello)
    relay = relay_to(server)
    assert codes(relay.send(transfer("a@y.test", "b@y.test"))) == [550, 550]
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 1
    # with PIPELINING the fake said 354 to a DATA without recipients: a lone dot ended it (RFC 2920 §3.1)
    assert server.contents == (
        [b"", b"Subject: x\r\n\r\nbody\r\n"] if hello is HELLO else [b"Subject: x\r\n\r\nbody\r\n"]
    )


@pytest.mark.parametrize("hello", [HELLO, BARE])
def test_sender_refused(fake, relay_to, hello):
    script = {
        "MAIL": [b"550-5.7.1 not\r\n550 5.7.1 you\r\n", b"250 ok\r\n"],
        "RCPT": [b"503 5.5.1 x\r\n", b"250 k\r\n"],
        "DATA": [b"503 no\r\n", b"354 go\r\n"],
    }
    if hello is BARE:
        del script["RCPT"], script["DATA"]
    server = fake(script, hello=hello)
    relay = relay_to(server)
    assert relay.send(transfer()) == [Reply(550, "5.7.1", "not / 5.7.1 you")]
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 1


def test_sender_refused_yet_354(fake, relay_to):
    server = fake({"MAIL": [b"451 4.0.0 no\r\n", b"250 ok\r\n"]})
    relay = relay_to(server)
    assert codes(relay.send(transfer())) == [451]
    assert codes(relay.send(transfer())) == [250]
    assert server.contents[0] == b""


@pytest.mark.parametrize(("answer", "code"), [(b"552 5.3.4 big\r\n", 552), (b"451 4.3.0 later\r\n", 451)])
def test_data_refused(fake, relay_to, answer, code):
    server = fake({"DATA": [answer, b"354 go\r\n"], "RCPT": [b"550 no\r\n", b"250 ok\r\n"]})
    relay = relay_to(server)
    assert codes(relay.send(transfer("a@y.test", "b@y.test"))) == [550, code]
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 1
    assert "RSET" in server.commands


def test_many_recipients(fake, relay_to):
    server = fake({"RCPT": [b"250 ok\r\n"] * 300 + [b"550 no\r\n"]})
    names = [f"r{number}@y.test" for number in range(500)]
    assert codes(relay_to(server).send(transfer(*names))) == [250] * 300 + [550] * 200


def test_lmtp_answers_per_recipient(fake, relay_to):
    script = {
        "RCPT": [b"250 ok\r\n", b"550 no\r\n", b"250 ok\r\n"],
        "DOT": [b"250 2.1.5 one\r\n", b"452 4.2.2 full\r\n"],
    }
    server = fake(script, lmtp=True)
    assert codes(relay_to(server).send(transfer("a@y.test", "b@y.test", "c@y.test"))) == [250, 550, 452]
    assert server.commands[0] == "LHLO me.test"


def test_lmtp_lost_between_replies(fake, relay_to):
    server = fake({"DOT": [b"250 2.1.5 one\r\n", CLOSE]}, lmtp=True)
    replies = relay_to(server).send(transfer("a@y.test", "b@y.test"))
    assert replies == [Reply(250, "2.1.5", "one"), reply.OUTCOME_UNKNOWN]


def test_lmtp_354_without_recipients_is_not_trusted(fake, relay_to):
    server = fake({"RCPT": [b"550 no\r\n", b"250 ok\r\n"]}, lmtp=True)
    relay = relay_to(server)
    assert codes(relay.send(transfer())) == [550]
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 2


@pytest.mark.parametrize("end", [CLOSE, HANG, b"what?\r\n", b"354 go\r\n", b"250" + b"x" * 10_000, b"999 no\r\n"])
def test_lost_after_the_dot_is_unknown_and_not_tried_again(fake, relay_to, end):
    server = fake({"DOT": [b"250 first\r\n", end, b"250 ok\r\n"]})
    relay = relay_to(server)
    assert codes(relay.send(transfer())) == [250]
    deadline = time.monotonic() + 1 if end is HANG else None
    assert relay.send(transfer("a@y.test", "b@y.test", deadline=deadline)) == [reply.OUTCOME_UNKNOWN] * 2
    assert len(server.contents) == 2
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 2


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    "answer", [CLOSE, b"421 4.3.2 going\r\n", b"hm\r\n", b"250" + b"x" * 9000 + b"\r\n", b"\xff\n"]
)
def test_a_kept_connection_that_fails_before_the_dot_is_replaced_once(fake, relay_to, verb, answer):
    good = b"354 go\r\n" if verb == "DATA" else b"250 ok\r\n"
    server = fake({verb: [good, answer, good]})
    relay = relay_to(server)
    assert codes(relay.send(transfer())) == [250]
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 2
    assert [content for content in server.contents if content] == [b"Subject: x\r\n\r\nbody\r\n"] * 2


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (CLOSE, reply.NEXT_HOP_UNAVAILABLE),
        (b"hm\r\n", reply.NEXT_HOP_UNAVAILABLE),
        (b"250-a\r\n" * 300, reply.NEXT_HOP_UNAVAILABLE),
        (b"421 4.3.2 go\xc3\xb6ing\x07\r\n", Reply(451, "4.3.2", "go??ing?")),
    ],
)
def test_a_new_connection_that_fails_defers(fake, relay_to, verb, answer, text):
    server = fake({verb: [answer]})
    relay = relay_to(server)
    replies = relay.send(transfer("a@y.test", "b@y.test"))
    assert [(one.code, one.enhanced) for one in replies] == [(451, text.enhanced)] * 2
    assert server.connections == 1


def test_closed_while_idle(fake, relay_to):
    server = fake()
    relay = relay_to(server)
    relay.send(transfer())
    server.hang_up()
    time.sleep(0.02)
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 2


def test_421_while_idle(fake, relay_to):
    server = fake()
    relay = relay_to(server)
    relay.send(transfer())
    server.open[0].sendall(b"421 4.4.2 idle\r\n")
    time.sleep(0.02)
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 2


def test_idle_connections_are_not_kept_for_ever(fake, relay_to):
    server = fake()
    relay = relay_to(server, idle_seconds=0.02)
    relay.send(transfer())
    time.sleep(0.05)
    relay.send(transfer())
    assert server.connections == 2


@pytest.mark.parametrize("greeting", [b"421 no\r\n", b"554 no\r\n", CLOSE, b"\x00\x01\x02\r\n", b"x" * 100_000])
def test_greetings_that_are_none(fake, relay_to, greeting):
    assert relay_to(fake(greeting=greeting)).send(transfer()) == [reply.NEXT_HOP_UNAVAILABLE]


def test_helo_where_ehlo_is_unknown(fake, relay_to):
    server = fake({"EHLO": [b"502 what\r\n"]})
    assert codes(relay_to(server).send(transfer())) == [250]
    assert server.commands[:2] == ["EHLO me.test", "HELO me.test"]
    assert relay_to(fake({"EHLO": [b"554 no\r\n"]})).send(transfer()) == [reply.NEXT_HOP_UNAVAILABLE]


def test_nobody_there(tmp_path, relay_to):
    assert relay_to(NextHop(path=tmp_path / "none")).send(transfer()) == [reply.NEXT_HOP_UNAVAILABLE]
    assert relay_to(NextHop("127.0.0.1", 9)).send(transfer()) == [reply.NEXT_HOP_UNAVAILABLE]
    assert not relay_to(NextHop("127.0.0.1", 9)).ask()


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_slow_server_meets_the_deadline(fake, relay_to, verb):
    server = fake({verb: [HANG]})
    relay = relay_to(server)
    began = time.monotonic()
    assert codes(relay.send(transfer(deadline=began + 0.2))) == [451]
    assert time.monotonic() - began < HANG_SECONDS / 2


def test_a_server_that_does_not_read_meets_the_deadline(fake, relay_to):
    server = fake({"BODY": [(100, HANG)]})
    relay = relay_to(server, total_seconds=0.3)
    began = time.monotonic()
    assert codes(relay.send(transfer(chunks=[b"x" * 70 + b"\r\n"] * 200_000))) == [451]
    assert time.monotonic() - began < HANG_SECONDS / 2


def test_refused_in_the_middle_of_the_content(fake, relay_to):
    server = fake({"BODY": [(1000, b"452 4.3.1 full\r\n")]})
    relay = relay_to(server)
    replies = relay.send(transfer(chunks=[b"x" * 70 + b"\r\n"] * 200_000))
    assert codes(replies) in ([452], [451])  # the reply may be lost with the connection
    assert len(server.contents) == 0


def test_a_large_mapped_mail(fake, relay_to, tmp_path):
    path = tmp_path / "mail"
    path.write_bytes(b".line\r\n" * 150_000)
    server = fake()
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        chunks = (b"Received: x\r\n", memoryview(mapped)[7:])
        assert codes(relay_to(server).send(transfer(chunks=chunks))) == [250]
    assert server.contents == [b"Received: x\r\n" + b"..line\r\n" * 149_999]


def test_many_threads(fake, relay_to):
    server = fake()
    relay = relay_to(server)
    results = []

    def work():
        for _ in range(20):
            results.extend(relay.send(transfer()))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes(results) == [250] * 160
    assert server.connections <= 8


def test_capabilities(fake, relay_to):
    server = fake()
    relay = relay_to(server)
    assert relay.features() == frozenset()
    assert relay.ask()
    assert relay.features() == {"PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE"}
    relay.send(transfer())
    assert server.connections == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"envid": "a\r\nRCPT TO:<evil@x.test>"},
        {"ret": "HDRS\n"},
        {"envid": "a\0"},
        {"envid": "\udc80"},
    ],
)
def test_nothing_breaks_out_of_a_command(fake, relay_to, bad):
    server = fake()
    with pytest.raises(UnsafeEnvelopeError):
        relay_to(server).send(transfer(**bad))
    assert server.commands == ["EHLO me.test"]


def test_the_relay_speaks_to_our_own_receiver(serve, relay_to):
    served = serve(protocol=Protocol.LMTP, features={"DSN"})
    place = NextHop(path=Path(served.path), protocol=HopProtocol.LMTP)
    body = b"Subject: x\r\n\r\n.\r\n..\r\nend\rno line end"
    assert codes(relay_to(place).send(transfer("a@y.test", "b@y.test", chunks=[body]))) == [250, 250]
    assert served.mails[0][1] == body + b"\r\n"


@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("EHLO", HELLO + b"250 ok\r\n"),
        ("RCPT", b"250 ok\r\n250 ok\r\n"),
        ("DATA", b"354 go\r\n250 2.0.0 taken\r\n"),
    ],
)
def test_a_reply_out_of_turn_counts_for_nothing(fake, relay_to, verb, answer, lmtp):
    verb = "LHLO" if lmtp and verb == "EHLO" else verb
    server = fake({verb: [answer]}, lmtp=lmtp, hello=BARE if verb != "EHLO" else HELLO)
    assert relay_to(server).send(transfer("r@y.test", "q@y.test")) == [reply.NEXT_HOP_UNAVAILABLE] * 2
    assert not any(server.contents)  # the fake notes an empty one when the connection goes


def test_all_addresses_of_a_next_hop_share_the_time(relay_to, monkeypatch):
    waited = []

    def connect(_place, seconds):
        waited.append(seconds)
        time.sleep(seconds)
        raise TimeoutError

    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number}", 25)) for number in range(5)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: places)
    monkeypatch.setattr(socket, "create_connection", connect)
    relay = relay_to(NextHop("hop.test", 25), connect_seconds=0.5)
    assert relay.send(transfer()) == [reply.NEXT_HOP_UNAVAILABLE]
    assert len(waited) == 5
    assert sum(waited) < 0.6
