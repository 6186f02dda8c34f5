"""Many clients, slow clients, large mails at once, a full disk: each has its clear end, and nothing is lost.

MAILSEAL_TEST_MAIL_MIB=50 makes the large mails as large as the long form wants them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.client import Client
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.mail import mail
from harness.sink import Sink
from harness.site import INSIDE
from harness.small_disk import small_disk, small_files
from harness.waiting import PATIENCE_SECONDS, wait_until

OLGA, BERT = "olga@out.example", "bert@alpha.example"
MIB = 1 << 20
LARGE_BYTES = int(os.environ.get("MAILSEAL_TEST_MAIL_MIB", "4")) * MIB
CLIENTS = 20
IN_FLIGHT_BYTES = 5 * LARGE_BYTES
IDLE = 3200
WINDOW_SECONDS = 3

Place = tuple[Gateway, int, Sink]


@pytest.fixture(scope="module", name="place")
def _place() -> Iterator[Place]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the gateway inherits it
    port = free_port()
    with short_folder("crowd") as folder, Sink() as sink:
        hop = f"smtp://127.0.0.1:{sink.port}"
        tables = {
            "listen": {"smtp": f"127.0.0.1:{port}", "smtp_authorised_networks": ["127.0.0.1/32"]},
            "relay": {"inside": hop, "outside": hop},
            "limits": {
                "max_connections": IDLE * 5 // 8,  # of two workers; three quarters of that for the outside
                "max_message_bytes": 2 * LARGE_BYTES,
                "max_bytes_in_flight": IN_FLIGHT_BYTES,
                "rate_window_seconds": WINDOW_SECONDS,
            },
        }
        with Gateway(folder / "mailseal", **tables) as gateway:
            gateway.init(INSIDE)
            gateway.start()
            yield gateway, port, sink
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(autouse=True)
def _clean(place: Place) -> None:
    place[2].clear()


def test_thousands_of_idle_connections_keep_nobody_out(place: Place) -> None:
    _, port, sink = place
    crowd = []
    with contextlib.ExitStack() as stack:
        for number in range(IDLE):
            idle = stack.enter_context(socket.socket())
            idle.bind((f"127.0.{1 + number // 40}.1", 0))
            idle.connect(("127.0.0.1", port))
            crowd.append(idle)
        began = time.monotonic()
        with Client(port) as client:
            assert client.send(OLGA, [BERT], mail(OLGA, BERT)).end[0].startswith("250")
        print(f"with {IDLE} idle connections: {time.monotonic() - began:.2f} s")
        sink.wait(1)
        # The idle ones make room once they have been silent for a while.
        wait_until(lambda: _is_taken_from_outside(port), every=0.2)
        sink.wait(2)
        held = sum(_greeted(one) for one in crowd)
        assert held >= IDLE // 2, held
    with Client(port) as client:
        assert client.command("NOOP").startswith("250")


def _is_taken_from_outside(port: int) -> bool:
    with contextlib.suppress(OSError), Client(port, source="127.0.0.9") as client:
        assert client.send(OLGA, [BERT], mail(OLGA, BERT)).end[0].startswith("250")
        return True
    return False


def _greeted(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(200).startswith(b"220")
    except OSError:
        return False


def test_one_address_cannot_take_all_places(place: Place) -> None:
    _, port, _ = place
    with contextlib.ExitStack() as stack:
        said = []
        for _ in range(150):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), source_address=("127.0.9.9", 0)))
            one.settimeout(PATIENCE_SECONDS)
            said.append(one.recv(200)[:9])
        assert said.count(b"421 4.7.0") >= 50  # two workers take 50 each
        assert said.count(b"220 gate.") >= 50


def test_a_client_that_drips_is_cut(place: Place) -> None:
    gateway, port, sink = place
    with Client(port, source="127.0.0.9") as client:
        for command in (f"MAIL FROM:<{OLGA}>", f"RCPT TO:<{BERT}>", "DATA"):
            client.command(command)
        client.socket.settimeout(0.1)
        began, said = time.monotonic(), b""
        while not said:
            assert time.monotonic() - began < PATIENCE_SECONDS
            client.socket.sendall(b"drip\r\n")
            with contextlib.suppress(TimeoutError):
                said = client.socket.recv(200)
        assert said.startswith(b"421 4.4.2")
    wait_until(lambda: _held_bytes(gateway) == 0)
    assert sink.mails == []


def test_many_large_mails_at_once(place: Place) -> None:
    gateway, port, sink = place
    line = b"0123456789abcdef" * 60 + b"\r\n"
    bodies = [
        mail(OLGA, BERT) + (b"client %d\r\n" % number) + line * (LARGE_BYTES // len(line)) for number in range(CLIENTS)
    ]
    expected = {hashlib.sha256(one.partition(b"\r\n\r\n")[2]).digest() for one in bodies}
    everyone = threading.Barrier(CLIENTS)
    watching = threading.Event()
    peaks = {"held": 0, "memory": 0}
    workers = gateway.processes("mail")
    idle_memory = max(map(_own_memory, workers))

    def watch() -> None:
        while not watching.wait(0.02):
            peaks["held"] = max(peaks["held"], *map(_spooled, workers))
            peaks["memory"] = max(peaks["memory"], *map(_own_memory, workers))

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        watcher = pool.submit(watch)
        attempts = list(pool.map(lambda body: _deliver(port, body, everyone), bodies))
        watching.set()
        watcher.result()

    kept = sink.wait(CLIENTS)
    assert sum(attempts) > CLIENTS  # some were told 452, and came again
    assert len(kept) == CLIENTS
    assert {hashlib.sha256(one.body).digest() for one in kept} == expected
    print(f"attempts {sum(attempts)}, most held {peaks['held'] / MIB:.0f} MiB, memory {peaks['memory'] / MIB:.0f} MiB")
    assert peaks["held"] <= IN_FLIGHT_BYTES
    assert peaks["memory"] <= idle_memory + 60 * MIB
    wait_until(lambda: _held_bytes(gateway) == 0)


def _deliver(port: int, body: bytes, everyone: threading.Barrier) -> int:
    """Send until 250; how many attempts that took. At the first all clients have half of their mail out at once."""
    for attempt in range(1, 200):
        with Client(port, timeout=2 * PATIENCE_SECONDS) as client:
            replies = [client.command(one) for one in (f"MAIL FROM:<{OLGA}> SIZE={len(body)}", f"RCPT TO:<{BERT}>")]
            if all(one.startswith("250") for one in replies) and client.command("DATA").startswith("354"):
                half = len(body) // 2
                client.socket.sendall(body[:half])
                if attempt == 1:
                    half = _wait_for_all(client, body, half, everyone)
                client.socket.sendall(body[half:] + b".\r\n")
                replies.append(client.reply())
            elif attempt == 1:
                everyone.abort()
        if replies[-1].startswith("250 2.0.0"):
            return attempt
        assert replies[0].startswith("452") or replies[-1].startswith("452"), replies
        time.sleep(0.1)
    raise AssertionError("never accepted")


def _wait_for_all(client: Client, body: bytes, sent: int, everyone: threading.Barrier) -> int:
    """Trickle on, fast enough, until all are there."""
    arrived = threading.Event()

    def wait() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            everyone.wait(PATIENCE_SECONDS)
        arrived.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not arrived.wait(0.2):
        client.socket.sendall(body[sent : sent + 2000])
        sent += 2000
    waiting.join()
    return sent


def _held_bytes(gateway: Gateway) -> int:
    """The largest sum of spooled octets that one mail worker has open."""
    return max(_spooled(pid) for pid in gateway.processes("mail"))


def _spooled(pid: int) -> int:
    sizes = {}  # by inode: a map has a descriptor of its own
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if "/spool/" in str(descriptor.readlink()):
                    status = descriptor.stat()
                    sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


def _own_memory(pid: int) -> int:
    """Octets of memory that is not the page cache of mapped files."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def test_a_full_disk_defers_what_does_not_fit_and_nothing_else(place: Place) -> None:
    gateway, port, sink = place
    large = mail(OLGA, BERT) + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * (2 * MIB // 72)
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(small_disk(gateway.data / "spool", MIB)):
            for pid in gateway.processes("mail"):
                stack.enter_context(small_files(MIB, pid))
        with Client(port) as client:
            for _ in range(2):
                assert client.send(OLGA, [BERT], large).end[0].startswith("452 4.3.1")
                assert client.send(OLGA, [BERT], mail(OLGA, BERT)).end[0].startswith("250")
    with Client(port) as client:
        assert client.send(OLGA, [BERT], large).end[0].startswith("250")
    assert sorted(len(one.octets) > MIB for one in sink.wait(3)) == [False, False, True]
