import asyncio
import contextlib
import socket
import ssl
import threading
from dataclasses import replace

import pytest

from fake_hop import Fake
from harness.waiting import PATIENCE_SECONDS
from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol
from mailseal.transport.caps import Caps, Load
from mailseal.transport.receiver import Receiver
from mailseal.transport.transaction import House


class Wire:
    """A raw client: sends octets, reads reply lines."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(PATIENCE_SECONDS)
        self.file = connection.makefile("rb")

    def send(self, octets):
        self.connection.sendall(octets)

    def line(self):
        return self.file.readline()

    def reply(self):
        """The lines of one reply."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return lines

    def code(self):
        return self.reply()[-1][:3].decode()

    def codes(self, count):
        return [self.code() for _ in range(count)]

    def ask(self, command):
        self.send(command + b"\r\n")
        return self.reply()[-1].rstrip().decode()

    def at_end(self):
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def secure(self, context=None, *, say=True):
        """Take part in a TLS handshake; the same wire then reads and writes through TLS."""
        if say:
            assert self.ask(b"STARTTLS")[:9] == "220 2.0.0"
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.file.close()
        self.connection = context.wrap_socket(self.connection, server_hostname="mx.test")
        self.file = self.connection.makefile("rb")

    def close(self):
        self.file.close()
        self.connection.close()


class Served:
    """A receiver on a loop of its own in a thread."""

    def __init__(self, path, *, protocol, caps, unix, handler, origin, features, house, receiver, loop):
        self.mails = []
        self.path = str(path)
        self.unix = unix
        self.load = Load()
        self.caps = caps
        self.handler = handler
        self.house = House("mx.test", protocol, caps, self.load, features=lambda: frozenset(features), **house)
        self.origin = origin
        self.options = receiver
        self.wires = []
        self.listening = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self.listening.bind(self.path if unix else ("127.0.0.1", 0))
        self.listening.listen(1024)
        self.address = self.listening.getsockname()
        ready = threading.Event()
        self.loop_factory = loop
        self.thread = threading.Thread(target=self.run_loop, args=(ready,))
        self.thread.start()
        assert ready.wait(PATIENCE_SECONDS)

    def run_loop(self, ready):
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            runner.run(self.run(ready))

    async def run(self, ready):
        self.loop = asyncio.get_running_loop()
        self.stopped = asyncio.Event()
        self.receiver = Receiver(self.handle, self.house, self.origin, **self.options)
        self.receiver.listen(self.listening)
        ready.set()
        await self.stopped.wait()
        await self.receiver.drain(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def handle(self, envelope, message):
        self.mails.append((envelope, bytes(message.raw), type(message.raw).__name__))
        if self.handler is not None:
            return await self.handler(envelope, message)
        return [reply.ACCEPTED] * (len(envelope.recipients) if envelope.protocol == "LMTP" else 1)

    def connect(self, *, greet=True, hello=True, source=None):
        connection = socket.socket(socket.AF_UNIX if self.unix else socket.AF_INET)
        if source is not None:
            connection.bind((source, 0))
        connection.connect(self.address)
        wire = Wire(connection)
        self.wires.append(wire)
        if greet:
            assert wire.code() == "220"
            if hello:
                wire.hello = wire.ask(b"LHLO c.test" if self.house.protocol is Protocol.LMTP else b"EHLO c.test")
        return wire

    def limit(self, **caps):
        """Have these limits count from now on, also for who is connected, and look at once who is beyond them.

        So a short one is there when all that comes before it is done, however long that took.
        """

        def change():
            house = self.receiver.house
            self.receiver.house = replace(house, caps=replace(house.caps, **caps))
            self.receiver._sweep_timer.cancel()
            self.receiver._sweep()

        self.loop.call_soon_threadsafe(change)

    def drain(self, seconds):
        """Cut what is left after so long; how many that were."""
        return asyncio.run_coroutine_threadsafe(self.receiver.drain(seconds), self.loop)

    def stop(self):
        for wire in self.wires:
            with contextlib.suppress(OSError):
                wire.close()
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()


@pytest.fixture
def fake(tmp_path):
    made = []

    def start(script=(), **options):
        one = Fake(tmp_path / f"hop{len(made)}", dict(script), **options)
        made.append(one)
        return one

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def serve(tmp_path):
    served = []

    def start(*, protocol=Protocol.LMTP, unix=True, handler=None, origin=Origin.OUTSIDE, features=(), **options):
        names = ("xforward_unix", "xforward_peers")
        receiver = {name: options.pop(name) for name in names if name in options}
        loop = options.pop("loop", None)
        names = ("normalise_bare_lf", "spool_directory", "tls", "tls_required")
        house = {name: options.pop(name) for name in names if name in options}
        one = Served(
            tmp_path / f"s{len(served)}",
            protocol=protocol,
            caps=Caps(**options),
            unix=unix,
            handler=handler,
            origin=origin,
            features=features,
            house=house,
            receiver=receiver,
            loop=loop,
        )
        served.append(one)
        return one

    yield start
    for one in served:
        one.stop()
