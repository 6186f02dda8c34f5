"""TLS rules: how mail to a domain or a next hop is to be secured, as administrators have set it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailseal.errors import PermanentError, TransientError
from mailseal.policy.settings import Level as OwnerLevel
from mailseal.postfix.tls_choice import TlsRule
from mailseal.postfix.tls_destination import Destination, DestinationError, read_destination
from mailseal.postfix.tls_policy import LeastTls, Level, ServerName, TlsPolicy, TlsPolicyError
from mailseal.store.audit import facts, record
from mailseal.store.lru import Lru
from mailseal.store.owners import read_owner, with_places
from mailseal.store.stamps import Scope, bump
from mailseal.store.tls_policy_models import TlsPolicyRow
from mailseal.store.transaction import reads, select, writes

MAX_COMMENT_CHARS = 1000
_COLUMNS = ("destination", "level", "names", "fingerprints", "least_tls", "servername", "direct")
_OF = f"SELECT {', '.join(_COLUMNS)} FROM store_tls_policy WHERE destination IN (:owners)"  # noqa: S608 -- names of our own


class TlsRuleError(PermanentError):
    """What was given makes no rule; the text says why."""


class BrokenTlsRuleError(TransientError):
    """A stored rule cannot be read: its mail waits until somebody sets it again."""


@dataclass(frozen=True, slots=True)
class TlsRuleInfo:
    """A stored rule; `rule` is None where it cannot be read. `owner`: a domain, "" is everybody's."""

    destination: str
    rule: TlsRule | None
    comment: str
    owner: str
    created: datetime


class StoreTlsRules:
    """Rules by destination, thread-safe: one query for each question that the cache does not know."""

    def __init__(self, *, entries: int = 20_000) -> None:
        self._known: Lru[tuple[str, ...], tuple[TlsRule, ...]] = Lru(entries)

    def first(self, destinations: Sequence[str]) -> TlsRule | None:
        """The rule of the first of these destinations that has one; raises BrokenTlsRuleError and StoreUnavailable."""
        key = tuple(destinations)
        known = self._known.get(key)
        if known is None:
            generation = self._known.generation
            known = _first(key)
            self._known.put(key, known, generation)
        return known[0] if known else None

    def clear(self) -> None:
        """Forget what was read: the stamp `tls` changed."""
        self._known.clear()


@writes
def set_rule(rule: TlsRule, *, comment: str = "", owner: str = "") -> TlsRuleInfo:
    """Make a rule, or put it in the place of the one for its destination; raises TlsRuleError, AddressError."""
    if rule.direct and not rule.destination.domain:
        raise TlsRuleError(f"{rule.destination.key} is a next hop: only mail for a domain can go past it")
    if len(comment) > MAX_COMMENT_CHARS or (comment and not comment.isprintable()):
        raise TlsRuleError(f"a comment is one line of {MAX_COMMENT_CHARS} characters at most")
    level, owner = read_owner(owner)
    if level not in {OwnerLevel.GLOBAL, OwnerLevel.DOMAIN}:
        raise TlsRuleError("the owner of a TLS policy is a domain")
    policy = rule.policy
    values = {
        "level": policy.level.value,
        "names": list(policy.names),
        "fingerprints": list(policy.fingerprints),
        "least_tls": policy.least_tls.value,
        "servername": policy.server_name.value,
        "direct": rule.direct,
        "comment": comment,
        "owner": owner,
    }
    before = facts(TlsPolicyRow.objects.filter(destination=rule.destination.key).first(), *values)
    row, _ = TlsPolicyRow.objects.update_or_create(destination=rule.destination.key, defaults=values)
    bump(Scope.TLS)
    record("tls", "set-policy", row.destination, before=before, after=facts(row, *values))
    return TlsRuleInfo(row.destination, rule, comment, owner, row.created)


@writes
def unset_rule(destination: Destination) -> bool:
    """Delete the rule for a destination; False: it had none."""
    row = TlsPolicyRow.objects.filter(destination=destination.key).first()
    deleted, _ = TlsPolicyRow.objects.filter(destination=destination.key).delete()
    bump(Scope.TLS)
    if row is not None:
        record("tls", "unset-policy", row.destination, before=facts(row, "level", "names", "fingerprints", "owner"))
    return bool(deleted)


@reads
def list_rules(*, after: str = "", limit: int | None = None) -> tuple[TlsRuleInfo, ...]:
    """All of them, by destination; behind one."""
    return tuple(map(_info, TlsPolicyRow.objects.filter(destination__gt=after).order_by("destination")[:limit]))


@reads
def find_rule(destination: Destination) -> TlsRuleInfo | None:
    """That of exactly this destination."""
    row = TlsPolicyRow.objects.filter(destination=destination.key).first()
    return None if row is None else _info(row)


def _info(row: TlsPolicyRow) -> TlsRuleInfo:
    return TlsRuleInfo(row.destination, _readable(row), row.comment, row.owner, row.created)


def _readable(row: TlsPolicyRow) -> TlsRule | None:
    try:
        return _rule({name: getattr(row, name) for name in _COLUMNS})
    except BrokenTlsRuleError:
        return None


def _first(destinations: tuple[str, ...]) -> tuple[TlsRule, ...]:
    rows = select(with_places(_OF, len(destinations)), destinations) if destinations else ()
    found = {row[0]: dict(zip(_COLUMNS, row, strict=True)) for row in rows}
    counts = next((found[one] for one in destinations if one in found), None)
    return () if counts is None else (_rule(counts),)


def _rule(row: Mapping[str, object]) -> TlsRule:
    destination = str(row["destination"])
    try:
        return TlsRule(
            read_destination(destination),
            TlsPolicy(
                Level(str(row["level"])),
                _texts(row["names"]),
                _texts(row["fingerprints"]),
                LeastTls(str(row["least_tls"])),
                ServerName(str(row["servername"])),
            ),
            direct=bool(row["direct"]),
        )
    except (ValueError, DestinationError, TlsPolicyError):
        text = f"the TLS policy of {destination} cannot be read: set it again (`mailseal tls-policy set`)"
        raise BrokenTlsRuleError(text) from None


def _texts(column: object) -> tuple[str, ...]:
    found = json.loads(column) if isinstance(column, str) else column
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError
    return tuple(found)
