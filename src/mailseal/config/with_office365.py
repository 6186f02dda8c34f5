"""What keys of [office365] alone cannot show."""

from collections.abc import Iterator

from mailseal.config.model import Config
from mailseal.config.problem import Problem


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
