"""What the MX records of a domain say about a TLS policy that was set for it."""

import time
from collections.abc import Iterator

from mailseal.config import Config
from mailseal.discover.dns import Dns, DnsUnavailableError, NoAnswerError
from mailseal.errors import MailsealError
from mailseal.postfix.tls_choice import TlsRule
from mailseal.postfix.tls_policy import Level
from mailseal.postfix.tls_way import Way, Ways
from mailseal.store import domains

PATIENCE_SECONDS = 4.0
MAX_SHOWN = 3


def exchanger_note(rule: TlsRule, config: Config) -> Iterator[str]:
    """`secure` without names looks for the domain in the certificate of its MX host, which often is somebody else's."""
    domain = rule.destination.domain
    if rule.policy.level is not Level.SECURE or rule.policy.names or not domain or rule.destination.wildcard:
        return
    try:
        if Ways.of(config).of_mail(domain, rule, internal=domains.is_internal(domain)) is not Way.MX:
            return
        found = Dns(config.dns.servers, config.dns.timeout_seconds).mx(domain, time.monotonic() + PATIENCE_SECONDS)
    except (MailsealError, NoAnswerError, DnsUnavailableError):
        return
    others = [one.host for one in found.records if one.host and not f".{one.host}".endswith(f".{domain}")]
    if others:
        own = f"--match {others[0]} or --match '*.{others[0].partition('.')[2]}'"
        yield (
            f"the MX hosts of {domain} are {', '.join(others[:MAX_SHOWN])}: mail waits unless their certificates name "
            f"{domain} (`mailseal tls-policy test {domain}` tries it). If you know who runs them, {own} takes their own"
        )
