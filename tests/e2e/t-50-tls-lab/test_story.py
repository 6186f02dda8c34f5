"""All eight TLS policies against servers that are right and wrong, by a signed zone and a resolver that validates.

Everything is in a network namespace: Mailseal with its private Postfix, the servers on port 25, knot, unbound.
Measured facts: what Postfix does of itself stands in `EXPECTED`; that Mailseal's rules lead there is what is tested.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness import names, namespace, postfix, tls_servers
from harness.client import Client
from harness.folder import short_folder
from harness.gateway import Gateway
from harness.mail import mail
from harness.names import Names
from harness.namespace import Namespace
from harness.sink import Sink
from harness.waiting import wait_until
from harness.web import Web
from pki import Authority

ANNA = "anna@alpha.example"
SECONDS = 90
ENTRY = 25
CLEAR, TLS, WAITS = "clear", "tls", "waits"
SERVERS = ("good", "wrong", "self", "notls", "notlsa", "ta", "ee", "unsigned")
"""Right; other name and wrong TLSA; of a stranger; without TLS; the same with TLSA; TLSA of its CA; TLSA of a usage
that does not count for SMTP (RFC 7672 §3.1.3); right, in a zone that is not signed."""
EXPECTED = {
    "none": (CLEAR, CLEAR, CLEAR, CLEAR, CLEAR, CLEAR, CLEAR, CLEAR),
    "may": (TLS, TLS, TLS, CLEAR, CLEAR, TLS, TLS, TLS),
    "encrypt": (TLS, TLS, TLS, WAITS, WAITS, TLS, TLS, TLS),
    "dane": (TLS, WAITS, TLS, CLEAR, WAITS, TLS, TLS, TLS),
    "dane-only": (TLS, WAITS, WAITS, WAITS, WAITS, TLS, WAITS, WAITS),
    "fingerprint": (TLS, WAITS, WAITS, WAITS, WAITS, WAITS, TLS, TLS),
    "verify": (TLS, WAITS, WAITS, WAITS, WAITS, TLS, WAITS, WAITS),
    "secure": (TLS, WAITS, WAITS, WAITS, WAITS, TLS, TLS, TLS),
}
"""By level, for each of SERVERS, what becomes of its mail. `ee` and `unsigned` have the certificate of `good`, which
`verify` asks for another name and `secure` for one of those that the rule gives."""
OTHERS = {"sts": 20, "stray": 21}
"""Servers with a good certificate of their own name and no TLSA records; the first is in the MTA-STS policies."""
STS = ("ok", "spoofed", "testing", "tlsa")
STS_EXPECTED = {"ok": TLS, "spoofed": WAITS, "testing": TLS, "tlsa": TLS}


TROUBLE = ("Temporary lookup error", "lookup error for", "try again", "timed out")
"""Reasons of a machine that is too busy: such mail comes again in seconds."""


def address(number: int) -> str:
    return f"10.99.0.{number}"


@dataclass
class Lab:
    gateway: Gateway
    net: Namespace
    names: Names
    sinks: dict[str, Sink]
    log: Path
    sent: set[str] = field(default_factory=set)

    def send(self, *recipients: str) -> None:
        with self.net.inside(), Client(ENTRY, timeout=SECONDS) as client:
            said = client.send(ANNA, recipients, mail(ANNA, ", ".join(recipients)))
        assert set(said.rcpt) == {"250 2.1.5 Ok"}, said
        assert said.end[0].startswith("250"), said

    def fate(self, recipient: str) -> str:
        """How its mail went on, or that it waits, or "" while neither is known."""
        lines = [line for line in self.maillog().splitlines() if "/smtp[" in line and f"to=<{recipient}>" in line]
        if not lines:
            return ""
        if "status=deferred" in lines[-1]:
            return "" if any(trouble in lines[-1] for trouble in TROUBLE) else WAITS
        assert "status=sent" in lines[-1], lines[-1]
        for sink in self.sinks.values():
            for one in sink.mails:
                if recipient in one.recipients:
                    return TLS if one.tls else CLEAR
        raise AssertionError(f"nobody has got {recipient}")

    def wait(self, recipient: str) -> str:
        def told() -> str:
            return f"{recipient}:\n{self.maillog()[-4000:]}"

        return wait_until(lambda: self.fate(recipient), told, seconds=SECONDS, every=0.1)

    def maillog(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _digest(certificate: x509.Certificate) -> str:
    """SHA-256 of the public key (RFC 6698 §2.1.2, selector 1)."""
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def _zone(good: str, ca: str) -> str:
    lines = [f"{server} IN A {address(number)}" for number, server in enumerate(SERVERS, 1) if server != "unsigned"]
    lines += [
        f"{level}-{server} IN MX 10 {server if server != 'unsigned' else 'mx.plain.'}"
        for level in EXPECTED
        for server in SERVERS
    ]
    lines += [
        "sts-ok IN MX 10 sts",
        "sts-spoofed IN MX 10 stray",
        "sts-testing IN MX 10 stray",
        "sts-tlsa IN MX 10 good",
    ]
    lines += [f"{name} IN A {address(number)}" for name, number in OTHERS.items()]
    for name in STS:
        lines += [f'_mta-sts.sts-{name} IN TXT "v=STSv1; id=1;"', f"mta-sts.sts-{name} IN A 127.0.0.1"]
    records = {"good": f"3 1 1 {good}", "wrong": f"3 1 1 {'ab' * 32}", "notlsa": f"3 1 1 {good}"}
    records |= {"ta": f"2 0 1 {ca}", "ee": f"1 1 1 {good}"}
    return "\n".join(lines) + "\n" + names.tlsa(records)


def _rules(good: str) -> list[str]:
    more = {
        "fingerprint": lambda _: f"--fingerprint {good}",
        "verify": lambda _: "",
        "secure": lambda _: "--match good.test --match ta.test",
    }
    return [
        f"tls-policy set {level}-{server}.test {level} {more.get(level, lambda _: '')(server)}"
        for level in EXPECTED
        for server in SERVERS
    ]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    for why in (postfix.why_not(), namespace.why_not(), names.why_not()):
        if why:
            pytest.skip(why)
    authority = tls_servers.authority()
    stranger = Authority("Nobody", not_before=authority.not_before, not_after=authority.not_after)
    good = tls_servers.issue("good.test")
    identities = {
        "good": good,
        "wrong": tls_servers.issue("other.test"),
        "self": tls_servers.issue("self.test", by=stranger),
        "ta": tls_servers.issue("ta.test"),
        "ee": good,
        "unsigned": good,
    }
    certificate = x509.load_pem_x509_certificate(good.pem)
    key_print = _digest(certificate)
    ca_der = x509.load_pem_x509_certificate(authority.pem).public_bytes(Encoding.DER)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_folder("lab"))
        net = stack.enter_context(
            Namespace("lab", addresses=[address(number) for number in (*range(1, len(SERVERS) + 1), *OTHERS.values())])
        )
        unsigned = f"mx IN A {address(len(SERVERS))}\n"
        zones = {"test.": _zone(key_print, hashlib.sha256(ca_der).hexdigest()), "plain.": unsigned}
        found = stack.enter_context(names.names(net, folder / "dns", zones, signed=["test."]))
        sinks = {}
        with net.inside():
            for number, server in enumerate(SERVERS, 1):
                identity = identities.get(server)
                place = folder / server
                place.mkdir()
                context = tls_servers.server_context(place, identity) if identity else None
                if server == "ta":  # its TLSA record names the issuer, so that has to come along (RFC 7672 §3.1.2)
                    chain = place / "chain.pem"
                    chain.write_bytes(identity.key_pem + identity.pem + authority.pem)
                    context.load_cert_chain(chain)
                sinks[server] = stack.enter_context(Sink(host=address(number), port=25, tls=context))
            for name, number in OTHERS.items():
                context = tls_servers.server_context(folder, tls_servers.issue(f"{name}.test"))
                sinks[name] = stack.enter_context(Sink(host=address(number), port=25, tls=context))
            web_identity = tls_servers.issue(*(f"mta-sts.sts-{name}.test" for name in STS))
            web_tls = tls_servers.server_context(folder, web_identity)
            web = stack.enter_context(Web(folder, port=443, tls=web_tls))
        for name in STS:
            mode = "testing" if name == "testing" else "enforce"
            server = "good" if name == "tlsa" else "sts"
            text = f"version: STSv1\r\nmode: {mode}\r\nmx: {server}.test\r\nmax_age: 86400\r\n"
            web.answers[f"GET mta-sts.sts-{name}.test"] = (200, text.encode())
        web.fields["Content-Type"] = "text/plain"
        ca = tls_servers.write_ca(folder)
        ca.chmod(0o644)
        quick = {
            "minimal_backoff_time": "9s",
            "maximal_backoff_time": "9s",
            "queue_run_delay": "3s",
            "smtp_tls_CAfile": str(ca),
            "smtp_connect_timeout": "10s",
        }
        quick["inet_interfaces"] = "127.0.0.1"  # else the servers, which are here too, would be Postfix itself
        gateway = stack.enter_context(
            Gateway(
                folder,
                within=net.command(),
                top={"workers": 1},
                postfix={
                    "instance": "private",
                    "folder": str(folder / "postfix"),
                    "listen": [f"127.0.0.1:{ENTRY}"],
                    "networks": ["127.0.0.1/32"],
                    "settings": quick,
                },
                tls={"default": "dane", "mta_sts_wait_seconds": 30, "dnssec_name": "test", "dnssec_bogus": ""},
                discover={"allow_private": True, "ca": str(ca)},
            )
        )
        gateway.init("alpha.example")
        gateway.type(*_rules(key_print))
        gateway.start(seconds=SECONDS)
        yield Lab(gateway, net, found, sinks, folder / "postfix" / "log" / "maillog")


@pytest.mark.parametrize("level", EXPECTED)
def test_policy(lab: Lab, level: str) -> None:
    recipients = [f"bob@{level}-{server}.test" for server in SERVERS]
    lab.send(*recipients)
    assert dict(zip(SERVERS, map(lab.wait, recipients), strict=True)) == dict(
        zip(SERVERS, EXPECTED[level], strict=True)
    )


def test_mta_sts(lab: Lab) -> None:
    """The first mail waits for the policy; one that the MX does not fit waits in the queue; TLSA goes before it."""
    recipients = [f"bob@sts-{name}.test" for name in STS]
    lab.send(*recipients)
    assert dict(zip(STS, map(lab.wait, recipients), strict=True)) == STS_EXPECTED
    for name, level in (("ok", "secure"), ("spoofed", "secure"), ("tlsa", "dane")):
        assert level in json.dumps(lab.gateway.rows("tls-policy", "show", f"sts-{name}.test")), name


def test_the_resolver_is_proven(lab: Lab) -> None:
    rows = json.loads(lab.gateway.run("check", "--json").stdout)
    [said] = [one for one in rows if one["check"] == "DNSSEC"]
    assert said["status"] == "ok", said


def test_a_resolver_that_does_not_validate_is_told_of() -> None:
    for why in (namespace.why_not(), names.why_not()):
        if why:
            pytest.skip(why)
    with short_folder("lab2") as folder, Namespace("lab2") as net:
        zone = {"test.": "good IN A 10.99.0.1\n"}
        with names.names(net, folder / "dns", zone, signed=["test."], validating=False):
            tables = {"postfix": {"instance": "private", "folder": str(folder / "postfix")}}
            gateway = Gateway(folder, within=net.command(), **tables, tls={"dnssec_name": "test"})
            gateway.init("alpha.example")
            gateway.type("tls-policy set bank.test dane-only")
            rows = json.loads(gateway.run("check", "--json").stdout)
            [said] = [one for one in rows if one["check"] == "DNSSEC"]
            assert said["status"] != "ok", said
