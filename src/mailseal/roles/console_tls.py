"""What the console has the worker do with TLS policies: it knows the configuration, and may connect to others."""

from datetime import datetime

from mailseal.errors import PermanentError
from mailseal.mail.address import AddressError, domain_to_ascii
from mailseal.postfix.tls_choice import TlsRule
from mailseal.postfix.tls_destination import read_destination
from mailseal.postfix.tls_policy import LeastTls, Level, ServerName, TlsPolicy, read_fingerprint
from mailseal.postfix.tls_way import Ways
from mailseal.roles.console_arguments import Arguments, flag, one_of, text, texts
from mailseal.roles.tls_journey import explained, journey_of, read_target
from mailseal.roles.tls_trial import tried
from mailseal.store import tls_policies
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.tls_kept import Weight, remarks
from mailseal.wiring.gateway import Node


def set_policy(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`tls-set` {destination, level, match, fingerprints, min_tls, sni, direct, comment, owner}: what is said of it.

    Raises PermanentError for one that would not be kept, TlsPolicyError, DestinationError, TlsRuleError, AddressError.
    """
    policy = TlsPolicy(
        one_of(Level, arguments, "level"),
        tuple(map(_name, texts(arguments, "match"))),
        tuple(map(read_fingerprint, texts(arguments, "fingerprints"))),
        one_of(LeastTls, arguments, "min_tls", LeastTls("")),
        ServerName.HOST if flag(arguments, "sni") else ServerName.NONE,
    )
    rule = TlsRule(read_destination(text(arguments, "destination")), policy, direct=flag(arguments, "direct"))
    said = list(remarks(rule, node.config))
    for one in said:
        if one.weight is Weight.REFUSED:
            raise PermanentError(f"{one.text}: {one.what_to_do}")
    stored = tls_policies.set_rule(rule, comment=text(arguments, "comment", ""), owner=text(arguments, "owner", ""))
    return {"destination": stored.destination, "remarks": [f"{one.text}; {one.what_to_do}" for one in said]}


def show_way(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`tls-show` {destination}: where its mail goes, and which policy counts and why: names and values."""
    rows = explained(journey_of(read_target(text(arguments, "destination")), node.config), node.config)
    return {"facts": [{"name": name, "value": _spoken(value)} for name, value in rows.items()]}


def try_way(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`tls-test` {destination}: connect as Postfix would; a row for each connection.

    Of next hops only to those of the configuration: a console that was taken over shall not look around in our network.
    """
    target = read_target(text(arguments, "destination"))
    if target.place is not None and target.place not in Ways.of(node.config).hops:
        raise PermanentError("from here only domains are tried, and next hops that the configuration names")
    rows = tried(target, node.config)
    return {"connections": [{name: _spoken(value) for name, value in row.items()} for row in rows]}


def problems(node: Node, _arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`tls-problems`: of each policy that is not kept, why not."""
    found = []
    for one in tls_policies.list_rules():
        if one.rule is None:
            said = ["it cannot be read, so mail waits; set it again"]
        else:
            said = [it.text for it in remarks(one.rule, node.config) if it.weight is not Weight.NOTE]
        if said:
            found.append({"destination": one.destination, "problems": said})
    return {"policies": found}


def _name(given: str) -> str:
    """A name of a certificate as a person writes it."""
    below = given.startswith("*.")
    try:
        ascii_name = domain_to_ascii(given[2:] if below else given)
    except AddressError as error:
        raise PermanentError(f"{given[:100]!r} is no name: {error}") from None
    return f"*.{ascii_name}" if below else ascii_name


def _spoken(value: object) -> Json:
    return value.isoformat() if isinstance(value, datetime) else value
