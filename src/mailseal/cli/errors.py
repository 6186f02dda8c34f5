"""Errors as a person reads them: what is wrong, and what to do."""

import click

from mailseal.errors import MailsealError, PermanentError, TransientError

WRONG = 1
NOT_NOW = 75
"""EX_TEMPFAIL of sysexits.h."""


class CommandError(PermanentError):
    """What was asked for cannot be done. `what_to_do` is shown on a line of its own."""

    def __init__(self, text: str, what_to_do: str = "") -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


def report(error: MailsealError) -> int:
    """Write an error to standard error; returns the exit status (an error may have one of its own)."""
    click.echo(f"error: {error}", err=True)
    what_to_do = getattr(error, "what_to_do", "")
    if not what_to_do and isinstance(error, TransientError):
        what_to_do = "`mailseal check` shows what is not right; then try again"
    if what_to_do:
        click.echo(f"what to do: {what_to_do}", err=True)
    status: int = getattr(error, "exit_status", NOT_NOW if isinstance(error, TransientError) else WRONG)
    return status
