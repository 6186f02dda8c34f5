"""Accounts of others: what administrators do with them, and nobody else; API tokens in the console."""

import re
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from mailseal.config.load import from_values
from mailseal.mail.reply import ACCEPTED
from mailseal.roles.handlers import HANDLERS
from mailseal.store import jobs
from mailseal.store.accounts import accounts, links, tokens
from mailseal.store.accounts.alerts import ALERT
from mailseal.store.accounts.models import Account, LinkRow
from mailseal.store.accounts.roles import Role
from mailseal.web.accounts import urls
from stage import Stage


@pytest.fixture
def anna(sign_in) -> Client:
    return sign_in(Role.ADMINISTRATOR, email="anna@inside.example")


@pytest.fixture
def bob(web) -> accounts.AccountInfo:
    return accounts.create("bob@inside.example", "Bob", [Role.HELP_DESK])


def _change(info: accounts.AccountInfo, **more: object) -> dict[str, object]:
    return {"name": info.name, "roles": sorted(info.roles), "domains": "", "version": info.version, **more}


def test_an_account_is_made_and_gets_a_link_that_is_shown_once(anna):
    fields = {
        "email": "Carl@inside.example",
        "name": "Carl",
        "roles": ["domain-administrator"],
        "domains": "a.example\n",
    }
    answer = anna.post("/accounts/new/", {"email": "Carl@inside.example", **fields})
    url = answer.headers["Location"]
    made = accounts.find_by_email("carl@inside.example")
    assert (made.roles, made.domains) == ({Role.DOMAIN_ADMINISTRATOR}, {"a.example"})
    page = anna.post(f"{url}link/").content.decode()
    secret = re.search(r"/account/link/#(mslink_[\w-]+)", page)
    assert secret is not None
    assert links.email_of(secret[1]) == "carl@inside.example"
    assert "mslink_" not in anna.get(url).content.decode()
    assert "Carl" in anna.get("/accounts/?search=carl@").content.decode()
    assert "carl" not in anna.get("/accounts/?search=bob").content.decode()


def test_roles_are_changed_as_they_were_looked_at(anna, bob):
    url = f"/accounts/{bob.id}/change/"
    assert anna.post(url, _change(bob, roles=["auditor"])).status_code == 302
    stale = anna.post(url, _change(bob, roles=["pki"], name="Robert"))
    assert stale.status_code == 409
    assert "Robert" in stale.content.decode()
    assert accounts.find(bob.id).roles == {Role.AUDITOR}
    again = re.search(r'name="version" value="(\w+)"', stale.content.decode())
    assert again is not None
    assert anna.post(url, _change(bob, roles=["pki"], version=again[1])).status_code == 302


@pytest.mark.parametrize("name", ["deactivate", "reset", "end-sessions"])
def test_steps_ask_before_they_are_taken(anna, sign_in, bob, name):
    tokens.make(bob.id, "x", None, accounts.find(bob.id).created.replace(year=2027, month=1))
    theirs = sign_in(Role.HELP_DESK, email="bob@inside.example")
    assert theirs.get("/").status_code == 200
    assert anna.get(f"/accounts/{bob.id}/{name}/").status_code == 200
    assert theirs.get("/").status_code == 200
    assert anna.post(f"/accounts/{bob.id}/{name}/").status_code == 302
    assert theirs.get("/").status_code == 302
    assert bool(tokens.list_tokens(bob.id)) == (name == "end-sessions")


def test_the_last_administrator_is_told_why_they_stay(anna):
    own = accounts.find_by_email("anna@inside.example")
    anna.post(f"/accounts/{own.id}/deactivate/")
    assert accounts.find(own.id).active
    assert "last administrator" in anna.get(f"/accounts/{own.id}/").content.decode()


PAGES = ["", "new/", "{bob}/", "{bob}/change/", "{bob}/link/", "{bob}/deactivate/", "providers/new/"]


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.ADMINISTRATOR, Role.AUDITOR)])
def test_others_see_no_accounts(sign_in, bob, role):
    client = sign_in(role, domains=("inside.example",), email="someone@inside.example")
    for page in PAGES:
        url = "/accounts/" + page.format(bob=bob.id)
        assert (client.get(url).status_code, client.post(url).status_code) == (403, 403), url
    assert not LinkRow.objects.exists()


def test_an_auditor_sees_them_and_changes_nothing(sign_in, bob):
    client = sign_in(Role.AUDITOR)
    assert "bob@inside.example" in client.get("/accounts/").content.decode()
    page = client.get(f"/accounts/{bob.id}/").content.decode()
    assert "deactivate" not in page
    for name in ("change", "link", "deactivate", "reset", "activate", "end-sessions"):
        assert client.post(f"/accounts/{bob.id}/{name}/", _change(bob)).status_code == 403
    assert accounts.find(bob.id) == bob


def test_what_is_not_there_is_404(anna, bob):
    for url in (f"/accounts/{uuid4()}/", f"/accounts/{bob.id}/eat/", "/accounts/providers/none/"):
        assert anna.get(url).status_code == 404


def test_a_token_may_do_what_was_chosen_and_is_shown_once(sign_in):
    client = sign_in(Role.HELP_DESK)
    form = client.get("/account/tokens/new/").content.decode()
    assert "log:see" in form
    assert "log:change" not in form
    assert "accounts:see" not in form
    fields = {"name": "report", "days": "30", "reach": "chosen"}
    assert client.post("/account/tokens/new/", fields | {"scopes": ["accounts:change"]}).status_code == 200
    page = client.post("/account/tokens/new/", fields | {"scopes": ["log:see"]})
    assert page.headers["Cache-Control"] == "no-store"
    secret = re.search(r"mailseal_[\w-]+", page.content.decode())
    assert secret is not None
    holder = tokens.find(secret[0])
    assert holder is not None
    assert holder.token.scopes == {"log:see"}
    assert secret[0] not in client.get("/account/tokens/").content.decode()
    client.post(f"/account/tokens/{holder.token.id}/revoke/")
    assert tokens.find(secret[0]) is None


def test_a_token_of_somebody_else_is_not_there(sign_in, bob):
    token, _ = tokens.make(bob.id, "x", None, bob.created.replace(year=2027, month=1))
    client = sign_in(Role.ADMINISTRATOR)
    assert client.post(f"/account/tokens/{token.id}/revoke/").status_code == 404
    assert tokens.list_tokens(bob.id)


def test_administrators_are_told_by_mail_in_their_language(anna, bob):
    Account.objects.filter(email="anna@inside.example").update(language="de")
    anna.post(f"/accounts/{bob.id}/change/", _change(bob, roles=["administrator"]))
    on = Stage()
    on.answers = ACCEPTED
    node = SimpleNamespace(gateway=on.gateway(), config=from_values({"hostname": "mx1.inside.example"}))
    while (job := jobs.claim("w", kinds=[ALERT])) is not None:
        HANDLERS[ALERT].handle(node, job)
        jobs.done(job)
    mails = {str(sent.recipients[0].address): b"".join(bytes(one) for one in sent.chunks) for sent in on.sent}
    assert set(mails) == {"anna@inside.example", "bob@inside.example"}
    assert b"Administrator von Mailseal geworden" in mails["anna@inside.example"]
    assert b"anna@inside.example (console" in mails["bob@inside.example"]


def test_every_page_of_ours_has_a_guard_but_those_for_who_has_not_signed_in(web):
    own = [one for one in (*urls.OWN, *urls.OTHERS) if one.callback.__module__.startswith("mailseal.web.accounts")]
    unguarded = {one.name for one in own if not hasattr(one.callback, "guarded_by")}
    assert unguarded == {
        "account_login", "account_link", "mfa_login_webauthn",
        "openid_connect_login", "openid_connect_callback", "socialaccount_login_cancelled",
        "mfa_remove_webauthn",  # by allauth itself, as below
    }  # fmt: skip


def test_pages_of_allauth_let_nobody_else_in(web):
    shows = {"account_login", "account_link", "account_inactive"}
    for one in urls.OWN:
        if "<" not in str(one.pattern):
            answer = Client(SERVER_NAME="localhost").get(reverse(one.name), secure=True)
            if one.name in shows:
                assert answer.status_code == 200, one.name
            else:
                assert answer.headers["Location"].startswith("/account/login/"), one.name
    for method in (Client.get, Client.post):
        answer = method(Client(SERVER_NAME="localhost"), "/account/second-factor/passkeys/1/remove/", secure=True)
        assert answer.headers["Location"].startswith("/account/login/")
