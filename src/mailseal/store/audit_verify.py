"""Whether the audit is what was recorded: every chain from its begin to its end, against what was signed and logged.

A finding names the first event from which on a chain is not to be believed. Nothing here trusts a row: who can write
to the database can write all of them, but not what only the worker can sign.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from mailseal.store.audit import GENESIS, digest_of
from mailseal.store.audit_models import AuditEventRow, AuditHeadRow, AuditSignatureRow
from mailseal.store.audit_signing import SIGN_SECONDS, Kind, Signature, signature_of
from mailseal.store.row import utc_now
from mailseal.store.transaction import read

PAGE_ROWS = 500
MAX_FINDINGS = 100
"""Of a chain; behind so many nobody reads on."""
UNSIGNED = timedelta(seconds=5 * SIGN_SECONDS)

_LOGGED = re.compile(
    r"audit head (?P<number>[0-9]{1,18}) of (?P<node>\S{1,64}) is (?P<digest>[0-9a-f]{64}) at (?P<time>\S{20,40}), "
    r"signed (?P<signature>[0-9a-f]{128}) by key (?P<key>[0-9a-f]{64})"
)


class Fault(StrEnum):
    """What is wrong with a chain."""

    CHANGED = "changed"
    MISSING = "missing"
    BROKEN = "broken"
    CUT = "cut"
    BEGINNING = "beginning"
    NOT_SIGNED_SO = "not-signed-so"
    BAD_SIGNATURE = "bad-signature"
    FOREIGN_KEY = "foreign-key"
    LATE = "late"


_TEXTS: Mapping[Fault, str] = {
    Fault.CHANGED: "the event was changed after it was recorded",
    Fault.MISSING: "events are missing from this number on",
    Fault.BROKEN: "the event does not follow on the one before it",
    Fault.CUT: "the chain ends before this event, which was recorded",
    Fault.BEGINNING: "the chain begins here, and nothing signed says so: older events are missing",
    Fault.NOT_SIGNED_SO: "another event than this was signed at this number",
    Fault.BAD_SIGNATURE: "a signature is wrong",
    Fault.FOREIGN_KEY: "a signature is of a key that no KEK at hand has sealed",
    Fault.LATE: "nothing from here on has been signed, for minutes: does the worker run?",
}


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something wrong: with which event of which node. `LATE` alone is no sign of a change."""

    node: str
    number: int
    fault: Fault

    def __str__(self) -> str:
        return f"{self.node} {self.number}: {_TEXTS[self.fault]}"


@dataclass(slots=True)
class Chain:
    """What was found of a node's chain: from `first` to `last`, signed as far as `signed`."""

    node: str
    first: int = 0
    last: int = 0
    signed: int = 0
    findings: list[AuditFinding] = field(default_factory=list)

    def fault(self, number: int, fault: Fault) -> None:
        """Note a finding."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(AuditFinding(self.node, number, fault))


@dataclass(frozen=True, slots=True)
class Verified:
    """Every chain; `keys` are the public keys by which something is signed."""

    chains: tuple[Chain, ...]
    keys: frozenset[str]

    @property
    def findings(self) -> tuple[AuditFinding, ...]:
        """Of all chains; none: the audit is what was recorded."""
        return tuple(one for chain in self.chains for one in chain.findings)

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(chain.last - chain.first + 1 for chain in self.chains if chain.last)


def facts_of(done: Verified) -> dict[str, Any]:
    """As JSON can say it."""
    return {
        "events": done.events,
        "intact": all(one.fault is Fault.LATE for one in done.findings),
        "chains": [
            {"node": one.node, "first": one.first, "last": one.last, "signed": one.signed} for one in done.chains
        ],
        "keys": sorted(done.keys),
        "findings": [
            {"node": one.node, "number": one.number, "fault": one.fault.value, "text": str(one)}
            for one in done.findings
        ],
    }


def heads_in(lines: Iterable[str]) -> Iterator[Signature]:
    """The signed heads that a log tells of, in whatever format its lines are."""
    for line in lines:
        found = _LOGGED.search(line)
        if found is not None:
            try:
                at = datetime.fromisoformat(found["time"])
            except ValueError:
                continue
            yield Signature(
                found["node"], int(found["number"]), Kind.HEAD, found["digest"], at, found["key"], found["signature"]
            )


def verify(
    keys: frozenset[str] | None = None, logged: Iterable[Signature] = (), *, newest: int | None = None
) -> Verified:
    """Walk through every chain. `keys`: the ones that are known to be ours (`audit_signing.genuine_keys`), None to
    believe those in the database; `logged`: heads from elsewhere, of `heads_in`; `newest`: only about so many events of
    a chain, from one that was signed. Raises StoreUnavailable.
    """
    elsewhere: dict[str, list[Signature]] = {}
    for one in logged:
        elsewhere.setdefault(one.node, []).append(one)
    nodes = sorted({*read(_nodes), *elsewhere})
    chains = tuple(_Walk(node, keys, elsewhere.get(node, ()), newest).again_if_purged() for node in nodes)
    return Verified(chains, frozenset(read(_used_keys)) | {one.key for found in elsewhere.values() for one in found})


def _nodes() -> set[str]:
    found = set(AuditHeadRow.objects.values_list("node", flat=True))
    found.update(AuditSignatureRow.objects.order_by().values_list("node", flat=True).distinct())
    return found | set(AuditEventRow.objects.order_by().values_list("node", flat=True).distinct())


def _used_keys() -> list[str]:
    return list(AuditSignatureRow.objects.order_by().values_list("key", flat=True).distinct())


class _Walk:
    """One way through a chain. Signatures and head are read first: what is added meanwhile comes behind them."""

    def __init__(self, node: str, keys: frozenset[str] | None, logged: Iterable[Signature], newest: int | None) -> None:
        self._node = node
        self._keys = keys
        self._logged = tuple(logged)
        self._newest = newest

    def again_if_purged(self) -> Chain:
        """The chain; when old events were deleted while it was read, it is read again."""
        while True:
            start = read(lambda: _start_number(self._node))
            chain = self._walk()
            if start == read(lambda: _start_number(self._node)):
                return chain

    def _walk(self) -> Chain:
        chain = Chain(self._node)
        good = [one for one in self._signatures() if self._is_good(one, chain)]
        head = read(lambda: AuditHeadRow.objects.filter(node=self._node).first())
        signed: dict[int, set[str]] = {}
        for one in good:
            signed.setdefault(one.number, set()).add(one.digest)
        number, digest = max(self._starts(good, head), default=(0, GENESIS))
        unsigned: AuditEventRow | None = None
        for row in _rows(self._node, number):
            _follow(chain, row, number, digest)
            number, digest = row.number, row.digest
            chain.first, chain.last = chain.first or number, number
            if signed.get(number, {digest}) != {digest}:
                chain.fault(number, Fault.NOT_SIGNED_SO)
            if head is not None and head.number == number and head.digest != digest:
                chain.fault(number, Fault.BROKEN)
            if number in signed:
                chain.signed, unsigned = number, None
            elif unsigned is None:
                unsigned = row
        self._end(chain, number, max([0 if head is None else head.number, *signed]))
        if unsigned is not None and utc_now() - unsigned.time > UNSIGNED:
            chain.fault(unsigned.number, Fault.LATE)
        return chain

    def _starts(self, good: Iterable[Signature], head: AuditHeadRow | None) -> Iterator[tuple[int, str]]:
        """From where on the chain can be walked: behind what was deleted, or behind what is far enough back."""
        far = -1 if head is None or self._newest is None else head.number - self._newest
        return ((one.number, one.digest) for one in good if one.kind is Kind.START or one.number <= far)

    def _signatures(self) -> list[Signature]:
        rows = read(lambda: list(AuditSignatureRow.objects.filter(node=self._node).order_by("number")))
        return [*self._logged, *map(signature_of, rows)]

    def _is_good(self, one: Signature, chain: Chain) -> bool:
        if not one.holds():
            chain.fault(one.number, Fault.BAD_SIGNATURE)
            return False
        if self._keys is not None and one.key not in self._keys:
            chain.fault(one.number, Fault.FOREIGN_KEY)
            return False
        return True

    def _end(self, chain: Chain, number: int, known: int) -> None:
        """`known`: as far as something says that the chain went before it was read."""
        head = read(lambda: AuditHeadRow.objects.filter(node=self._node).first())
        if known > number:
            chain.fault(number + 1, Fault.CUT)
        elif head is None or head.number < number:
            chain.fault(number, Fault.BROKEN)


def _start_number(node: str) -> int:
    starts = AuditSignatureRow.objects.filter(node=node, kind=Kind.START).order_by("-number")
    return starts.values_list("number", flat=True).first() or 0


def _follow(chain: Chain, row: AuditEventRow, number: int, digest: str) -> None:
    if digest_of(row) != row.digest:
        chain.fault(row.number, Fault.CHANGED)
    if row.number != number + 1:
        chain.fault(number + 1, Fault.BEGINNING if not number else Fault.MISSING)
    elif row.previous != digest:
        chain.fault(row.number, Fault.BROKEN)


def _rows(node: str, after: int) -> Iterator[AuditEventRow]:
    while True:
        page = read(
            lambda after=after: list(  # type: ignore[misc]
                AuditEventRow.objects.filter(node=node, number__gt=after).order_by("number")[:PAGE_ROWS]
            )
        )
        yield from page
        if len(page) < PAGE_ROWS:
            return
        after = page[-1].number
