"""`mailseal pgp revoke|expire|add-user-id|certify`: changes that a secret key signs."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.expiry_option import METAVAR, read_expiry
from mailseal.cli.output import confirm, json_option, yes_option
from mailseal.cli.pgp_rows import show_info
from mailseal.cli.session import Session, pass_session
from mailseal.openpgp.component import RevocationCode
from mailseal.store import pgp_admin, pgp_edit
from mailseal.store.keks import open_ring

REASONS = {
    "unspecified": RevocationCode.UNSPECIFIED,
    "superseded": RevocationCode.SUPERSEDED,
    "compromised": RevocationCode.COMPROMISED,
    "retired": RevocationCode.RETIRED,
}


@click.command("revoke")
@click.argument("key")
@click.option("--reason", type=click.Choice(list(REASONS)), help="Why; compromised and unspecified count for all time.")
@click.option("--text", default="", help="More about why; everybody can read it.")
@click.option("--user-id", default="", help="Only this user ID, as no longer valid.")
@yes_option
@json_option
@pass_session
def revoke(
    session: Session, *, key: str, reason: str | None, text: str, user_id: str, yes: bool, as_json: bool
) -> None:
    """Revoke a key, or a user ID of it. This cannot be taken back; export it then, and tell those who have it."""
    if not user_id and reason is None:
        raise CommandError("say why", f"--reason {'|'.join(REASONS)}")
    if user_id and reason is not None:
        raise CommandError("a user ID is revoked as no longer valid", "leave out --reason")
    config = session.open_store()
    info = pgp_admin.show(key)
    confirm(f"Revoke {f'{user_id} of ' if user_id else ''}{info.fingerprint} for ever?", yes=yes)
    ring = open_ring(config.keys.kek)
    if user_id:
        done = pgp_edit.revoke_user_id(info.fingerprint, user_id, ring, text)
    else:
        assert reason is not None
        done = pgp_edit.revoke(info.fingerprint, ring, REASONS[reason], text)
    show_info(done, as_json=as_json)


@click.command("expire")
@click.argument("key")
@click.argument("when", metavar=METAVAR)
@json_option
@pass_session
def expire(session: Session, *, key: str, when: str, as_json: bool) -> None:
    """Have a key end at another time, also one that has expired. Whoever has it needs the new copy."""
    ends = read_expiry(when, datetime.now(UTC))
    config = session.open_store()
    show_info(pgp_edit.set_expiry(key, ends, open_ring(config.keys.kek)), as_json=as_json)


@click.command("add-user-id")
@click.argument("key")
@click.argument("user_id", metavar="USER_ID")
@json_option
@pass_session
def add_user_id(session: Session, *, key: str, user_id: str, as_json: bool) -> None:
    """Add a user ID such as "Anna <anna@example.com>" to a key of ours."""
    config = session.open_store()
    show_info(pgp_edit.add_user_id(key, user_id, open_ring(config.keys.kek)), as_json=as_json)


@click.command("certify")
@click.argument("key")
@click.option("--by", default="", metavar="KEY", help="The key of the domain, if several are chosen for it.")
@click.option("--user-id", "user_ids", multiple=True, help="Which, if it has several of the domain. May be repeated.")
@click.option("--expires", default="never", metavar=METAVAR, show_default=True, help="Of the certification.")
@json_option
@pass_session
def certify(session: Session, *, key: str, by: str, user_ids: Sequence[str], expires: str, as_json: bool) -> None:
    """Certify a key's user IDs by the key of their domain: it is trusted for these, by all who trust that key."""
    ends = read_expiry(expires, datetime.now(UTC))
    config = session.open_store()
    done = pgp_edit.certify(key, open_ring(config.keys.kek), by=by, user_ids=user_ids, expires=ends)
    show_info(done, as_json=as_json)
