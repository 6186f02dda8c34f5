"""Which way mail for a domain goes on from Postfix, and whether the TLS rule for the domain can be kept on it.

Postfix asks for the policy of the next hop. A rule for a domain therefore counts only if the domain's own MX hosts are
the next hop; for mail that goes to a smart host or to an inner server it would be a promise that nobody keeps.
"""

from dataclasses import dataclass
from enum import StrEnum

from mailseal.config import Config
from mailseal.postfix.tls_choice import Hops, RuleNotKeptError, TlsRule, by_place
from mailseal.postfix.tls_destination import Place
from mailseal.postfix.tls_policy import Level


class Way(StrEnum):
    """Where mail for a domain goes."""

    INSIDE = "inside"
    """The next hops of postfix.inside."""
    SMART_HOST = "smart host"
    """The next hops of postfix.outside."""
    MX = "mx"
    """Where the MX records of the domain say."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What the configuration says of the ways on from Postfix, and of TLS on them.

    `hops`: the next hops that it names. `inside`, `outside`: whether there are some in postfix.inside and
    postfix.outside. `neighbour`: the internal domains whose mail goes to office365.return_to instead; `fixed`: where
    that is, for which nothing but its URL counts (`postfix.exchange_online`).
    """

    hops: Hops
    inside: bool
    outside: bool
    neighbour: frozenset[str]
    fixed: frozenset[Place]
    default: Level

    @staticmethod
    def of(config: Config) -> "Ways":
        """As configured."""
        postfix, office365 = config.postfix, config.office365
        back = (office365.return_to,) if office365.return_to is not None else ()
        own = by_place((*postfix.inside, *postfix.outside))
        there = by_place(back)
        return Ways(
            hops=there | own,
            inside=bool(postfix.inside),
            outside=bool(postfix.outside),
            neighbour=frozenset(office365.domains if back else ()),
            fixed=frozenset(there.keys() - own.keys()),
            default=Level(config.tls.default),
        )

    def of_mail(self, domain: str, rule: TlsRule | None, *, internal: bool) -> Way:
        """The way of mail for a domain, with the rule that counts for it; raises RuleNotKeptError."""
        inside = self.inside or domain in self.neighbour
        return way_of(rule, internal=internal, inside=inside, outside=self.outside)


def way_of(rule: TlsRule | None, *, internal: bool, inside: bool, outside: bool) -> Way:
    """The way of mail for a domain with this rule, whose domain may be above it; raises RuleNotKeptError.

    `inside`, `outside`: whether there are next hops in postfix.inside and in postfix.outside.
    """
    way = _usual(internal=internal, inside=inside, outside=outside)
    if rule is None or way is Way.MX:
        return way
    if rule.direct and not internal:
        return Way.MX
    if rule.policy.level.binding:
        raise RuleNotKeptError(why_not(rule, way))
    return way


def why_not(rule: TlsRule, way: Way) -> str:
    """Why a rule is not kept on a way."""
    level, domain = rule.policy.level, rule.destination.key
    if way is Way.INSIDE:
        return f"{level} is set for {domain}, whose mail goes to the next hops of postfix.inside: set it for these"
    return f"{level} is set for {domain}, whose mail goes to the next hops of postfix.outside, not to its own MX hosts"


def _usual(*, internal: bool, inside: bool, outside: bool) -> Way:
    if internal:
        return Way.INSIDE if inside else Way.MX
    return Way.SMART_HOST if outside else Way.MX
