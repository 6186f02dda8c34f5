"""What a crowd of clients can take, and what it cannot: connections, bytes in flight, time, disk."""

import asyncio
import ipaddress
import socket
import threading
import time

import pytest

from harness.small_disk import small_disk, small_files
from harness.waiting import wait_until
from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol
from mailseal.transport.caps import Caps, Load, Peer
from mailseal.transport.guests import Guests
from mailseal.transport.receiver import Receiver, origin_by_network
from mailseal.transport.session import Session
from mailseal.transport.transaction import House

MAIL = b"MAIL FROM:<a@b.test>\r\n"
RCPT = b"RCPT TO:<c@d.test>\r\n"
OWN = [ipaddress.ip_network("127.0.0.1/32")]


def send(wire, content=b"x\r\n"):
    wire.send(MAIL + RCPT + b"DATA\r\n")
    assert wire.codes(3) == ["250", "250", "354"]
    wire.send(content + b".\r\n")
    return wire.line()[:9]


class Guest:
    def __init__(self, origin=Origin.OUTSIDE, client=None, silent_since=None):
        self.origin, self.client, self.silent_since = origin, client, silent_since
        self.gone = False

    def make_room(self):
        self.gone = True


@pytest.fixture
def smtp(serve):
    """127.0.0.1 is authorised, every other address of loopback is outside."""

    def start(**options):
        return serve(protocol=Protocol.ESMTP, unix=False, origin=origin_by_network(OWN), **options)

    return start


def enter(served, source):
    """A raw connection from an address; its first line."""
    wire = served.connect(greet=False, source=source)
    return wire, wire.line()[:9]


def test_outside_clients_leave_room_for_authorised_ones(smtp):
    served = smtp(max_connections=4)
    outside = [enter(served, f"127.0.1.{number}") for number in range(1, 6)]
    assert [said[:3] for _, said in outside] == [b"220"] * 3 + [b"421"] * 2
    authorised = [enter(served, "127.0.0.1") for _ in range(2)]
    assert [said[:3] for _, said in authorised] == [b"220", b"421"]
    authorised[0][0].ask(b"EHLO x")
    assert send(authorised[0][0]) == b"250 2.0.0"


def test_one_client_has_only_so_many_connections(smtp):
    served = smtp(max_connections_per_client=2)
    wires = [enter(served, "127.0.1.1") for _ in range(3)]
    assert [said for _, said in wires] == [b"220 mx.te", b"220 mx.te", b"421 4.7.0"]
    assert enter(served, "127.0.1.2")[1][:3] == b"220"
    assert [enter(served, "127.0.0.1")[1][:3] for _ in range(4)] == [b"220"] * 4
    wires[0][0].close()
    wait_until(lambda: served.load.connections == 6)
    assert enter(served, "127.0.1.1")[1][:3] == b"220"


def test_a_proxy_speaks_for_many(smtp):
    served = smtp(max_connections_per_client=1, xforward_peers=[ipaddress.ip_network("127.0.1.1/32")])
    assert [enter(served, "127.0.1.1")[1][:3] for _ in range(3)] == [b"220"] * 3


def test_a_host_has_a_whole_64_of_addresses(serve):
    served = serve(protocol=Protocol.ESMTP, unix=False)
    clients = [served.receiver._peer((address, 1, 0, 0)).client for address in ("2001:db8::1", "2001:db8::2:3")]
    assert clients == ["2001:db8::/64"] * 2
    assert served.receiver._peer(("::ffff:192.0.2.1", 1, 0, 0)).client == "192.0.2.1"


def test_the_longest_silent_makes_room(smtp):
    served = smtp(max_connections=4, expendable_seconds=0.1)
    first, _ = enter(served, "127.0.1.1")
    busy, _ = enter(served, "127.0.1.2")
    busy.ask(b"EHLO x")
    busy.send(MAIL + RCPT + b"DATA\r\n")
    busy.codes(3)
    third, _ = enter(served, "127.0.1.3")
    time.sleep(0.15)
    third.ask(b"EHLO x")
    _, said = enter(served, "127.0.1.4")
    assert said[:3] == b"220"
    assert first.line()[:9] == b"421 4.3.2"
    assert first.at_end()
    busy.send(b".\r\n")
    assert busy.code() == "250"
    assert third.ask(b"NOOP")[:3] == "250"


def test_who_only_talks_makes_room_too(smtp):
    """A NOOP each few seconds must not keep a place for an hour."""
    served = smtp(max_connections=4, expendable_seconds=0.3, talk_seconds=0.2)
    talking = [enter(served, f"127.0.1.{number}")[0] for number in range(1, 4)]

    def is_let_in():
        for wire in talking:
            wire.send(b"NOOP\r\n")
        return enter(served, "127.0.1.9")[1][:3] == b"220"

    wait_until(is_let_in, every=0.1)
    said = [wire.file.read1(1_000_000) for wire in talking]
    assert [b"421 4.3.2" in one for one in said] == [True, False, False]


class Unread:
    """A transport whose peer reads nothing: what is closed stays open until it is cut."""

    def __init__(self):
        self.closing = self.cut = False

    def write(self, octets):
        pass

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    def abort(self):
        self.closing = self.cut = True


@pytest.mark.parametrize("last", [b"NOOP\r\n", b"QUIT\r\n"])
def test_who_reads_nothing_is_cut_when_it_makes_room(last):
    """Else a few addresses could collect connections that nothing counts, until no file descriptor is left."""

    async def story():
        house = House("mx.test", Protocol.ESMTP, Caps(max_connections=1), Load())
        home = Receiver(None, house, Origin.OUTSIDE)
        first, second = (Session(home, Peer("192.0.2.1", Origin.OUTSIDE)) for _ in range(2))
        unread, now = Unread(), asyncio.get_running_loop().time()
        first.connection_made(unread)
        home.buffer[: len(last)] = last
        first.buffer_updated(len(last))
        assert house.guests.admit(second, house.caps, now + 6) is None
        first.check(now + 7)
        assert unread.cut

    asyncio.run(story())


def test_who_has_just_come_is_not_sent_away(smtp):
    served = smtp(max_connections=4, expendable_seconds=60)
    assert [enter(served, f"127.0.1.{number}")[1][:3] for number in range(1, 5)] == [b"220"] * 3 + [b"421"]


def test_a_neighbour_has_the_share_of_the_outside():
    """It brings the mail of the world: a flood of that may not take the place of those who hand in their own."""
    guests, caps = Guests(), Caps(max_connections=4, outside_percent=50)
    of_both = [Guest(Origin.NEIGHBOUR), Guest(Origin.OUTSIDE)]
    assert [guests.admit(one, caps, 0) for one in of_both] == [None] * 2
    assert guests.admit(Guest(Origin.NEIGHBOUR), caps, 0) == reply.TOO_MANY_CONNECTIONS
    assert guests.admit(Guest(Origin.AUTHORISED), caps, 0) is None
    assert [guests.count(one) for one in Origin] == [1, 1, 1]
    guests.leave(of_both[0])
    assert guests.count(Origin.NEIGHBOUR) == 0
    assert guests.admit(Guest(Origin.NEIGHBOUR), caps, 0) is None


def test_an_authorised_client_gets_the_place_of_a_silent_outside_one_but_not_the_other_way_round():
    guests, caps = Guests(), Caps(max_connections=4, expendable_seconds=5)
    inside = [Guest(Origin.AUTHORISED, silent_since=0) for _ in range(3)]
    outside = Guest(silent_since=0)
    assert [guests.admit(one, caps, 0) for one in (*inside, outside)] == [None] * 4
    assert guests.admit(Guest(Origin.AUTHORISED), caps, 4) == reply.TOO_MANY_CONNECTIONS
    assert guests.admit(Guest(Origin.AUTHORISED), caps, 5) is None
    assert outside.gone
    assert guests.admit(Guest(silent_since=0), caps, 50) == reply.TOO_MANY_CONNECTIONS
    assert not any(one.gone for one in inside)


def test_a_full_house_is_looked_through_once_a_second():
    guests, caps = Guests(), Caps(max_connections=4, expendable_seconds=5)
    crowd = [Guest(silent_since=0) for _ in range(3)]
    for one in crowd:
        guests.admit(one, caps, 0)
    assert guests.admit(Guest(), caps, 4.9) == reply.TOO_MANY_CONNECTIONS
    assert guests.admit(Guest(), caps, 5.1) == reply.TOO_MANY_CONNECTIONS
    assert guests.admit(Guest(), caps, 6) is None
    crowd_left = [one for one in crowd if not one.gone]
    crowd_left[0].silent_since = 6.0  # has said something since
    assert guests.admit(Guest(), caps, 6) is None
    assert [one.gone for one in crowd_left] == [False, True]
    assert guests.admit(Guest(), caps, 6) == reply.TOO_MANY_CONNECTIONS


def test_who_leaves_twice_is_counted_out_once():
    guests, caps = Guests(), Caps(max_connections_per_client=1)
    one = Guest(client="192.0.2.1")
    assert guests.admit(one, caps, 0) is None
    refused = Guest(client="192.0.2.1")
    assert guests.admit(refused, caps, 0) == reply.TOO_MANY_OF_ONE_CLIENT
    guests.leave(refused)
    assert guests.admit(refused, caps, 0) == reply.TOO_MANY_OF_ONE_CLIENT
    guests.leave(one)
    guests.leave(one)
    assert guests.admit(refused, caps, 0) is None


def test_thousands_of_idle_connections_and_an_authorised_mail(smtp):
    served = smtp(max_connections=200, max_connections_per_client=1000)
    crowd = []
    try:
        for number in range(1500):
            one = socket.socket()
            one.bind((f"127.0.{1 + number // 250}.1", 0))
            one.connect(served.address)
            crowd.append(one)
        wire = served.connect()
        assert send(wire) == b"250 2.0.0"
    finally:
        for one in crowd:
            one.close()
    assert served.load.connections <= 300
    wait_until(lambda: served.load.connections == 1)


def test_outside_mail_leaves_bytes_for_authorised_mail(smtp):
    served = smtp(max_bytes_in_flight=10_000, max_message_bytes=7500)
    crowd = [served.connect(source=f"127.0.1.{number}") for number in (1, 2)]
    for wire in crowd:
        wire.send(MAIL + RCPT + b"DATA\r\n" + b"x" * 3700)
        wire.codes(3)
    wait_until(lambda: served.load.bytes_in_flight == 7400)
    late = served.connect(source="127.0.1.3")
    assert late.ask(b"MAIL FROM:<a@b.test> SIZE=200")[:9] == "452 4.3.1"
    assert send(late, b"x" * 200 + b"\r\n") == b"452 4.3.1"
    assert send(served.connect(), b"x" * 2000 + b"\r\n") == b"250 2.0.0"
    for wire in crowd:
        wire.send(b"\r\n.\r\n")
        assert wire.code() == "250"
    wait_until(lambda: (served.load.bytes_in_flight, served.load.outside_bytes_in_flight) == (0, 0))


def test_one_outside_client_cannot_hold_all_bytes_of_its_class(smtp):
    served = smtp(max_bytes_in_flight=10_000, max_message_bytes=2000, outside_percent=90)
    slow = [served.connect(source="127.0.1.1") for _ in range(2)]
    for wire in slow:
        wire.send(MAIL + RCPT + b"DATA\r\n" + b"x" * 1100)
        wire.codes(3)
    wait_until(lambda: served.load.bytes_in_flight == 2200)
    third = served.connect(source="127.0.1.1")
    assert third.ask(b"MAIL FROM:<a@b.test> SIZE=100")[:9] == "452 4.3.1"
    assert send(third, b"x" * 100 + b"\r\n") == b"452 4.3.1"
    assert send(served.connect(source="127.0.1.2"), b"x" * 1900 + b"\r\n") == b"250 2.0.0"
    assert send(served.connect(), b"x" * 1900 + b"\r\n") == b"250 2.0.0"
    for wire in slow:
        wire.send(b"\r\n.\r\n")
        assert wire.code() == "250"
    assert send(third, b"x" * 1900 + b"\r\n") == b"250 2.0.0"
    wait_until(lambda: (served.load.bytes_in_flight, served.load._bytes_of_client) == (0, {}))


def test_content_that_drips_ends_the_session(serve):
    served = serve(min_bytes_per_second=1000, rate_window_seconds=0.2)
    wire = served.connect()
    wire.send(MAIL + RCPT + b"DATA\r\n" + b"x" * 50_000)  # what came before a window does not count in it
    wire.codes(3)
    ended = threading.Event()

    def drip():
        while not ended.wait(0.02):
            try:
                wire.send(b"y")
            except OSError:
                return

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        assert wire.line()[:9] == b"421 4.4.2"
    finally:
        ended.set()
        dripping.join()
    wait_until(lambda: served.load.connections == 0)
    wait_until(lambda: served.load.bytes_in_flight == 0)
    assert served.mails == []


@pytest.mark.parametrize(("a_second", "left_alone"), [(1000, True), (999, False)])
def test_content_that_comes_fast_enough_is_left_alone(a_second, left_alone):
    """By a clock of its own: no test can be sure to be quick."""

    async def story():
        caps = Caps(min_bytes_per_second=1000, rate_window_seconds=10)
        home = Receiver(None, House("mx.test", Protocol.LMTP, caps, Load()), Origin.OUTSIDE)
        session, peer = Session(home, Peer("192.0.2.1", Origin.OUTSIDE)), Unread()

        def comes(octets):
            home.buffer[: len(octets)] = octets
            session.buffer_updated(len(octets))

        session.connection_made(peer)
        comes(b"LHLO c.test\r\n" + MAIL + RCPT + b"DATA\r\n")
        now = asyncio.get_running_loop().time()
        session.check(now)
        for second in range(1, 25):
            comes(b"x" * a_second)
            session.check(now + second)
        assert peer.closing is not left_alone
        if left_alone:
            comes(b"\r\n.\r\n")
            session.check(now + 200)  # whatever it is busy with, nothing has to come now
            assert not peer.closing

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["disk", "limit"])
def test_a_full_disk_defers_the_mail_and_takes_the_next_one(serve, tmp_path, kind):
    spool = tmp_path / "spool"
    spool.mkdir()
    served = serve(spool_directory=spool, spool_threshold_bytes=1000)
    wire = served.connect()
    with small_disk(spool, 1 << 20) if kind == "disk" else small_files(1 << 20) as mounted:
        if mounted is False:
            pytest.skip("this process may not mount; the limit stands for it")
        for size in (3 << 20, (1 << 20) + 10, 20 << 20):
            assert send(wire, b"x" * size + b"\r\n") == b"452 4.3.1"
            wait_until(lambda: served.load.bytes_in_flight == 0)
            assert send(wire, b"y" * 50_000 + b"\r\n") == b"250 2.0.0"
    assert [len(raw) for _, raw, _ in served.mails] == [50_002] * 3
