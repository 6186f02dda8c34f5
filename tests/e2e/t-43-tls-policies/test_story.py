"""TLS policies as Postfix carries them out: it asks Mailseal, and connects to servers that are right and wrong.

What needs DNSSEC (dane, dane-only) and MX records needs a zone, and is in the stories with name servers of their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness import tls_servers
from harness.bare_postfix import BarePostfix
from harness.client import Client
from harness.folder import free_port, short_folder
from harness.gateway import COMMAND, Gateway, clean_environment
from harness.mail import mail
from harness.sink import Sink
from harness.waiting import wait_until
from mailseal.config import from_values
from mailseal.postfix.names import SMARTHOST
from mailseal.postfix.parts import Surroundings
from mailseal.postfix.render import render
from pki import Authority

ANNA = "anna@alpha.example"
SECONDS = 60
MANY = 40
USERS = ("b", "one", "two", "three", "later")
SERVERS = ("good", "wrong", "self", "plain")
LEVELS = ("none", "may", "encrypt", "fingerprint", "verify", "secure")
SENT = {  # by level: what becomes of mail to each of SERVERS
    "none": ("clear", "clear", "clear", "clear"),
    "may": ("tls", "tls", "tls", "clear"),
    "encrypt": ("tls", "tls", "tls", "waits"),
    "fingerprint": ("tls", "waits", "waits", "waits"),
    "verify": ("tls", "waits", "waits", "waits"),
    "secure": ("tls", "waits", "waits", "waits"),
}


class Maps:
    """The role that answers Postfix, by itself."""

    def __init__(self, gateway: Gateway) -> None:
        self.socket = gateway.folder / "run" / "socketmap"
        self._words = [*COMMAND, "--config", str(gateway.config), "maps"]
        self._output = gateway.folder / "maps.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.socket.parent.mkdir(exist_ok=True)
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment()
            )
        wait_until(self._listens, self._output.read_text)
        return self

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._output.read_text()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(self.socket))
            return True
        return False

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(SECONDS)
        self.socket.unlink(missing_ok=True)


@dataclass
class Scene:
    gateway: Gateway
    maps: Maps
    postfix: BarePostfix
    sinks: dict[str, Sink]
    """By the domain whose mail goes there."""
    nobody: int
    """The port of the first smart host, which is down."""
    smart_host: Sink

    def send(self, *recipients: str) -> list[str]:
        """The replies to RCPT."""
        with Client(self.postfix.port) as client:
            return list(client.send(ANNA, recipients, mail(ANNA, ", ".join(recipients))).rcpt)

    def fate(self, recipient: str) -> str:
        """What the log says last: "sent", "deferred", "bounced" or "" yet."""
        lines = [line for line in self.postfix.maillog().splitlines() if f"to=<{recipient}>" in line]
        return lines[-1].partition("status=")[2].partition(" ")[0] if lines else ""

    def wait(self, recipient: str, fate: str) -> None:
        def told() -> str:
            return f"{recipient}: {self.fate(recipient)!r}\n{self.postfix.maillog()[-4000:]}"

        wait_until(lambda: self.fate(recipient) == fate, told, every=0.05)

    def place(self, domain: str) -> str:
        return f"[127.0.0.1]:{self.sinks[domain].port}"

    def ask(self, table: str, key: str) -> tuple[int, str]:
        """As a program of Postfix asks: exit status and answer."""
        words = ["postmap", "-c", str(self.postfix.etc), "-q", key, f"socketmap:unix:{self.maps.socket}:{table}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
        return done.returncode, done.stdout.strip()

    def wait_for_answer(self, table: str, key: str, answer: tuple[int, str]) -> None:
        wait_until(lambda: self.ask(table, key) == answer, lambda: f"{self.ask(table, key)}, not {answer}", every=0.1)


def _servers(folder, stack):
    """An SSL context for each kind of server, and the fingerprints of the good one: of its key, of its certificate."""
    stranger = Authority(
        "Nobody", not_before=tls_servers.authority().not_before, not_after=tls_servers.authority().not_after
    )
    identities = {
        "good": tls_servers.issue("mx.good.test"),
        "wrong": tls_servers.issue("mx.other.test"),
        "self": tls_servers.issue("mx.good.test", by=stranger),
    }
    contexts = {name: tls_servers.server_context(folder, identity) for name, identity in identities.items()}
    certificate = x509.load_pem_x509_certificate(identities["good"].pem)
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    prints = [hashlib.sha256(octets).hexdigest() for octets in (spki, certificate.public_bytes(Encoding.DER))]
    return contexts, prints


def _policies(sinks: dict[str, Sink], key_print: str, certificate_print: str) -> Iterator[str]:
    more = {
        "fingerprint": f"--fingerprint {key_print}",
        "verify": "--match mx.good.test",
        "secure": "--match *.good.test --sni --min-tls 1.2",
    }
    for level in LEVELS:
        for server in SERVERS:
            place = f"[127.0.0.1]:{sinks[f'{level}-{server}.test'].port}"
            yield f"tls-policy set {place} {level} {more.get(level, '')}"
    yield f"tls-policy set [127.0.0.1]:{sinks['certificate.test'].port} fingerprint --fingerprint {certificate_print}"
    yield "tls-policy set held.test encrypt --direct"


@pytest.fixture(scope="module")
def scene(need_postfix: None) -> Iterator[Scene]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_folder("tls"))
        contexts, prints = _servers(folder, stack)
        ca = tls_servers.write_ca(folder)
        ca.chmod(0o644)
        kinds = {f"{level}-{server}.test": server for level in LEVELS for server in SERVERS}
        kinds |= {"certificate.test": "good", "changed.test": "plain"}
        sinks = {domain: stack.enter_context(Sink(tls=contexts.get(kind))) for domain, kind in kinds.items()}
        smart_host = stack.enter_context(Sink(tls=contexts["good"]))
        way = f"?tls=verified&name=mx.good.test&ca={ca}"
        nobody = free_port()
        urls = [f"smtp://127.0.0.1:{number}{way}" for number in (nobody, smart_host.port)]
        tables = {
            "listen": {name: str(folder / "run" / name) for name in ("socketmap", "auth")},
            "postfix": {"instance": "system", "outside": urls, "listen": []},
            "tls": {"default": "may", "mta_sts": False},
        }
        gateway = stack.enter_context(Gateway(folder, **tables))
        gateway.init("alpha.example")
        gateway.type(*_policies(sinks, *prints))
        maps = stack.enter_context(Maps(gateway))
        # By address: that is what is asked for first, in both tables.
        names = [(f"{who}@{domain}", sink.port) for domain, sink in sinks.items() for who in USERS]
        routes = " ".join(f"{{ {address} = smtp:[127.0.0.1]:{number} }}" for address, number in names)
        port = free_port()
        socketmap = f"socketmap:unix:{maps.socket}"
        ours = render(from_values({"postfix": tables["postfix"]}), Surroundings(ipv6=False))
        tls = ("smtp_tls_", "smtp_connection_")
        settings = {one.name: one.value for one in ours.settings if one.name.startswith(tls)} | {
            "transport_maps": f"inline:{{ {routes} }}, {socketmap}:transport",
            "smtp_tls_policy_maps": f"{socketmap}:tls",
            "smtp_tls_CAfile": str(ca),
        }
        services = f"127.0.0.1:{port} inet n - n - - smtpd\n{SMARTHOST} unix - - n - - smtp\n"
        postfix = stack.enter_context(BarePostfix(folder / "postfix", "client.test", settings, services, port=port))
        yield Scene(gateway, maps, postfix, sinks, nobody, smart_host)


def test_every_level_to_every_server(scene):
    recipients = {
        f"b@{level}-{server}.test": SENT[level][number] for level in LEVELS for number, server in enumerate(SERVERS)
    }
    scene.send(*recipients)
    for recipient, outcome in recipients.items():
        scene.wait(recipient, "deferred" if outcome == "waits" else "sent")
    for recipient, outcome in recipients.items():
        came = scene.sinks[recipient.partition("@")[2]].mails
        assert [{None: "clear"}.get(one.tls, "tls") for one in came] == ([] if outcome == "waits" else [outcome]), (
            recipient
        )


def test_a_fingerprint_may_be_that_of_the_certificate(scene):
    scene.send("b@certificate.test")
    scene.wait("b@certificate.test", "sent")


def test_smart_hosts_are_secured_each_as_its_url_says(scene):
    there = f"{SMARTHOST}:[127.0.0.1]:{scene.nobody}, [127.0.0.1]:{scene.smart_host.port}"
    assert scene.ask("transport", "b@other.test") == (0, there)
    scene.send("b@other.test")
    scene.wait("b@other.test", "sent")
    ((mail_there),) = scene.smart_host.mails
    assert mail_there.tls
    assert "Verified TLS connection" in scene.postfix.maillog()


def test_what_postfix_asks(scene):
    assert scene.ask("tls", "certificate.test") == (0, "may")
    assert scene.ask("tls", "held.test") == (0, "encrypt")
    assert scene.ask("tls", ".held.test")[0] == 1, "nothing is known above it"
    assert scene.ask("tls", "a b")[0] == 1
    assert scene.ask("transport", "b@held.test") == (0, "smtp:"), "past the smart host"


def test_a_rule_that_is_no_longer_kept_stops_its_mail(scene):
    """Set while it could be kept; then the way of its mail has changed."""
    folder = scene.gateway.folder
    text = scene.gateway.config.read_text()
    (folder / "by-mx.toml").write_text(text.replace('outside = ["smtp://', '# ["smtp://'))
    by_mx = ["--config", str(folder / "by-mx.toml")]
    done = scene.gateway.run(*by_mx, "tls-policy", "set", "stuck.test", "encrypt")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not scene.ask("transport", "b@stuck.test")[1], every=0.1)
    replies = scene.send("b@stuck.test")
    if replies == ["250 2.1.5 Ok"]:
        scene.wait("b@stuck.test", "deferred")
    else:
        assert replies[0].startswith("451")
    assert "stuck.test" not in str([one.recipients for one in scene.smart_host.mails])
    kept = {one["destination"]: one["kept"] for one in scene.gateway.rows("tls-policy", "list")}
    assert kept["stuck.test"].startswith("no: encrypt is set for stuck.test")
    assert kept["held.test"] == "yes"


def test_a_changed_rule_counts_for_the_next_mail(scene):
    place = scene.place("changed.test")
    scene.send("one@changed.test")
    scene.wait("one@changed.test", "sent")
    scene.gateway.cli("tls-policy", "set", place, "encrypt")
    scene.wait_for_answer("tls", place, (0, "encrypt"))
    scene.send("two@changed.test")
    scene.wait("two@changed.test", "deferred")
    scene.gateway.cli("tls-policy", "unset", place, "--yes")
    scene.wait("two@changed.test", "sent")
    assert [one.tls for one in scene.sinks["changed.test"].mails] == [None, None]


def test_no_connection_in_clear_is_kept_for_mail_that_may_need_tls(scene):
    """Postfix would, for a destination with many mails, and would not ask again."""
    sink = scene.sinks["changed.test"]
    sink.clear()
    sink.data_delay_seconds = 0.1
    with Client(scene.postfix.port) as client:
        for _ in range(MANY):
            client.send(ANNA, ["three@changed.test"], mail(ANNA, "three@changed.test"))
    sink.wait(MANY, seconds=SECONDS)
    sink.data_delay_seconds = 0.0
    assert "conn_use=" not in scene.postfix.maillog()


def test_without_an_answer_mail_waits(scene):
    scene.maps.__exit__()
    scene.send("later@certificate.test", "later@may-plain.test")
    for recipient in ("later@certificate.test", "later@may-plain.test"):
        scene.wait(recipient, "deferred")
    scene.maps.__enter__()
    for recipient in ("later@certificate.test", "later@may-plain.test"):
        scene.wait(recipient, "sent")
