"""What [office365] adds: a content filter of its own, and the way back to the tenant's host (smtp(8))."""

from collections.abc import Iterator

from mailseal.config import Config, NextHop, Tls
from mailseal.postfix import exchange_clients
from mailseal.postfix.entry import back, destination
from mailseal.postfix.names import EXCHANGE_ONLINE, TO_OFFICE365, route
from mailseal.postfix.onward import at_once, to_mailseal
from mailseal.postfix.parts import Options, Service, Setting, Surroundings, identity

_LEVELS = {Tls.OFF: "none", Tls.OPPORTUNISTIC: "may", Tls.REQUIRED: "encrypt", Tls.VERIFIED: "secure"}


def settings(config: Config, around: Surroundings) -> Iterator[Setting]:
    """For the entry and the queue manager."""
    if not config.office365.on:
        return
    topic = "Exchange Online: its mail has a socket of its own, where Mailseal asks whose it is"
    content_filter = f"{TO_OFFICE365}:{destination(config.listen.lmtp_office365, around)}"
    yield from exchange_clients.settings(config, content_filter, topic)
    yield from at_once(config, TO_OFFICE365, topic)


def services(config: Config) -> Iterator[Service]:
    """To Mailseal, back from it, and on to the tenant's host, whatever the recipients' domains are."""
    there = config.office365.return_to
    if not config.office365.on or there is None:
        return
    yield to_mailseal(config, TO_OFFICE365)
    options = dict(back(config, "postfix/return")) | {"content_filter": route(EXCHANGE_ONLINE, [there])}
    yield Service(str(config.postfix.return_listen), "inet", "smtpd", "n", options=tuple(options.items()))
    yield Service(EXCHANGE_ONLINE, "unix", "smtp", options=_to_the_tenant(there))


def _to_the_tenant(hop: NextHop) -> Options:
    """TLS as `return_to` has it; no table says otherwise."""
    # Exchange Online is told our IPv4 addresses: mail that came from another would be sent here once more.
    options: Options = () if ":" in hop.host else (("inet_protocols", "ipv4"),)
    options += (
        ("syslog_name", f"postfix/{EXCHANGE_ONLINE}"),
        ("smtp_tls_policy_maps", ""),
        ("smtp_tls_security_level", _LEVELS[hop.tls]),
    )
    if hop.tls is Tls.VERIFIED:
        options += (("smtp_tls_secure_cert_match", hop.tls_name),)
    if hop.ca is not None:
        options += (("smtp_tls_CAfile", str(hop.ca)), ("smtp_tls_CApath", ""), ("tls_append_default_CA", "no"))
    if hop.implicit:
        options += (("smtp_tls_wrappermode", "yes"),)
    if hop.certificate is not None:
        options += identity("smtp", hop.certificate, hop.key)
    return options
