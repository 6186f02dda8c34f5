"""Operations on OpenPGP keys that the worker does: what a secret key signs, and what the network is asked or told."""

from enum import StrEnum

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from mailseal.openpgp.generate import KeyKind
from mailseal.store import console_jobs
from mailseal.store.owners import read_owner
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area, Verb
from mailseal.web.api.authentication import needs
from mailseal.web.api.holdings import limits, require_all, require_everywhere
from mailseal.web.api.log import Time
from mailseal.web.api.pgp_found import to_change
from mailseal.web.api.pgp_shapes import PgpNamed
from mailseal.web.api.problem import unfit
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()
_CHANGE = needs(Area.PGP, Verb.CHANGE)
MAX_USER_IDS = 50
MAX_CHARS = 500


class RevocationReason(StrEnum):
    """Why; compromised and unspecified count for all time."""

    UNSPECIFIED = "unspecified"
    SUPERSEDED = "superseded"
    COMPROMISED = "compromised"
    RETIRED = "retired"


class GenerateGiven(Given):
    """A key to make."""

    user_ids: list[str] = Field(
        min_length=1, max_length=MAX_USER_IDS, description='Like "Anna <anna@example.com>", the first one primary.'
    )
    kind: KeyKind = KeyKind.ED25519
    expires: Time | None = Field(description="null: never.")
    use: str = Field("", max_length=OWNER_CHARS, description="Choose it for this address, domain or wildcard.")


class RevokeGiven(Given):
    """What to revoke, for ever: the key, or one user ID of it as no longer valid."""

    reason: RevocationReason | None = Field(None, description="Of a key; not of a user ID.")
    text: str = Field("", max_length=MAX_CHARS, description="More about why; everybody can read it.")
    user_id: str = Field("", max_length=MAX_CHARS)


class ExpiryGiven(Given):
    """When it ends."""

    expires: Time | None = Field(description="null: never.")


class UserIdGiven(Given):
    """A user ID."""

    user_id: str = Field(min_length=1, max_length=MAX_CHARS, description='Like "Anna <anna@example.com>".')


class CertifyGiven(ExpiryGiven):
    """What the key of a domain shall certify."""

    by: str = Field("", max_length=100, description="The key of the domain, if several are chosen for it.")
    user_ids: list[str] = Field([], max_length=MAX_USER_IDS, description="Which, if it has several of the domain.")


class AddressGiven(Given):
    """Whose keys to look for."""

    address: str = Field(min_length=3, max_length=OWNER_CHARS)


class ServerGiven(Given):
    """Where to publish it."""

    server: str = Field("", max_length=MAX_CHARS, description="One of discover.key_servers; the first of them without.")


class LookupShown(Shown):
    """What was found; each is a candidate."""

    source: str
    problems: list[str] = Field(description="Why a place said nothing.")
    fingerprints: list[str]


class PublishedShown(Shown):
    """Where it is published, and what the server has said."""

    server: str
    said: str
    addresses: list[str]


@router.post("/generate", response=worked(PgpNamed), auth=_CHANGE, operation_id="generate_pgp_key")
def generate_pgp_key(request: HttpRequest, given: GenerateGiven) -> PgpNamed:
    """Make a key; it is trusted."""
    if given.use:
        require_all(request, Area.PGP, Verb.CHANGE, [read_owner(given.use)[1]])
    arguments = given.model_dump(mode="json") | {"domains": limits(request, Area.PGP, Verb.CHANGE)}
    return PgpNamed(**console_jobs.call("pgp-generate", arguments))


@router.post("/lookup", response=worked(LookupShown), auth=_CHANGE, operation_id="look_up_pgp_keys")
def look_up_pgp_keys(request: HttpRequest, given: AddressGiven) -> LookupShown:
    """Look for the keys of an address now: at its domain (WKD), then on the key servers."""
    require_everywhere(request, Area.PGP, Verb.CHANGE)
    return LookupShown(**console_jobs.call("pgp-lookup", {"address": given.address}))


@router.post("/{key}/revoke", response=worked(PgpNamed), auth=_CHANGE, operation_id="revoke_pgp_key")
def revoke_pgp_key(request: HttpRequest, key: str, given: RevokeGiven) -> PgpNamed:
    """Revoke a key of ours, or a user ID of it. This cannot be taken back."""
    if (given.reason is None) is not bool(given.user_id):
        raise unfit("give a reason, or a user ID, which is revoked as no longer valid", place="body.reason")
    return _changed(request, key, "pgp-revoke", given)


@router.put("/{key}/expiry", response=worked(PgpNamed), auth=_CHANGE, operation_id="set_pgp_expiry")
def set_pgp_expiry(request: HttpRequest, key: str, given: ExpiryGiven) -> PgpNamed:
    """Have a key of ours end at another time, also one that has expired."""
    return _changed(request, key, "pgp-expire", given)


@router.post("/{key}/user-ids", response=worked(PgpNamed), auth=_CHANGE, operation_id="add_pgp_user_id")
def add_pgp_user_id(request: HttpRequest, key: str, given: UserIdGiven) -> PgpNamed:
    """Add a user ID to a key of ours."""
    return _changed(request, key, "pgp-add-user-id", given)


@router.post("/{key}/certify", response=worked(PgpNamed), auth=_CHANGE, operation_id="certify_pgp_key")
def certify_pgp_key(request: HttpRequest, key: str, given: CertifyGiven) -> PgpNamed:
    """Certify user IDs of a key by the key of their domain: it is trusted for these by all who trust that key."""
    return _changed(request, key, "pgp-certify", given)


@router.post("/{key}/publish", response=worked(PublishedShown), auth=_CHANGE, operation_id="publish_pgp_key")
def publish_pgp_key(request: HttpRequest, key: str, given: ServerGiven) -> PublishedShown:
    """Send one of our own keys to a key server, for the whole world to see; what is there stays there."""
    info = to_change(request, key)
    return PublishedShown(**console_jobs.call("pgp-publish", {"key": info.fingerprint, "server": given.server}))


def _changed(request: HttpRequest, key: str, action: str, given: Given) -> PgpNamed:
    info = to_change(request, key)
    arguments = given.model_dump(mode="json") | {
        "key": info.fingerprint,
        "domains": limits(request, Area.PGP, Verb.CHANGE),
    }
    return PgpNamed(**console_jobs.call(action, arguments))
