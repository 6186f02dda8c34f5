"""`mailseal pgp generate`: a new OpenPGP key, its secret keys sealed like any other."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from mailseal.cli.expiry_option import METAVAR, read_expiry
from mailseal.cli.output import json_option, one_of
from mailseal.cli.pgp_rows import show_info
from mailseal.cli.session import Session, pass_session
from mailseal.openpgp.generate import KeyKind
from mailseal.store import pgp_admin, pgp_generate
from mailseal.store.keks import open_ring


@click.command("generate")
@click.argument("user_ids", nargs=-1, required=True, metavar="USER_ID...")
@click.option(
    "--kind", type=one_of(KeyKind), default=KeyKind.ED25519.value, show_default=True, help="What the keys are made of."
)
@click.option("--expires", metavar=METAVAR, default="3y", show_default=True, help="`mailseal pgp expire` changes it.")
@click.option(
    "--use", "owner", metavar="ADDRESS|DOMAIN", default="", help="Choose it for these, as `mailseal pgp use` does."
)
@json_option
@pass_session
def generate(session: Session, *, user_ids: Sequence[str], kind: str, expires: str, owner: str, as_json: bool) -> None:
    """Make a key for user IDs such as "Anna <anna@example.com>", the first one primary. It is trusted."""
    now = datetime.now(UTC)
    ends = read_expiry(expires, now)
    config = session.open_store()
    after = None if ends is None else ends - now
    made = pgp_generate.generate_key(user_ids, open_ring(config.keys.kek), now, kind=KeyKind(kind), expires_after=after)
    show_info(pgp_admin.use(made, owner) if owner else pgp_admin.show(made), as_json=as_json)
