"""The heads of the audit's chains, signed with a key that only the worker can open (Ed25519, RFC 8032).

What is signed is said in the log as well: whoever can write to the database, but not to the log, cannot cut a chain.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.db.models import Exists, OuterRef

from mailseal.keys.sealing import SealError, sealed_by
from mailseal.store.audit import record, time_text
from mailseal.store.audit_models import AuditEventRow, AuditHeadRow, AuditKeyRow, AuditSignatureRow
from mailseal.store.pace import Turn
from mailseal.store.private_keys import Sealing
from mailseal.store.purge import delete_all
from mailseal.store.row import first_uuid7, utc_now
from mailseal.store.transaction import read, reads, run

SIGN = "audit-sign"
"""The kind of job that signs."""
SIGN_SECONDS = 60


class Kind(StrEnum):
    """What a signature says: the chain has this digest at this number; or it begins behind it."""

    HEAD = "head"
    START = "start"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signed point of a node's chain. `key`: the public key, `signature`: both hexadecimal digits."""

    node: str
    number: int
    kind: Kind
    digest: str
    time: datetime
    key: str
    signature: str
    id: UUID | None = field(default=None, compare=False)

    def statement(self) -> bytes:
        """What is signed."""
        facts = (
            "mailseal audit signature 1",
            self.kind.value,
            self.node,
            self.number,
            self.digest,
            time_text(self.time),
        )
        return json.dumps(facts, separators=(",", ":")).encode()

    def holds(self) -> bool:
        """Whether the key has signed this."""
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))
            key.verify(bytes.fromhex(self.signature), self.statement())
        except (InvalidSignature, ValueError):
            return False
        return True


def identity(public: str) -> bytes:
    """What a sealed signing key is bound to."""
    return b"store_audit_key:sealed:" + bytes.fromhex(public)


def make_key(sealing: Sealing) -> str:
    """Make another key, which signs from now on; returns its public part. Raises SealError, StoreUnavailable."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    sealed = sealing.seal(key.private_bytes_raw(), identity=identity(public))

    def work() -> None:
        AuditKeyRow(public=public, kek_id=sealed_by(sealed), sealed=sealed).save(force_insert=True)
        record("audit", "make-key", public)

    run(work)
    return public


@reads
def list_keys() -> tuple[str, ...]:
    """The public keys that signed, the newest last."""
    return tuple(AuditKeyRow.objects.order_by("pk").values_list("public", flat=True))


def genuine_keys(sealing: Sealing) -> frozenset[str]:
    """Those of the keys whose private part was sealed by a KEK that is at hand; raises StoreUnavailable.

    Whoever can write to the database, but has no KEK, cannot add one.
    """
    found: set[str] = set()
    for row in read(lambda: list(AuditKeyRow.objects.order_by("pk"))):
        with suppress(SealError):
            found.add(_open(row, sealing).public_key().public_bytes_raw().hex())
    return frozenset(found)


def _open(row: AuditKeyRow, sealing: Sealing) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sealing.open(bytes(row.sealed), identity=identity(row.public)))


def sign_heads(sealing: Sealing) -> tuple[Signature, ...]:
    """Sign every chain that has grown since it was signed; returns the signatures.

    Makes a key when there is none. Raises SealError (a key that does not open is never silently replaced) and
    StoreUnavailable.
    """
    if not read(_grown):
        return ()
    public, key = _newest_key(sealing)
    grown = read(_grown)  # that a key was made is an event, too
    made = tuple(_signed(Kind.HEAD, head.node, head.number, head.digest, public, key) for head in grown)
    run(lambda: _keep(made))
    return made


def _grown() -> list[AuditHeadRow]:
    signed = AuditSignatureRow.objects.filter(kind=Kind.HEAD, node=OuterRef("node"), number=OuterRef("number"))
    return list(AuditHeadRow.objects.filter(~Exists(signed), number__gt=0).order_by("node"))


def _newest_key(sealing: Sealing) -> tuple[str, Ed25519PrivateKey]:
    newest = AuditKeyRow.objects.order_by("-pk")
    row = read(newest.first)
    if row is None:
        make_key(sealing)
        row = read(newest.get)
    return row.public, _open(row, sealing)


def _signed(kind: Kind, node: str, number: int, digest: str, public: str, key: Ed25519PrivateKey) -> Signature:
    unsigned = Signature(node, number, kind, digest, utc_now(), public, "")
    return Signature(node, number, kind, digest, unsigned.time, public, key.sign(unsigned.statement()).hex())


def _keep(made: Iterable[Signature]) -> None:
    AuditSignatureRow.objects.bulk_create(
        [
            AuditSignatureRow(
                node=one.node, number=one.number, kind=one.kind.value, digest=one.digest, time=one.time, key=one.key,
                signature=one.signature,
            )
            for one in made
        ],
        ignore_conflicts=True,
    )  # fmt: skip


@reads
def list_signatures(*, before: UUID | None = None, limit: int = 200) -> tuple[Signature, ...]:
    """The newest first, behind one by its `id`."""
    rows = AuditSignatureRow.objects.order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return tuple(map(signature_of, rows[:limit]))


@reads
def latest() -> tuple[Signature, ...]:
    """The newest signed head of every chain."""
    found = {}
    for node in AuditHeadRow.objects.order_by("node").values_list("node", flat=True):
        rows = AuditSignatureRow.objects.filter(node=node, kind=Kind.HEAD).order_by("-number")
        found[node] = rows.first()
    return tuple(signature_of(row) for row in found.values() if row is not None)


@reads
def unsigned_since() -> datetime | None:
    """The time of the oldest event that nothing has signed yet; None: all are."""
    signed = {one.node: one.number for one in latest()}
    oldest: list[datetime] = []
    for node in AuditHeadRow.objects.filter(number__gt=0).values_list("node", flat=True):
        rows = AuditEventRow.objects.filter(node=node, number__gt=signed.get(node, 0)).order_by("number")
        oldest += rows.values_list("time", flat=True)[:1]
    return min(oldest, default=None)


def signature_of(row: AuditSignatureRow) -> Signature:
    """A row as it is given out."""
    return Signature(row.node, row.number, Kind(row.kind), row.digest, row.time, row.key, row.signature, row.pk)


def purge(before: datetime, sealing: Sealing, turn: Turn) -> int:
    """Delete events from before a time, as far as their chain is signed; a signed note says where it begins then.

    Nothing behind an event that is kept goes, whatever time it says. Returns how many. Raises SealError,
    StoreUnavailable.
    """
    deleted = 0
    for node in read(lambda: list(AuditHeadRow.objects.order_by("node").values_list("node", flat=True))):
        if turn.goes_on():
            deleted += _purge_chain(node, before, sealing, turn)
    return deleted


def _purge_chain(node: str, before: datetime, sealing: Sealing, turn: Turn) -> int:
    events = AuditEventRow.objects.filter(node=node)
    signatures = AuditSignatureRow.objects.filter(node=node)
    found = events.filter(pk__lt=first_uuid7(before))
    # Its time is what the web, or a clock that was wrong, said: the chain before it is none the older for that.
    kept = read(events.filter(pk__gte=first_uuid7(before)).order_by("number").values_list("number", flat=True).first)
    old = read((found if kept is None else found.filter(number__lt=kept)).order_by("-number").first)
    if old is None:
        return 0
    end = read(signatures.filter(kind=Kind.HEAD, number__lte=old.number).order_by("-number").first)
    if end is None or not signature_of(end).holds():
        return 0
    public, key = _newest_key(sealing)
    start = _signed(Kind.START, node, end.number, end.digest, public, key)
    run(lambda: _keep([start]))
    deleted = delete_all(events.filter(number__lte=end.number).order_by("number"), turn)
    if not turn.cut_off:
        delete_all(signatures.filter(number__lt=end.number).order_by("number"), turn)
    return deleted
