"""Fixtures of the stories. Every story uses real programs; all of them are ended when the session is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import browser, postfix
from harness.client import Client
from harness.folder import free_port
from harness.gateway import Gateway
from harness.openssl import Cms
from harness.referees import Circle, circle
from harness.sink import Sink
from harness.site import Site, site, smtp_site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
def no_next_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find nobody at their next hops, whoever listens where they are by default: `mailseal check` fails."""
    for name in ("MAILSEAL_RELAY_INSIDE", "MAILSEAL_RELAY_OUTSIDE"):
        monkeypatch.setenv(name, f"smtp://127.0.0.1:{free_port()}")


@pytest.fixture(scope="session")
def need_postfix() -> None:
    if reason := postfix.why_not():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def need_chromium() -> None:
    if reason := browser.why_not():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def _shared_site(need_postfix: None) -> Iterator[Site]:
    with site("site") as made:
        yield made


@pytest.fixture
def alpha(_shared_site: Site) -> Iterator[Site]:
    """The shared site, with empty sinks and no faults."""
    _shared_site.clear()
    _shared_site.postfix.forget_log()
    yield _shared_site
    _shared_site.clear()
    _shared_site.postfix.wait_until_empty()


@pytest.fixture(scope="session")
def _shared_smtp() -> Iterator[tuple[Gateway, int, Sink, Sink]]:
    with smtp_site("smtp", metrics={"listen": f"127.0.0.1:{free_port()}"}) as made:
        yield made


@pytest.fixture
def smtp(_shared_smtp: tuple[Gateway, int, Sink, Sink]) -> tuple[Gateway, int, Sink, Sink]:
    """A gateway by SMTP alone: (gateway, port, inside sink, outside sink)."""
    for sink in _shared_smtp[2:]:
        sink.up()
        sink.clear()
    return _shared_smtp


@pytest.fixture
def authorised(alpha: Site) -> Iterator[Client]:
    """LMTP to the socket of authorised senders, as Postfix speaks it."""
    with Client(path=alpha.postfix.lmtp_authorised, lmtp=True) as client:
        yield client


@pytest.fixture
def outsider(alpha: Site) -> Iterator[Client]:
    """LMTP to the socket of all other senders."""
    with Client(path=alpha.postfix.lmtp_outside, lmtp=True) as client:
        yield client


@pytest.fixture(scope="session", name="people")
def _people() -> Circle:
    """Whose keys and certificates the referees know."""
    return circle()


@pytest.fixture(scope="module", name="referee")
def _referee(people: Circle, tmp_path_factory: pytest.TempPathFactory) -> Cms:
    """openssl, where a file names no other."""
    return Cms(tmp_path_factory.mktemp("cms"), people)
