"""What keys of [office365] alone cannot show."""

from collections.abc import Iterator

from mailseal.config.model import Config
from mailseal.config.problem import Problem
from mailseal.config.values import Network


def problems(config: Config) -> Iterator[Problem]:
    """Mail that is taken from there has a way back, and there is one only for what is taken."""
    office365 = config.office365
    if office365.on and office365.return_to is None:
        what = "is missing; all mail that comes from Exchange Online goes back there"
        example = 'return_to = "smtp://example-com.mail.protection.outlook.com:25"'
        yield Problem("office365.return_to", what, example)
    if office365.return_to is not None and not office365.on:
        what = "is missing, so mail from Exchange Online is not taken"
        yield Problem("office365.tenants", what, 'tenants = ["11111111-2222-3333-4444-555555555555"]')
    if office365.on:
        yield from _of_both(config)


def _of_both(config: Config) -> Iterator[Problem]:
    """A network of ours is believed without a look at the tenant, and all tenants share theirs."""
    for ours in config.postfix.networks:
        theirs = next((one for one in config.office365.networks if _overlap(ours, one)), None)
        if theirs is not None:
            what = f"{ours} overlaps {theirs} of office365.networks: mail of every tenant there would be signed as ours"
            yield Problem("postfix.networks", what)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
