"""The rest of the world: a small SMTP server for mailboxes, and the "internet" that carries mail between companies."""

import contextlib
import random
import smtplib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
OUTSIDE_ADDRESS = "127.0.0.2"
"""Where the internet's connections come from, so that a gateway sees a stranger and not its own network."""


@dataclass
class Mail:
    """One transaction."""

    sender: str
    recipients: list[str] = field(default_factory=list)
    octets: bytes = b""
    parameters: list[str] = field(default_factory=list)
    tls: str | None = None
    """The version of TLS that it came by; None: in clear."""

    def header(self, name: str) -> str | None:
        """The first field of that name, unfolded."""
        top = self.octets.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")
        wanted = f"{name.lower()}:"
        lines = top.decode("utf-8", "replace").split("\r\n")
        return next((line[len(wanted) :].strip() for line in lines if line.lower().startswith(wanted)), None)

    def delivery_status(self, name: str) -> str:
        """The last field of that name in a report (RFC 3464), unfolded."""
        lines = self.octets.decode("utf-8", "replace").replace("\r\n    ", " ").split("\r\n")
        return next((one[len(name) + 1 :].strip() for one in reversed(lines) if one.startswith(f"{name}:")), "")

    def result_headers(self) -> list[tuple[str, str]]:
        """What Mailseal says about the mail."""
        top = (
            self.octets.partition(b"\r\n\r\n")[0]
            .replace(b"\r\n\t", b" ")
            .replace(b"\r\n ", b" ")
            .decode(errors="replace")
        )
        pairs = (line.partition(":") for line in top.split("\r\n"))
        return [(name, value.strip()) for name, _, value in pairs if name.lower().startswith("x-mailseal-")]


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self._talk()

    def finish(self) -> None:
        with contextlib.suppress(OSError):  # TLS says that the other side has hung up
            super().finish()

    def _talk(self) -> None:
        server: Peer = self.server  # type: ignore[assignment]  # socketserver knows only its base class
        mail = Mail("")
        tls: str | None = None
        self._say(f"220 {server.name} made up for the demo")
        while line := self.rfile.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            match verb.upper():
                case "EHLO" | "LHLO" | "HELO":
                    offered = ["250-STARTTLS"] if server.tls and not tls else []
                    self._say(
                        f"250-{server.name}", *offered, "250-8BITMIME", "250-SMTPUTF8", "250-DSN", "250 PIPELINING"
                    )
                case "STARTTLS" if server.tls and not tls:
                    self._say("220 2.0.0 go ahead")
                    tls = self._wrap(server.tls)
                case "MAIL":
                    address, parameters = _path(rest)
                    mail = Mail(address, parameters=parameters, tls=tls)
                    self._say("250 2.1.0 ok")
                case "RCPT":
                    mail.recipients.append(_path(rest)[0])
                    self._say("250 2.1.5 ok")
                case "DATA":
                    self._say("354 go ahead")
                    mail.octets = self._content()
                    self._say(server.take(mail))
                case "QUIT":
                    self._say("221 2.0.0 bye")
                    return
                case "RSET" | "NOOP":
                    self._say("250 2.0.0 ok")
                case _:
                    self._say("500 5.5.1 unknown")

    def _wrap(self, context: ssl.SSLContext) -> str | None:
        wrapped = context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = wrapped.makefile("rb"), wrapped.makefile("wb")
        return wrapped.version()

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
        self.wfile.flush()

    def _content(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)


def _path(argument: str) -> tuple[str, list[str]]:
    address, _, parameters = argument.partition("<")[2].partition(">")
    return address, parameters.split()


class Peer(socketserver.ThreadingTCPServer):
    """An SMTP server on a free port of loopback that keeps mails as files and in `mails`."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 50

    def __init__(self, name: str, folder: Path, arrived: Callable[["Peer", Mail, Path], None]) -> None:
        super().__init__((LOOPBACK, free_port()), _Session)
        self.name = name
        self.folder = folder
        self.mails: list[Mail] = []
        self.tls: ssl.SSLContext | None = None
        self._arrived = arrived
        self._changed = threading.Condition()
        folder.mkdir(parents=True)
        self._begin()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def take(self, mail: Mail) -> str:
        """Keep a mail; the reply to the client."""
        with self._changed:
            self.mails.append(mail)
            path = self.folder / f"{len(self.mails):03}.eml"
            path.write_bytes(mail.octets)
        self._arrived(self, mail, path)
        with self._changed:
            self._changed.notify_all()
        return "250 2.0.0 kept"

    def wait(self, count: int, *, seconds: float = 60) -> Mail:
        """The count-th mail, once it is here."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.mails) >= count, seconds):
                raise TimeoutError(f"{self.name} has not got mail number {count}")
            return self.mails[count - 1]

    def wait_for(self, subject: str, *, seconds: float = 60) -> Mail:
        """The first mail whose subject begins so, once it is here."""

        def found() -> Mail | None:
            return next((mail for mail in self.mails if (mail.header("Subject") or "").startswith(subject)), None)

        with self._changed:
            if (mail := self._changed.wait_for(found, seconds)) is None:
                raise TimeoutError(f"{self.name} has not got {subject!r}")
            return mail

    def go_away(self) -> None:
        """As if the machine were down: who calls is refused."""
        self.close()

    def come_back(self) -> None:
        """Listen again, where it listened before."""
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self.server_activate()
        self._begin()

    def _begin(self) -> None:
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()


class Internet(Peer):
    """Carries mail to the gateway of a company by the recipient's domain; all others have a mailbox here."""

    def __init__(self, folder: Path, arrived: Callable[[Peer, Mail, Path], None], elsewhere: Peer) -> None:
        super().__init__("internet.example", folder, arrived)
        self.gateways: Mapping[str, int] = {}
        self._elsewhere = elsewhere

    def take(self, mail: Mail) -> str:
        """Keep what was on the wire, then carry it on; the reply of the last stop counts."""
        reply = super().take(mail)
        groups: dict[int, list[str]] = {}
        for one in mail.recipients:
            groups.setdefault(self.gateways.get(one.rpartition("@")[2].lower(), self._elsewhere.port), []).append(one)
        for port, recipients in groups.items():
            code, text = transfer(port, mail.sender, recipients, mail.octets, source=OUTSIDE_ADDRESS)
            if code != 250:
                return f"{code} {text}"
        return reply


def server_context(path: Path, pem: bytes) -> ssl.SSLContext:
    """TLS for a server that has this key and certificate, which are written to a file."""
    path.write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def free_port() -> int:
    """One that nobody listens on. Not of those that the system gives to whoever calls somebody: it could do so before
    our server has started, or while it is away.
    """
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((LOOPBACK, random.randrange(10_240, 32_768)))
            return int(probe.getsockname()[1])


def transfer(
    port: int, sender: str, recipients: list[str], octets: bytes, *, source: str = LOOPBACK
) -> tuple[int, str]:
    """One SMTP transaction; the reply that decided it."""
    with smtplib.SMTP(LOOPBACK, port, timeout=30, source_address=(source, 0)) as client:
        client.ehlo("client.example")
        code, text = client.mail(sender)
        for one in recipients:
            if code == 250:
                code, text = client.rcpt(one)
        if code == 250:
            code, text = client.data(octets)
    return code, text.decode("ascii", "replace")
