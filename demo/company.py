"""One company: its domain, its people, its Mailseal set up by the commands an administrator types, its mailboxes."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.name_server import NameServer
from demo.peer import LOOPBACK, Peer, free_port
from demo.pki import Authority, Holder

MAILSEAL = (sys.executable, "-m", "mailseal")
PASSWORD = "demo"
DRAIN_SECONDS = 60
LOGIN_PASSWORD = "correct horse battery"
SELECTOR = "demo"
_LISTEN = """\
hostname = "mail.{domain}"
data_dir = "{data}"
workers = 1
dns.servers = ["{names}"]

[web]
listen = "{us}:{console}"
hosts = ["localhost"]

[listen]
"""
_ALONE = """\
smtp = "{us}:{port}"
smtp_authorised_networks = ["{us}/32"]

[relay]
inside = "smtp://{us}:{mailboxes}"
outside = "smtp://{us}:{internet}"
"""
_WITH_POSTFIX = """\
tls_certificate = "{certificate}"

[relay]
inside = "smtp://{us}:{reinjection}"
outside = "smtp://{us}:{reinjection}"

[postfix]
folder = "{folder}"
listen = ["{us}:{port}"]
networks = ["{us}/32"]
submission = ["{us}:{submission}"]
reinjection = "{us}:{reinjection}"
inside = ["smtp://{us}:{mailboxes}"]
outside = ["smtp://{us}:{internet}"]
verify_recipients = false
settings = {{ smtp_tls_CAfile = "{ca}" }}
"""


class CommandError(Exception):
    """A command of the demo failed; the text is what it said."""


class Company:
    """`people` are (name, curve) pairs: their addresses are name@domain in lower case.

    Where mail is handed in: `port`, Postfix's or, without one, Mailseal's; with a login at `submission`, Postfix's.
    `console`: where browsers ask.
    """

    def __init__(
        self, name: str, domain: str, folder: Path, people: Sequence[tuple[str, bool]], *, with_postfix: bool
    ) -> None:
        self.name, self.domain, self.folder = name, domain, folder
        self.config = folder / "mailseal.toml"
        self.data = folder / "data"
        self.with_postfix = with_postfix
        self.port, self.submission, self._reinjection, self.console = (free_port() for _ in range(4))
        self.ca = Authority(name)
        self.people: dict[str, Holder] = {
            f"{person.lower()}@{domain}": self.ca.person(person, f"{person.lower()}@{domain}", curve=curve)
            for person, curve in people
        }
        self.commands: list[str] = []
        self.given_up = False
        self._serving: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        self.data.mkdir(mode=0o700)  # made by us, so it stays ours also where a user `mailseal` exists

    def configure(self, mailboxes: Peer, internet: Peer, names: NameServer, ca: bytes) -> None:
        """Write mailseal.toml. `ca`: who certifies the servers of the internet."""
        values = {
            "domain": self.domain,
            "data": self.data,
            "names": names.place,
            "us": LOOPBACK,
            "port": self.port,
            "submission": self.submission,
            "reinjection": self._reinjection,
            "mailboxes": mailboxes.port,
            "internet": internet.port,
            "console": self.console,
        }
        if self.with_postfix:
            values["folder"] = self.folder / "postfix"
            values["certificate"] = self._file("server.pem", self.ca.server(f"mail.{self.domain}").for_server)
            values["ca"] = self._file("internet-ca.pem", ca)
        template = _LISTEN + (_WITH_POSTFIX if self.with_postfix else _ALONE)
        self.config.write_text(template.format(**values))

    def set_up(self, partner: "Company") -> None:
        """Data folder, domain, roots, the partner's certificates, our own keys, and tags in subjects."""
        self.run("init", "--internal-domain", self.domain)
        self.run("root", "import", self._file("roots.pem", self.ca.root.pem + partner.ca.root.pem))
        theirs = b"".join(one.pem for one in partner.people.values())
        files = [self._file("partner.pem", partner.ca.issuing.pem + theirs)]
        files += [self._file(f"{address}.p12", holder.pkcs12(PASSWORD)) for address, holder in self.people.items()]
        self.run("cert", "import", *files, "--password-file", self._file("password", PASSWORD.encode()))
        self.run("settings", "set", "subject_tags", "true")

    def sign_domain(self, names: NameServer) -> None:
        """A DKIM key, its record in the DNS, and from then on it signs."""
        made = json.loads(self.run("dkim", "generate", self.domain, "--selector", SELECTOR, "--json"))
        names.publish(made["name"], made["value"])
        self.run("dkim", "enable", self.domain, SELECTOR)

    def let_in(self, address: str) -> None:
        """A login for Postfix's submission port."""
        self.run("submission", "add", address, "--password-file", self._file("login", LOGIN_PASSWORD.encode()))

    def add_openpgp(self, ring: bytes, sender: str, inline: str) -> None:
        """Partners who have OpenPGP only: their keys, a key for our sender when first needed, mail inline to one."""
        self.run("pgp", "import", "--trust", self._file("delta.asc", ring))
        self.run("settings", "set", "pgp_generate_signing_key", "true", "--address", sender)
        self.run("settings", "set", "pgp_autocrypt", "true", "--address", sender)
        self.run("settings", "set", "pgp_format", "inline", "--address", inline)

    def look_for(self, patterns: Mapping[str, str], manager: str) -> None:
        """Have all mail that leaves looked through for patterns of the library (ID: name), and somebody told of it."""
        self.run("dlp", "pattern", "library", "import", *patterns)
        self.run("dlp", "assign", "--global", *patterns.values())
        self.run("settings", "set", "dlp_managers", manager)

    def add_administrator(self, address: str) -> str:
        """Somebody who may do everything in the console; the link by which she sets her password."""
        link: str = json.loads(self.run("admin", "create", address, "--json"))["link"]
        return link

    def run(self, *arguments: str, quiet: bool = False) -> str:
        """`mailseal …` of this company; what it prints. Shown among the commands, unless `quiet`."""
        self._go_on()
        if not quiet:
            self.commands.append("mailseal " + shlex.join(arguments))
        done = subprocess.run(
            [*MAILSEAL, "--config", str(self.config), *arguments],
            capture_output=True, text=True, check=False, env=_environment(), stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        if done.returncode != 0:
            raise CommandError(f"mailseal {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def postfix_is_told(self, table: str, key: str) -> str:
        """What Mailseal answers to a question of Postfix; "" if there is nothing."""
        place = f"socketmap:unix:{self.folder}/postfix/queue/mailseal/socketmap:{table}"
        command = ("postmap", "-c", str(self.folder / "postfix" / "etc"), "-q", key, place)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()

    def show(self, *arguments: str) -> None:
        """`mailseal …` to the terminal."""
        subprocess.run(
            [*MAILSEAL, "--config", str(self.config), *arguments], check=False, env=_environment(), timeout=60
        )

    def start(self) -> None:
        """`mailseal serve` in a session of its own, so that Ctrl-C is ours to pass on."""
        self._go_on()
        command = ["serve", "--postfix", "private"] if self.with_postfix else ["serve"]
        self.commands.append(f"mailseal {shlex.join(command)}")
        with (self.folder / "serve.log").open("wb") as log:
            self._serving = subprocess.Popen(
                [*MAILSEAL, "--config", str(self.config), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), start_new_session=True,
            )  # fmt: skip

    def wait_until_ready(self, *, seconds: float = 60) -> None:
        """Until `serve` has said so."""
        until = time.monotonic() + seconds
        while not (self.data / "run" / "ready").exists():
            ended = self._serving is None or self._serving.poll() is not None
            if ended or time.monotonic() > until:
                raise CommandError(f"{self.name}'s gateway is not ready:\n{(self.folder / 'serve.log').read_text()}")
            time.sleep(0.05)

    def ask_to_stop(self) -> None:
        """SIGTERM: finish what is in hand."""
        if self._serving is not None and self._serving.poll() is None:
            self._serving.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Wait for the end of what was asked to."""
        serving, self._serving = self._serving, None
        if serving is None:
            return
        try:
            serving.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            serving.send_signal(signal.SIGTERM)  # a second time: at once, its Postfix too
            serving.wait()

    def _go_on(self) -> None:
        if self.given_up:
            raise CommandError("the demo was ended")

    def _file(self, name: str, octets: bytes) -> str:
        path = self.folder / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
        return str(path)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MAILSEAL_")}
