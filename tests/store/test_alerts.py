"""Administrators are told by mail of what redirects or opens mail, and of who could be a second person."""

import pytest

from mailseal.roles.account_alerts import words_of
from mailseal.store import overrides, routes, trust
from mailseal.store.accounts import accounts, alerts, links
from mailseal.store.accounts.alerts import ALERT, Change
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.models import JobRow
from mailseal.store.row import utc_now
from pki import Authority

DIGEST = "ab" * 32


@pytest.fixture
def anna(store):
    made = accounts.create("anna@inside.example", "", [Role.ADMINISTRATOR])
    JobRow.objects.filter(kind=ALERT).delete()
    yield made
    Account.objects.all().delete()


def _told():
    """What was told since, and to whom."""
    rows = [row.payload for row in JobRow.objects.filter(kind=ALERT).order_by("pk")]
    JobRow.objects.filter(kind=ALERT).delete()
    return [(row["change"], row["about"], row["reader"]) for row in rows]


def test_roots_that_come_and_go_are_told_once(anna):
    root = Authority("Root")
    trust.import_roots([root.certificate])
    assert _told() == [("roots", f"+ {root.certificate.subject}", "anna@inside.example")]
    trust.import_roots([root.certificate])
    assert _told() == []
    trust.delete_root(root.certificate.fingerprint)
    assert _told() == [("roots", f"- {root.certificate.subject}", "anna@inside.example")]


def test_next_hops_that_change_are_told(anna):
    routes.set_route("b.example", ["mx1:25"])
    routes.set_route("b.example", ["mx1:25"])
    routes.unset_route("b.example")
    routes.unset_route("b.example")
    assert _told() == [("next-hops", "b.example", "anna@inside.example")] * 2


def test_who_else_can_read_mail_is_told(anna):
    overrides.set_override("b.example", "additional_certificates", DIGEST)
    overrides.change("", {"pgp_additional_keys": overrides.Wanted(DIGEST[:40]), "mode": overrides.Wanted("force")})
    overrides.unset_override("b.example", "additional_certificates")
    assert [about for _, about, _ in _told()] == [
        "additional_certificates b.example", "pgp_additional_keys", "additional_certificates b.example",
    ]  # fmt: skip


@pytest.mark.parametrize("role", [Role.QUARANTINE_REVIEWER, Role.DLP_OFFICER, Role.DOMAIN_ADMINISTRATOR])
def test_nobody_makes_himself_a_second_person_unnoticed(anna, role):
    second = accounts.create("b@elsewhere.example", "", [role], ["b.example"])
    third = accounts.create("c@inside.example", "", [Role.PKI])
    accounts.change(third.id, name="", roles=[role], domains=["b.example"])
    accounts.reset(second.id)
    told = [(change, about) for change, about, reader in _told() if reader == "anna@inside.example"]
    assert told == [("releasing", second.email), ("releasing", third.email), ("releasing", second.email)]


def test_a_link_for_who_signs_in_by_a_passkey_alone_is_told_to_them(anna):
    links.make(anna.id)
    assert _told() == []
    Account.objects.filter(pk=anna.id).update(last_login=utc_now())
    links.make(anna.id)
    assert _told() == [("link", anna.email, anna.email)]


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("change", Change)
def test_each_change_has_its_words(change, language):
    words = words_of(alerts.Alert("a@b.example", change, "WHAT", "Anna", "console", "192.0.2.7", language), "mx1")
    assert "WHAT" in words.text
    assert "192.0.2.7" in words.text


def test_of_many_some_are_named(anna):
    alerts.tell_of(Change.ROOTS, [f"CN={number}\n\nBy: Anna\u2028" * 100 for number in range(150)])
    ((_, about, _),) = _told()
    assert len(about) < 1100
    assert about.endswith("(+145)")
    assert len(about.splitlines()) == 1
