"""The web in this process, on an SQLite database of each test's own; people of every role who have signed in."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client

from mailseal.config.load import from_values
from mailseal.keys.kek_places import new_kek
from mailseal.keys.web_key import WebKey
from mailseal.roles.console_work import do_for_console
from mailseal.store import console_keys, jobs, keks
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.configure import migrate, use
from mailseal.store.console_jobs import CONSOLE
from mailseal.store.transaction import unit_of_work
from mailseal.web import secrets, setup
from mailseal.wiring.gateway import Node, open_node

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
    cache.clear()  # requests of one network, counted in memory
    use(f"sqlite://{path}", node="mx1")
    secrets.hold(WebKey(bytes(32)))
    setup(from_values({"data_dir": str(tmp_path), "hostname": HOST}), secrets.django_secret())
    yield
    secrets.hold(None)
    connections.close_all()


@pytest.fixture
def worker(web, tmp_path) -> Iterator[Node]:
    """The job worker's side of the console, in a thread: what is asked is done. Its node, with a KEK of its own."""
    config = from_values({"data_dir": str(tmp_path), "hostname": HOST})
    kek, _ = new_kek(tmp_path / "keks")
    keks.register_first(kek.id)
    node = open_node(config)
    console_keys.open_intake(node.kek)
    key = WebKey(bytes(32)).opens
    console_keys.register_web(key.public)
    console_keys.hold_web(key)
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.01):
            with unit_of_work():
                job = jobs.claim("tests", kinds=(CONSOLE,))
                if job is not None:
                    do_for_console(node, job)
                    jobs.done(job)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield node
    over.set()
    thread.join()
    console_keys.hold_web(None)


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
        client.force_login(account, backend="mailseal.web.accounts.backend.Backend")
        return client

    return enter
