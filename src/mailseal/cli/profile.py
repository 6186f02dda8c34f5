"""`mailseal profile`: what stands beside the gateway, set up on both sides."""

import difflib
import ipaddress
import json
import os
import shutil
import socket
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import click

from mailseal.cli import exchange_script, output
from mailseal.cli.check import print_finding
from mailseal.cli.checks import office365 as office365_checks
from mailseal.cli.checks.finding import Finding, Status
from mailseal.cli.errors import CommandError
from mailseal.cli.exchange_script import Gateway
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config, NextHop, Tls, find, from_values
from mailseal.config.edit import EditError, with_keys
from mailseal.config.sections import office365 as section
from mailseal.config.values import BadValueError, host_port, hostname
from mailseal.store import domains as store_domains

PORT = 25


@click.group()
def profile() -> None:
    """What stands beside this gateway, set up on both sides."""


@profile.command("office365")
@click.option("--domain", "domains", multiple=True, help="A domain whose mailboxes are there; repeatable.")
@click.option("--tenant", "tenants", multiple=True, metavar="GUID", help="The tenant's ID; repeatable.")
@click.option("--return-host", metavar="HOST[:PORT]", help="The tenant's host, as its MX record in the admin center.")
@click.option("--gateway-name", metavar="NAME", help="The name in our certificate; else `hostname`.")
@click.option("--gateway-address", "addresses", multiple=True, metavar="IP", help="Our public IPv4 address(es).")
@click.option("--write", is_flag=True, help="Write our side; without it, it is only shown.")
@click.option("--check", "check", is_flag=True, help="Say what is right and what is not.")
@click.option("--undo", is_flag=True, help="The PowerShell that takes their side away again.")
@output.json_option
@output.yes_option
@pass_session
def office365(
    session: Session,
    *,
    domains: Sequence[str],
    tenants: Sequence[str],
    return_host: str | None,
    gateway_name: str | None,
    addresses: Sequence[str],
    write: bool,
    check: bool,
    undo: bool,
    as_json: bool,
    yes: bool,
) -> int:
    """Exchange Online as a neighbour: our side to standard error, their side (PowerShell) to standard output.

    What is not said is taken from [office365]. See docs/office365.md.
    """
    if check:
        return _check(session, as_json=as_json)
    if undo:
        click.echo(exchange_script.undo(), nl=False)
        return 0
    wish = _wish(session.config, domains, tenants, return_host)
    gateway = _gateway(session.config, gateway_name, addresses, by_certificate=wish.back.certificate is not None)
    change = _change(session, wish)
    _show(change)
    click.echo(exchange_script.setup(gateway, wish.tenants, wish.domains), nl=False)
    if write:
        _write(session, change, wish, yes=yes)
    elif change.edited != change.text:
        click.echo("note: nothing was written; --write does", err=True)
    return 0


@dataclass(frozen=True, slots=True)
class _Wish:
    domains: Sequence[str]
    tenants: Sequence[str]
    back: NextHop


@dataclass(frozen=True, slots=True)
class _Change:
    path: Path
    text: str
    edited: str


def _wish(config: Config, domains: Sequence[str], tenants: Sequence[str], return_host: str | None) -> _Wish:
    known = config.office365
    try:
        wanted = tuple(dict.fromkeys(map(hostname, domains))) or known.domains
        ids = tuple(dict.fromkeys(map(section.tenant, tenants))) or known.tenants
        if not wanted or not ids:
            raise CommandError("which domains and which tenant?", "give --domain and --tenant")
        back = known.return_to
        if return_host is not None or back is None:
            back = _back(config, return_host or _host_of(wanted[0]))
        elif back.certificate is None and not back.local:
            back = replace(back, certificate=config.listen.tls_certificate, key=config.listen.tls_key)
    except BadValueError as error:
        raise CommandError(str(error)) from None
    return _Wish(wanted, ids, back)


def _host_of(domain: str) -> str:
    if "-" in domain:  # how Microsoft writes these is not for us to guess
        raise CommandError(f"which is the tenant's host for {domain}?", "give --return-host; the admin center has it")
    return f"{domain.replace('.', '-')}.mail.protection.outlook.com"


def _back(config: Config, host: str) -> NextHop:
    name, port = host_port(host) if host.rpartition(":")[2].isdecimal() and ":" in host else (host, PORT)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        name = hostname(name)
    certificate, key = config.listen.tls_certificate, config.listen.tls_key
    return NextHop(host=name, port=port, given=Tls.VERIFIED, certificate=certificate, key=key)


def _gateway(config: Config, name: str | None, addresses: Sequence[str], *, by_certificate: bool) -> Gateway:
    try:
        shown = hostname(name or config.hostname)
    except BadValueError as error:
        raise CommandError(str(error)) from None
    return Gateway(shown, tuple(_addresses(addresses) if addresses else _resolved(shown)), by_certificate)


def _addresses(given: Iterable[str]) -> Iterator[str]:
    for one in given:
        try:
            yield str(ipaddress.IPv4Address(one))
        except ValueError:
            raise CommandError(f"{one!r} is not an IPv4 address, which the rules there go by") from None


def _resolved(name: str) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(name, PORT, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        found = []
    public = [address for _, _, _, _, (address, *_) in found if ipaddress.ip_address(str(address)).is_global]
    if not public:
        raise CommandError(f"from which address does mail of {name} come to the internet?", "give --gateway-address")
    return [str(one) for one in dict.fromkeys(public)]


# ---- our side


def _change(session: Session, wish: _Wish) -> _Change:
    path = find(session.config_path, os.environ)
    if path is None or not path.is_file():
        raise CommandError("there is no mailseal.toml to write to", "`mailseal init` makes one")
    text = output.read_file(path).decode()
    keys = {
        "tenants": json.dumps(list(wish.tenants)),
        "domains": json.dumps(list(wish.domains)),
        "return_to": json.dumps(str(wish.back)),
    }
    try:
        edited = with_keys(text, "office365", keys)
    except EditError as error:
        lines = "; ".join(f"{name} = {value}" for name, value in keys.items())
        raise CommandError(f"{path}: {error}", f"write it there yourself: {lines}") from None
    from_values(tomllib.loads(edited), os.environ, source=str(path))
    return _Change(path.resolve(), text, edited)


def _show(change: _Change) -> None:
    lines = difflib.unified_diff(
        change.text.splitlines(), change.edited.splitlines(), str(change.path), str(change.path), lineterm="", n=1
    )
    for line in lines:
        click.echo(output.plain(line), err=True)


def _write(session: Session, change: _Change, wish: _Wish, *, yes: bool) -> None:
    output.confirm(f"Write this to {change.path}, and make {', '.join(wish.domains)} internal?", yes=yes)
    if change.edited != change.text:
        kept = _exchange(change)
        click.echo(f"written; the file as it was is {kept}", err=True)
    session.open_store()
    for name in wish.domains:
        store_domains.add(name, internal=True)
        click.echo(f"internal domain {name}", err=True)
    click.echo("next: reload `mailseal serve`, `mailseal postfix install`; then the script; then --check", err=True)


def _exchange(change: _Change) -> Path:
    """Put the new text in the file's place in one step, with its mode and owner; where the old one is kept."""
    path = change.path
    kept = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    try:
        facts = path.stat()
        with path.open("rb") as before, open(kept, "xb", opener=_for_nobody_else) as copy:  # it may hold a password
            shutil.copyfileobj(before, copy)
            os.fchmod(copy.fileno(), facts.st_mode & 0o7777)
            os.fchown(copy.fileno(), facts.st_uid, facts.st_gid)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(change.edited.encode())
            file.flush()
            os.fchmod(file.fileno(), facts.st_mode & 0o7777)
            os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    return kept


def _for_nobody_else(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# ---- whether it is right


def _check(session: Session, *, as_json: bool) -> int:
    config = session.config
    if not config.office365.on:
        raise CommandError("[office365] names no tenant", "mailseal profile office365 --domain … --tenant … --write")
    found: list[Finding] = [*office365_checks.office365(config)]
    session.open_store()
    found = list(chain(found, office365_checks.domains(config)))
    if as_json:
        output.print_json([one.as_row() for one in found])
    else:
        for one in found:
            print_finding(one)
    return int(any(one.status is Status.FAIL for one in found))
