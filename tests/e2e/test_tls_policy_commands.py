"""`mailseal tls-policy` as it is typed, and what `mailseal check` says of it; servers are tried by posttls-finger."""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import connections

from harness import tls_servers
from harness.folder import free_port, short_folder
from harness.name_server import NameServer
from harness.sink import Sink
from mailseal.cli import run
from mailseal.cli.checks import tls_policies as checks
from mailseal.config import from_values
from mailseal.config.sections.dns import NameServer as Place
from mailseal.discover.dns import Dns
from mailseal.postfix.tls_choice import StsMode, StsPolicy
from mailseal.store import sts_policies
from mailseal.store.sts_policies import Looked
from mailseal.store.tls_policy_models import TlsPolicyRow

DIGEST = "0f" * 32


class Node:
    """A node made by `mailseal init`, which sends to a smart host unless told otherwise."""

    def __init__(self, folder, capsys, dns):
        self.file, self.capsys, self.dns = folder / "mailseal.toml", capsys, dns
        self.data = folder / "data"
        self.back = f"127.0.0.1:{free_port()}"
        self.configure()
        self("init", "--data", self.data, "--hostname", "gw.example.com", "--internal-domain", "ours.test", group=())

    def configure(self, outside="[]", inside="[]", more=""):
        self.file.write_text(
            f'hostname = "gw.example.com"\ndata_dir = "{self.data}"\n[postfix]\ninstance = "private"\n'
            f'folder = "{self.data.parent / "postfix"}"\noutside = {outside}\ninside = {inside}\n'
            f'reinjection = "{self.back}"\n[relay]\ninside = "smtp://{self.back}"\noutside = "smtp://{self.back}"\n'
            f'[dns]\nservers = ["{self.dns.place}"]\ntimeout_seconds = 60\n[tls]\nmta_sts = true\n{more}\n'
        )

    def __call__(self, *arguments, status=0, group=("tls-policy",)):
        found = run(["--config", str(self.file), *group, *map(str, arguments)])
        captured = self.capsys.readouterr()
        self.err = captured.err
        assert found == status, captured.err + captured.out
        return captured.out

    def json(self, *arguments, status=0, group=("tls-policy",)):
        return json.loads(self(*arguments, "--json", status=status, group=group))


@pytest.fixture
def names():
    with NameServer() as server:
        yield server


@pytest.fixture
def node(capsys, names):
    with short_folder("rules") as folder:
        yield Node(folder, capsys, names)
        connections.close_all()


def test_set_list_unset(node, tmp_path):
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(tls_servers.issue("mx.partner.test").pem)
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    node("set", "Partner.test", "encrypt")
    node(
        "set", "partner.test", "secure", "--match", "MX.partner.test", "--match", "*.b\u00fccher.test", "--sni",
        "--min-tls", "1.3", "--comment", "by contract", "--owner", "ours.test",
    )  # fmt: skip
    node("set", "[10.0.0.5]", "fingerprint", "--fingerprint", DIGEST.upper(), "--certificate", certificate)
    assert "no next hop" in node.err
    first, second = node.json("list")
    assert (first["destination"], first["fingerprints"]) == ("[10.0.0.5]:25", [DIGEST, digest])
    assert {name: second[name] for name in ("level", "match", "min_tls", "sni", "kept", "comment", "owner")} == {
        "level": "secure", "match": ["mx.partner.test", "*.xn--bcher-kva.test"], "min_tls": "1.3", "sni": "hostname",
        "kept": "yes", "comment": "by contract", "owner": "ours.test",
    }  # fmt: skip
    node("unset", "PARTNER.test", "--yes")
    node("unset", "partner.test", "--yes", status=1)
    assert "there is no TLS policy for partner.test" in node.err
    assert len(node.json("list")) == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a b", "may"], "no domain"),
        (["a.test", "secure", "--match", "hostname"], "no name"),
        (["a.test", "secure", "--match", "b.test none"], "no name"),
        (["a.test", "secure", "--match", "b.test,c.test"], "no name"),
        (["a.test", "may", "--match", "b.test"], "go with verify and secure"),
        (["a.test", "fingerprint"], "at least one"),
        (["a.test", "fingerprint", "--fingerprint", "ab"], "no SHA-256"),
        (["a.test", "fingerprint", "--certificate", "/dev/null"], "no certificate"),
        (["[mx.a.test]:25", "may", "--direct"], "next hop"),
        (["[10.0.0.5]:25", "dane-only"], "no TLSA records"),
        (["a.test", "may", "--owner", "*.test"], "owner"),
    ],
)
def test_what_is_not_set(node, arguments, why):
    node("set", *arguments, status=1)
    assert why in node.err
    assert node.json("list") == []


def test_a_smart_host_and_direct(node):
    node.configure(outside='["smtp://relay.test:587?tls=verified"]')
    node("set", "partner.test", "encrypt", status=1)
    assert "not to its own MX hosts" in node.err
    assert "--direct" in node.err
    node("set", "partner.test", "encrypt", "--direct")
    assert node.json("show", "bob@partner.test")["policy"] == "encrypt"
    shown = node.json("show", "other.test")
    assert (shown["asked_for"], shown["policy"]) == ("[relay.test]:587", "secure match=relay.test")
    node("set", "[relay.test]:587", "fingerprint", "--fingerprint", DIGEST)
    assert node.json("show", "other.test")["because"] == "it is set for [relay.test]:587"
    assert node.json("show", "[relay.test]:587")["policy"].startswith("fingerprint match=0F:0F:")


def test_a_rule_that_is_no_longer_kept(node):
    node("set", "partner.test", "encrypt")
    node.configure(outside='["smtp://relay.test:587?tls=verified"]')
    assert node.json("show", "partner.test")["goes_to"] == "nowhere: it waits"
    (row,) = node.json("list")
    assert row["kept"].startswith("no: encrypt is set for partner.test")
    found = {(one["check"], one["status"]) for one in node.json("check", group=(), status=1)}
    assert ("TLS policy", "fail") in found


def test_secure_where_the_mx_is_somebody_elses(node, names):
    names.records["partner.test", "MX"] = ["10 partner-test.mail.protection.test."]
    names.records["own.test", "MX"] = ["10 mx.own.test."]
    node("set", "partner.test", "secure")
    assert "--match '*.mail.protection.test'" in node.err
    node("set", "own.test", "secure")
    assert node.err == ""
    node("set", "partner.test", "secure", "--match", "*.mail.protection.test")
    assert node.err == ""
    names.broken.add("partner.test")
    node("set", "partner.test", "secure")
    assert node.err == ""


def test_show_says_why(node, names):
    assert node.json("show", "a.test")["because"] == "tls.default"
    policy = StsPolicy(StsMode.ENFORCE, ("mx.a.test",), 86400)
    now = datetime.now(UTC)
    sts_policies.looked("a.test", Looked("1", policy), now)
    sts_policies.looked("b.test", Looked("1", policy, dane=True), now)
    shown = node.json("show", "a.test")
    assert shown["because"] == "a.test enforces MTA-STS"
    assert shown["mta_sts"].startswith("enforce for mx.a.test, id 1, until ")
    assert node.json("show", "b.test")["policy"] == "dane-only"
    assert [one["domain"] for one in node.json("list", "--mta-sts")] == ["a.test", "b.test"]
    assert names.asked == [], "showing asks nobody"
    node("set", "*.test", "may")
    assert node.json("show", "a.test")["because"] == "it is set for *.test"
    node("show", "*.test", status=1)


def test_the_check(node):
    node.configure(more='default = "may"')
    assert "TLS policy" not in {one["check"] for one in node.json("check", group=(), status=1)}
    node("set", "a.test", "encrypt")
    now = datetime.now(UTC)
    policy = StsPolicy(StsMode.ENFORCE, ("mx.a.test",), 86400)
    sts_policies.looked("c.test", Looked("1", policy), now)
    said = {one["check"]: one for one in node.json("check", group=(), status=1)}
    assert (said["TLS policy"]["status"], said["TLS policy"]["text"]) == ("ok", "1 set, each of them kept")
    assert said["MTA-STS"]["text"] == "1 domains enforce it"
    sts_policies.looked("c.test", Looked("1", error="no answer in time"), now)
    TlsPolicyRow.objects.update(level="x")
    said = {one["check"]: one for one in node.json("check", group=(), status=1)}
    assert (said["TLS policy"]["status"], "cannot be read" in said["TLS policy"]["text"]) == ("fail", True)


@pytest.mark.parametrize(
    ("secure", "bogus", "status", "text"),
    [
        (True, "", "ok", "validates"),
        (True, "broken.test", "ok", "validates"),
        (True, "answered.test", "warn", "has an answer for answered.test"),
        (True, "missing.test", "warn", "has an answer for missing.test"),
        (False, "", "warn", "does not validate DNSSEC"),
    ],
)
def test_whether_the_resolver_validates(names, secure, bogus, status, text):
    names.secure = secure
    names.records[".", "NS"] = ["a.root-servers.net."]
    names.records["answered.test", "A"] = ["192.0.2.1"]
    names.broken.add("broken.test")
    dns = Dns([Place("127.0.0.1", names.port)], 2.0)
    config = from_values({"tls": {"dnssec_bogus": bogus}})
    ((finding),) = checks._validates(config, dns, "x")
    assert (finding.status, text in finding.text) == (status, True)


def test_a_resolver_that_says_nothing(names):
    names.broken.add(".")
    ((finding),) = checks._validates(from_values({}), Dns([Place("127.0.0.1", names.port)], 2.0), "x")
    assert (finding.status, "nobody knows" in finding.text) == ("warn", True)


def test_a_resolver_that_is_far_away(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("search test\nnameserver 127.0.0.1\nnameserver ::1\noptions edns0\n")
    assert list(checks._far_away(checks._servers_of(path))) == []
    path.write_text("nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver\n")
    (finding,) = checks._far_away(checks._servers_of(path))
    assert "names 10.0.0.1:" in finding.text
    assert checks._servers_of(tmp_path / "none") == ()


@pytest.mark.skipif(shutil.which("posttls-finger") is None, reason="posttls-finger is not installed (postfix)")
def test_servers_are_tried(node, tmp_path, names):
    identity = tls_servers.issue("mx.partner.test")
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(identity.pem)
    ca = tls_servers.write_ca(tmp_path)
    with Sink(tls=tls_servers.server_context(tmp_path, identity)) as good, Sink() as plain:

        def outcome(port, *policy):
            node("set", f"[127.0.0.1]:{port}", *policy)
            found = run(["--config", str(node.file), "tls-policy", "test", f"[127.0.0.1]:{port}", "--json"])
            (row,) = json.loads(node.capsys.readouterr().out)
            assert found == (1 if row["mail"] == "waits" else 0)
            return row["mail"], row["tls"].partition(",")[0], row["detail"]

        assert outcome(good.port, "none") == ("is sent in clear", "", "")
        assert outcome(good.port, "may") == ("is sent", "Untrusted", "")
        assert outcome(good.port, "encrypt") == ("is sent", "Untrusted", "")
        assert outcome(good.port, "fingerprint", "--certificate", certificate) == ("is sent", "Verified", "")
        assert outcome(good.port, "fingerprint", "--fingerprint", DIGEST)[:2] == ("waits", "Untrusted")
        assert outcome(good.port, "secure", "--match", "mx.partner.test")[0] == "waits", "nobody knows the CA"
        assert outcome(plain.port, "may")[0] == "is sent in clear"
        assert outcome(plain.port, "encrypt")[0] == "waits"
        for match, mail in (("mx.partner.test", "is sent"), ("other.test", "waits")):
            hop = f"smtp://127.0.0.1:{good.port}?tls=verified&name={match}&ca={ca}"
            node("unset", f"[127.0.0.1]:{good.port}", "--yes") if match == "mx.partner.test" else None
            node.configure(outside=f'["{hop}"]')
            (row,) = node.json("test", "a.test", status=int(mail == "waits"))
            assert (row["mail"], row["asked_for"]) == (mail, f"[127.0.0.1]:{good.port}")
    assert outcome(plain.port, "may")[0] == "waits", "nobody is there any more"


def test_a_policy_in_force_ends_soon(node):
    now = datetime.now(UTC)
    sts_policies.looked(
        "c.test", Looked("1", StsPolicy(StsMode.ENFORCE, ("mx.c.test",), 86400)), now - timedelta(hours=20)
    )
    sts_policies.looked("c.test", Looked("1", error="status 503"), now)
    said = {one["check"]: one for one in node.json("check", group=(), status=1)}
    assert (said["MTA-STS"]["status"], "status 503" in said["MTA-STS"]["text"]) == ("warn", True)
