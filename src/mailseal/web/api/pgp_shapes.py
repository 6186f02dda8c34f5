"""Shapes of OpenPGP keys (`store.pgp_facts`), and of what to look for among them."""

from datetime import datetime
from typing import Any

from pydantic import Field

from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.export import armored_public
from mailseal.store.pgp_admin import PgpInfo
from mailseal.store.pgp_facts import row_of
from mailseal.store.pgp_rows import PgpUse
from mailseal.store.row import OWNER_CHARS
from mailseal.web.api.log import Time
from mailseal.web.api.shapes import Given, Shown


class PgpWanted(Given):
    """What to look for; without it anything."""

    address: str | None = Field(None, max_length=OWNER_CHARS, description="All that counts for an address.")
    owner: str | None = Field(None, max_length=OWNER_CHARS, description="For exactly this address, domain, wildcard.")
    trust: PgpTrust | None = None
    has_key: bool | None = None
    conflict: bool | None = Field(None, description="Brought another key for a known address.")
    revoked: bool | None = None
    text: str = Field("", max_length=200, description="In user IDs.")
    expires_before: Time | None = None


class PgpUseShown(Shown):
    """For whom it stands, and why."""

    owner: str
    use: PgpUse


class UserIdShown(Shown):
    """A user ID."""

    user_id: str
    address: str | None
    primary: bool
    state: str = Field(description='"good", or what is wrong with it.')
    certified: bool = Field(description="By the key of its domain.")


class ComponentShown(Shown):
    """The primary key, or a subkey."""

    fingerprint: str
    key_id: str
    algorithm: str
    can: list[str]
    created: datetime
    expires: datetime | None
    state: str
    revocation: str | None
    secret: bool = Field(description="Its secret key is here.")
    chosen: bool = Field(description="Mail is encrypted to this one alone.")


class PgpShown(Shown):
    """An OpenPGP key (certificate)."""

    fingerprint: str
    key_id: str
    version: int
    user_ids: list[str]
    algorithm: str
    created: datetime
    expires: datetime | None
    state: str = Field(description='"good", or what is wrong with it; trust aside.')
    revocation: str | None
    trust: str = Field(
        description="candidate, trusted, distrusted; certified: a candidate that a domain key vouches for."
    )
    provenance: str
    conflict: bool
    has_key: bool = Field(description="A secret key of it is here.")
    uses: list[PgpUseShown]
    identities: list[UserIdShown]
    keys: list[ComponentShown]
    left_out: list[str]
    stored_at: datetime
    updated_at: datetime


class PgpWithText(PgpShown):
    """A key with its text: the public part alone."""

    armored: str


class PgpImportShown(Shown):
    """What came of a keyring."""

    form: str
    imported: int
    known: int
    updated: int = Field(description="Of the known ones.")
    keys: int = Field(description="Secret keys that are stored now.")
    waiting: int = Field(description="New ones that nobody has trusted.")
    problems: list[str]
    fingerprints: list[str] = Field(description="What the keyring has, the first 200.")


class PgpNamed(Shown):
    """A key that was made or changed."""

    fingerprint: str


def shown(info: PgpInfo) -> PgpShown:
    """Without its text."""
    return PgpShown(**_facts(info))


def shown_with_text(info: PgpInfo) -> PgpWithText:
    """All of it, but no secret."""
    return PgpWithText(**_facts(info), armored=armored_public([info.certificate]).decode("ascii"))


def _facts(info: PgpInfo) -> dict[str, Any]:
    row = row_of(info)
    facts: dict[str, Any] = {name: row[name] for name in PgpShown.model_fields if name in row}
    return facts | {
        "has_key": row["key"],
        "uses": [PgpUseShown(owner=owner, use=use) for owner, use in info.uses],
    }
