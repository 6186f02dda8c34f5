"""`mailseal tls-certificate`: what our own servers show: the console by HTTPS, the mail side by STARTTLS."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import json_option, read_file, show, show_one
from mailseal.cli.passphrase import passphrase_option, read_passphrase
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config
from mailseal.keys.kek_ring import KekRing
from mailseal.roles.tls_renewal import place, write
from mailseal.store import tls_identities
from mailseal.store.keks import open_ring
from mailseal.store.tls_identities import Server, TlsIdentity

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

_purpose: Callable[[Any], Any] = click.argument("purpose", type=click.Choice([one.value for one in Server]))
_names: Callable[[Any], Any] = click.option(
    "--name", "names", multiple=True, metavar="HOST", help="A name or IP address; repeatable. Unless given: hostname."
)


@click.group("tls-certificate")
def tls_certificate() -> None:
    """Certificates of our own servers, for the console and for mail (docs/web.md)."""


@tls_certificate.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """What is shown, and what is asked for."""
    config = session.open_store()

    rows = [_row(one, config) for one in tls_identities.list_identities()]
    columns = ("purpose", "state", "source", "names", "issuer", "not_after", "renewed", "problem")
    show(rows, columns, as_json=as_json, nothing="none yet; mailseal tls-certificate self-signed console")


@tls_certificate.command("self-signed")
@_purpose
@_names
@json_option
@pass_session
def self_signed(session: Session, *, purpose: str, names: Sequence[str], as_json: bool) -> None:
    """Make one that nobody vouches for; the worker renews it."""
    config, ring = _open(session)

    one = tls_identities.make_self_signed(Server(purpose), names or [config.hostname], ring)
    _shown(one, config, ring, as_json=as_json)


@tls_certificate.command("import")
@_purpose
@click.argument("chain", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("key", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--encrypted", is_flag=True, help="The key has a password, which is asked for.")
@passphrase_option
@json_option
@pass_session
def import_(
    session: Session,
    *,
    purpose: str,
    chain: Path,
    key: Path,
    encrypted: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Use one from elsewhere: CHAIN and KEY are PEM files."""
    chain_pem, key_pem = read_file(chain), read_file(key)
    password = read_passphrase(passphrase_file, new=False).encode() if encrypted or passphrase_file else None
    config, ring = _open(session)

    one = tls_identities.bring_along(Server(purpose), chain_pem, key_pem, ring, password=password)
    _shown(one, config, ring, as_json=as_json)


@tls_certificate.command("request")
@_purpose
@_names
@pass_session
def request(session: Session, *, purpose: str, names: Sequence[str]) -> None:
    """Make a key and print a request (CSR) for a CA; `accept` takes what the CA makes of it."""
    config, ring = _open(session)

    one = tls_identities.ask(Server(purpose), names or [config.hostname], ring)
    click.echo(one.pem, nl=False)


@tls_certificate.command("accept")
@_purpose
@click.argument("chain", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@pass_session
def accept(session: Session, *, purpose: str, chain: Path, as_json: bool) -> None:
    """Use what a CA has made of the request: a PEM file, with its issuers."""
    chain_pem = read_file(chain)
    config, ring = _open(session)

    one = tls_identities.accept(Server(purpose), chain_pem, ring)
    _shown(one, config, ring, as_json=as_json)


@tls_certificate.command("acme")
@_purpose
@_names
@click.option("--directory", default=LETS_ENCRYPT, show_default=True, metavar="URL", help="Of the CA.")
@click.option("--contact", default="", metavar="ADDRESS", help="Whom the CA may write to.")
@click.option("--agree", is_flag=True, help="You agree to the terms of the CA.")
@json_option
@pass_session
def acme(
    session: Session,
    *,
    purpose: str,
    names: Sequence[str],
    directory: str,
    contact: str,
    agree: bool,
    as_json: bool,
) -> None:
    """Have the job worker get one by ACME now, and renew it.

    The CA must find us at port 80 of each name (`web.plain_listen`).
    """
    if not agree:
        raise CommandError("a CA issues only to who agrees to its terms", "read them, then repeat with --agree")
    config, ring = _open(session)

    one = tls_identities.ask_by_acme(Server(purpose), names or [config.hostname], directory, contact, ring)
    show_one(_row(one, config), as_json=as_json)
    click.echo("the job worker asks now; `mailseal tls-certificate list` says what came of it", err=True)


@tls_certificate.command("cancel")
@_purpose
@pass_session
def cancel(session: Session, *, purpose: str) -> None:
    """Give up what is asked for; what is shown stays."""
    session.open_store()

    if not tls_identities.drop_request(Server(purpose)):
        raise CommandError(f"nothing is asked for the {purpose}", "`mailseal tls-certificate list` shows all")


def _open(session: Session) -> tuple[Config, KekRing]:
    config = session.open_store()
    return config, open_ring(config.keys.kek)


def _shown(one: TlsIdentity, config: Config, ring: KekRing, *, as_json: bool) -> None:
    path = write(config, one, ring)
    show_one(_row(one, config), as_json=as_json)
    if one.purpose is Server.MAIL and config.listen.tls_certificate != path:
        click.echo(f'note: to show it, in mailseal.toml: [listen] tls_certificate = "{path}"', err=True)


def _row(one: TlsIdentity, config: Config) -> dict[str, object]:
    return {
        "purpose": one.purpose.value,
        "state": "asked for" if one.asked else "shown",
        "source": one.source.value,
        "names": list(one.names),
        "issuer": one.issuer or None,
        "fingerprint": one.fingerprint or None,
        "not_before": one.not_before,
        "not_after": one.not_after,
        "renewed": one.due,
        "problem": one.problem or None,
        "file": None if one.asked else str(place(config, one.purpose)),
    }
