"""`mailseal dkim`: the keys that sign mail of our domains. See docs/dkim.md."""

from collections.abc import Sequence
from pathlib import Path

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.export_file import PRIVATE_MODE, destination_of, new_password, write
from mailseal.cli.output import (
    confirm,
    json_option,
    one_of,
    print_json,
    read_file,
    read_password,
    show,
    show_one,
    yes_option,
)
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config
from mailseal.discover.dns import Dns
from mailseal.dkim.key_file import read_key_file, write_key_file
from mailseal.dkim.record import strings_of, zone_lines
from mailseal.roles.dkim_lookup import Published, ask
from mailseal.store import audit, dkim_keys, private_keys
from mailseal.store.dkim_keys import DkimKeyInfo, DkimKind
from mailseal.store.keks import open_ring

COLUMNS = ("domain", "selector", "algorithm", "active", "published", "created")
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def dkim() -> None:
    """Keys that sign mail of our domains (DKIM) and seal mail that was opened (ARC)."""


@dkim.command("generate")
@click.argument("domain")
@click.option("--selector", help="The name of the key in the DNS; else made of the day and the algorithm.")
@click.option("--algorithm", type=one_of(DkimKind), default=DkimKind.RSA.value, show_default=True)
@json_option
@pass_session
def generate(session: Session, *, domain: str, selector: str | None, algorithm: str, as_json: bool) -> None:
    """Make a key for a domain, and print the record to publish. It signs nothing until `mailseal dkim enable`."""
    config = session.open_store()
    info = dkim_keys.generate(domain, selector, DkimKind(algorithm), open_ring(config.keys.kek))
    _print_record(info, as_json=as_json)
    click.echo(f"Publish it, then: mailseal dkim enable {info.domain} {info.selector}", err=True)


@dkim.command("import")
@click.argument("domain")
@click.argument("selector")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--password-file", type=FILE, help="A file with the password of the key.")
@json_option
@pass_session
def import_(
    session: Session, *, domain: str, selector: str, path: Path, password_file: Path | None, as_json: bool
) -> None:
    """Take a key over from another signer: PEM, or a bare Ed25519 seed in base64. It signs nothing until `enable`."""
    key = read_key_file(read_file(path), lambda: read_password(password_file, f"Password of {path}"))
    config = session.open_store()
    _show(dkim_keys.add(domain, selector, key, open_ring(config.keys.kek)), as_json=as_json)


@dkim.command("export")
@click.argument("domain")
@click.argument("selector")
@click.option("--password-file", type=FILE, help="A file with the password for the key.")
@click.option("--output", type=FILE, help="The file to make; else standard output.")
@pass_session
def export(session: Session, *, domain: str, selector: str, password_file: Path | None, output: Path | None) -> None:
    """Write a private key as PKCS#8 (PEM) under a password. A file is never overwritten."""
    destination = destination_of(output, is_text=True)
    password = new_password(password_file)
    config = session.open_store(for_now=True)
    info = dkim_keys.find(domain, selector)
    key = private_keys.open_key(info.spki_sha256, open_ring(config.keys.kek))
    audit.record("dkim", "export-private-key", info.name)
    write(write_key_file(key, password), destination, mode=PRIVATE_MODE)


@dkim.command("list")
@click.argument("domain", default="")
@json_option
@pass_session
def list_(session: Session, *, domain: str, as_json: bool) -> None:
    """All keys, or those of a domain; which of them sign, and when the DNS was last seen to have them."""
    session.open_store()
    rows = [_row(info) for info in dkim_keys.list_keys(domain)]
    show(rows, COLUMNS, as_json=as_json, nothing="no key yet; `mailseal dkim generate` makes one")


@dkim.command("record")
@click.argument("domain")
@click.argument("selector", default="")
@click.option("--zone", is_flag=True, help="As a zone file has it.")
@json_option
@pass_session
def record(session: Session, *, domain: str, selector: str, zone: bool, as_json: bool) -> None:
    """Print the TXT record of a key, or of all keys of a domain, ready to be pasted."""
    session.open_store()
    found = _chosen(domain, selector)
    if as_json:
        print_json([_record_row(info) for info in found])
    for info in () if as_json else found:
        if zone:
            click.echo(zone_lines(info.name, info.record))
        else:
            _print_record(info, as_json=False)


@dkim.command("check")
@click.argument("domain", default="")
@click.argument("selector", default="")
@json_option
@pass_session
def check(session: Session, *, domain: str, selector: str, as_json: bool) -> int:
    """Look the records of keys up in the DNS and compare. Exit status 1 if one is missing or wrong."""
    config = session.open_store()
    dns = _dns(config)
    rows = []
    for info in _chosen(domain, selector):
        answer = ask(info, dns)
        row = {"dns": answer.state.value, "detail": answer.text, "what_to_do": answer.what_to_do}
        rows.append(_row(dkim_keys.find(info.domain, info.selector)) | row)
    show(rows, ("domain", "selector", "active", "dns", "detail", "what_to_do"), as_json=as_json)
    return int(any(row["dns"] != Published.YES for row in rows))


@dkim.command("enable")
@click.argument("domain")
@click.argument("selector")
@click.option("--unchecked", is_flag=True, help="Without looking whether the record is published.")
@json_option
@pass_session
def enable(session: Session, *, domain: str, selector: str, unchecked: bool, as_json: bool) -> None:
    """Sign with a key from now on, if the DNS has its record: a signature that nobody can verify does harm."""
    config = session.open_store()
    info = dkim_keys.find(domain, selector)
    if not unchecked:
        answer = ask(info, _dns(config))
        if answer.state is not Published.YES:
            raise CommandError(answer.text, f"{answer.what_to_do}; --unchecked enables it all the same")
        click.echo(answer.text, err=True)
    _show(dkim_keys.set_active(domain, selector, active=True), as_json=as_json)


@dkim.command("disable")
@click.argument("domain")
@click.argument("selector")
@json_option
@pass_session
def disable(session: Session, *, domain: str, selector: str, as_json: bool) -> None:
    """Sign no more with a key. Leave its record in the DNS for a week: mail that it signed is still under way."""
    session.open_store()
    _show(dkim_keys.set_active(domain, selector, active=False), as_json=as_json)


@dkim.command("remove")
@click.argument("domain")
@click.argument("selector")
@yes_option
@pass_session
def remove(session: Session, *, domain: str, selector: str, yes: bool) -> None:
    """Delete a key, with its private half, for good. It must not sign any more."""
    session.open_store()
    info = dkim_keys.find(domain, selector)
    if info.active:
        raise CommandError("this key signs mail", f"mailseal dkim disable {info.domain} {info.selector}")
    confirm(f"Delete the DKIM key {info.selector} of {info.domain}?", yes=yes)
    dkim_keys.remove(domain, selector)


def _chosen(domain: str, selector: str) -> Sequence[DkimKeyInfo]:
    if selector:
        return [dkim_keys.find(domain, selector)]
    found = dkim_keys.list_keys(domain)
    if not found and domain:
        raise CommandError(f"{domain} has no key", f"mailseal dkim generate {domain}")
    return found


def _dns(config: Config) -> Dns:
    return Dns(config.dns.servers, config.dns.timeout_seconds)


def _print_record(info: DkimKeyInfo, *, as_json: bool) -> None:
    if as_json:
        print_json(_record_row(info))
        return
    click.echo(f"name:  {info.name}\ntype:  TXT\nvalue: {info.record}")
    strings = [f'"{one}"' for one in strings_of(info.record)]
    if len(strings) > 1:
        click.echo(f"split: {' '.join(strings)}")


def _record_row(info: DkimKeyInfo) -> dict[str, object]:
    return {"name": info.name, "type": "TXT", "value": info.record, "strings": strings_of(info.record)}


def _show(info: DkimKeyInfo, *, as_json: bool) -> None:
    show_one(_row(info), as_json=as_json)


def _row(info: DkimKeyInfo) -> dict[str, object]:
    return {name: getattr(info, name) for name in COLUMNS} | {"spki_sha256": info.spki_sha256}
