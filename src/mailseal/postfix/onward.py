"""The services that take mail onward: to Mailseal, to inner servers, to smart hosts (lmtp(8), smtp(8), cleanup(8))."""

from collections.abc import Iterator, Sequence

from mailseal.config import Config, NextHop, Protocol
from mailseal.postfix.names import CLEANUP, INSIDE, SMARTHOST, TO_AUTHORISED, TO_OUTSIDE
from mailseal.postfix.parts import Options, Service, Setting, identity

RECIPIENTS_AT_ONCE = 50
"""Of one mail in one LMTP transaction: they share its deadline."""
_ANSWER_SECONDS = 60
"""How much longer than a mail's deadline Postfix waits for the replies: a reply that nobody hears makes a duplicate."""
_HEADER_BYTES = 512 * 1024
"""More than a header that Mailseal takes may have; what is beyond, Postfix would drop."""


def services(config: Config) -> Iterator[Service]:
    """All of them."""
    for name in (TO_AUTHORISED, TO_OUTSIDE):
        yield to_mailseal(config, name)
    for name, hops in ((INSIDE, config.postfix.inside), (SMARTHOST, config.postfix.outside)):
        if hops:
            yield _to_next_hops(name, hops)
    yield Service(CLEANUP, "unix", "cleanup", "n", most="0", options=_UNCHANGED)


def settings(config: Config) -> Iterator[Setting]:
    """What the queue manager is told of the services."""
    topic = "As many mails at once as Mailseal handles"
    for name in (TO_AUTHORISED, TO_OUTSIDE):
        yield from at_once(config, name, topic)


def to_mailseal(config: Config, name: str) -> Service:
    """A content filter, whose reply is per recipient (RFC 2033)."""
    options = (
        ("syslog_name", f"postfix/{name}"),
        ("lmtp_send_xforward_command", "yes"),
        ("disable_mime_output_conversion", "yes"),
        ("lmtp_line_length_limit", "0"),
        ("lmtp_tls_security_level", "none"),
        ("lmtp_tls_policy_maps", ""),
        ("lmtp_data_done_timeout", f"{config.limits.deadline_seconds + _ANSWER_SECONDS}s"),
        ("lmtp_header_checks", ""),
        ("lmtp_body_checks", ""),
        ("lmtp_generic_maps", ""),
    )
    return Service(name, "unix", "lmtp", most=str(_most(config)), options=options)


def at_once(config: Config, name: str, topic: str) -> Iterator[Setting]:
    """The queue manager's side of `to_mailseal`."""
    yield Setting(f"{name}_destination_concurrency_limit", str(_most(config)), topic)
    yield Setting(f"{name}_initial_destination_concurrency", str(_most(config)), topic)
    yield Setting(f"{name}_destination_recipient_limit", str(RECIPIENTS_AT_ONCE), topic)


def _most(config: Config) -> int:
    return config.workers * config.threads


def _to_next_hops(name: str, hops: Sequence[NextHop]) -> Service:
    """By SMTP or LMTP; the hops of one list have this and their certificate in common (config.load)."""
    first = hops[0]
    client = "lmtp" if first.protocol is Protocol.LMTP else "smtp"
    options: Options = (("syslog_name", f"postfix/{name}"), (f"{client}_connection_cache_on_demand", "no"))
    if first.implicit:
        options += ((f"{client}_tls_wrappermode", "yes"), (f"{client}_tls_security_level", "encrypt"))
    if first.certificate is not None:
        options += identity(client, first.certificate, first.key)
    return Service(name, "unix", client, options=options)


_UNCHANGED: Options = (
    ("message_drop_headers", ""),
    ("always_add_missing_headers", "no"),
    ("remote_header_rewrite_domain", ""),
    ("cleanup_replace_stray_cr_lf", "no"),
    ("message_strip_characters", ""),
    ("undisclosed_recipients_header", ""),
    ("header_size_limit", str(_HEADER_BYTES)),
)
"""Mailseal gets a mail's octets as they came, and the next hop gets them as they left Mailseal."""
