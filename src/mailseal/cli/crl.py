"""`mailseal crl`: certificate revocation lists (RFC 5280 §5)."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from mailseal.cli.output import confirm, json_option, print_json, read_file, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.smime.revocation import read_crl
from mailseal.store import crls

COLUMNS = ("fingerprint", "issuer", "this_update", "next_update", "entries")


@click.group()
def crl() -> None:
    """Certificate revocation lists. A fingerprint may be given by its beginning."""


@crl.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@json_option
@pass_session
def import_(session: Session, *, files: Sequence[Path], as_json: bool) -> None:
    """Import lists (DER or PEM) whose authority is stored as root or intermediate."""
    read = [read_crl(read_file(path)) for path in files]
    session.open_store()
    show([asdict(crls.import_crl(one)) for one in read], COLUMNS, as_json=as_json)


@crl.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All lists that count."""
    session.open_store()
    show([asdict(one) for one in crls.list_crls()], COLUMNS, as_json=as_json)


@crl.command("show")
@click.argument("fingerprint")
@click.option("--after", default="", metavar="SERIAL", help="Entries after this one, for the next page.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@json_option
@pass_session
def show_(session: Session, *, fingerprint: str, after: str, limit: int, as_json: bool) -> None:
    """One list and the certificates that it revokes."""
    session.open_store()
    info = asdict(crls.show_crl(fingerprint))
    rows = [
        {"serial": serial, "reason": reason or None, "revoked_at": revoked_at}
        for serial, reason, revoked_at in crls.entries(fingerprint, after=after, limit=limit)
    ]
    if as_json:
        print_json(info | {"revoked": rows})
        return
    show_one(info, as_json=False)
    show(rows, ("serial", "reason", "revoked_at"), as_json=False, nothing="it revokes nothing")


@crl.command("delete")
@click.argument("fingerprint")
@yes_option
@pass_session
def delete(session: Session, *, fingerprint: str, yes: bool) -> None:
    """Delete a list; what it spoke about is judged again without it."""
    session.open_store()
    info = crls.show_crl(fingerprint)
    confirm(f"Delete the list of {info.issuer}?", yes=yes)
    crls.delete_crl(info.fingerprint)
