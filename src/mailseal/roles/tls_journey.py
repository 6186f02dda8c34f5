"""Where mail for a destination goes on from Postfix, and which TLS policy counts on each way, told for a person."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailseal.config import Config, Instance, NextHop
from mailseal.errors import MailsealError, PermanentError
from mailseal.mail.address import Address
from mailseal.postfix.tls_choice import Choice, Source, StsFacts, StsMode
from mailseal.postfix.tls_destination import Destination, place_of, read_destination
from mailseal.postfix.tls_policy import Level, TlsPolicy, rendered
from mailseal.postfix.tls_way import Way, Ways
from mailseal.store import domains, routes, sts_policies
from mailseal.store.sts_policies import StsInfo, StsKnown
from mailseal.store.tls_answers import TlsAnswers
from mailseal.store.tls_kept import all_to_postfix


class TlsQuestionError(PermanentError):
    """That cannot be told, or tried. `what_to_do` is for the administrator."""

    def __init__(self, text: str, what_to_do: str) -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


@dataclass(frozen=True, slots=True)
class Leg:
    """One connection that Postfix may make: what it asks for, and what counts. `problem`: why mail waits instead."""

    key: str
    choice: Choice | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Journey:
    """The way of mail for a destination. `sts`: of its MTA-STS policy, None where nobody has looked yet."""

    destination: Destination
    internal: bool
    goes_to: str
    legs: tuple[Leg, ...]
    problem: str
    sts: StsInfo | None


@dataclass(frozen=True, slots=True)
class GivenSts:
    """A `StsSource` that knows what it was given, and has nobody looked at."""

    facts: StsFacts | None

    def of(self, domain: str, at: datetime) -> StsKnown:  # noqa: ARG002 -- the protocol's signature
        """The same for every domain."""
        return StsKnown(self.facts)

    def clear(self) -> None:
        """Nothing is kept."""


def read_target(text: str) -> Destination:
    """What a person asks about: a domain, an address there, a next hop; raises TlsQuestionError, DestinationError."""
    destination = read_destination(Address.parse(text).domain if "@" in text else text)
    if destination.wildcard:
        raise TlsQuestionError(
            f"mail goes to no {destination.key}", f"name a domain, such as mail{destination.domain[1:]}"
        )
    return destination


def journey_of(destination: Destination, config: Config, facts: StsFacts | None = None) -> Journey:
    """The way of mail, without any effect. `facts`: of an MTA-STS policy that was fetched just now."""
    domain = destination.domain
    known = sts_policies.info_of(domain, datetime.now(UTC)) if domain and config.tls.mta_sts else None
    if facts is None and known is not None:
        facts = known.facts
    answers = TlsAnswers(Ways.of(config), GivenSts(facts) if config.tls.mta_sts else None)
    if destination.place is not None:
        return Journey(destination, False, destination.key, (_leg(answers, destination.key),), "", None)  # noqa: FBT003
    internal = domains.is_internal(domain)
    try:
        way = answers.way(domain, internal=internal)
    except MailsealError as error:
        return Journey(destination, internal, "nowhere: it waits", (), str(error), known)
    hops = _hops(way, domain, config)
    keys = [_key(hop) for hop in hops] if hops else [domain]
    goes_to = f"the next hops of {_named(way, domain, config)}" if hops else "its MX hosts"
    return Journey(destination, internal, goes_to, tuple(_leg(answers, key) for key in keys), "", known)


def explained(journey: Journey, config: Config) -> dict[str, object]:
    """A journey as rows for a person."""
    found: dict[str, object] = {"destination": journey.destination.key}
    if journey.destination.domain:
        found |= {"internal": journey.internal, "goes_to": journey.goes_to}
    if journey.problem:
        found["problem"] = journey.problem
    for number, leg in enumerate(journey.legs, 1):
        mark = f"_{number}" if len(journey.legs) > 1 else ""
        found[f"asked_for{mark}"] = leg.key
        if leg.choice is None:
            found[f"problem{mark}"] = leg.problem
            continue
        policy = leg.choice.policy
        found |= {
            f"policy{mark}": rendered(policy),
            f"because{mark}": why(leg.choice),
            f"meaning{mark}": meaning(policy),
        }
    if journey.sts is not None:
        found["mta_sts"] = _sts(journey.sts)
    if notes := list(_notes(journey, config)):
        found["note"] = "; ".join(notes)
    return found


def why(choice: Choice) -> str:
    """Why a policy counts."""
    match choice.source:
        case Source.RULE:
            return f"it is set for {choice.of}"
        case Source.NEXT_HOP:
            return f"so says the next hop's URL, {choice.of}"
        case Source.STS if choice.policy.level is Level.DANE_ONLY:
            return f"{choice.of} enforces MTA-STS, and its MX hosts have TLSA records, which go before (RFC 8461 §2)"
        case Source.STS:
            return f"{choice.of} enforces MTA-STS"
        case Source.LOCAL:
            return "it is a socket of this machine"
        case Source.DEFAULT:
            return "tls.default"


def meaning(policy: TlsPolicy) -> str:
    """What a policy comes to."""
    names = " or ".join(policy.names)
    match policy.level:
        case Level.NONE:
            return "in clear"
        case Level.MAY:
            return "TLS where it is offered, with any certificate; else in clear"
        case Level.ENCRYPT:
            return "TLS with any certificate, or mail waits"
        case Level.DANE:
            return "where TLSA records are published, only to a server that they prove; else as may"
        case Level.DANE_ONLY:
            return "only to a server that TLSA records prove, or mail waits"
        case Level.FINGERPRINT:
            return "only to a server with one of these certificates or keys, or mail waits"
        case Level.VERIFY:
            return f"only to a server whose valid certificate names {names or 'the MX host'}, or mail waits"
        case Level.SECURE:
            return f"only to a server whose valid certificate names {names or 'the domain or one below'}, or mail waits"


def _leg(answers: TlsAnswers, key: str) -> Leg:
    try:
        answer = answers.policy(key)
    except MailsealError as error:
        return Leg(key, None, f"mail waits: {error}")
    return Leg(key, None if answer is None else answer.choice)


def _hops(way: Way, domain: str, config: Config) -> Sequence[NextHop]:
    back = config.office365.return_to
    if way is Way.INSIDE and back is not None and domain in config.office365.domains:
        return (back,)
    return {Way.INSIDE: config.postfix.inside, Way.SMART_HOST: config.postfix.outside, Way.MX: ()}[way]


def _named(way: Way, domain: str, config: Config) -> str:
    if way is Way.SMART_HOST:
        return "postfix.outside"
    return "office365.return_to" if domain in config.office365.domains else "postfix.inside"


def _key(hop: NextHop) -> str:
    place = place_of(hop)
    return str(hop.path) if place is None else place.key


def _sts(info: StsInfo) -> str:
    facts = info.facts
    text = facts.mode.value if facts.mode is not StsMode.ABSENT else "none"
    if facts.names:
        text += f" for {', '.join(facts.names)}"
    if info.expires is not None and facts.mode is not StsMode.ABSENT:
        text += f", id {info.policy_id}, until {info.expires:%Y-%m-%d %H:%M}"
    if info.checked is not None:
        text += f", looked at {info.checked:%Y-%m-%d %H:%M}"
    return text + (f"; {info.error}" if info.error else "")


def _notes(journey: Journey, config: Config) -> Iterator[str]:
    if config.postfix.instance is Instance.OFF:
        yield "no Postfix works with this gateway (postfix.instance), so nobody asks for this"
    domain = journey.destination.domain
    route = routes.StoreRoutes().of(domain) if domain else ()
    if not all_to_postfix(route, config):
        yield f"`mailseal route` takes mail for it to {', '.join(hop.place for hop in route)}, past Postfix"
