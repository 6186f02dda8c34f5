"""Load generator: M connections send mails of a fixed size, senders and recipients drawn uniformly from lists.

    python bench/load.py --to 127.0.0.1:2525 --connections 20 --count 20000
    python bench/load.py --to /run/mailseal/lmtp-authorised --lmtp --senders senders.txt --recipients recipients.txt
    --watch PID …   prints the CPU of these process trees per mail (repeat; `name=PID` to name it)

Each connection has one mail under way: MAIL, RCPT, DATA in one write, the content in a second one. epoll, no asyncio:
the generator shall cost little beside what it measures.
"""

import argparse
import base64
import itertools
import json
import random
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from cpu import cpu_seconds

BETWEEN_CONNECTIONS_SECONDS = 0.02
"""Workers share a listening socket, and of connections that all come at once one of them may take nearly all."""


@dataclass
class Report:
    """What a run gave. `cpu_ms` is CPU per accepted mail by watched name; "load" is the generator itself."""

    mails: int = 0
    failed: int = 0
    seconds: float = 0.0
    mails_per_second: float = 0.0
    first_failure: str = ""
    latency_ms_p50: float = 0.0
    latency_ms_p99: float = 0.0
    latency_ms_max: float = 0.0
    cpu_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Mail:
    """What one mail is: envelope and content; `octets` is ready to send, without From, To and Message-ID."""

    sender: bytes
    recipient: bytes
    octets: bytes


def dot_stuffed(content: bytes) -> bytes:
    """As DATA has it, with the final dot."""
    return content.replace(b"\n.", b"\n..") + b".\r\n"


def content_of(size: int, subject: str = "load") -> bytes:
    """A plain text mail of about `size` octets, without From and To: those differ per mail."""
    generator = random.Random(size)
    head = (
        f"Subject: {subject}\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode()
    text = base64.b64encode(generator.randbytes(size))
    lines = [text[at : at + 72] + b"\r\n" for at in range(0, size, 74)]
    return (head + b"".join(lines))[: size - 2] + b"\r\n"


class Client:
    """One connection: reads until the expected number of final reply lines is there, then takes the next step."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.socket = run.connect()
        self.received = b""
        self.awaited = 1
        self.step = self.hello
        self.began = 0.0

    def readable(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the server")
        received = self.received + data if self.received else data
        if not received.endswith(b"\r\n"):
            self.received = received
            return
        lines = [line for line in received.split(b"\r\n")[:-1] if line[3:4] != b"-"]
        if len(lines) < self.awaited:
            self.received = received
            return
        self.received = b""
        self.step(lines)

    def hello(self, _lines: list[bytes]) -> None:
        self.socket.sendall(b"LHLO load.test\r\n" if self.run.lmtp else b"EHLO load.test\r\n")
        self.awaited, self.step = 1, self.mail

    def mail(self, _lines: list[bytes]) -> None:
        self.run.waits(self)

    def quit(self) -> None:
        self.socket.sendall(b"QUIT\r\n")
        self.awaited, self.step = 1, self.end

    def begin(self, due: float) -> None:
        """Send a mail that was due at a time: its latency counts from then."""
        self.sent = mail = self.run.draw()
        self.socket.sendall(
            b"MAIL FROM:<%b> BODY=8BITMIME SIZE=%d\r\nRCPT TO:<%b>\r\nDATA\r\n"
            % (mail.sender, len(mail.octets) + 200, mail.recipient)
        )
        self.head = b"From: <%b>\r\nTo: <%b>\r\nMessage-ID: <%d.%d@load.test>\r\n" % (
            mail.sender,
            mail.recipient,
            self.run.left,
            id(self),
        )
        self.awaited, self.step, self.began = 3, self.content, due

    def content(self, lines: list[bytes]) -> None:
        if not lines[-1].startswith(b"354"):
            self.run.failed(lines)
            self.socket.sendall(b"RSET\r\n")
            self.awaited, self.step = 1, self.mail
            return
        self.socket.sendall(self.head + self.sent.octets)
        self.awaited, self.step = 1, self.done

    def done(self, lines: list[bytes]) -> None:
        if lines[0].startswith(b"2"):
            self.run.report.mails += 1
            self.run.latencies.append(time.perf_counter() - self.began)
        else:
            self.run.failed(lines)
        self.mail(lines)

    def end(self, _lines: list[bytes]) -> None:
        self.run.closed(self)


class Run:
    def __init__(
        self,
        to: str,
        *,
        count: int,
        connections: int,
        size: int,
        lmtp: bool,
        senders: Sequence[str],
        recipients: Sequence[str],
        watch: dict[str, int],
        content: bytes | None = None,
        mails: Sequence[Mail] = (),
    ) -> None:
        """`mails`: to be sent as they are, in their order, and again from the first one; nothing is drawn then."""
        self.to, self.lmtp, self.left, self.connections = to, lmtp, count, connections
        self.body = dot_stuffed(content or content_of(size))
        self.mails = itertools.cycle(mails) if mails else None
        self.senders = [name.encode() for name in senders]
        self.recipients = [name.encode() for name in recipients]
        self.watch = watch
        self.random = random.Random(1)
        self.report = Report()
        self.latencies: list[float] = []
        self.selector = selectors.EpollSelector()

    def launch(self) -> float:
        """Begin what is due; for how many seconds nothing else is."""
        return 60.0

    def connect(self) -> socket.socket:
        if "/" in self.to:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.to)
            return connection
        host, _, port = self.to.rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def waits(self, client: Client) -> None:
        """A connection is free: it sends the next mail at once, or ends after the last one."""
        self.left -= 1
        if self.left >= 0:
            client.begin(time.perf_counter())
        else:
            client.quit()

    def draw(self) -> Mail:
        if self.mails is not None:
            return next(self.mails)
        # random() is five times cheaper than choice()
        draw = self.random.random
        sender = self.senders[int(draw() * len(self.senders))]
        return Mail(sender, self.recipients[int(draw() * len(self.recipients))], self.body)

    def failed(self, lines: list[bytes]) -> None:
        self.report.failed += 1
        self.report.first_failure = self.report.first_failure or lines[-1].decode("ascii", "replace")

    def closed(self, client: Client) -> None:
        self.selector.unregister(client.socket)
        client.socket.close()
        self.connections -= 1

    def go(self) -> Report:
        for _ in range(self.connections):
            time.sleep(BETWEEN_CONNECTIONS_SECONDS)
            client = Client(self)
            self.selector.register(client.socket, selectors.EVENT_READ, client)
        before = {name: cpu_seconds(pid) for name, pid in self.watch.items()}
        own, began = time.process_time(), time.perf_counter()
        while self.connections:
            for key, _ in self.selector.select(self.launch()):
                try:
                    key.data.readable()
                except OSError as error:
                    self.failed([str(error).encode()])
                    self.closed(key.data)
        report = self.report
        report.seconds = time.perf_counter() - began
        report.mails_per_second = report.mails / report.seconds
        mails = max(1, report.mails)
        report.cpu_ms = {name: (cpu_seconds(pid) - before[name]) * 1000 / mails for name, pid in self.watch.items()}
        report.cpu_ms["load"] = (time.process_time() - own) * 1000 / mails
        self.latencies.sort()
        if self.latencies:
            report.latency_ms_p50 = self.latencies[len(self.latencies) // 2] * 1000
            report.latency_ms_p99 = self.latencies[len(self.latencies) * 99 // 100] * 1000
            report.latency_ms_max = self.latencies[-1] * 1000
        return report


class OpenRun(Run):
    """Mails come at a rate, whether or not those before are answered: at exponentially distributed intervals.

    One that finds no free connection waits, and its latency counts from when it was due.
    """

    def __init__(self, to: str, *, rate_per_second: float, **others) -> None:
        super().__init__(to, **others)
        self.rate = rate_per_second
        self.due = 0.0
        self.free: list[Client] = []
        self.waiting: deque[float] = deque()

    def waits(self, client: Client) -> None:
        if self.waiting:
            client.begin(self.waiting.popleft())
        elif self.left > 0:
            self.free.append(client)
        else:
            client.quit()

    def launch(self) -> float:
        now = time.perf_counter()
        self.due = self.due or now
        while self.left > 0 and self.due <= now:
            self.left -= 1
            if self.free:
                self.free.pop().begin(self.due)
            else:
                self.waiting.append(self.due)
            self.due += self.random.expovariate(self.rate)
        if self.left > 0:
            return self.due - now
        while self.free:
            self.free.pop().quit()
        return 60.0


def _watched(texts: Sequence[str]) -> dict[str, int]:
    return {text.partition("=")[0]: int(text.rpartition("=")[2]) for text in texts}


def _names(path: Path | None, pattern: str) -> list[str]:
    if path is not None:
        return path.read_text(encoding="utf-8").split()
    return [pattern.format(number) for number in range(10_000)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True)
    parser.add_argument("--lmtp", action="store_true")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--rate", type=float, help="mails a second, however fast they are answered (open loop)")
    parser.add_argument("--senders", type=Path)
    parser.add_argument("--recipients", type=Path)
    parser.add_argument("--watch", action="append", default=[])
    arguments = parser.parse_args()
    kind = Run if arguments.rate is None else partial(OpenRun, rate_per_second=arguments.rate)
    run = kind(
        arguments.to,
        count=arguments.count,
        connections=arguments.connections,
        size=arguments.size,
        lmtp=arguments.lmtp,
        senders=_names(arguments.senders, "sender{}@inside.test"),
        recipients=_names(arguments.recipients, "recipient{}@outside.test"),
        watch=_watched(arguments.watch),
    )
    print(json.dumps(asdict(run.go()), indent=2))


if __name__ == "__main__":
    main()
