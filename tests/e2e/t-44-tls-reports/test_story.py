"""Mail goes to servers with right and wrong TLS; the reports about it say so, and get to those who want them.

Everything is in a network namespace: Mailseal with its private Postfix, the servers on port 25, knot, unbound.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dkim
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness import names, namespace, postfix, tls_servers
from harness.client import Client
from harness.folder import short_folder
from harness.gateway import Gateway
from harness.mail import mail
from harness.namespace import Namespace
from harness.sink import Sink
from harness.waiting import wait_until
from harness.web import Web
from pki import Authority
from tls_reports import EXAMPLE
from tls_reports import mail as reporting_mail

ANNA, CONTACT = "anna@alpha.example", "tls@alpha.example"
SECONDS = 90
SERVERS = ("good", "other", "expired", "self", "notls", "secured", "spoiled", "reports")
STS = ("sts", "sts-other", "sts-expired")
"""Domains with an MTA-STS policy that names the server `good`, `other` or `expired`."""
EXPECTED = {
    "sts": ("sts", ""),
    "sts-other": ("sts", "certificate-host-mismatch"),
    "sts-expired": ("sts", "certificate-expired"),
    "secured": ("tlsa", ""),
    "spoiled": ("tlsa", "validation-failure"),
    "self": ("no-policy-found", ""),
    "notls": ("no-policy-found", "starttls-not-supported"),
}
"""By domain below `test`: under which policy its session was, and how it failed."""


def address(name: str) -> str:
    return f"10.99.1.{SERVERS.index(name) + 1}"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


@dataclass
class Lab:
    gateway: Gateway
    net: Namespace
    sinks: dict[str, Sink]
    web: Web
    dkim_record: str

    def send(self, sender: str, recipients: list[str], octets: bytes, source: str = "127.0.0.1") -> None:
        with self.net.inside(), Client(25, timeout=SECONDS, source=source) as client:
            said = client.send(sender, recipients, octets)
        assert {one[:3] for one in (*said.rcpt, *said.end)} == {"250"}, said

    def counted(self) -> dict[str, dict[str, object]]:
        rows = self.gateway.rows("tls-report", "list", "--since", "1d")
        return {one["domain"].removesuffix(".test"): one for one in rows}


def _zone(secured: str) -> str:
    lines = [f"{name} IN A {address(name)}\n{name} IN MX 10 {name}" for name in SERVERS]
    for name, server in zip(STS, ("good", "other", "expired"), strict=True):
        lines += [
            f"{name} IN MX 10 {server}",
            f'_mta-sts.{name} IN TXT "v=STSv1; id=1;"',
            f"mta-sts.{name} IN A 127.0.0.1",
        ]
    lines += [
        '_smtp._tls.sts-other IN TXT "v=TLSRPTv1; rua=mailto:tls-reports@reports.test"',
        '_smtp._tls.spoiled IN TXT "v=TLSRPTv1; rua=https://web.test/v1/tlsrpt"',
        "web IN A 127.0.0.1",
    ]
    return "\n".join(lines) + "\n" + names.tlsa({"secured": f"3 1 1 {secured}", "spoiled": f"3 1 1 {'ab' * 32}"})


def _spki(identity: object) -> str:
    public = x509.load_pem_x509_certificate(identity.pem).public_key()
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _web(folder, stack) -> Web:
    hosts = [f"mta-sts.{name}.test" for name in STS]
    web = stack.enter_context(
        Web(folder, port=443, tls=tls_servers.server_context(folder, tls_servers.issue(*hosts, "web.test")))
    )
    for host, server in zip(hosts, ("good", "other", "expired"), strict=True):
        text = f"version: STSv1\r\nmode: enforce\r\nmx: {server}.test\r\nmax_age: 86400\r\n"
        web.answers[f"GET {host}"] = (200, text.encode())
    web.answers["POST web.test/v1/tlsrpt"] = (201, b"")
    web.fields["Content-Type"] = "text/plain"
    return web


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    for why in (postfix.why_not(), namespace.why_not(), names.why_not()):
        if why:
            pytest.skip(why)
    authority = tls_servers.authority()
    nobody = Authority("Nobody", not_before=authority.not_before, not_after=authority.not_after)
    identities = {
        "good": tls_servers.issue("good.test"),
        "other": tls_servers.issue("somebody-else.test"),
        "expired": tls_servers.issue("expired.test", days=-1),
        "self": tls_servers.issue("self.test", by=nobody),
        "secured": tls_servers.issue("secured.test"),
        "spoiled": tls_servers.issue("spoiled.test"),
        "reports": tls_servers.issue("reports.test"),
    }
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_folder("tlsrpt"))
        net = stack.enter_context(Namespace("tlsrpt", addresses=[address(name) for name in SERVERS]))
        zones = {"test.": _zone(_spki(identities["secured"]))}
        stack.enter_context(names.names(net, folder / "dns", zones, signed=["test."]))
        sinks = {}
        with net.inside():
            for name in SERVERS:
                context = tls_servers.server_context(folder, identities[name]) if name in identities else None
                sinks[name] = stack.enter_context(Sink(host=address(name), port=25, tls=context))
            web = _web(folder, stack)
            inside = stack.enter_context(Sink())
        ca = tls_servers.write_ca(folder)
        ca.chmod(0o644)
        settings = {"smtp_tls_CAfile": str(ca), "inet_interfaces": "127.0.0.1"}
        settings |= {"minimal_backoff_time": "5s", "maximal_backoff_time": "5s", "queue_run_delay": "2s"}
        gateway = stack.enter_context(
            Gateway(
                folder,
                within=net.command(),
                top={"workers": 1},
                postfix={
                    "instance": "private",
                    "folder": str(folder / "postfix"),
                    "listen": ["127.0.0.1:25"],
                    "networks": ["127.0.0.1/32"],
                    "inside": [f"smtp://127.0.0.1:{inside.port}"],
                    "settings": settings,
                },
                tls={"default": "dane", "mta_sts_wait_seconds": 30},
                discover={"allow_private": True, "ca": str(ca)},
                tls_reports={"contact": CONTACT, "address": CONTACT, "organization": "Alpha Ltd"},
            )
        )
        gateway.init("alpha.example")
        record = gateway.rows("dkim", "generate", "alpha.example", "--selector", "s1")["value"]
        gateway.cli("dkim", "enable", "alpha.example", "s1", "--unchecked")
        gateway.start(seconds=SECONDS)
        yield Lab(gateway, net, sinks | {"inside": inside}, web, record)


@pytest.fixture(scope="module")
def counted(lab: Lab) -> dict[str, dict[str, object]]:
    """What was counted after a mail to each domain."""
    recipients = [f"bob@{name}.test" for name in EXPECTED]
    lab.send(ANNA, recipients, mail(ANNA, ", ".join(recipients)))
    wait_until(lambda: lab.counted().keys() >= EXPECTED.keys(), lab.counted, seconds=SECONDS, every=0.2)
    return lab.counted()


@pytest.fixture(scope="module")
def shown(lab: Lab, counted) -> dict[str, list[dict[str, object]]]:
    """What is said of each domain's day."""
    text = lab.gateway.type(*(f"tls-report show {name}.test --day {counted[name]['day']} --json" for name in EXPECTED))
    found = {}
    for _ in EXPECTED:
        value, end = json.JSONDecoder().raw_decode(text := text.lstrip())
        found[value["domain"].removesuffix(".test")] = value["policies"]
        text = text[end:]
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_each_session_is_counted_under_the_policy_of_its_domain(counted, shown, name: str) -> None:
    kind, failure = EXPECTED[name]
    row = counted[name]
    assert (row["succeeded"] > 0, row["failed"] > 0) == (not failure, bool(failure)), row
    [policy] = shown[name]
    assert policy["policy-type"] == kind
    assert [one["result-type"] for one in policy["failures"]] == ([failure] if failure else [])


def test_what_was_reported_by_mail(lab: Lab, counted) -> None:
    day = counted["sts-other"]["day"]
    lab.gateway.cli("tls-report", "send", "sts-other.test", "--day", day)

    [got] = lab.sinks["reports"].wait(1, seconds=SECONDS)
    assert (got.sender, got.recipients) == (CONTACT, ("tls-reports@reports.test",))
    assert got.tls
    [signature] = got.fields("DKIM-Signature")
    assert "d=alpha.example;" in signature
    assert "TLS-Report-Domain" in signature
    assert dkim.verify(got.octets, dnsfunc=lambda *_, **__: lab.dkim_record.encode())
    message = email.message_from_bytes(got.octets, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert (message["TLS-Report-Domain"], message["TLS-Report-Submitter"]) == ("sts-other.test", "alpha.example")
    _, file = message.iter_parts()
    assert file.get_content_type() == "application/tlsrpt+gzip"
    report = json.loads(gzip.decompress(file.get_payload(decode=True)))
    assert (report["organization-name"], report["contact-info"]) == ("Alpha Ltd", CONTACT)
    assert report["date-range"] == {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"}
    [policy] = report["policies"]
    assert policy["policy"] == {
        "policy-type": "sts",
        "policy-domain": "sts-other.test",
        "policy-string": ["version: STSv1", "mode: enforce", "mx: other.test", "max_age: 86400"],
        "mx-host": ["other.test"],
    }
    [failure] = policy["failure-details"]
    failed = failure["failed-session-count"]
    assert policy["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": failed}
    assert failure["result-type"] == "certificate-host-mismatch"
    assert (failure["receiving-mx-hostname"], failure["receiving-ip"]) == ("other.test", address("other"))
    wait_until(lambda: lab.counted()["sts-other"]["report"] == "sent", lab.counted, every=0.2)


def test_what_was_reported_by_https(lab: Lab, counted) -> None:
    lab.gateway.cli("tls-report", "send", "spoiled.test", "--day", counted["spoiled"]["day"])

    wait_until(lambda: lab.counted()["spoiled"]["report"] == "sent", lab.counted, every=0.2)
    posted = [body for asked, body in zip(lab.web.asked, lab.web.bodies, strict=True) if asked.startswith("POST ")]
    [policy] = json.loads(gzip.decompress(posted[0]))["policies"]
    assert policy["policy"]["policy-string"] == ["3 1 1 " + "AB" * 32]
    assert [one["result-type"] for one in policy["failure-details"]] == ["validation-failure"]


def test_who_wants_no_report_gets_none(lab: Lab, counted) -> None:
    lab.gateway.cli("tls-report", "send", "self.test", "--day", counted["self"]["day"])
    wait_until(lambda: lab.counted()["self"]["report"] == "unwanted", lab.counted, every=0.2)


def test_a_report_about_us_is_read_and_kept(lab: Lab) -> None:
    value = json.loads(json.dumps(EXAMPLE).replace("company-y.example", "alpha.example"))
    raw = reporting_mail(value, to=CONTACT)

    lab.send("noreply@company-x.example", [CONTACT], raw, source="127.0.0.2")

    since = ("--since", (datetime(2016, 4, 1, tzinfo=UTC) - timedelta(days=1)).date().isoformat())
    wait_until(lambda: lab.gateway.rows("tls-report", "received", *since), lambda: "nothing received", every=0.2)
    [row] = lab.gateway.rows("tls-report", "received", *since)
    assert (row["reporter"], row["domain"], row["policy"]) == ("Company-X", "alpha.example", "sts")
    assert (row["succeeded"], row["failed"], row["signed"]) == (5326, 303, "no")
    shown = lab.gateway.rows("tls-report", "received", "--id", row["id"])
    assert [one["failed-session-count"] for one in shown["failures"]] == [100, 200, 3]
    assert not lab.sinks["inside"].mails
    [logged] = lab.gateway.wait_for_log(1, "--recipient", CONTACT, "--fate", "kept")
    assert "Company-X" in logged["reasons"][0]


def test_other_mail_to_the_address_is_delivered(lab: Lab) -> None:
    lab.send("olga@out.example", [CONTACT], mail("olga@out.example", CONTACT), source="127.0.0.2")
    [got] = lab.sinks["inside"].wait(1, seconds=SECONDS)
    assert got.recipients == (CONTACT,)


def test_what_is_forgotten(lab: Lab) -> None:
    assert "reports received  1" in lab.gateway.cli("tls-report", "purge", "--before", "2100-01-01", "--yes")
    assert "sts" not in lab.counted(), "of those that are tried again there are new ones"
    assert lab.gateway.run("tls-report", "show", "sts.test", "--day", "0d").returncode == 1
