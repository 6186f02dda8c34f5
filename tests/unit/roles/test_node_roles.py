"""Which roles a node has, as whom, and what each is told."""

from pathlib import Path

import pytest

from mailseal.config.load import from_values
from mailseal.roles.node_roles import hidden_from, node_roles
from mailseal.roles.process import Shared


def roles_of(**tables):
    config = from_values({"data_dir": "/srv/mailseal", "workers": 1, **tables})
    return {role.name: role for role in node_roles(None)(config)}


def test_the_web_role_is_there_when_it_has_a_place_to_listen():
    assert "web" not in roles_of()
    web = roles_of(web={"listen": "127.0.0.1:8443"})["web"]
    assert (web.user, web.apart, web.privileged) == ("mailseal-web", True, False)
    assert web.shares == (Shared(Path("/srv/mailseal/web")),)


@pytest.mark.parametrize(
    ("url", "shared"),
    [
        ("sqlite:///srv/mailseal/database/mailseal.db", Path("/srv/mailseal/database")),
        ("sqlite:///srv/mail%20seal/a.db", Path("/srv/mail seal")),
        ("sqlite:///srv/mailseal/mailseal.db", None),  # the data folder itself is never shared
        ("mysql://mailseal@127.0.0.1/mailseal", None),
    ],
)
def test_of_an_sqlite_database_its_folder_is_shared(url, shared):
    web = roles_of(web={"listen": "127.0.0.1:8443"}, database={"url": url})["web"]
    assert [one.folder for one in web.shares if one.written] == ([shared] if shared else [])


def test_secrets_are_told_to_whom_they_are_for():
    roles = roles_of(web={"listen": "127.0.0.1:8443"}, metrics={"listen": "127.0.0.1:9464"})
    of_gateway, of_web = "MAILSEAL_DATABASE_PASSWORD", "MAILSEAL_WEB_DATABASE_PASSWORD"
    told = {
        name: {one for one in (of_gateway, of_web, "CREDENTIALS_DIRECTORY") if one not in hidden_from(role)}
        for name, role in roles.items()
    }
    keepers = {of_gateway, "CREDENTIALS_DIRECTORY"}
    assert told == {"mail 1": keepers, "worker": keepers, "sandbox": set(), "metrics": set(), "web": {of_web}}
    assert all("NOTIFY_SOCKET" in hidden_from(role) for role in roles.values())


@pytest.mark.parametrize(
    ("for_web", "web", "seen"),
    [
        (False, {}, ("gateway", None)),
        (True, {}, ("gateway", "web")),
        (True, {"database_url": "mysql://mailseal_web@127.0.0.1/mailseal"}, (None, "web")),
    ],
)
def test_each_reads_its_own_secrets_from_the_file(for_web, web, seen):
    document = {
        "database": {"url": "mysql://mailseal@127.0.0.1/mailseal", "password": "gateway"},
        "web": {"database_password": "web", **web},
    }
    config = from_values(document, for_web=for_web)
    assert (config.database.password, config.web.database_password) == seen
    assert "gateway" not in repr(config)


def test_a_secret_of_another_is_not_even_opened(tmp_path):
    document = {"web": {"database_password_file": str(tmp_path / "is not there")}}
    assert from_values(document).web.database_password is None
    assert from_values(
        {
            "database": {"password_file": "/is/not/there"},
            "web": {"database_url": "sqlite:///var/lib/mailseal/mailseal.db"},
        },
        for_web=True,
    )
