"""`mailseal address`: addresses that something was set up for."""

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.mail.address import Address
from mailseal.store import addresses


@click.group()
def address() -> None:
    """Addresses that something was set up for."""


@address.command("list")
@click.option("--domain", help="Only those of one domain.")
@click.option("--after", default="", metavar="ADDRESS", help="Only those after this one, for the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True)
@json_option
@pass_session
def list_(session: Session, *, domain: str | None, after: str, limit: int, as_json: bool) -> None:
    """Addresses with the number of their own settings, certificates and OpenPGP keys."""
    session.open_store()

    rows = [
        {
            "address": one.text,
            "settings": one.overrides,
            "certificates": one.certificates,
            "pgp_keys": one.pgp_keys,
            "created": one.created,
        }
        for one in addresses.list_addresses(domain=domain, after=after, limit=limit)
    ]
    show(rows, ("address", "settings", "certificates", "pgp_keys", "created"), as_json=as_json)


@address.command("add")
@click.argument("name", metavar="ADDRESS")
@json_option
@pass_session
def add(session: Session, *, name: str, as_json: bool) -> None:
    """Remember an address. It is also made by itself when a certificate or setting needs it."""
    session.open_store()

    one = Address.parse(name)
    show_one({"address": str(one), "new": addresses.add(one)}, as_json=as_json)


@address.command("delete")
@click.argument("name", metavar="ADDRESS")
@yes_option
@pass_session
def delete(session: Session, *, name: str, yes: bool) -> None:
    """Forget an address with its settings and what was chosen for it by hand. Its certificates stay."""
    session.open_store()

    confirm(f"Delete {name} and its settings?", yes=yes)
    if not addresses.delete(Address.parse(name)):
        raise CommandError(f"nothing is stored for {name}", "`mailseal address list` shows all")
