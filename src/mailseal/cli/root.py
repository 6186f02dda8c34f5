"""`mailseal root`: trust anchors. A certificate is believed if its path leads to one of them."""

from collections.abc import Sequence
from pathlib import Path

import click

from mailseal.cli.cert import show_ as show_certificate
from mailseal.cli.certificate_rows import row_of
from mailseal.cli.output import confirm, json_option, read_file, show, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.smime.importing import read_certificates
from mailseal.store import certificate_admin, trust

COLUMNS = ("fingerprint", "subject", "expires", "trusted", "reason", "ctl")


@click.group()
def root() -> None:
    """Trusted root certificates. A fingerprint may be given by its beginning."""


@root.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@json_option
@pass_session
def import_(session: Session, *, files: Sequence[Path], as_json: bool) -> None:
    """Trust the CA certificates in these files (PEM, DER, PKCS#7) as roots."""
    read = [one for path in files for one in read_certificates(read_file(path))]
    session.open_store()
    show([row_of(info) for info in trust.import_roots(read)], COLUMNS, as_json=as_json)


@root.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All roots, newest first."""
    session.open_store()
    nothing = "no root yet; mailseal root import FILE"
    show([row_of(info) for info in trust.list_roots()], COLUMNS, as_json=as_json, nothing=nothing)


root.add_command(show_certificate, "show")


@root.command("delete")
@click.argument("fingerprint")
@yes_option
@pass_session
def delete(session: Session, *, fingerprint: str, yes: bool) -> None:
    """Trust a root no longer; what stood on it is untrusted at once."""
    session.open_store()
    info = certificate_admin.show(fingerprint)
    confirm(f"Delete {info.certificate.subject}?", yes=yes)
    trust.delete_root(info.fingerprint)
