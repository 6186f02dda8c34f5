"""Stored OpenPGP certificates as rows of the output."""

from datetime import UTC, datetime

import click

from mailseal.cli.output import print_json, show, show_one
from mailseal.store.pgp_admin import PgpInfo
from mailseal.store.pgp_facts import identity_of, key_of, row_of

COLUMNS = ("fingerprint", "user_ids", "algorithm", "created", "expires", "state", "trust", "key", "conflict")
_KEY_COLUMNS = ("key", "algorithm", "can", "created", "expires", "state", "secret", "chosen")
_USER_ID_COLUMNS = ("user_id", "address", "primary", "state", "certified")
_NESTED = ("user_ids", "identities", "keys")


def show_info(info: PgpInfo, *, as_json: bool) -> None:
    """One certificate: its facts, its user IDs, its keys."""
    row = row_of(info)
    if as_json:
        print_json(row)
        return
    show_one({name: value for name, value in row.items() if name not in _NESTED and value not in (None, [])},
             as_json=False)  # fmt: skip
    now = datetime.now(UTC)
    click.echo()
    show([identity_of(info, one, now) for one in info.certificate.user_ids], _USER_ID_COLUMNS, as_json=False,
         nothing="no user ID")  # fmt: skip
    click.echo()
    # Under another name the whole fingerprint is shown: a key may have to be told to other programs.
    keys = [key_of(info, one, now) for one in info.certificate.components]
    show([{"key": one["fingerprint"], **one} for one in keys], _KEY_COLUMNS, as_json=False)
