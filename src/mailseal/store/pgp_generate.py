"""OpenPGP keys that are made here: by an administrator, and in the flow for an internal address that signs."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.db.models import Exists, OuterRef

from mailseal.mail.address import Address
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.errors import malformed
from mailseal.openpgp.generate import KeyKind, generate
from mailseal.openpgp.select import why_not_sign
from mailseal.openpgp.user_id import address_of
from mailseal.store.audit import record
from mailseal.store.pgp_keep import Arrival, Prepared, keep, prepare
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow
from mailseal.store.pgp_rows import PgpUse, Provenance, parsed, seen
from mailseal.store.private_keys import Sealing
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import read, run

VALIDITY = timedelta(days=3 * 365)
"""Of a key made in the flow; after it the next mail makes another."""


def generate_key(
    user_ids: Sequence[str],
    sealing: Sealing,
    at: datetime,
    *,
    kind: KeyKind = KeyKind.ED25519,
    expires_after: timedelta | None = VALIDITY,
) -> str:
    """Make and store a key, trusted; returns its fingerprint. Raises PgpError, SealError, StoreUnavailable."""
    prepared = _made(user_ids, at, kind, expires_after)
    return run(lambda: _store(prepared, sealing, at))


def signing_key_of(address: Address, sealing: Sealing, at: datetime) -> str:
    """The fingerprint of a certificate that the address can sign with, made now if it has none of its own.

    However many ask at once, one is made. Raises SealError and StoreUnavailable, both transient; PgpError for an
    address that no user ID names without doubt, such as a quoted one: every mail would make another key.
    """
    own = read(lambda: _own(address, at))
    if own is not None:
        return own
    if address_of(str(address).encode()) != address:
        raise malformed("no user ID can name this address")
    prepared = _made((str(address),), at, KeyKind.ED25519, VALIDITY)

    def work() -> str:
        rows = PgpCertificateRow.objects.filter(generated_for=address.key)
        before = list(rows.select_for_update().values_list("pk", flat=True))
        found = _own(address, at)
        if found is not None:
            return found
        # Those, and not one that another worker has stored since: on that we shall fail, and see it.
        PgpCertificateRow.objects.filter(pk__in=before).update(generated_for=None)
        fingerprint = _store(prepared, sealing, at)
        PgpCertificateRow.objects.filter(fingerprint=fingerprint).update(generated_for=address.key)
        return fingerprint

    try:
        return run(work)
    except IntegrityError:
        return run(work)  # another worker has stored one in this moment; the column `generated_for` is unique


def _made(user_ids: Sequence[str], at: datetime, kind: KeyKind, expires_after: timedelta | None) -> list[Prepared]:
    made = generate(user_ids, kind, expires_after=expires_after, at=at)
    certificate = read_certificate(made.octets)
    return prepare([Arrival(made.octets, certificate, Provenance.GENERATED.value, vouched=True, keys=made.keys)])


def _store(prepared: list[Prepared], sealing: Sealing, at: datetime) -> str:
    (kept,) = keep(prepared, sealing, at)
    bump(Scope.KEYS)
    user_ids = [one.text for one in prepared[0].certificate.user_ids]
    record("pgp", "generate", kept.fingerprint, after={"user_ids": user_ids})
    return kept.fingerprint


def _own(address: Address, at: datetime) -> str | None:
    """The newest certificate that names the address and whose secret key can sign for it."""
    bound = Exists(PgpComponentRow.objects.filter(certificate=OuterRef("pk"), bound=True))
    rows = PgpCertificateRow.objects.filter(bound, uses__owner=address.key, uses__kind=PgpUse.USER_ID.value)
    for row in rows.order_by("-pk")[:20]:
        held = PgpComponentRow.objects.filter(certificate=row, bound=True).values_list("fingerprint", flat=True)
        stored = seen(parsed(row.octets), row.trust, row.provenance, row.subkey, ",".join(held))
        if why_not_sign(stored, address, at) is None:
            return row.fingerprint
    return None
