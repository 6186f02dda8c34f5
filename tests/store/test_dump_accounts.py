"""A dump holds who may use the console: accounts, second factors, logins elsewhere; and the audit of what they did."""

import json
from datetime import UTC, datetime

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.sessions.models import Session

from mailseal.store.accounts.models import Account
from mailseal.store.audit import record
from mailseal.store.audit_verify import verify
from mailseal.store.configure import use
from mailseal.store.console_models import ConsoleChunkRow, ConsoleParcelRow
from mailseal.store.dump import Dump, Place, snapshot
from mailseal.store.load import copy
from mailseal.store.row import uuid7
from mailseal.store.schema import applied, last_of, schema
from mailseal.store.transaction import connection

NOW = datetime(2026, 11, 24, 3, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def here(store, request):
    """The place of the engine under test, with empty tables, also afterwards."""
    if store == "sqlite":
        place = Place(f"sqlite://{connection().settings_dict['NAME']}")
    else:
        server = request.getfixturevalue("mariadb")
        place = Place(server.url, server.password)
    _empty()
    yield place
    use(place.url, place.password, node="mx1")
    _empty()


@pytest.fixture
def there(tmp_path) -> Place:
    return Place(f"sqlite://{tmp_path}/there.db")


def _end(place: Place) -> dict:
    """What is in each table, whatever the order."""
    with snapshot(place) as database:
        return json.loads(list(Dump(database).lines())[-1])["end"]


def _empty() -> None:
    Session.objects.all().delete()
    for table in reversed(schema(last_of(applied(connection())))):
        with connection().cursor() as cursor:
            cursor.execute(f"DELETE FROM {table.name}")


def test_accounts_go_along_with_what_they_sign_in_by_but_neither_sessions_nor_what_is_gone_in_minutes(here, there):
    account = Account.objects.create(email="anna@inside.example", roles=["auditor"], domains=["inside.example"])
    EmailAddress.objects.create(user=account, email=account.email, verified=True, primary=True)
    Authenticator.objects.create(user=account, type="totp", data={"secret": "sealed"})
    SocialAccount.objects.create(user=account, provider="openid", uid="1", extra_data={"sub": "1"})
    Session.objects.create(session_key="s" * 32, session_data="x", expire_date=NOW)
    parcel = ConsoleParcelRow.objects.create(job=uuid7(), way="ask", asker="a", wrapped=b"w", expires=NOW)
    ConsoleChunkRow.objects.create(parcel=parcel, number=0, octets=b"password")
    record("accounts", "create", account.email)
    before = _end(here)
    for source, target in ((here, there), (there, here)):
        use(target.url, target.password)
        if target is here:
            _empty()
        copy(source)
        assert _end(target) == before
        found = Authenticator.objects.get()
        assert (found.user.email, found.user.roles, found.data) == (account.email, ["auditor"], {"secret": "sealed"})
        assert SocialAccount.objects.get().user_id == EmailAddress.objects.get().user_id == account.pk
        assert verify().findings == ()
        Authenticator.objects.create(user=found.user, type="webauthn", data={})  # its number is a new one
        Authenticator.objects.filter(type="webauthn").delete()
    assert (before["store_console_parcel"]["rows"], before["store_console_chunk"]["rows"]) == (0, 0)
    assert not [name for name in before if "session" in name and "tls" not in name]
