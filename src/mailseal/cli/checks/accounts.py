"""Checks of accounts: that somebody looks after the console, and gets in."""

from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.store.accounts import accounts

SUBJECT = "console"


def administrators(config: Config) -> Iterator[Finding]:
    """Whether there is an administrator, and what it takes to be one."""
    if config.web.listen is None:
        return
    found = accounts.administrators()
    if not found:
        yield Finding(SUBJECT, Status.WARN, "it has no administrator", "run `mailseal admin create EMAIL`")
        return
    bare = [one.email for one in found if one.has_password and not one.second_factors]
    if bare and not config.web.second_factor:
        text = f"administrators without a second factor: {', '.join(bare[:5])}{', …' if len(bare) > 5 else ''}"
        yield Finding(SUBJECT, Status.WARN, text, "they set one up, or set web.second_factor = true")
    else:
        yield Finding(SUBJECT, Status.OK, f"administrators: {len(found)}")
