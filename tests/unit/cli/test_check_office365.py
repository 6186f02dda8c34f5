"""What `mailseal check` says of Exchange Online."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from harness.tls_servers import issue
from mailseal.cli.checks import office365
from mailseal.cli.checks.finding import Status
from mailseal.config import from_values

TENANT = "11111111-2222-3333-4444-555555555555"


def config(return_to="smtp://127.0.0.1:1", *, listen=None, instance="private", **keys):
    known = {"tenants": [TENANT], "return_to": return_to, "domains": ["example.com"]}
    return from_values({"listen": listen or {}, "postfix": {"instance": instance}, "office365": known | keys})


def said(found, status):
    return [one.text for one in found if one.status is status and one.subject == "Office 365"]


def test_nothing_without_a_tenant():
    assert not list(office365.office365(from_values({})))
    assert not list(office365.domains(from_values({})))


def test_what_is_missing():
    found = list(office365.office365(config(instance="off")))
    assert "postfix.instance is off" in said(found, Status.WARN)[0]
    assert "no certificate at the entry" in said(found, Status.FAIL)[0]
    assert any("no client certificate" in one for one in said(found, Status.WARN))
    assert [one.status for one in found if one.subject == "next hop"] == [Status.FAIL]
    assert f"tenant {TENANT}" in said(found, Status.OK)[0]


@pytest.mark.parametrize(("days", "status"), [(0, Status.OK), (366, Status.WARN)])
def test_microsofts_networks_grow_old(monkeypatch, days, status):
    today = datetime.now(UTC).date() - timedelta(days=days)
    monkeypatch.setattr(office365, "EXCHANGE_ONLINE_AS_OF", date.isoformat(today))
    (text,) = [one for one in said(office365.office365(config()), status) if "Microsoft's list" in one]
    assert str(today) in text
    (text,) = [one for one in said(office365.office365(config(networks=["10.0.0.0/8"])), Status.OK) if "by hand" in one]
    assert text.startswith("1 networks")


@pytest.mark.parametrize(
    ("host", "days", "status", "text"),
    [
        ("gw.example.com", 300, Status.OK, "names gw.example.com"),
        ("example.com", 300, Status.OK, "names example.com"),
        ("gw.example.org", 300, Status.WARN, "names gw.example.org, not a host in office365.domains"),
        ("notexample.com", 300, Status.WARN, "names notexample.com, not"),
        ("gw.example.com", 10, Status.WARN, "is valid until"),
    ],
)
def test_the_client_certificate_has_to_name_a_host_of_the_tenant(tmp_path, host, days, status, text):
    path = tmp_path / "chain.pem"
    path.write_bytes(issue(host, days=days).pem)
    found = list(office365.office365(config(f"smtp://127.0.0.1:1?tls=required&certificate={path}")))
    assert any(text in one for one in said(found, status)), found


def test_a_client_certificate_that_is_none(tmp_path):
    path = tmp_path / "chain.pem"
    path.write_bytes(b"nothing")
    found = list(office365.office365(config(f"smtp://127.0.0.1:1?tls=required&certificate={path}")))
    assert any("cannot be read" in one for one in said(found, Status.FAIL))


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([("example.com", True)], Status.OK),
        ([("*.com", True)], Status.OK),
        ([("example.com", False)], Status.FAIL),
        ([("*.example.com", True)], Status.FAIL),
        ([], Status.FAIL),
    ],
)
def test_its_domains_are_internal(monkeypatch, rows, status):
    known = [SimpleNamespace(name=name, internal=internal) for name, internal in rows]
    monkeypatch.setattr(office365.store_domains, "list_domains", lambda: known)
    assert [one.status for one in office365.domains(config())] == [status]


def test_without_domains(monkeypatch):
    monkeypatch.setattr(office365.store_domains, "list_domains", list)
    assert [one.status for one in office365.domains(config(domains=[]))] == [Status.WARN]
