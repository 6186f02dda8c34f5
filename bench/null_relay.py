"""The baseline: a relay that does nothing but relay, in one process on asyncio.

    python bench/null_relay.py --port 2525 --to 127.0.0.1:2600
    python bench/null_relay.py --lmtp SOCKET --to 127.0.0.1:10026     the same as an LMTP content filter, on uvloop

It receives a mail, sends it at once to one next hop over a kept connection, commands pipelined, and gives the next
hop's answer, for each recipient (RFC 2033). No checks, no limits, no spool, no parsing of addresses or content. Only
for measuring.
"""

import argparse
import asyncio
import signal
from pathlib import Path

import uvloop

HELLO = b"250-null\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE\r\n"
OK = b"250 2.0.0 OK\r\n"
LOST = b"451 4.3.0 lost\r\n"
END = b"\r\n.\r\n"
END_AND_QUIT = len(END + b"QUIT\r\n")
"""Clients that send no other mail write both at once (RFC 2920)."""
BUFFER = memoryview(bytearray(256 * 1024))


class Upstream(asyncio.BufferedProtocol):
    """A kept connection to the next hop; carries one mail at a time."""

    def __init__(self, waiting: list["Upstream"]) -> None:
        self.waiting = waiting
        self.ready = asyncio.Event()
        self.owner, self.content, self.replies, self.expected = None, b"", 0, 0

    def connection_made(self, transport) -> None:
        self.transport = transport

    def carry(self, owner: "Downstream", envelope: bytes, content: bytes) -> None:
        self.owner, self.content = owner, content
        self.expected = envelope.count(b"\r\n")
        self.replies = 0
        self.transport.write(envelope)

    def get_buffer(self, _sizehint):
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(BUFFER[:nbytes])
        if self.owner is None:
            if data.startswith(b"220"):
                self.transport.write(b"EHLO null.test\r\n")
            elif b"\r\n250 " in b"\r\n" + data:  # the end of the reply to EHLO
                self.ready.set()
            return
        self.replies += data.count(b"\r\n")
        if self.content and self.replies == self.expected:
            self.transport.write(self.content)
            self.content = b""
        elif self.replies > self.expected:
            owner, self.owner = self.owner, None
            self.waiting.append(self)
            owner.answer(data)

    def connection_lost(self, _exc) -> None:
        if self in self.waiting:
            self.waiting.remove(self)
        elif self.owner is not None:
            self.owner.answer(LOST)


class Downstream(asyncio.BufferedProtocol):
    def __init__(self, relay: "NullRelay", *, lmtp: bool) -> None:
        self.relay, self.lmtp = relay, lmtp
        self.tail = b""
        self.envelope = b""
        self.chunks = None
        self.busy = False

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(b"220 null ESMTP\r\n")

    def get_buffer(self, _sizehint):
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(BUFFER[:nbytes])
        if self.busy:
            self.tail += data
            return
        if self.chunks is None:
            self.commands(self.tail + data)
            return
        self.chunks.append(data)
        self.tail = (self.tail + data[-END_AND_QUIT:])[-END_AND_QUIT:]
        _, end, rest = self.tail.rpartition(END)
        if end:
            octets = b"".join(self.chunks)
            self.chunks, self.tail, self.busy = None, rest, True
            self.relay.send(self, self.envelope, octets[: -len(rest)] if rest else octets)

    def commands(self, data: bytes) -> None:
        lines = data.split(b"\r\n")
        self.tail = lines.pop()
        out = []
        for line in lines:
            verb = line[:4].upper()
            if verb == b"MAIL":
                self.envelope = line + b"\r\n"
                out.append(OK)
            elif verb == b"RCPT":
                self.envelope += line + b"\r\n"
                out.append(OK)
            elif verb == b"DATA":
                self.envelope += b"DATA\r\n"
                self.chunks, self.tail = [], b""
                out.append(b"354 go\r\n")
            elif verb in (b"EHLO", b"LHLO"):
                out.append(HELLO)
            elif verb == b"QUIT":
                self.transport.write(b"".join(out) + b"221 bye\r\n")
                self.transport.close()
                return
            else:
                out.append(OK)
        self.transport.write(b"".join(out))

    def answer(self, said: bytes) -> None:
        self.busy = False
        self.transport.write(said * self.envelope.count(b"\r\nRCPT") if self.lmtp else said)
        if self.tail:
            self.commands(self.tail)


class NullRelay:
    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.waiting: list[Upstream] = []
        self.opening = set()

    def send(self, owner: Downstream, envelope: bytes, content: bytes) -> None:
        if self.waiting:
            self.waiting.pop().carry(owner, envelope, content)
            return
        task = asyncio.get_running_loop().create_task(self.open(owner, envelope, content))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def open(self, owner: Downstream, envelope: bytes, content: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(lambda: Upstream(self.waiting), self.host, self.port)
        await upstream.ready.wait()
        upstream.carry(owner, envelope, content)


async def serve(port: int, lmtp: Path | None, to: str) -> None:
    loop = asyncio.get_running_loop()
    host, _, next_port = to.rpartition(":")
    relay = NullRelay(host, int(next_port))
    if lmtp is not None:
        await loop.create_unix_server(lambda: Downstream(relay, lmtp=True), str(lmtp), backlog=512)
        lmtp.chmod(0o666)  # noqa: ASYNC240 -- before there is anybody to keep waiting
        print(f"null filter on {lmtp}", flush=True)
    else:
        server = await loop.create_server(lambda: Downstream(relay, lmtp=False), "127.0.0.1", port, backlog=512)
        print(f"null relay on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--lmtp", type=Path, help="a UNIX socket to be made")
    parser.add_argument("--to", required=True)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if arguments.lmtp else None) as runner:
        runner.run(serve(arguments.port, arguments.lmtp, arguments.to))


if __name__ == "__main__":
    main()
