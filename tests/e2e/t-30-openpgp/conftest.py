"""The site of the stories of OpenPGP, which all of them share."""

from collections.abc import Iterator

import pytest

from harness import gpg
from harness.pgp_site import PgpSite, pgp_site


@pytest.fixture(scope="session")
def _shared_pgp() -> Iterator[PgpSite]:
    if reason := gpg.why_not("gpg", "gpgconf", "gpg-agent", "sqop"):
        pytest.skip(reason)
    with pgp_site("pgp") as made:
        yield made


@pytest.fixture
def alpha(_shared_pgp: PgpSite) -> PgpSite:
    """The site with empty sinks."""
    _shared_pgp.clear()
    return _shared_pgp
