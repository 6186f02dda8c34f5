"""Everything of ours that a Postfix needs, whichever it is: pure, from our configuration (docs/postfix.md)."""

from collections.abc import Iterator

from mailseal.config import Config
from mailseal.postfix import entry, exchange_online, onward
from mailseal.postfix.entry import GROWTH, table
from mailseal.postfix.names import Table
from mailseal.postfix.parts import Rendering, Setting, Surroundings

_QUEUE_DAYS = 5
"""Postfix's own default."""


def gateway(config: Config, around: Surroundings) -> Rendering:
    """Settings and services; those of the machine's own Postfix beside them are left alone."""
    settings = (
        *_general(config),
        *_routes(config, around),
        *_content(config),
        *_tls(config),
        *entry.settings(config, around),
        *onward.settings(config),
        *exchange_online.settings(config, around),
    )
    services = (*entry.services(config, around), *onward.services(config), *exchange_online.services(config))
    return Rendering(settings, services)


def _general(config: Config) -> Iterator[Setting]:
    topic = "Who this is, and how long mail waits: less long than Mailseal remembers what it has done"
    days = min(_QUEUE_DAYS, config.ledger.retention_days - 1)
    life = f"{days}d" if days else "12h"
    yield Setting("myhostname", config.hostname, topic)
    yield Setting("enable_long_queue_ids", "yes", topic)
    yield Setting("maximal_queue_lifetime", life, topic)
    yield Setting("bounce_queue_lifetime", life, topic)


def _routes(config: Config, around: Surroundings) -> Iterator[Setting]:
    topic = "Asked of Mailseal while it runs; without an answer mail waits"
    yield Setting("relay_domains", table(config, around, Table.RELAY_DOMAINS), topic)
    yield Setting("transport_maps", table(config, around, Table.TRANSPORT), topic)
    yield Setting("smtp_tls_policy_maps", table(config, around, Table.TLS), topic)
    yield Setting("lmtp_tls_policy_maps", table(config, around, Table.TLS), topic)
    topic = "All routes are there, and TLS policies go by them; without one there, it is where MX records say"
    yield Setting("default_transport", "smtp", topic)
    yield Setting("relayhost", "", topic)
    yield Setting("sender_dependent_relayhost_maps", "", topic)
    yield Setting("sender_dependent_default_transport_maps", "", topic)
    yield Setting("smtp_fallback_relay", "", topic)
    topic = "A domain below one of ours is not ours unless it says so"
    yield Setting("parent_domain_matches_subdomains", "debug_peer_list, smtpd_access_maps", topic)
    topic = "Whether an inner server has a recipient"
    yield Setting("address_verify_sender", "<>", topic)
    yield Setting("address_verify_poll_delay", "1s", topic)
    yield Setting("address_verify_poll_count", "5", topic)
    yield Setting("address_verify_positive_refresh_time", "1d", topic)
    yield Setting("address_verify_negative_expire_time", "1h", topic)
    yield Setting("address_verify_negative_refresh_time", "5m", topic)


def _content(config: Config) -> Iterator[Setting]:
    topic = "A bounce quotes no body; octets go out as they came, however large Mailseal made a mail"
    yield Setting("bounce_size_limit", "1", topic)
    yield Setting("smtputf8_enable", "yes", topic)
    yield Setting("disable_mime_output_conversion", "yes", topic)
    yield Setting("smtp_line_length_limit", "0", topic)
    yield Setting("lmtp_line_length_limit", "0", topic)
    yield Setting("message_size_limit", str(GROWTH * config.limits.max_message_bytes), topic)
    yield Setting("mailbox_size_limit", "0", topic)
    yield Setting("virtual_mailbox_limit", "0", topic)


def _tls(config: Config) -> Iterator[Setting]:
    topic = "TLS with servers, where the table `tls` says nothing else"
    yield Setting("smtp_tls_security_level", config.tls.default, topic)
    yield Setting("smtp_dns_support_level", "dnssec", topic)
    yield Setting("smtp_tls_protocols", ">=TLSv1.2", topic)
    yield Setting("smtp_tls_mandatory_protocols", ">=TLSv1.2", topic)
    yield Setting("smtp_tls_fingerprint_digest", "sha256", topic)
    yield Setting("lmtp_tls_fingerprint_digest", "sha256", topic)
    yield Setting("smtp_tls_dane_insecure_mx_policy", "dane", topic)
    # A connection in clear that is kept open would be used without asking whether it may still be in clear.
    yield Setting("smtp_connection_cache_on_demand", "no", topic)
    yield Setting("smtp_connection_cache_destinations", "", topic)
    yield Setting("smtp_tls_loglevel", "1", topic)
    yield Setting("tls_append_default_CA", "yes", topic)
