"""Which TLS policy counts for a question of Postfix, and why.

A rule that an administrator has set goes before all else; then, for a next hop of the configuration, its URL; for a
domain whose MX hosts are asked, its own MTA-STS policy (RFC 8461); then the default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mailseal.config.next_hop import NextHop, Tls
from mailseal.errors import TransientError
from mailseal.postfix.tls_destination import Asked, Destination, Place, place_of
from mailseal.postfix.tls_policy import LeastTls, Level, ServerName, TlsPolicy

Hops = Mapping[Place, NextHop]


class StsMode(StrEnum):
    """What a domain wants of those who send to it (RFC 8461 §5). ABSENT: it has no policy."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"
    ABSENT = ""


class RuleNotKeptError(TransientError):
    """A rule is not or cannot be kept where mail would go, so the mail waits."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy as a domain publishes it (RFC 8461 §3.2). `names`: of its MX hosts, lower case, `*.` for all below."""

    mode: StsMode
    names: tuple[str, ...]
    max_age_seconds: int


@dataclass(frozen=True, slots=True)
class StsFacts:
    """What is known of a domain's MTA-STS policy that is in force.

    `names`: its MX hosts' names and patterns. `dane`: some of these hosts have usable TLSA records.
    """

    mode: StsMode
    names: tuple[str, ...] = ()
    dane: bool = False


@dataclass(frozen=True, slots=True)
class TlsRule:
    """What an administrator has set. `direct`: mail for the domain goes to its MX hosts, past our smart hosts."""

    destination: Destination
    policy: TlsPolicy
    direct: bool = False


class Source(StrEnum):
    """Where a policy comes from."""

    RULE = "rule"
    NEXT_HOP = "next hop"
    STS = "MTA-STS"
    DEFAULT = "default"
    LOCAL = "this machine"


@dataclass(frozen=True, slots=True)
class Choice:
    """The policy that counts. `of`: the rule's destination, the next hop's URL or the domain that it was found by."""

    policy: TlsPolicy
    source: Source
    of: str = ""


def choose(
    asked: Asked, rules: Mapping[str, TlsRule], hops: Hops, sts: StsFacts | None, default: Level
) -> Choice | None:
    """The policy for a question; None when nothing is known above a domain.

    `rules`: at least those for `asked.destinations`, by their keys. `sts`: of `asked.domain`. Raises TlsPolicyError for
    a URL that Postfix cannot do, RuleNotKeptError.
    """
    for key in asked.destinations:
        if key in rules:
            hop = hops.get(asked.place) if asked.place else None
            if hop is not None and (problem := contradiction(rules[key].policy, hop)):
                raise RuleNotKeptError(problem)
            return Choice(rules[key].policy, Source.RULE, key)
    if asked.parent:
        return None
    if asked.local:
        return Choice(TlsPolicy(Level.NONE), Source.LOCAL)
    if asked.place is not None and asked.place in hops:
        hop = hops[asked.place]
        return Choice(policy_of(hop), Source.NEXT_HOP, str(hop))
    if asked.domain and sts is not None and sts.mode is StsMode.ENFORCE:
        return Choice(_enforced(sts), Source.STS, asked.domain)
    return Choice(TlsPolicy(default), Source.DEFAULT)


def policy_of(hop: NextHop) -> TlsPolicy:
    """What the URL of a next hop asks of Postfix; raises TlsPolicyError for what Postfix cannot do."""
    match hop.tls:
        case Tls.OFF:
            return TlsPolicy(Level.NONE)
        case Tls.OPPORTUNISTIC:
            return TlsPolicy(Level.MAY)
        case Tls.REQUIRED:
            return TlsPolicy(Level.ENCRYPT)
        case Tls.VERIFIED:
            return TlsPolicy(Level.SECURE, (hop.tls_name,), trust_anchors=hop.ca)


def contradiction(policy: TlsPolicy, hop: NextHop) -> str:
    """What keeps a rule from being right for a next hop of the configuration, "" for nothing."""
    if hop.implicit and not policy.level.binding:
        return f"{hop.place} is TLS from the first octet, which {policy.level} is not"
    if hop.user and not hop.local and not policy.level.proves:
        return f"the password for {hop.place} would go to somebody unproven with {policy.level}"
    return ""


def by_place(hops: Iterable[NextHop]) -> dict[Place, NextHop]:
    """Next hops by where they are; of two for one place the one that asks for more counts."""
    strength = list(Tls)
    found: dict[Place, NextHop] = {}
    for hop in hops:
        place = place_of(hop)
        if place is None:
            continue
        other = found.get(place)
        if other is None or strength.index(other.tls) < strength.index(hop.tls):
            found[place] = hop
    return found


def _enforced(sts: StsFacts) -> TlsPolicy:
    """MTA-STS must not get round DANE (RFC 8461 §2), and nothing less than it may take the place of either.

    With `dane` alone, records that go away, or a resolver that does not validate, would end in the clear.
    """
    if sts.dane:
        return TlsPolicy(Level.DANE_ONLY)
    return TlsPolicy(Level.SECURE, sts.names, least_tls=LeastTls.TLS_1_2, server_name=ServerName.HOST)
