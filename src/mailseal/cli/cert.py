"""`mailseal cert`: certificates with and without private keys."""

import click

from mailseal.cli.cert_accept import accept
from mailseal.cli.cert_export import export
from mailseal.cli.cert_import import import_
from mailseal.cli.certificate_rows import COLUMNS, row_of
from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.mail.address import Address
from mailseal.smime.certificate import CtlEntry
from mailseal.store import certificate_admin, private_keys, trust
from mailseal.store.certificate_rows import Purpose, Use


@click.group()
def cert() -> None:
    """Certificates and private keys. A fingerprint may be given by its beginning."""


cert.add_command(accept)
cert.add_command(import_)
cert.add_command(export)


@cert.command("list")
@click.option("--address", help="Those that count for an address.")
@click.option("--text", default="", help="Looked for in subject and issuer.")
@click.option("--with-key", "has_key", flag_value="yes", help="Only those with a private key.")
@click.option("--without-key", "has_key", flag_value="no", help="Only those without.")
@click.option("--ca", is_flag=True, help="Intermediate CA certificates instead of end-entity ones.")
@click.option("--candidates", is_flag=True, help="Only those that came with signed mail and nobody has looked at.")
@click.option("--conflicts", is_flag=True, help="Only those that brought another key for a known address.")
@click.option("--before", metavar="FINGERPRINT", help="Older than this one, for the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
@pass_session
def list_(
    session: Session,
    *,
    address: str | None,
    text: str,
    has_key: str | None,
    ca: bool,
    candidates: bool,
    conflicts: bool,
    before: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Certificates, newest first."""
    session.open_store()
    found = certificate_admin.list_certificates(
        address=Address.parse(address) if address else None,
        purpose=None if conflicts else Purpose.INTERMEDIATE if ca else Purpose.END_ENTITY,
        has_key=None if has_key is None else has_key == "yes",
        candidate=True if candidates else None,
        conflict=True if conflicts else None,
        text=text,
        before=before,
        limit=limit,
    )
    show([row_of(info) for info in found], COLUMNS, as_json=as_json)


@cert.command("show")
@click.argument("fingerprint")
@json_option
@pass_session
def show_(session: Session, *, fingerprint: str, as_json: bool) -> None:
    """All that is known of one certificate."""
    session.open_store()
    show_one(row_of(certificate_admin.show(fingerprint)), as_json=as_json)


@cert.command("delete")
@click.argument("fingerprint")
@click.option("--with-key", is_flag=True, help="Also its private key, for good.")
@yes_option
@pass_session
def delete(session: Session, *, fingerprint: str, with_key: bool, yes: bool) -> None:
    """Delete a certificate."""
    session.open_store()
    info = certificate_admin.show(fingerprint)
    if info.purpose is Purpose.ROOT:
        raise CommandError("this is a root", "`mailseal root delete` takes its trust away")
    key = " and its private key; what is encrypted to it can then never be read here" if with_key else ""
    confirm(f"Delete the certificate of {info.certificate.subject}{key}?", yes=yes)
    if with_key:  # before: it may be refused
        private_keys.delete_key(info.certificate.spki_sha256)
    certificate_admin.delete(info.fingerprint)


@cert.command("trust")
@click.argument("fingerprint")
@click.option("--even-expired", is_flag=True, help="Also when it has expired.")
@click.option("--comment", default="", help="Why.")
@pass_session
def trust_(session: Session, *, fingerprint: str, even_expired: bool, comment: str) -> None:
    """Trust one certificate whatever its path says (an entry of the trust list, `mailseal ctl`)."""
    session.open_store()
    entry = CtlEntry.ALLOW_EXPIRED if even_expired else CtlEntry.ALLOW
    trust.set_ctl(certificate_admin.show(fingerprint).fingerprint, entry, comment=comment)


@cert.command("distrust")
@click.argument("fingerprint")
@click.option("--comment", default="", help="Why.")
@pass_session
def distrust(session: Session, *, fingerprint: str, comment: str) -> None:
    """Refuse one certificate whatever its path says (an entry of the trust list, `mailseal ctl`)."""
    session.open_store()
    trust.set_ctl(certificate_admin.show(fingerprint).fingerprint, CtlEntry.DENY, comment=comment)


@cert.command("use")
@click.argument("fingerprint")
@click.argument("owner", metavar="ADDRESS|DOMAIN")
@click.option("--share", is_flag=True, help="Only let its key open the mail of these recipients.")
@click.option("--stop", is_flag=True, help="No longer.")
@pass_session
def use(session: Session, *, fingerprint: str, owner: str, share: bool, stop: bool) -> None:
    """Choose a certificate by hand for an address, a domain or a wildcard."""
    session.open_store()
    kind = Use.SHARED if share else Use.SELECTED
    if not stop:
        certificate_admin.use(fingerprint, owner, kind)
    elif not certificate_admin.stop_using(fingerprint, owner, kind):
        raise CommandError(f"it was not chosen for {owner}", "`mailseal cert show` says what it was chosen for")
