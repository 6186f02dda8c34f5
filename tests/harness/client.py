"""A strict SMTP/LMTP client for stories: every reply is seen, octets go out as they are, nothing is helpful."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.waiting import PATIENCE_SECONDS


@dataclass
class Sent:
    """The replies to one mail. `end` has one line for SMTP, one per accepted recipient for LMTP."""

    mail: str
    rcpt: tuple[str, ...]
    end: tuple[str, ...]


class Port(int):
    """A port that clients call from an address of their own, which decides what they may."""

    source: str

    @classmethod
    def of(cls, number: int, source: str) -> Self:
        made = cls(number)
        made.source = source
        return made


class Client:
    def __init__(
        self,
        port: int = 0,
        *,
        path: Path | None = None,
        lmtp: bool = False,
        source: str = "",
        timeout: float = PATIENCE_SECONDS,
    ) -> None:
        self.lmtp = lmtp
        source = source or getattr(port, "source", "127.0.0.1")
        if path is not None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            try:
                self.socket.connect(str(path))
            except OSError:
                self.socket.close()
                raise
        else:
            place = ("127.0.0.1", int(port))
            self.socket = socket.create_connection(place, timeout=timeout, source_address=(source, 0))
        self.stream = self.socket.makefile("rb")
        try:
            self.banner = self.reply()
            self.features = self.command("LHLO client.example" if lmtp else "EHLO client.example").splitlines()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.socket.close()

    def reply(self) -> str:
        """One reply; the lines of a long one are joined by line feeds."""
        lines = []
        while True:
            line = self.stream.readline().decode("utf-8", "replace").rstrip("\r\n")
            if not line:
                raise ConnectionError("the server closed the connection")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def command(self, text: str) -> str:
        self.socket.sendall(text.encode() + b"\r\n")
        return self.reply()

    def send(
        self,
        sender: str,
        recipients: list[str] | tuple[str, ...],
        octets: bytes,
        *,
        parameters: str = "",
        recipient_parameters: str = "",
    ) -> Sent:
        """One transaction. The octets are dot-stuffed and otherwise sent as they are; they must end in CRLF."""
        mail = self.command(f"MAIL FROM:<{sender}>{parameters and ' ' + parameters}")
        rcpt = tuple(
            self.command(f"RCPT TO:<{one}>{recipient_parameters and ' ' + recipient_parameters}") for one in recipients
        )
        accepted = sum(one.startswith("2") for one in rcpt)
        if not accepted:
            self.command("RSET")
            return Sent(mail, rcpt, ())
        begin = self.command("DATA")
        if not begin.startswith("354"):
            return Sent(mail, rcpt, (begin,))
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        self.socket.sendall(stuffed + b".\r\n")
        return Sent(mail, rcpt, tuple(self.reply() for _ in range(accepted if self.lmtp else 1)))


def send(port: int, sender: str, recipients: list[str], octets: bytes, *, source: str = "", **more: str) -> Sent:
    """One mail over a connection of its own."""
    with Client(port, source=source) as client:
        return client.send(sender, recipients, octets, **more)
