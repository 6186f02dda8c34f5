"""`mailseal cert accept`: the say of an administrator on a key that came with a mail."""

import click

from mailseal.cli.certificate_rows import row_of
from mailseal.cli.output import json_option, show_one
from mailseal.cli.session import Session, pass_session
from mailseal.store import certificate_admin


@click.command()
@click.argument("fingerprint")
@json_option
@pass_session
def accept(session: Session, *, fingerprint: str, as_json: bool) -> None:
    """Make a certificate that came with a mail an ordinary one, also if it brought another key for a known address."""
    session.open_store()
    show_one(row_of(certificate_admin.accept(fingerprint)), as_json=as_json)
