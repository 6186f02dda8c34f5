"""A name server on loopback (UDP and TCP) that says what a test tells it, and notes what it was asked."""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
from dataclasses import dataclass, field
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SOA = "ns.invalid. host.invalid. 1 2 3 4 60"


@dataclass
class NameServer:
    """`records` by (name, type), each a list of presentation forms. `broken` names earn SERVFAIL, `silent` none.

    A name with no record of any kind does not exist. `secure`: answers carry AD, but for `insecure` names.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    secure: bool = False
    insecure: set[str] = field(default_factory=set)
    ttl: int = 300
    asked: list[tuple[str, str]] = field(default_factory=list)

    def txt(self, name: str, *values: str) -> None:
        """Set the TXT records of a name, each split into strings of 255."""
        self.records[name, "TXT"] = [_quoted(value) for value in values]

    def __enter__(self) -> Self:
        server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                octets, sock = self.request
                if (answer := server.answer(octets, limit=1232)) is not None:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError, struct.error):
                    (length,) = struct.unpack("!H", self.rfile.read(2))
                    if (answer := server.answer(self.rfile.read(length), limit=65535)) is not None:
                        self.wfile.write(struct.pack("!H", len(answer)) + answer)

        class Both(socketserver.ThreadingUDPServer):
            daemon_threads = True
            block_on_close = False
            max_packet_size = 4096

        class Streams(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._servers: list[socketserver.BaseServer] = []
        for _ in range(50):  # a port that is free for both
            datagrams = Both(("127.0.0.1", 0), Udp)
            try:
                streams = Streams(datagrams.server_address, Tcp)
            except OSError:
                datagrams.server_close()
                continue
            self._servers = [datagrams, streams]
            self.port = int(datagrams.server_address[1])
            break
        else:
            raise OSError("no port is free for both UDP and TCP")
        for one in self._servers:
            threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._servers:
            one.shutdown()
            one.server_close()

    @property
    def place(self) -> str:
        """As `[dns] servers` names it."""
        return f"127.0.0.1:{self.port}"

    def answer(self, octets: bytes, limit: int) -> bytes | None:
        try:
            query = dns.message.from_wire(octets)
        except dns.exception.DNSException:
            return None
        name = query.question[0].name
        text = name.to_text(omit_final_dot=True).lower()
        kind = query.question[0].rdtype.name
        self.asked.append((text, kind))
        if text in self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if self.secure and text not in self.insecure:
            response.flags |= dns.flags.AD
        self._fill(response, name, text, kind)
        try:
            return response.to_wire(max_size=limit)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()

    def _fill(self, response: dns.message.Message, name: dns.name.Name, text: str, kind: str) -> None:
        if text in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
            return
        if (alias := self.records.get((text, "CNAME"))) is not None:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "CNAME", *alias))
            name = dns.name.from_text(alias[0])
            text = name.to_text(omit_final_dot=True).lower()
        if (found := self.records.get((text, kind))) is not None:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", kind, *found))
            return
        if not any(known == text for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(".", self.ttl, "IN", "SOA", SOA))


def _quoted(value: str) -> str:
    pieces = [value[start : start + 255] for start in range(0, len(value), 255)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
