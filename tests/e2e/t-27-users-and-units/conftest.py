"""A gateway that is set up and not running; the stories start its processes in their own ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import everybody
from harness.folder import short_folder
from harness.gateway import Gateway
from harness.home import Home
from harness.sink import Sink
from harness.site import Site, furnish


@pytest.fixture(scope="session", name="_furnished")
def _furnished() -> Iterator[Site]:
    with short_folder("alone") as folder, Sink() as inside, Sink() as outside:
        relay = {"inside": f"smtp://127.0.0.1:{inside.port}", "outside": f"smtp://127.0.0.1:{outside.port}"}
        with Gateway(folder / "mailseal", relay=relay) as gateway:
            furnish(gateway)
            yield Site(folder, None, gateway, inside, outside)  # no Postfix: the stories speak LMTP themselves


@pytest.fixture
def idle(_furnished: Site) -> Iterator[Site]:
    """Set up, nothing running, empty sinks; whatever a story leaves is ended and told."""
    _furnished.clear()
    _furnished.gateway.output.unlink(missing_ok=True)
    yield _furnished
    assert _furnished.gateway.stop() == [], "processes were left"


@pytest.fixture(scope="session", name="_one_home")
def _one_home() -> Iterator[Home]:
    python = everybody.python()
    if python is None:
        pytest.skip("needs root, and a Python that everybody can run")
    with short_folder("users") as folder:
        yield Home(folder, python)


@pytest.fixture
def home(_one_home: Home) -> Home:
    _one_home.write("")
    return _one_home
