"""Several next hops: which is tried when, and that nobody gets a mail twice."""

import logging
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fake_hop import BARE, CLOSE, HANG, HANG_SECONDS, HELLO, Fake
from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.config import NextHop
from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Recipient
from mailseal.mail.reply import Reply
from mailseal.ports import Hop, Transfer
from mailseal.transport import pool
from mailseal.transport.relay import SmtpRelay, Timeouts
from mailseal.transport.resolver import Resolver
from mailseal.transport.routes import key_of

BIG = (b"x" * 70 + b"\r\n",) * 40_000


@pytest.fixture
def relay_to():
    made = []

    def start(*servers, routes=None, places=sys.maxsize, **timeouts):
        hops = [one.place if isinstance(one, Fake) else one for one in servers]
        limits = Timeouts(**{"fair_seconds": 0, **timeouts})
        relay = SmtpRelay({Hop.INSIDE: hops, Hop.OUTSIDE: hops}, "me.test", limits, routes=routes, places=places)
        made.append(relay)
        return relay

    yield start
    for relay in made:
        relay.close()


def transfer(*names, chunks=(b"Subject: x\r\n\r\n", b"body\r\n"), **options):
    recipients = tuple(Recipient(Address.parse(name)) for name in names or ("r@y.test",))
    return Transfer(Hop.INSIDE, Address.parse("s@x.test"), recipients, tuple(chunks), **options)


def codes(replies):
    return [one.code for one in replies]


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ({}, {"greeting": b"421 busy\r\n"}),
        ({}, {"greeting": b"554 go away\r\n"}),
        ({}, {"greeting": CLOSE}),
        ({"EHLO": [b"550 no\r\n"]}, {}),
        ({"EHLO": [CLOSE]}, {}),
        ({"MAIL": [b"421 4.3.2 going\r\n"]}, {}),
        ({"MAIL": [CLOSE]}, {}),
        ({"RCPT": [CLOSE]}, {}),
        ({"RCPT": [b"421 4.3.2 going\r\n"]}, {}),
        ({"DATA": [b"421 4.3.2 going\r\n"]}, {}),
        ({"DATA": [b"what?\r\n"]}, {}),
        ({"MAIL": [HANG]}, {}),
        ({"DATA": [HANG]}, {}),
    ],
)
def test_the_next_one_is_tried_before_the_final_dot(fake, relay_to, script, options):
    first, second = fake(script, **options), fake()
    relay = relay_to(first, second, **({"reply_seconds": 1} if [HANG] in script.values() else {}))
    assert codes(relay.send(transfer("a@y.test", "b@y.test"))) == [250, 250]
    assert not any(first.contents)
    assert len(second.contents) == 1


def test_nobody_listens_at_the_first(fake, relay_to, tmp_path):
    second = fake()
    assert codes(relay_to(NextHop(path=tmp_path / "none"), second).send(transfer())) == [250]


def test_it_takes_nothing_in_the_middle_of_the_content(fake, relay_to):
    first, second = fake({"BODY": [(100, HANG)]}), fake()
    relay = relay_to(first, second, reply_seconds=1)
    assert codes(relay.send(transfer(chunks=BIG))) == [250]
    assert second.contents == [b"".join(BIG)]
    assert codes(relay.send(transfer())) == [250]
    assert (first.connections, second.connections) == (1, 1), "what is black is tried last"


@pytest.mark.parametrize("end", [CLOSE, b"what?\r\n", b"421 4.3.2 going\r\n", b"554 5.0.0 no\r\n"])
@pytest.mark.parametrize("lmtp", [False, True])
def test_after_the_final_dot_nobody_else_is_tried(fake, relay_to, end, lmtp):
    first, second = fake({"DOT": [end]}, lmtp=lmtp), fake(lmtp=lmtp)
    assert not any(one.accepted for one in relay_to(first, second).send(transfer("a@y.test", "b@y.test")))
    assert len(first.contents) == 1
    assert not second.connections


def test_it_says_nothing_after_the_final_dot(fake, relay_to):
    first, second = fake({"DOT": [HANG, b"250 ok\r\n"]}), fake()
    relay = relay_to(first, second)
    began = time.monotonic()
    assert relay.send(transfer(deadline=began + 2)) == [reply.OUTCOME_UNKNOWN]
    assert time.monotonic() - began < HANG_SECONDS / 2
    assert not second.connections
    assert codes(relay.send(transfer())) == [250]
    assert (first.connections, len(second.contents)) == (1, 1), "who is silent is tried last"


def test_a_black_hole_holds_up_nobody_else(fake, relay_to):
    hole, good = fake({"BODY": [(100, HANG)]}), fake()
    relay = relay_to(hole)
    relay_good = relay_to(good)
    results = []
    threads = [threading.Thread(target=lambda: results.extend(relay.send(transfer(chunks=BIG)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert codes(relay_good.send(transfer())) == [250]
    assert not results
    hole.ended.set()
    for thread in threads:
        thread.join()
    assert results == [reply.NEXT_HOP_UNAVAILABLE] * 3


def test_a_mail_without_time_says_nothing_about_the_next_hop(fake, relay_to):
    first, second = fake({"MAIL": [HANG, b"250 ok\r\n"]}), fake()
    relay = relay_to(first, second, fair_seconds=10)
    assert codes(relay.send(transfer(deadline=time.monotonic() - 1))) == [451]
    relay.send(transfer(deadline=time.monotonic() + 2))
    assert codes(relay.send(transfer())) == [250]
    assert [len(first.contents), len(second.contents)] == [1, 1]


@pytest.mark.parametrize("script", [{"BODY": [(100, HANG)]}, {"DOT": [HANG]}, {"EHLO": [HANG]}])
def test_a_black_hole_holds_one_thread_and_not_all(fake, relay_to, script):
    hole, good = fake(script), fake()
    relay = relay_to(hole, routes=Routes(both_test=(hole.place, good.place)))
    both = {"route": relay.route(Hop.INSIDE, Address.parse("a@both.test"))}
    assert codes(relay.send(transfer(chunks=BIG, deadline=time.monotonic() + 1))) == [451]
    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(relay.send, transfer(chunks=BIG)) for _ in range(4)]
        assert codes(relay.send(transfer(**both))) == [250]
        wait_until(lambda: sum(one.done() for one in done) == 3)  # these are told at once
        hole.ended.set()
    assert [codes(one.result()) for one in done] == [[451]] * 4
    hole.script.clear()
    assert codes(relay.send(transfer())) == [250]
    found = relay._pool(hole.place)
    assert (found._silent, found._claims) == (False, 0)


def test_a_black_hole_that_nobody_knows_yet_leaves_a_thread_for_others(fake, relay_to, monkeypatch, caplog):
    monkeypatch.setattr(pool, "STALL_SECONDS", 0.3)
    hole, good = fake({"DOT": [HANG]}), fake()
    relay = relay_to(hole, routes=Routes(good_test=(good.place,)), places=2)
    other = {"route": relay.route(Hop.INSIDE, Address.parse("a@good.test"))}
    assert codes(relay.send(transfer(**other))) == [250]
    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(relay.send, transfer()) for _ in range(5)]
        assert codes(threads.submit(relay.send, transfer(**other)).result()) == [250]
        # Two wait for their reply; one after another was told that it need not.
        assert sum(one.done() for one in done) == 3
        wait_until(lambda: len(hole.contents) == 2)
        hole.ended.set()
        assert [codes(one.result()) for one in done] == [[451]] * 5
    assert len(hole.contents) == 2
    assert caplog.text.count("2 mails wait for it") == 1
    assert relay._pool(hole.place)._claims == 0


def test_a_place_that_becomes_free_is_taken(fake, relay_to):
    slow, other = fake(), fake()
    slow.say = lambda connection, answer: (time.sleep(0.02), Fake.say(slow, connection, answer))
    relay = relay_to(slow, other, places=1)
    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(relay.send, transfer()) for _ in range(8)]
        assert [codes(one.result()) for one in done] == [[250]] * 8
    assert (slow.connections, len(slow.contents), other.connections) == (1, 8, 0)


def test_the_only_next_hop_may_have_every_thread(fake, relay_to):
    server, both = fake(), threading.Barrier(2, timeout=PATIENCE_SECONDS)
    server.say = lambda connection, answer: (b"taken" in answer and both.wait(), Fake.say(server, connection, answer))
    relay = relay_to(server, places=1)
    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(relay.send, transfer()) for _ in range(2)]
        assert [codes(one.result()) for one in done] == [[250]] * 2


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", [b"550 5.7.1 no\r\n", b"451 4.3.0 later\r\n"])
@pytest.mark.parametrize("hello", [HELLO, BARE])
def test_a_refusal_is_an_answer(fake, relay_to, verb, answer, hello):
    first, second = fake({verb: [answer]}, hello=hello), fake()
    assert codes(relay_to(first, second).send(transfer())) == [int(answer[:3])]
    assert not second.connections


def test_a_refusal_in_the_middle_of_the_content_is_an_answer(fake, relay_to):
    first, second = fake({"BODY": [(1000, b"552 5.3.4 too big\r\n")]}), fake()
    replies = relay_to(first, second).send(transfer(chunks=BIG))
    assert codes(replies) in ([552], [250])  # its reply may be lost with the connection
    assert second.connections == (codes(replies) == [250])


def test_one_that_cannot_take_it_refuses_for_no_other(fake, relay_to):
    bare, full, down = fake(hello=BARE), fake(), fake(greeting=CLOSE)
    mail = transfer("j\xf6rg@y.test", smtputf8=True)
    assert codes(relay_to(bare, full).send(mail)) == [250]
    assert relay_to(bare, fake(hello=BARE)).send(mail) == [reply.NEXT_HOP_WITHOUT_SMTPUTF8]
    assert relay_to(down, bare).send(mail) == [reply.NEXT_HOP_UNAVAILABLE]


def test_none_works(fake, relay_to):
    first, second = fake({"MAIL": [b"421 4.3.2 going\r\n"]}), fake(greeting=CLOSE)
    assert relay_to(first, second).send(transfer()) == [Reply(451, "4.3.2", "going")]


def test_who_failed_is_tried_last_and_one_mail_probes(fake, relay_to, monkeypatch, caplog):
    first, second = fake({"MAIL": [CLOSE, b"250 ok\r\n"]}), fake()
    relay = relay_to(first, second)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert codes(relay.send(transfer())) == [250]
        assert (first.connections, len(second.contents)) == (1, 3)
        found = relay._pool(first.place)
        found._down_until = time.monotonic()
        assert [found.claim_first(9, 0), found.claim_first(9, 0)] == [True, False], "one probe"
        found._down_until = time.monotonic()
        assert codes(relay.send(transfer())) == [250]
    assert len(first.contents) == 1
    assert codes(relay.send(transfer())) == [250]
    assert len(first.contents) == 2
    said = [one.levelname for one in caplog.records if first.place.place in one.message]
    assert said == ["WARNING", "INFO"]
    assert pool.DOWN_SECONDS == 30


def test_a_connection_is_not_kept_for_ever_by_much_mail(fake, relay_to):
    server = fake()
    relay = relay_to(server, kept_seconds=0.3)
    began = time.monotonic()
    while server.connections < 2 and time.monotonic() < began + PATIENCE_SECONDS:
        assert codes(relay.send(transfer())) == [250]
    assert server.connections == 2
    assert time.monotonic() >= began + 0.3
    assert len(server.contents) > 2


def test_each_has_a_fair_share_of_the_time(fake, relay_to):
    silent = [fake(greeting=HANG) for _ in range(2)]
    last = fake()
    began = time.monotonic()
    assert codes(relay_to(*silent, last).send(transfer(deadline=began + 3))) == [250]
    assert time.monotonic() - began > 1.9


def test_no_time_no_second_try(fake, relay_to):
    first, second = fake({"DOT": [HANG]}), fake()
    relay = relay_to(first, second)
    assert codes(relay.send(transfer(deadline=time.monotonic() - 1))) == [451]
    assert not first.connections + second.connections


# routes


class Routes:
    def __init__(self, **hops):
        self.by_domain = {domain.replace("_", "."): several for domain, several in hops.items()}

    def of(self, domain):
        return self.by_domain.get(domain, ())

    def hops(self):
        return [hop for several in self.by_domain.values() for hop in several]


def test_a_route_goes_before_the_direction(fake, relay_to):
    usual, special, backup = fake(), fake(greeting=CLOSE), fake()
    relay = relay_to(usual, routes=Routes(z_test=(special.place, backup.place), w_test=(special.place, backup.place)))
    keys = [relay.route(Hop.INSIDE, Address.parse(f"a@{domain}")) for domain in ("y.test", "z.test", "w.test")]
    assert keys[0] == ""
    assert keys[1] == keys[2] == key_of([special.place, backup.place])
    assert codes(relay.send(transfer("a@z.test", "b@w.test", route=keys[1]))) == [250, 250]
    assert codes(relay.send(transfer())) == [250]
    assert [len(one.contents) for one in (usual, backup)] == [1, 1]


def test_what_all_offer(fake, relay_to):
    full, bare, silent = fake(), fake(hello=BARE), fake(greeting=CLOSE)
    assert relay_to(full).features() == frozenset()
    one = relay_to(full)
    assert one.ask()
    assert "DSN" in one.features()
    for other, known in ((bare, True), (silent, False)):
        for relay in (relay_to(full, other), relay_to(full, routes=Routes(z_test=[other.place]))):
            assert relay.ask() is known
            assert relay.features() == frozenset()


def test_asking_ends_when_it_is_told_to(fake, relay_to):
    """Else a worker with many next hops that are silent, each for 5 s, could not end."""
    servers = [fake() for _ in range(3)]
    relay = relay_to(*servers)
    assert not relay.ask(lambda: not any(one.connections for one in servers))
    assert sum(one.connections for one in servers) == 1
    assert relay.ask()


def test_what_all_offer_is_not_worked_out_for_each_client_that_asks(fake, relay_to):
    """An EHLO is answered on the event loop: with a thousand routes a flood of them stopped everybody for seconds."""
    server = fake({"EHLO": [HELLO, BARE]})
    relay = relay_to(server)
    assert relay.ask()
    assert relay.features() is relay.features()
    relay.close()
    assert codes(relay.send(transfer())) == [250]
    assert relay.features() == frozenset(), "what a next hop has given up is seen with the next connection"


# names


def test_a_look_up_has_a_time_limit_and_is_remembered(fake, relay_to, monkeypatch):
    asked, go_on = [], threading.Event()
    server = fake(tcp=True)

    def getaddrinfo(host, port, *_, **__):
        if host.endswith(".test"):
            asked.append(host)
        if host == "slow.test":
            go_on.wait(PATIENCE_SECONDS)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    named = replace(server.place, host="hop.test")
    relay = relay_to(replace(server.place, host="slow.test"), named, total_seconds=2)
    for _ in range(2):
        assert codes(relay.send(transfer())) == [250]
        relay.close()
    assert asked == ["slow.test", "hop.test"]
    resolver = Resolver()
    with pytest.raises(TimeoutError):
        resolver.look_up("slow.test", 25, time.monotonic() + 0.05)
    go_on.set()
    assert resolver.look_up("slow.test", 25, time.monotonic() + PATIENCE_SECONDS) == (("127.0.0.1", 25),)
    assert asked.count("slow.test") == 2, "who asks meanwhile waits for the same answer"


def test_localhost_is_this_machine_whatever_a_name_server_says(fake, relay_to, monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 25))]
    monkeypatch.setattr("mailseal.transport.resolver.socket.getaddrinfo", lambda *_, **__: found)
    assert {host for host, _ in Resolver().look_up("localhost", 25, time.monotonic() + PATIENCE_SECONDS)} == {
        "127.0.0.1",
        "::1",
    }
    monkeypatch.undo()
    assert codes(relay_to(replace(fake(tcp=True).place, host="localhost")).send(transfer())) == [250]


@pytest.mark.parametrize("answer", [b"354 go\r\n", b"421 4.3.2 going\r\n", b"503 5.5.1 what\r\n"])
def test_who_does_not_take_rset_gets_no_other_mail_on_the_connection(fake, relay_to, answer):
    server = fake({"RCPT": [b"550 5.1.1 no\r\n", b"250 ok\r\n"], "RSET": [answer]}, hello=BARE)
    relay = relay_to(server)
    assert codes(relay.send(transfer())) == [550]
    assert codes(relay.send(transfer())) == [250]
    assert server.connections == 2


def test_a_silent_rset_keeps_no_reply_beyond_the_deadline(fake, relay_to):
    server = fake({"RCPT": [b"550 5.1.1 no\r\n"], "RSET": [HANG]}, hello=BARE)
    began = time.monotonic()
    assert codes(relay_to(server).send(transfer(deadline=began + 1))) == [550]
    assert time.monotonic() - began < HANG_SECONDS / 2


def test_a_name_that_is_none(relay_to, monkeypatch):
    def getaddrinfo(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert relay_to(NextHop("no.test", 25)).send(transfer()) == [reply.NEXT_HOP_UNAVAILABLE]


def test_routes_that_cannot_be_read_defer(relay_to):
    class Broken(Routes):
        def of(self, domain):
            raise TransientError("away")

    with pytest.raises(TransientError):
        relay_to(NextHop("127.0.0.1", 9), routes=Broken()).route(Hop.INSIDE, Address.parse("a@y.test"))
