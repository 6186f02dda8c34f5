"""OpenPGP keys in conflict: a candidate brings another key for an address that has a trusted one already."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

from django.db.models import Q

from mailseal.openpgp.certificate import PgpTrust
from mailseal.store.pgp_models import PgpCertificateRow, PgpUseRow
from mailseal.store.pgp_rows import PgpUse

_OWNERS_PER_QUERY = 400


def mark_conflicts(candidates: Mapping[str, Sequence[str]], at: datetime) -> None:
    """Flag the candidates (fingerprint, address keys) with a known address; in the caller's transaction."""
    known = known_addresses((key for keys in candidates.values() for key in keys), at)
    found = [fingerprint for fingerprint, keys in candidates.items() if not known.isdisjoint(keys)]
    if found:
        PgpCertificateRow.objects.filter(fingerprint__in=found).update(conflict=True)


def known_addresses(keys: Iterable[str], at: datetime) -> frozenset[str]:
    """Those of the addresses that a trusted certificate stands for which is neither revoked nor expired."""
    wanted = iter(dict.fromkeys(keys))
    known: set[str] = set()
    alive = Q(certificate__expires__isnull=True) | Q(certificate__expires__gt=at)
    while some := list(islice(wanted, _OWNERS_PER_QUERY)):
        uses = PgpUseRow.objects.filter(alive, owner__in=some, certificate__trust=PgpTrust.TRUSTED.value)
        uses = uses.filter(certificate__revoked=False).exclude(kind=PgpUse.SHARED.value)
        known |= set(uses.values_list("owner", flat=True))
    return frozenset(known)
