"""`mailseal pgp`: the OpenPGP keyring."""

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, one_of, plain, show, yes_option
from mailseal.cli.pgp_edit import add_user_id, certify, expire, revoke
from mailseal.cli.pgp_export import export
from mailseal.cli.pgp_generate import generate
from mailseal.cli.pgp_import import import_
from mailseal.cli.pgp_network import lookup, upload, wkd
from mailseal.cli.pgp_rows import COLUMNS, show_info
from mailseal.cli.session import Session, pass_session
from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpTrust
from mailseal.store import pgp_admin
from mailseal.store.pgp_facts import row_of
from mailseal.store.pgp_rows import PgpUse


@click.group()
def pgp() -> None:
    """OpenPGP keys. KEY is a fingerprint, its beginning, or a key ID."""


for command in (import_, generate, export, revoke, expire, add_user_id, certify, lookup, wkd, upload):
    pgp.add_command(command)


@pgp.command("list")
@click.option("--address", help="Those that count for an address.")
@click.option("--text", default="", help="Looked for in user IDs.")
@click.option("--with-key", "has_key", flag_value="yes", help="Only those with a secret key.")
@click.option("--without-key", "has_key", flag_value="no", help="Only those without.")
@click.option("--trust", "trusted", type=one_of(PgpTrust), help="Only those that are trusted, distrusted or neither.")
@click.option("--candidates", is_flag=True, help="The same as --trust candidate: those that wait to be trusted.")
@click.option("--conflicts", is_flag=True, help="Only those that brought another key for a known address.")
@click.option("--before", metavar="KEY", help="Older than this one, for the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
@pass_session
def list_(
    session: Session,
    *,
    address: str | None,
    text: str,
    has_key: str | None,
    trusted: str | None,
    candidates: bool,
    conflicts: bool,
    before: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """OpenPGP keys, those stored last first."""
    session.open_store()
    wanted = PgpTrust.CANDIDATE if candidates else None if trusted is None else PgpTrust(trusted)
    found = pgp_admin.list_keys(
        address=Address.parse(address) if address else None,
        trust=wanted,
        has_key=None if has_key is None else has_key == "yes",
        conflict=True if conflicts else None,
        text=text,
        before=before,
        limit=limit,
    )
    show([row_of(info) for info in found], COLUMNS, as_json=as_json)


@pgp.command("show")
@click.argument("key")
@json_option
@pass_session
def show_(session: Session, *, key: str, as_json: bool) -> None:
    """All that is known of one: user IDs, subkeys, what they can and until when, trust, who may use it.

    KEY may be a subkey, too.
    """
    session.open_store()
    show_info(pgp_admin.find(key), as_json=as_json)


@pgp.command("trust")
@click.argument("key")
@yes_option
@json_option
@pass_session
def trust(session: Session, *, key: str, yes: bool, as_json: bool) -> None:
    """Have mail encrypted to it, and signatures by it believed, for all its user IDs. Compare the fingerprint first.

    It asks if a key is trusted already for one of its addresses: mail goes to both then.
    """
    session.open_store()
    info = pgp_admin.show(key)
    if info.conflict:
        names = ", ".join(plain(one.text) for one in info.certificate.user_ids)
        confirm(f"Another key is trusted for one of these: {names}. Trust {info.fingerprint} as well?", yes=yes)
    show_info(pgp_admin.trust(key), as_json=as_json)


@pgp.command("distrust")
@click.argument("key")
@json_option
@pass_session
def distrust(session: Session, *, key: str, as_json: bool) -> None:
    """Never encrypt to it nor believe it, whoever brings or certifies it, until `mailseal pgp trust`."""
    session.open_store()
    show_info(pgp_admin.distrust(key), as_json=as_json)


@pgp.command("use")
@click.argument("key")
@click.argument("owner", metavar="ADDRESS|DOMAIN")
@click.option("--share", is_flag=True, help="Only let its secret key open the mail of these recipients.")
@click.option("--stop", is_flag=True, help="No longer.")
@yes_option
@json_option
@pass_session
def use(session: Session, *, key: str, owner: str, share: bool, stop: bool, yes: bool, as_json: bool) -> None:
    """Choose a key by hand for an address, a domain or a wildcard, and trust it.

    The key of a domain encrypts to all its addresses, signs for those that have none, and what it certifies of them
    is trusted. It asks if a candidate would be trusted for other user IDs as well.
    """
    session.open_store()
    info = pgp_admin.show(key)
    more = pgp_admin.beyond(info.certificate, owner) if info.trust is PgpTrust.CANDIDATE and not stop else []
    if more:
        names = ", ".join(map(plain, more))
        confirm(f"It becomes trusted for all its user IDs, {names} among them. Go on?", yes=yes)
    kind = PgpUse.SHARED if share else PgpUse.SELECTED
    if stop and not pgp_admin.stop_using(key, owner, kind):
        raise CommandError(f"it was not chosen for {owner}", "`mailseal pgp show` says what it was chosen for")
    show_info(pgp_admin.show(key) if stop else pgp_admin.use(key, owner, kind), as_json=as_json)


@pgp.command("subkey")
@click.argument("key")
@click.argument("subkey", metavar="SUBKEY|all")
@json_option
@pass_session
def subkey_(session: Session, *, key: str, subkey: str, as_json: bool) -> None:
    """Encrypt to this one key of a certificate, or again to all that can be encrypted to."""
    session.open_store()
    show_info(pgp_admin.choose_subkey(key, "" if subkey == "all" else subkey), as_json=as_json)


@pgp.command("delete")
@click.argument("key")
@click.option("--with-key", is_flag=True, help="Also its secret keys, for good.")
@yes_option
@pass_session
def delete(session: Session, *, key: str, with_key: bool, yes: bool) -> None:
    """Delete an OpenPGP key."""
    session.open_store()
    info = pgp_admin.show(key)
    name = ", ".join(plain(one.text) for one in info.certificate.user_ids[:1]) or info.fingerprint
    if info.keys and not with_key:
        raise CommandError(
            "its secret key is here", "--with-key deletes that as well; `mailseal pgp export --secret` first"
        )
    loss = " and its secret key; what is encrypted to it can then never be read here" if info.keys else ""
    confirm(f"Delete the OpenPGP key of {name}{loss}?", yes=yes)
    pgp_admin.delete(info.fingerprint)
