"""Accounts, links, passwords and delays: the plain functions under the console, the API and the command."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from mailseal.cli.checks.accounts import administrators
from mailseal.config.load import from_values
from mailseal.store.accounts import accounts, ended, links, lockout, passwords
from mailseal.store.accounts.alerts import ALERT
from mailseal.store.accounts.errors import AccountError, StaleAccountError
from mailseal.store.accounts.models import Account, FailureRow, LinkRow
from mailseal.store.accounts.roles import Role
from mailseal.store.audit_models import AuditEventRow
from mailseal.store.models import JobRow
from mailseal.store.row import utc_now

PASSWORD = "vier gruene Wolken im Regal"
HERE, THERE = "192.0.2.1", "198.51.100.1"


@pytest.fixture
def anna(store) -> accounts.AccountInfo:
    return accounts.create("Anna@INSIDE.example", "Anna", [Role.ADMINISTRATOR])


def test_the_last_administrator_stays_whatever_is_tried(anna):
    with pytest.raises(AccountError, match="last administrator"):
        accounts.set_active(anna.id, active=False)
    with pytest.raises(AccountError, match="last administrator"):
        accounts.change(anna.id, name="", roles=[Role.PKI], domains=[])
    assert accounts.find(anna.id).roles == {Role.ADMINISTRATOR}
    accounts.create("b@inside.example", "", [Role.ADMINISTRATOR])
    assert not accounts.set_active(anna.id, active=False).active


def test_who_makes_an_administrator_is_told_of_by_mail_to_all_administrators(anna):
    JobRow.objects.all().delete()
    accounts.create("pki@inside.example", "", [Role.PKI])
    assert not JobRow.objects.filter(kind=ALERT).exists()
    accounts.create("b@inside.example", "", [Role.ADMINISTRATOR])
    told = {row.payload["reader"] for row in JobRow.objects.filter(kind=ALERT)}
    assert told == {"anna@inside.example", "b@inside.example"}


def test_changes_are_recorded_and_hold_no_secret(anna):
    secret, _ = links.make(anna.id)
    links.use(secret, PASSWORD)
    events = "\n".join(f"{row.action} {row.before} {row.after}" for row in AuditEventRow.objects.order_by("number"))
    assert [line.split()[0] for line in events.splitlines()] == ["create", "make-link", "use-link"]
    assert secret not in events
    assert secret.removeprefix(links.PREFIX) not in str(LinkRow.objects.values())


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(anna):
    accounts.change(anna.id, name="Anna B", roles=anna.roles, domains=[], expected=anna.version)
    with pytest.raises(StaleAccountError):
        accounts.change(anna.id, name="Anna C", roles=anna.roles, domains=[], expected=anna.version)


def test_a_link_works_once_and_only_the_latest_one(anna):
    first, _ = links.make(anna.id)
    second, _ = links.make(anna.id)
    with pytest.raises(AccountError, match="not valid"):
        links.use(first, PASSWORD)
    with pytest.raises(passwords.WeakPasswordError):
        links.use(second, "password123456")
    assert links.use(second, PASSWORD) == "anna@inside.example"
    with pytest.raises(AccountError, match="not valid"):
        links.use(second, PASSWORD)
    account = Account.objects.get(pk=anna.id)
    assert account.check_password(PASSWORD)
    assert account.password.startswith("argon2id$argon2id$")


def test_a_password_set_by_a_link_has_not_the_name_in_it(store):
    made = accounts.create("c@inside.example", "Carolina", [Role.PKI])
    secret, _ = links.make(made.id)
    with pytest.raises(AccountError, match="your name"):
        links.use(secret, "carolina im Regal 7")
    assert links.use(secret, PASSWORD) == "c@inside.example"


def test_a_link_ends_by_time_and_with_the_account(anna):
    accounts.create("b@inside.example", "", [Role.ADMINISTRATOR])
    secret, _ = links.make(anna.id)
    LinkRow.objects.update(expires=utc_now())
    with pytest.raises(AccountError):
        links.email_of(secret)
    secret, _ = links.make(anna.id)
    accounts.set_active(anna.id, active=False)
    with pytest.raises(AccountError):
        links.email_of(secret)


def test_a_domain_administrator_needs_domains(store):
    with pytest.raises(AccountError):
        accounts.create("d@inside.example", "", [Role.DOMAIN_ADMINISTRATOR])
    made = accounts.create("d@inside.example", "", [Role.DOMAIN_ADMINISTRATOR], ["BÜCHER.example"])
    assert made.domains == {"xn--bcher-kva.example"}


@pytest.mark.parametrize(
    "weak",
    [
        "short", "password1234!!", "P4ssw0rd2026!!", "iloveyou1234567", "aaaaaaaaaaaaaa", "abcdefghijklmnop",
        "123456789012", "qwertyuiop123", "letmein!letmein!", "anna hat ein Haus", "Mailseal ist toll", "x" * 300,
    ],
)  # fmt: skip
def test_a_password_that_would_be_guessed_is_refused(weak):
    with pytest.raises(passwords.WeakPasswordError):
        passwords.require_strong(weak, "anna@inside.example")


@pytest.mark.parametrize("strong", [PASSWORD, "correct-horse-battery", "Tr7%kk!pQ0z_w4", "žluťoučký kůň úpí"])
def test_others_are_taken(strong):
    passwords.require_strong(strong, "anna@inside.example")


def _fail(who: str, place: str, times: int) -> None:
    for _ in range(times):
        lockout.failed(who, place)


def test_delays_grow_and_end_with_a_success(store):
    _fail("a@x.example", HERE, lockout.PAIR_FREE)
    assert lockout.wait("a@x.example", HERE) == timedelta(0)
    lockout.failed("a@x.example", HERE)
    first = lockout.wait("A@x.example", HERE)
    lockout.failed("a@x.example", HERE)
    assert timedelta(0) < first < lockout.wait("a@x.example", HERE) <= lockout.LONGEST_DELAY
    lockout.succeeded("a@x.example", HERE)
    assert lockout.wait("a@x.example", HERE) == timedelta(0)


def test_who_guesses_from_elsewhere_keeps_nobody_out(store):
    lockout.succeeded("a@x.example", HERE)
    _fail("a@x.example", THERE, lockout.ACCOUNT_FREE + 10)
    assert lockout.wait("a@x.example", THERE) > timedelta(0)
    assert lockout.wait("a@x.example", HERE) == timedelta(0)
    assert lockout.wait("b@x.example", HERE) == timedelta(0)


def test_many_networks_guess_no_more_than_one(store):
    for last in range(lockout.ACCOUNT_FREE + 1):
        lockout.failed("a@x.example", f"203.0.113.{last}")
    assert lockout.wait("a@x.example", "203.0.113.250") > timedelta(0)


def test_an_address_is_one_account_however_it_is_spelt(store):
    spellings = (
        '"anna"@inside.example',
        '"\\an\\na"@inside.example',
        "anna@in\u00adside.example",
        "anna@\uff49nside.example",
    )
    for n in range(lockout.ACCOUNT_FREE):
        lockout.failed(spellings[n % len(spellings)], f"198.51.100.{n}")
    assert lockout.wait("anna@inside.example", HERE) == timedelta(0)
    lockout.failed(spellings[0], THERE)
    assert all(lockout.wait(one, HERE) > timedelta(0) for one in ("Anna@inside.example", *spellings))
    lockout.forget([spellings[1]])
    assert lockout.wait("anna@inside.example", HERE) == timedelta(0)


def test_a_code_is_used_once(store, monkeypatch):
    assert lockout.first_use("anna", "123456")
    assert not lockout.first_use("anna", "123456")
    assert lockout.first_use("anna", "123457")
    assert lockout.first_use("berta", "123456")
    monkeypatch.setattr(lockout, "CODE_KEPT", timedelta(0))
    assert lockout.first_use("anna", "123456")


def test_a_code_that_is_used_twice_in_the_same_moment_counts_once(store, in_threads, meanwhile):
    with meanwhile("INSERT INTO accounts_failure", lambda: lockout.first_use("anna", "123456")) as other:
        mine = lockout.first_use("anna", "123456")
    assert sorted([mine, *other]) == [False, True]
    assert in_threads(lambda _: lockout.first_use("berta", "123456"), 8).count(True) == 1


def test_one_network_does_not_try_a_password_at_every_account(store):
    for number in range(lockout.NETWORK_FREE + 1):
        lockout.failed(f"u{number}@x.example", THERE)
    assert lockout.wait("new@x.example", THERE) > timedelta(0)


def test_the_addresses_of_a_home_are_one_network():
    assert lockout.network_of("2001:db8:1:2::3") == lockout.network_of("2001:db8:1:99::4")
    assert lockout.network_of("2001:db8:1:2::3") != lockout.network_of("2001:db8:2:2::3")
    assert lockout.network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert lockout.network_of("") == ""


def test_what_was_typed_is_not_kept(store):
    lockout.failed("hunter2-typed-as-email", HERE)
    assert "hunter2" not in str(list(FailureRow.objects.values()))
    FailureRow.objects.update(last=utc_now() - timedelta(days=2))
    ended.purge()
    assert not FailureRow.objects.exists()


def test_check_says_who_looks_after_the_console(store):
    config = from_values({"web": {"listen": "127.0.0.1:8443"}})
    assert [one.status.value for one in administrators(config)] == ["warn"]
    accounts.create("anna@inside.example", "", [Role.ADMINISTRATOR])
    assert [one.status.value for one in administrators(config)] == ["ok"]
    Account.objects.update(password="argon2id$x")
    (found,) = administrators(config)
    assert "anna@inside.example" in found.text
    assert not list(administrators(from_values({})))


def test_a_session_that_has_expired_is_deleted_with_its_line_in_the_list(anna):
    for key, hours in (("old", -1), ("new", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=utc_now() + timedelta(hours=hours))
        UserSession.objects.create(user_id=anna.id, session_key=key, ip=HERE, user_agent="")
    UserSession.objects.create(user_id=anna.id, session_key="gone", ip=HERE, user_agent="")
    ended.purge()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]
    assert list(UserSession.objects.values_list("session_key", flat=True)) == ["new"]
