"""API tokens: shown once, kept as a digest, never worth more than their account."""

from datetime import timedelta

import pytest

from mailseal.store.accounts import tokens
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import Account, FailureRow, TokenRow
from mailseal.store.row import utc_now

SOON = timedelta(days=30)


@pytest.fixture
def none(store) -> None:
    Account.objects.all().delete()
    FailureRow.objects.all().delete()


@pytest.fixture
def account(none) -> Account:
    return Account.objects.create(email="a@inside.example", roles=["auditor"])


def test_a_token_is_found_by_its_secret_which_is_nowhere_in_the_database(account):
    token, secret = tokens.make(account.pk, "report", {"log:see"}, utc_now() + SOON)
    holder = tokens.find(secret)
    assert holder is not None
    assert (holder.account.pk, holder.token.id, holder.token.scopes) == (account.pk, token.id, frozenset({"log:see"}))
    assert secret.removeprefix(tokens.PREFIX) not in str(TokenRow.objects.values())
    assert tokens.find(secret + "x") is None
    assert tokens.find(tokens.PREFIX) is None


def test_a_token_ends_by_time_by_its_owner_and_with_the_account(account):
    token, secret = tokens.make(account.pk, "report", None, utc_now() + SOON)
    TokenRow.objects.update(expires=utc_now())
    assert tokens.find(secret) is None
    TokenRow.objects.update(expires=utc_now() + SOON)
    Account.objects.update(is_active=False)
    assert tokens.find(secret) is None
    Account.objects.update(is_active=True)
    assert tokens.find(secret) is not None
    tokens.revoke(account.pk, token.id)
    assert tokens.find(secret) is None


def test_nobody_revokes_the_token_of_somebody_else(account):
    other = Account.objects.create(email="b@inside.example")
    token, secret = tokens.make(account.pk, "report", None, utc_now() + SOON)
    with pytest.raises(AccountError):
        tokens.revoke(other.pk, token.id)
    assert tokens.find(secret) is not None


@pytest.mark.parametrize("scopes", [[], ["log"], ["log:see\n"], ["LOG:SEE"]])
def test_what_is_no_scope_is_refused(account, scopes):
    with pytest.raises(AccountError):
        tokens.make(account.pk, "report", scopes, utc_now() + SOON)


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=400)])
def test_a_token_has_to_expire(account, life):
    with pytest.raises(AccountError):
        tokens.make(account.pk, "report", None, utc_now() + life)


def test_use_is_noted_with_its_place(account):
    token, secret = tokens.make(account.pk, "report", None, utc_now() + SOON)
    tokens.note_use(token, "192.0.2.7")
    holder = tokens.find(secret)
    assert holder is not None
    assert holder.token.last_place == "192.0.2.7"
