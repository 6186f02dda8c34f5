"""An SMTP or LMTP server that takes everything and counts, at as little CPU as can be.

    python bench/sink.py --port 2600 [--lmtp] [--count-file FILE] [--hold SECONDS]

It trusts its client: the final dot is in the chunk that ends the mail. Only for measuring.
"""

import argparse
import asyncio
import signal
from pathlib import Path

HELLO = (
    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 SIZE\r\n"
)
OK = b"250 2.0.0 OK\r\n"
END = b"\r\n.\r\n"
END_AND_QUIT = len(END + b"QUIT\r\n")
"""Clients that send no other mail write both at once (RFC 2920)."""
BUFFER = memoryview(bytearray(256 * 1024))
COUNT_SECONDS = 0.05
"""How often the file with the count is written."""


class Total:
    mails = 0
    octets = 0


class Sink(asyncio.BufferedProtocol):
    def __init__(self, *, lmtp: bool, hold_seconds: float) -> None:
        self.lmtp, self.hold_seconds = lmtp, hold_seconds
        self.in_content = False
        self.tail = b""
        self.recipients = 0

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def get_buffer(self, _sizehint):
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self.in_content:
            self.content(nbytes)
        else:
            self.commands(self.tail + bytes(BUFFER[:nbytes]))

    def content(self, nbytes: int) -> None:
        Total.octets += nbytes
        self.tail = self.tail[-END_AND_QUIT:] + bytes(BUFFER[max(0, nbytes - END_AND_QUIT) : nbytes])
        _, end, rest = self.tail.rpartition(END)
        if end:
            Total.mails += 1
            self.in_content = False
            self.tail = b""
            answer = OK * self.recipients if self.lmtp else OK
            if self.hold_seconds:
                asyncio.get_running_loop().call_later(self.hold_seconds, self.transport.write, answer)
            else:
                self.transport.write(answer)
            if rest:
                self.commands(rest)

    def commands(self, data: bytes) -> None:
        lines = data.split(b"\r\n")
        self.tail = lines.pop()
        out = []
        for line in lines:
            verb = line[:4].upper()
            if verb == b"RCPT":
                self.recipients += 1
            elif verb == b"MAIL":
                self.recipients = 0
            if verb == b"DATA":
                self.in_content = True
                self.tail = b"\r\n"
                out.append(b"354 go\r\n")
            elif verb in (b"EHLO", b"LHLO"):
                out.append(HELLO)
            elif verb == b"QUIT":
                out.append(b"221 bye\r\n")
                self.transport.write(b"".join(out))
                self.transport.close()
                return
            else:
                out.append(OK)
        self.transport.write(b"".join(out))


async def serve(port: int, *, lmtp: bool, hold_seconds: float, count_file: Path | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Sink(lmtp=lmtp, hold_seconds=hold_seconds), "127.0.0.1", port, backlog=512
    )
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    print(f"sink on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    while not stop.is_set():
        if count_file is not None:
            part = count_file.with_suffix(".part")
            part.write_text(f"{Total.mails} {Total.octets}\n", encoding="ascii")
            part.replace(count_file)
        try:
            await asyncio.wait_for(stop.wait(), COUNT_SECONDS)
        except TimeoutError:
            continue
    print(f"{Total.mails} mails, {Total.octets} octets", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--lmtp", action="store_true")
    parser.add_argument("--hold", type=float, default=0.0, help="seconds before a mail is answered")
    parser.add_argument("--count-file", type=Path)
    arguments = parser.parse_args()
    asyncio.run(
        serve(arguments.port, lmtp=arguments.lmtp, hold_seconds=arguments.hold, count_file=arguments.count_file)
    )


if __name__ == "__main__":
    main()
