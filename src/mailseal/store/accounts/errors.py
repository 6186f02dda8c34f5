"""What an administrator of accounts got wrong."""

from mailseal.errors import PermanentError


class AccountError(PermanentError):
    """There is no such account, or that cannot be done to it. The text is for people and holds no secret."""


class NoAccountError(AccountError):
    """There is no such account."""


class StaleAccountError(AccountError):
    """Somebody else has changed the account since it was looked at."""
