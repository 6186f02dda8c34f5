"""OpenPGP certificates and secret keys into the store, as an administrator brings them, however many."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models import F, Q

from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.errors import malformed
from mailseal.openpgp.importing import Password, read_transferable
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.openpgp.ring import RingMember
from mailseal.openpgp.signature import read_signature
from mailseal.store.audit import record
from mailseal.store.certificate_import import STAMP_SECONDS
from mailseal.store.pgp_admin import PgpInfo, infos
from mailseal.store.pgp_keep import Arrival, Kept, keep, prepare
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow
from mailseal.store.pgp_rows import Provenance, parsed
from mailseal.store.private_keys import Sealing
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import read, run

MAX_SIGNATURES = MAX_ISSUERS = 20
"""Looked at where signatures come without a certificate."""
CHUNK_ROWS = 50
"""In one transaction: some tens of milliseconds."""
AT_ONCE = 200
"""Certificates told of at the end of an import."""


class PgpImport:
    """An import, part by part: `add`, then `finish`. Nothing is held of what was added.

    One that is cut off and run again goes on: what is stored already is only counted.
    """

    def __init__(self, sealing: Callable[[], Sealing], *, at: datetime | None = None) -> None:
        """`sealing`: asked for when the first secret key comes."""
        self._sealing = sealing
        self._at = at
        self._fingerprints: dict[str, None] = {}
        self._stamp_due = False
        self._stamped_at = float("-inf")

    def add(self, some: Sequence[Arrival]) -> list[Kept]:
        """Store at most CHUNK_ROWS certificates in one short transaction, as mail workers wait while one runs."""
        prepared = prepare(some)
        sealing = self._sealing() if any(one.keys for one in some) else None
        may_stamp = time.monotonic() - self._stamped_at > STAMP_SECONDS

        def work() -> tuple[list[Kept], bool]:
            kept = keep(prepared, sealing, self._at or utc_now())
            # One that is known, too: it may be what an import changed that was cut off before it could say so.
            tell = self._stamp_due or any(one.counts for one in kept)
            told = [one.fingerprint for one in kept if one.new or one.changed]
            if told:
                secret = sum(bool(one.keys) for one in some)
                record("pgp", "import", told[0], after={"fingerprints": told, "with_secret_keys": secret})
            if tell and may_stamp:
                bump(Scope.KEYS)
            return kept, tell

        kept, tell = run(work)
        self._stamp_due = tell and not may_stamp
        if tell and may_stamp:
            self._stamped_at = time.monotonic()
        for one in kept:
            if len(self._fingerprints) <= AT_ONCE:
                self._fingerprints[one.fingerprint] = None
        return kept

    def finish(self) -> tuple[PgpInfo, ...]:
        """Tell the mail workers, if they were not told. The certificates; nothing if they were many."""
        if self._stamp_due:
            bump(Scope.KEYS)
        return infos(list(self._fingerprints)) if len(self._fingerprints) <= AT_ONCE else ()


@dataclass(frozen=True, slots=True)
class ReadMember:
    """A member of a keyring, ready to be stored. `notes` and `lost_key` as of `Transferable`."""

    arrival: Arrival
    notes: tuple[str, ...] = ()
    lost_key: bool = False


def read_member(member: RingMember, password: Password, *, vouched: bool) -> ReadMember:
    """What a member of an administrator's keyring brings; `vouched`: it shall be trusted. Raises PgpError.

    Of signatures without a certificate that which they are about has to be stored before.
    """
    if member.problem:
        raise malformed(member.problem)
    if not member.is_certificate:
        return ReadMember(for_signatures(member.octets, Provenance.IMPORT.value))
    read_of_it = read_transferable(member.octets, password)
    arrival = Arrival(
        read_of_it.octets,
        read_of_it.certificate,
        Provenance.IMPORT.value,
        vouched=vouched,
        keys=read_of_it.keys,
    )
    return ReadMember(arrival, read_of_it.notes, read_of_it.lost_key)


def for_signatures(octets: bytes, provenance: str) -> Arrival:
    """What signatures without a certificate, such as a revocation, say of a known one; raises PgpError.

    It is as if that certificate had come with nothing else, so what does not belong to it is left out.
    """
    found = [read_signature(one.body) for one in islice(read_packets(octets), MAX_SIGNATURES)]
    issuers = {one.issuer for one in found} - {None}
    # By its primary key alone: anybody can have bound it in a certificate of his own.
    named = Q(fingerprint__in=issuers) | Q(key_id__in=issuers)
    having = PgpComponentRow.objects.filter(named, fingerprint=F("certificate__fingerprint")).values("certificate")
    rows = read(lambda: list(PgpCertificateRow.objects.filter(pk__in=having)[:MAX_ISSUERS]))
    primaries = (parsed(row.octets).primary.public for row in rows)
    primary = next((one for one in primaries if any(signature.names(one) for signature in found)), None)
    if primary is None:
        raise malformed("signatures without a key, of a key that is not stored")
    packets = [write_packet(Tag.PUBLIC_KEY, primary.octets)]
    packets += [write_packet(Tag.SIGNATURE, one.octets) for one in found]
    whole = b"".join(packets)
    return Arrival(whole, read_certificate(whole), provenance)
