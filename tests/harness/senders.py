"""Two ways to send many mails and not lose one: through Postfix, and by a client that repeats until 250.

Each counts per mail how many of its transactions were in flight when something was killed: begun by the final dot, and
ended without a reply, or with a reply that the mail shall come again. A copy may come twice only for those.
"""

from __future__ import annotations

import collections
import queue
import re
import threading
import time
from collections.abc import Callable

from harness.client import Client
from harness.postfix import Postfix

Make = Callable[[int], bytes]
"""The octets of one mail, the same whenever it is asked for."""

THREADS = 4
_MESSAGE_ID = re.compile(r": (\w+): message-id=<(story-\d+)@")
_CUT = re.compile(
    r": (\w+): to=<([^>]+)>, .*status=deferred \((?:lost connection|conversation|Connection|timeout|host .* said: 4)"
)


class ThroughPostfix:
    """Postfix takes each mail at once, and repeats it to us by LMTP for each recipient without a 250."""

    def __init__(self, postfix: Postfix, sender: str, readers: tuple[str, ...], make: Make) -> None:
        self._postfix, self._sender, self._readers, self._make = postfix, sender, readers, make

    def send(self, count: int, per_second: float) -> None:
        for number in range(count):
            with Client(self._postfix.submission) as client:
                assert client.send(self._sender, self._readers, self._make(number)).end[0].startswith("250")
            time.sleep(1 / per_second)

    def finish(self, seconds: float) -> None:
        self._postfix.wait_until_empty(seconds=seconds)

    def in_flight(self) -> collections.Counter[str]:
        """By the `story-N` of a mail's Message-ID, from Postfix's own log."""
        names: dict[str, str] = {}
        cut: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for line in self._postfix.maillog().splitlines():
            if found := _MESSAGE_ID.search(line):
                names[found[1]] = found[2]
            elif found := _CUT.search(line):
                cut[found[1]][found[2]] += 1
        return collections.Counter({names[one]: max(counter.values()) for one, counter in cut.items()})


class UntilAccepted:
    """Some clients, each of which repeats a mail over SMTP until it is answered with 250."""

    def __init__(self, port: int, sender: str, readers: tuple[str, ...], make: Make) -> None:
        self._port, self._sender, self._readers, self._make = port, sender, readers, make
        self._cut: collections.Counter[str] = collections.Counter()
        self._waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work) for _ in range(THREADS)]
        self._failures: list[str] = []

    def send(self, count: int, per_second: float) -> None:
        for thread in self._threads:
            thread.start()
        for number in range(count):
            self._waiting.put(number)
            time.sleep(1 / per_second)

    def finish(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
            assert not thread.is_alive(), "a client still waits for its 250"
        assert not self._failures, self._failures

    def in_flight(self) -> collections.Counter[str]:
        """By the `story-N` of a mail's Message-ID."""
        return self._cut

    def _work(self) -> None:
        while (number := self._waiting.get()) is not None:
            octets = self._make(number)
            while not self._accepted(number, octets):
                time.sleep(0.2)

    def _accepted(self, number: int, octets: bytes) -> bool:
        begun = False
        try:
            with Client(self._port) as client:
                commands = [f"MAIL FROM:<{self._sender}>", *(f"RCPT TO:<{one}>" for one in self._readers), "DATA"]
                if not all(client.command(one)[0] in "23" for one in commands):
                    return False
                begun = True
                client.socket.sendall(octets + b".\r\n")
                answer = client.reply()
        except OSError:
            answer = "no reply"
        if answer.startswith("5"):
            self._failures.append(answer)
            return True
        if begun and not answer.startswith("250"):
            self._cut[f"story-{number}"] += 1
        return answer.startswith("250")
