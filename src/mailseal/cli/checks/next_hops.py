"""Checks of the next hops: each must greet and answer EHLO (RFC 5321 §4.1.1.1) or LHLO (RFC 2033 §4.1)."""

import socket
from collections.abc import Iterator
from typing import BinaryIO

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config, NextHop, Protocol

TIMEOUT_SECONDS = 10.0
MAX_REPLY_BYTES = 16_384
WANTED = ("8BITMIME", "DSN", "SMTPUTF8")


def next_hops(config: Config) -> Iterator[Finding]:
    """One line for each direction."""
    for direction, hops in (("inside", config.relay.inside), ("outside", config.relay.outside)):
        for hop in hops:
            yield _next_hop(direction, hop, config.hostname)


def _next_hop(direction: str, hop: NextHop, hostname: str) -> Finding:
    subject, what = "next hop", f"{direction}: {hop}"
    mend = f"start it, or set relay.{direction}"
    try:
        lines = _hello(hop, hostname)
    except OSError as error:
        return Finding(subject, Status.FAIL, f"{what} does not answer ({error.strerror or error})", mend)
    except ValueError as error:
        return Finding(subject, Status.FAIL, f"{what} {error}", mend)
    offered = {line[4:].split(" ")[0].upper() for line in lines[1:]}
    missing = [name for name in WANTED if name not in offered]
    if missing:
        return Finding(
            subject,
            Status.WARN,
            f"{what} answers, without {', '.join(missing)}",
            "mail that needs it is refused or loses it; switch it on there",
        )
    return Finding(subject, Status.OK, f"{what} answers")


def _hello(hop: NextHop, hostname: str) -> list[str]:
    """The lines of its answer; raises OSError, or ValueError with what it said instead."""
    with _connect(hop) as client:
        client.settimeout(TIMEOUT_SECONDS)
        with client.makefile("rb") as reader:
            _reply(reader, "220")
            verb = "LHLO" if hop.protocol is Protocol.LMTP else "EHLO"
            client.sendall(f"{verb} {hostname}\r\n".encode("ascii"))
            lines = _reply(reader, "250")
            client.sendall(b"QUIT\r\n")
            return lines


def _connect(hop: NextHop) -> socket.socket:
    if hop.path is None:
        return socket.create_connection((hop.host, hop.port), TIMEOUT_SECONDS)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(TIMEOUT_SECONDS)
        client.connect(str(hop.path))
    except OSError:
        client.close()
        raise
    return client


def _reply(reader: BinaryIO, expected: str) -> list[str]:
    lines: list[str] = []
    size = 0
    while True:
        octets = reader.readline(2048)
        size += len(octets)
        line = octets.decode("ascii", "replace").rstrip("\r\n")
        lines.append(line)
        if not line.startswith(expected) or size > MAX_REPLY_BYTES:
            raise ValueError(f"says {line or 'nothing'}")
        if line[3:4] != "-":
            return lines
