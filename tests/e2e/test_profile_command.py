"""`mailseal profile office365`: our side written, theirs printed, and what is right of both."""

import json
import tomllib

import pytest
from django.db import connections

from mailseal.cli import run
from mailseal.config import from_values
from mailseal.store import domains, transaction

TENANT = "11111111-2222-3333-4444-555555555555"
WISH = ("--domain", "Example.com", "--tenant", TENANT.upper(), "--gateway-address", "198.51.100.7")


class Node:
    def __init__(self, folder, capsys):
        self.file, self.capsys, self.data = folder / "mailseal.toml", capsys, folder / "data"
        self("init", "--data", self.data, "--hostname", "gw.example.com")

    def __call__(self, *arguments, status=0):
        found = run(["--config", str(self.file), *map(str, arguments)])
        self.out, self.err = self.capsys.readouterr()
        assert found == status, self.err
        return self.out

    def profile(self, *arguments, status=0):
        return self("profile", "office365", *arguments, status=status)

    @property
    def office365(self):
        return from_values(tomllib.loads(self.file.read_text())).office365


@pytest.fixture
def node(tmp_path, capsys):
    yield Node(tmp_path, capsys)
    connections.close_all()


def test_shown_first_and_written_when_asked(node):
    before = node.file.read_text()
    script = node.profile(*WISH)
    assert node.file.read_text() == before
    assert f'+tenants = ["{TENANT}"]' in node.err
    assert "nothing was written" in node.err
    assert "New-InboundConnector" in script
    assert "-SenderIPAddresses '198.51.100.7'" in script  # there is no certificate to be known by

    assert node.profile(*WISH, "--write", "--yes") == script
    known = node.office365
    assert (known.tenants, known.domains) == ((TENANT,), ("example.com",))
    assert known.return_to.place == "smtp://example-com.mail.protection.outlook.com:25"
    (kept,) = node.file.parent.glob("mailseal.toml.2*")
    assert kept.read_text() == before
    assert kept.stat().st_mode == node.file.stat().st_mode
    with transaction.unit_of_work():
        assert [(one.name, one.internal) for one in domains.list_domains()] == [("example.com", True)]


def test_given_again_it_changes_nothing_and_says_the_same(node):
    script = node.profile(*WISH, "--write", "--yes")
    text = node.file.read_text()
    assert node.profile("--gateway-address", "198.51.100.7", "--write", "--yes") == script
    assert node.file.read_text() == text
    assert len([*node.file.parent.glob("mailseal.toml.2*")]) == 1


def test_each_file_as_it_was_is_kept(node):
    texts = []
    for number in range(3):
        texts.append(node.file.read_text())
        node.profile(*WISH, "--return-host", f"mx{number}.example.net", "--write", "--yes")
    assert sorted(one.read_text() for one in node.file.parent.glob("mailseal.toml.2*")) == sorted(texts)


def test_a_certificate_that_comes_later_is_taken_along(node, tmp_path):
    node.profile(*WISH, "--write", "--yes")
    text = node.file.read_text().replace("[listen]", f'[listen]\ntls_certificate = "{tmp_path}/chain.pem"')
    node.file.write_text(text)
    assert "-TlsSenderCertificateName 'gw.example.com'" in node.profile(*WISH, "--write", "--yes")
    assert node.office365.return_to.certificate == tmp_path / "chain.pem"


def test_our_certificate_is_what_the_connector_knows_us_by(node, tmp_path):
    (tmp_path / "chain.pem").write_text("x")
    text = node.file.read_text().replace("[listen]", f'[listen]\ntls_certificate = "{tmp_path}/chain.pem"')
    node.file.write_text(text)
    script = node.profile(
        *WISH, "--gateway-name", "mail.example.com", "--return-host", "tenant.example:2525", "--write", "--yes"
    )
    assert "-TlsSenderCertificateName 'mail.example.com'" in script
    assert node.office365.return_to.certificate == tmp_path / "chain.pem"
    assert node.office365.return_to.place == "smtp://tenant.example:2525"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "which domains and which tenant"),
        (("--domain", "example.com"), "which domains and which tenant"),
        ((*WISH, "--tenant", "example"), "not the ID of a tenant"),
        ((*WISH, "--domain", "a b"), "not a host name"),
        (("--domain", "my-company.example", "--tenant", TENANT), "give --return-host"),
        ((*WISH, "--gateway-address", "fd00::1"), "not an IPv4 address"),
        (WISH[:4], "--gateway-address"),
        ((*WISH, "--gateway-name", "a'; Remove-Mailbox"), "not a host name"),
        (("--check",), "names no tenant"),
    ],
)
def test_what_has_to_be_said(node, words, what, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [(2, 1, 6, "", ("127.0.0.1", 25))])
    before = node.file.read_text()
    node.profile(*words, status=1)
    assert what in node.err
    assert node.file.read_text() == before


def test_the_public_addresses_of_our_name(node, monkeypatch):
    found = [(2, 1, 6, "", (one, 25)) for one in ("9.9.9.9", "10.0.0.1", "9.9.9.9")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: found)
    assert "-SenderIpRanges '9.9.9.9' " in node.profile(*WISH[:4])


def test_a_file_that_is_written_in_another_way_is_left_alone(node):
    node.file.write_text('office365 = { tenants = [] }\nhostname = "gw.example.com"\n')
    node.profile(*WISH, "--write", "--yes", status=1)
    assert "not edited here" in node.err
    assert f'write it there yourself: tenants = ["{TENANT}"]' in node.err
    assert "tenants = []" in node.file.read_text()


def test_check_and_undo(node):
    node.profile(*WISH, "--return-host", "127.0.0.1:1", "--write", "--yes")
    found = json.loads(node.profile("--check", "--json", status=1))
    assert {"next hop", "Office 365"} == {one["check"] for one in found}
    assert "internal, with mailboxes there: example.com" in node.profile("--check", status=1)
    script = node.profile("--undo")
    assert script.count("Remove-") == 6
    assert "New-" not in script
