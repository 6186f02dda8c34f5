"""alpha.example behind the private Postfix of `mailseal serve`: submission on 587 and 465, logins in the store.

| login | password | may use |
|---|---|---|
| anna | of her own | anna@ and info@alpha.example |
| bert@alpha.example | of his own | bert@ and info@alpha.example |
| deputy | of his own | carl@, which is nobody else's, and anna@ |
"""

from __future__ import annotations

import base64
import contextlib
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.postfix import QUICK, Looks
from harness.server_certificate import server_certificate
from harness.sink import Sink
from harness.site import furnish
from harness.waiting import PATIENCE_SECONDS, wait_until

PASSWORDS = {
    "anna": "correct horse battery",
    "bert@alpha.example": "staple of bert's own",
    "deputy": "nobody else's bßusiness",
    "eve": "a login to be locked out",
}
MAY_USE = {
    "anna": ["anna@alpha.example", "info@alpha.example"],
    "bert@alpha.example": ["bert@alpha.example", "info@alpha.example"],
    "deputy": ["carl@alpha.example", "anna@alpha.example"],
    "eve": ["eve@alpha.example"],
}


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass
class House(Looks):
    """The running site. `submission` and `submissions` are ports."""

    folder: Path
    gateway: Gateway
    inside: Sink
    outside: Sink
    submission: int
    submissions: int
    metrics: str

    def __post_init__(self) -> None:
        self.queue = self.folder / "postfix" / "queue"
        self.log = self.folder / "postfix" / "log" / "maillog"

    @contextlib.contextmanager
    def session(self, login: str = "", password: str | None = None) -> Iterator[smtplib.SMTP]:
        """A session on 587 with TLS, logged in if a login is given."""
        with smtplib.SMTP("127.0.0.1", self.submission, "client.example", timeout=PATIENCE_SECONDS) as session:
            session.starttls(context=unverified())
            session.ehlo()
            if login:
                code, said = plain(session, login, PASSWORDS[login] if password is None else password)
                assert code == 235, said
            yield session

    def try_login(self, login: str, password: str | None = None) -> tuple[int, str]:
        with self.session() as session:
            return plain(session, login, PASSWORDS[login] if password is None else password)

    def forget_log(self) -> None:
        super().forget_log()
        self._said_before = self.gateway.output.stat().st_size

    def decision(self) -> list[str]:
        """The reasons of what was decided of a mail since `forget_log`."""

        def found() -> list[str]:
            said = self.gateway.output.read_bytes()[self._said_before :].decode().splitlines()
            return [line.partition(" reasons=")[2].split()[0] for line in said if ": decision " in line]

        self.wait_for(lambda: bool(found()), "a decision")
        [reasons] = found()
        return reasons.split(",")

    def maps(self) -> int:
        [pid] = self.gateway.processes("maps")
        return pid

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        def told() -> str:
            return f"{what} did not happen:\n{self.gateway.said()}\n{self.maillog()[-3000:]}"

        wait_until(condition, told, every=0.1)


def b64(text: str) -> bytes:
    return base64.b64encode(text.encode())


def plain(session: smtplib.SMTP, login: str, password: str) -> tuple[int, str]:
    """AUTH PLAIN with its response; the reply."""
    code, said = session.docmd("AUTH", "PLAIN " + b64(f"\0{login}\0{password}").decode())
    return code, said.decode()


@contextlib.contextmanager
def submission_house() -> Iterator[House]:
    """All of it, running."""
    with short_folder("submit") as folder, Sink() as inside, Sink() as outside:
        submission, submissions, back = free_port(), free_port(), free_port()
        metrics = f"127.0.0.1:{free_port()}"
        certificate = server_certificate(folder)
        tables = {
            "listen": {"tls_certificate": str(certificate.certificate), "tls_key": str(certificate.key)},
            "relay": {"inside": f"smtp://127.0.0.1:{back}", "outside": f"smtp://127.0.0.1:{back}"},
            "postfix": {
                "instance": "private",
                "folder": str(folder / "postfix"),
                "listen": [],
                "submission": [f"127.0.0.1:{submission}"],
                "submissions": [f"127.0.0.1:{submissions}"],
                "reinjection": f"127.0.0.1:{back}",
                "inside": [f"smtp://127.0.0.1:{inside.port}"],
                "outside": [f"smtp://127.0.0.1:{outside.port}"],
            },
            "postfix.settings": QUICK,
            "metrics": {"listen": metrics},
        }
        with Gateway(folder / "mailseal", **tables) as gateway:
            furnish(gateway)
            gateway.type(*(_add(gateway, number, login) for number, login in enumerate(PASSWORDS)))
            gateway.start(seconds=90)
            yield House(folder, gateway, inside, outside, submission, submissions, metrics)


def _add(gateway: Gateway, number: int, login: str) -> str:
    file = gateway.file(f"password{number}", f"{PASSWORDS[login]}\n".encode())
    allowed = " ".join(f"--may-use {one}" for one in MAY_USE[login])
    return f"submission add {login} --password-file {file} {allowed}"
