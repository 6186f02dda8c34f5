"""What Postfix is answered: one function for each table that it asks (`postfix.names.Table`, docs/postfix.md).

A table that cannot say what is so raises: the mail then waits. "Not found" is an answer, on which a mail goes its way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mailseal.config import Config, Instance
from mailseal.mail.address import Address, AddressError, domain_to_ascii
from mailseal.postfix.names import BY_MX, EXCHANGE_ONLINE, INSIDE, SMARTHOST, Table, route
from mailseal.postfix.tls_way import Way, Ways
from mailseal.store import journaling, logins
from mailseal.store.domains import is_internal
from mailseal.store.tls_answers import TlsAnswers
from mailseal.transport.socketmap import NOT_FOUND, Kind, Question, Reply

NOBODY = "!"
"""The owner of addresses that nobody may use: no login is called so."""
_INTERNAL = Reply(Kind.OK, "internal")
_TAKEN = Reply(Kind.OK, "OK")
_NOBODYS = Reply(Kind.OK, NOBODY)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer. `passing`: another one may be there in a moment, for which it is worth waiting a little."""

    reply: Reply
    passing: bool = False


class Sources:
    """What the answers are made of. Thread-safe; whoever holds it clears it when a stamp has changed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.ways = Ways.of(config)
        self.tls = TlsAnswers.of(config)

    def clear(self) -> None:
        """Forget what was read."""
        self.tls.clear()


def _relay_domains(_: Sources, key: str) -> Found:
    """An internal domain: what Postfix takes mail for from anybody."""
    domain = _domain(key)
    return Found(_INTERNAL if domain is not None and is_internal(domain) else NOT_FOUND)


def _transport(sources: Sources, key: str) -> Found:
    """Where mail for an address goes on; not found: as Postfix would do by itself, to the hosts of its MX records."""
    domain = _domain(key.rpartition("@")[2]) if "@" in key else None
    if domain is None:
        return Found(NOT_FOUND)
    config = sources.config
    internal = is_internal(domain)
    if not internal and _is_this_machine(config, domain):
        return Found(NOT_FOUND)
    match sources.tls.way(domain, internal=internal):
        case Way.INSIDE if domain in sources.ways.neighbour and config.office365.return_to is not None:
            text = route(EXCHANGE_ONLINE, [config.office365.return_to])
        case Way.INSIDE:
            text = route(INSIDE, config.postfix.inside)
        case Way.SMART_HOST:
            text = route(SMARTHOST, config.postfix.outside)
        case Way.MX if internal or config.postfix.outside:
            text = BY_MX
        case Way.MX:
            return Found(NOT_FOUND)
    return Found(Reply(Kind.OK, text))


def _sender_logins(_: Sources, key: str) -> Found:
    """The logins that may use an envelope sender. An internal address always has an owner, nobody if need be.

    For who has logged in, an address that is not found is refused as well (reject_sender_login_mismatch).
    """
    try:
        address = Address.parse(key)
    except AddressError:
        return Found(_NOBODYS)
    names = [name for name, enabled in logins.logins_of(address) if enabled]
    if names:
        return Found(Reply(Kind.OK, ",".join(names)))
    return Found(_NOBODYS if is_internal(address.domain) else NOT_FOUND)


def _tls(sources: Sources, key: str) -> Found:
    """The TLS policy for a next hop."""
    answer = sources.tls.policy(key)
    return Found(NOT_FOUND) if answer is None else Found(Reply(Kind.OK, answer.text), answer.asking)


def _ends_here(sources: Sources, key: str) -> Found:
    """An access(5) table: a journal address, or that of TLS reports, which no inner server need know of."""
    try:
        address = Address.parse(key)
    except AddressError:
        return Found(NOT_FOUND)
    reports = sources.config.tls_reports.address
    taken = bool(reports) and address == Address.parse(reports)
    return Found(_TAKEN if taken or journaling.is_journal(address) else NOT_FOUND)


MAPS: Mapping[str, Callable[[Sources, str], Found]] = MappingProxyType(
    {
        Table.RELAY_DOMAINS: _relay_domains,
        Table.TRANSPORT: _transport,
        Table.SENDER_LOGINS: _sender_logins,
        Table.TLS: _tls,
        Table.ENDS_HERE: _ends_here,
    }
)
"""All of them, by name. A function may block on the database; raises MailsealError where it cannot say."""


def telling(question: Question) -> Question:
    """The question with what its answer depends on alone: all addresses of a domain go the same way."""
    _, at, domain = question.key.rpartition("@")
    return Question(question.table, at + domain) if at and question.table == Table.TRANSPORT else question


def _domain(text: str) -> str | None:
    """A domain as an A-label; None for what is none, which is nobody's."""
    try:
        return domain_to_ascii(text)
    except AddressError:
        return None


def _is_this_machine(config: Config, domain: str) -> bool:
    """Mail to users of the machine itself stays there, where its own Postfix is used."""
    return config.postfix.instance is Instance.SYSTEM and domain in {config.hostname, "localhost"}
