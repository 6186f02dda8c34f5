"""Whether a TLS rule is kept where mail really goes: what administrators are told of it before it stops their mail.

Postfix asks for next hops, so a rule for a domain is worth nothing for mail that goes to a smart host or an inner
server, or that Mailseal's own routes take past Postfix.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailseal.config import Config, Instance, NextHop
from mailseal.postfix.tls_choice import RuleNotKeptError, TlsRule, contradiction
from mailseal.postfix.tls_destination import Destination, Place, place_of, wildcards_above
from mailseal.postfix.tls_way import Way, Ways
from mailseal.store import domains, routes, tls_policies
from mailseal.store.routes import RouteInfo


class Weight(StrEnum):
    """How bad it is. REFUSED: such a rule is not made. BROKEN: mail waits, or goes without what was asked for."""

    REFUSED = "refused"
    BROKEN = "broken"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """What there is to say of a rule, and what to do about it."""

    weight: Weight
    text: str
    what_to_do: str = ""


def remarks(rule: TlsRule, config: Config) -> Iterator[Remark]:
    """Everything that keeps a rule from being kept, and what else is worth saying. Raises StoreUnavailable."""
    ways = Ways.of(config)
    if rule.policy.level.binding and config.postfix.instance is Instance.OFF:
        text = "no Postfix works with this gateway, so nobody asks for TLS policies"
        yield Remark(Weight.BROKEN, text, "set postfix.instance (docs/postfix.md)")
    if rule.destination.place is not None:
        yield from _of_place(rule, rule.destination.place, ways)
        return
    yield from _of_way(rule, ways)
    if rule.policy.level.binding:
        yield from _past_postfix(rule, config)


def _of_place(rule: TlsRule, place: Place, ways: Ways) -> Iterator[Remark]:
    level = rule.policy.level
    if place.is_address and level.by_dns:
        text = f"{place.host} is an address, and has no TLSA records"
        yield Remark(Weight.REFUSED, text, "use encrypt, fingerprint or secure")
    if place.is_address and level.by_name and not rule.policy.names and ":" in place.host:
        text = f"{place.host} is an IPv6 address, which Postfix finds in no certificate"
        yield Remark(Weight.REFUSED, text, "say a name that its certificate has: --match mx.example.com")
    hop = ways.hops.get(place)
    if place in ways.fixed:
        text = f"{place.key} is office365.return_to, where nothing but its URL counts"
        yield Remark(Weight.REFUSED, text, "say it there: ?tls=verified or ?tls=required")
    elif hop is None:
        text = f"no next hop of postfix.inside, postfix.outside or office365.return_to is {place.key}"
        yield Remark(Weight.NOTE, text, "it counts only where Postfix is told elsewhere to go there")
    elif problem := contradiction(rule.policy, hop):
        yield Remark(Weight.REFUSED, problem, "choose a stronger level")


def _of_way(rule: TlsRule, ways: Ways) -> Iterator[Remark]:
    """Of a domain itself, or of everything below one: of the most of it, and of each internal domain there."""
    domain = rule.destination.domain
    names = {domain: domains.is_internal(_some(domain))}
    if rule.destination.wildcard:
        names |= dict.fromkeys(_internal_below(rule.destination), True)
    for name, internal in names.items():
        try:
            way = ways.of_mail(name, rule, internal=internal)
        except RuleNotKeptError as error:
            about = "" if name == domain else f"{name}: "
            yield Remark(Weight.REFUSED, f"{about}{error}", _what_to_do(internal=internal))
            continue
        if way is not Way.MX:
            text = f"mail for {name} goes to next hops of the configuration, whose own TLS counts"
            yield Remark(Weight.NOTE, text, "it makes no difference for that mail")


def _some(domain: str) -> str:
    """The domain, or one that a wildcard matches."""
    return f"any{domain[1:]}" if domain.startswith("*.") else domain


def _what_to_do(*, internal: bool) -> str:
    if internal:
        return "set the policy for the next hop, `mailseal tls-policy set '[host]:port' …`, or ?tls= in its URL"
    return "--direct has this mail delivered to the domain's own MX hosts, past the smart hosts"


def _internal_below(wildcard: Destination) -> Sequence[str]:
    """The internal domains that a rule for a wildcard would count for."""
    others = {one.destination for one in tls_policies.list_rules()}
    found = []
    for one in domains.list_domains():
        name = _some(one.name)
        owners = (name, *wildcards_above(name))
        if one.internal and next((it for it in owners if it == wildcard.key or it in others), None) == wildcard.key:
            found.append(one.name)
    return found


def _past_postfix(rule: TlsRule, config: Config) -> Iterator[Remark]:
    """Mail that Mailseal itself gives to somebody else than Postfix's way back in."""
    for route in _routes_of(rule.destination):
        if not all_to_postfix(route.hops, config):
            text = f"the route of {route.domain} takes mail past Postfix, so the TLS of its URLs counts"
            yield Remark(Weight.REFUSED, text, f"`mailseal route unset {route.domain}`, or ?tls=verified in its URLs")
    internal = domains.is_internal(_some(rule.destination.domain))
    key, hops = ("inside", config.relay.inside) if internal else ("outside", config.relay.outside)
    if config.postfix.instance is not Instance.OFF and not all_to_postfix(hops, config):
        text = f"relay.{key} takes mail past Postfix, so the TLS of its URLs counts"
        yield Remark(Weight.BROKEN, text, f'relay.{key} = ["smtp://{config.postfix.reinjection}"]')


def _routes_of(destination: Destination) -> Sequence[RouteInfo]:
    """The routes of Mailseal that some of the mail takes."""
    known = {one.domain: one for one in routes.list_routes()}
    owners = (destination.domain, *wildcards_above(destination.domain.removeprefix("*.")))
    above = next((known[one] for one in owners if one in known), None)
    below = [one for name, one in known.items() if destination.key in wildcards_above(name.removeprefix("*."))]
    return [*([above] if above else []), *(below if destination.wildcard else [])]


def all_to_postfix(hops: Sequence[NextHop], config: Config) -> bool:
    """Whether these next hops of Mailseal are Postfix's way back in, and nobody else's."""
    back = config.postfix.reinjection
    return all(place_of(hop) == Place(back.host, back.port) for hop in hops)
