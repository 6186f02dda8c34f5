"""`mailseal pgp lookup`, `wkd export`, `upload`: OpenPGP keys from and to the network."""

import os
import tempfile
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, show, yes_option
from mailseal.cli.session import Session, as_caller, pass_session
from mailseal.config.sections.discover import read_key_server
from mailseal.config.values import BadValueError
from mailseal.discover.key_servers import key_server
from mailseal.discover.search import search
from mailseal.discover.wkd import HASHED_CHARS, hashed_local_part
from mailseal.mail.address import Address
from mailseal.openpgp.armor import PUBLIC_KEY, write_armor
from mailseal.openpgp.edit import minimal
from mailseal.roles.key_search import fetcher, keep, sources
from mailseal.store import lookups, pgp_admin
from mailseal.store.directory import StoreDirectory
from mailseal.store.owners import domain_name
from mailseal.store.pgp_publish import internal_addresses, published, user_ids_of


@click.command("lookup")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@pass_session
def lookup(session: Session, *, addresses: Sequence[str], as_json: bool) -> None:
    """Look for the keys of addresses now: at their domain (WKD), then on the key servers. They become candidates."""
    wanted = [Address.parse(one) for one in addresses]
    config = session.open_store()
    places = sources(config.discover)
    if not places:
        raise CommandError("there is nowhere to look", "set discover.wkd or discover.key_servers")
    rows: list[dict[str, object]] = []
    for address in wanted:
        searched = search(address, places)
        keep(address, searched)
        names = [one.certificate.fingerprint for one in searched.found]
        trust = {info.fingerprint: info.trust.value for info in pgp_admin.infos(names)}
        rows += [
            {
                "address": str(address),
                "fingerprint": name,
                "from": searched.source,
                "trust": trust.get(name, "not kept"),
            }
            for name in names
        ]
        if not searched.found:
            problems = "; ".join(searched.problems) or "none"
            rows.append({"address": str(address), "fingerprint": "", "from": problems, "trust": ""})
        if searched.found or not searched.problems:
            lookups.finish(address, len(searched.found), datetime.now(UTC))
    show(rows, ["address", "fingerprint", "from", "trust"], as_json=as_json)


@click.group("wkd")
def wkd() -> None:
    """Publish keys by Web Key Directory."""


@wkd.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--direct", metavar="DOMAIN", help="Of one domain, in the layout without the subdomain openpgpkey.")
@click.option(
    "--prune", is_flag=True, help="Delete the keys of all other addresses in the folder, whoever put them there."
)
@json_option
@pass_session
def export(session: Session, *, folder: Path, direct: str | None, prune: bool, as_json: bool) -> None:
    """Write the keys of our own addresses as files, to be served as /.well-known/openpgpkey/ of a web server.

    Revoked ones stay beside those that took their place, so that everybody learns of it.
    """
    domain = None if direct is None else domain_name(direct)
    session.open_store(for_now=True)
    rows: list[dict[str, object]] = []
    rings: dict[Path, bytes] = {}
    for one in published(datetime.now(UTC)):
        if domain in (None, one.address.domain):
            path = _path(folder if domain else folder / one.address.domain, one.address)
            rings[path] = rings.get(path, b"") + one.octets
            rows.append({"address": str(one.address), "file": str(path)})
    with as_caller():
        for path, ring in rings.items():
            _write(path, ring)
        others = [one for one in folder.glob("hu/*" if domain else "*/hu/*") if _is_other(one, rings)]
        for other in others if prune else ():
            other.unlink()
    show(rows, ["address", "file"], as_json=as_json, nothing="no internal address has a key of its own")
    if others:
        done = "were deleted" if prune else "are left: --prune deletes them"
        click.echo(f"{len(others)} files with keys of other addresses {done}", err=True)


def _path(base: Path, address: Address) -> Path:
    return base / "hu" / hashed_local_part(address.local)


def _write(path: Path, ring: bytes) -> None:
    """Whole or not at all, and never through a link that somebody else has put there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    policy = path.parent.parent / "policy"  # §4.5: it has to be there, and may be empty
    if not os.path.lexists(policy):
        policy.touch()
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(ring)
    fresh = Path(name)
    fresh.chmod(0o644)
    fresh.replace(path)


def _is_other(file: Path, rings: Collection[Path]) -> bool:
    return len(file.name) == HASHED_CHARS and file not in rings


@click.command("upload")
@click.argument("key")
@click.option("--server", help="Its URL; else the first of discover.key_servers.")
@yes_option
@pass_session
def upload(session: Session, *, key: str, server: str | None, yes: bool) -> None:
    """Send one of our own keys to a key server, for the whole world to see; what is there stays there."""
    config = session.open_store()
    url = server or next(iter(config.discover.key_servers), None)
    if url is None:
        raise CommandError("there is no key server", "name one with --server, or set discover.key_servers")
    info = pgp_admin.show(key)
    if not info.keys:
        raise CommandError("its secret key is not here", "who owns a key publishes it")
    now = datetime.now(UTC)
    addresses = internal_addresses(info.certificate, StoreDirectory(), now)
    if not addresses:
        raise CommandError("it names no internal address", "`mailseal domain add` makes a domain internal")
    named = ", ".join(str(one) for one in addresses)
    confirm(f"publish the key {info.fingerprint} of {named} on {url}?", yes=yes)
    octets = minimal(info.certificate, now, user_ids_of(info.certificate, addresses, now), with_revoked=True)
    armored = b"".join(bytes(piece) for piece in write_armor(PUBLIC_KEY, [octets])).decode()
    click.echo(key_server(fetcher(config.discover), _checked(url)).publish(armored, addresses))


def _checked(url: str) -> str:
    try:
        return read_key_server(url)
    except BadValueError as error:
        raise CommandError(f"the key server {error}") from None


COMMANDS = (lookup, wkd, upload)
"""What `mailseal pgp` has of this module."""
