"""`mailseal dlp`: what is looked for in outgoing mail, in whose, and what is found in one (docs/dlp.md)."""

import click

from mailseal.cli.dlp_assign import assign, assignments, unassign
from mailseal.cli.dlp_extract import extract
from mailseal.cli.dlp_group import group
from mailseal.cli.dlp_pattern import pattern
from mailseal.cli.dlp_trial import test


@click.group()
def dlp() -> None:
    """What is looked for in outgoing mail: patterns, whose mail they count for, and trials."""


dlp.add_command(pattern)
dlp.add_command(group)
dlp.add_command(assign)
dlp.add_command(unassign)
dlp.add_command(assignments)
dlp.add_command(test)
dlp.add_command(extract)
