"""The web in this process, on an SQLite database of each test's own; people of every role who have signed in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile

import pytest
from django.db import connections
from django.test import Client

from mailseal.config.load import from_values
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.configure import migrate, use
from mailseal.web import setup

HOST = "localhost"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("web") / "empty.db"
    use(f"sqlite://{path}", node="mx1")
    migrate()
    connections.close_all()
    return path


@pytest.fixture
def web(empty_database, tmp_path) -> Iterator[None]:
    """The web on empty tables."""
    path = tmp_path / "mailseal.db"
    copyfile(empty_database, path)
    use(f"sqlite://{path}", node="mx1")
    setup(from_values({"data_dir": str(tmp_path), "hostname": HOST}), "a secret of the tests")
    yield
    connections.close_all()


@pytest.fixture
def sign_in(web) -> Callable[..., Client]:
    """A browser in which somebody of these roles has signed in."""

    def enter(*roles: Role, domains: tuple[str, ...] = (), email: str = "") -> Client:
        chosen = roles or (Role.ADMINISTRATOR,)
        address = email or f"{chosen[0].value}@inside.example"
        account, _ = Account.objects.get_or_create(
            email=address, defaults={"roles": [one.value for one in chosen], "domains": list(domains)}
        )
        client = Client(SERVER_NAME=HOST)
        client.defaults["wsgi.url_scheme"] = "https"
        client.force_login(account, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return enter
