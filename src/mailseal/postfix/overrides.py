"""[postfix.settings]: what an administrator adds to main.cf wins, but for what security rests on.

A name that stands among the options of an entry's service (`-o`) is taken out there, so that main.cf counts.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from mailseal.errors import PermanentError
from mailseal.postfix.parts import Rendering, Service, Setting

_OURS = "it decides which mail is opened, protected and signed"
_RELAY = "who may relay, and as whom, is decided by it"
_SMUGGLING = "it keeps a mail from being smuggled inside another"
_OCTETS = "signatures break when octets change"
_ROUTES = "routes are Mailseal's, and TLS policies go by them: set postfix.inside and postfix.outside"
_PLACES = "it is Mailseal's own; see `postfix.folder`"
_KEPT_OPEN = "a connection that is kept open is used without asking whether it may still be in clear"
_WAITING = "without Mailseal's answer mail has to wait"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "content_filter": _OURS,
        "receive_override_options": _OURS,
        "default_filter_nexthop": _OURS,
        "cleanup_service_name": _OCTETS,
        "local_header_rewrite_clients": _OCTETS,
        "smtpd_relay_restrictions": f"{_RELAY}: restrict in smtpd_recipient_restrictions",
        "smtpd_relay_before_recipient_restrictions": _RELAY,
        "mynetworks": f"{_RELAY}: set postfix.networks",
        "mynetworks_style": f"{_RELAY}: set postfix.networks",
        "smtpd_sender_login_maps": _RELAY,
        "smtpd_sasl_auth_enable": _RELAY,
        "smtpd_sasl_type": _RELAY,
        "smtpd_sasl_path": _RELAY,
        "smtpd_sasl_security_options": _RELAY,
        "smtpd_sasl_tls_security_options": _RELAY,
        "smtpd_tls_security_level": "set listen.tls",
        "smtpd_tls_wrappermode": "set postfix.submissions",
        "smtpd_tls_auth_only": "a password would go over the network in clear",
        "smtpd_authorized_xforward_hosts": "it decides whose word counts for where mail came from",
        "smtpd_authorized_xclient_hosts": "it decides whose word counts for where mail came from",
        "smtpd_upstream_proxy_protocol": "the way back from Mailseal would wait for a proxy that is not there",
        "parent_domain_matches_subdomains": _RELAY,
        "relay_domains": _WAITING,
        "transport_maps": _WAITING,
        "smtp_tls_policy_maps": _WAITING,
        "smtp_connection_cache_on_demand": _KEPT_OPEN,
        "smtp_connection_cache_destinations": _KEPT_OPEN,
        "lmtp_tls_policy_maps": _WAITING,
        "relayhost": _ROUTES,
        "default_transport": _ROUTES,
        "relay_transport": _ROUTES,
        "fallback_transport": _ROUTES,
        "smtp_fallback_relay": _ROUTES,
        "sender_dependent_relayhost_maps": _ROUTES,
        "sender_dependent_default_transport_maps": _ROUTES,
        "bounce_size_limit": "a bounce would quote the body of an opened mail",
        "smtpd_forbid_bare_newline": f"{_SMUGGLING}: set listen.bare_lf",
        "smtpd_forbid_bare_newline_exclusions": _SMUGGLING,
        "smtpd_forbid_unauth_pipelining": _SMUGGLING,
        "smtpd_data_restrictions": _SMUGGLING,
        "disable_mime_output_conversion": _OCTETS,
        "smtp_line_length_limit": _OCTETS,
        "lmtp_line_length_limit": _OCTETS,
        "smtp_generic_maps": _OCTETS,
        "lmtp_generic_maps": _OCTETS,
        "smtp_header_checks": _OCTETS,
        "lmtp_header_checks": _OCTETS,
        "smtp_body_checks": _OCTETS,
        "lmtp_body_checks": _OCTETS,
        "message_size_limit": "it follows limits.max_message_bytes",
        "enable_long_queue_ids": "a queue ID that comes again would be taken for a mail that was settled",
        "authorized_submit_users": _RELAY,
        "queue_directory": _PLACES,
        "data_directory": _PLACES,
        "config_directory": _PLACES,
        "maillog_file": _PLACES,
        "maillog_file_prefixes": _PLACES,
        "command_directory": _PLACES,
        "daemon_directory": _PLACES,
        "mail_owner": _PLACES,
        "setgid_group": _PLACES,
    }
)
"""Names that cannot be set, and why."""
_KEPT = frozenset(f"smtpd_{one}_restrictions" for one in ("client", "helo", "sender", "recipient"))
"""Options that submission has of its own, for a login and its addresses; a setting of these is for the entry alone."""
_OWN_PREFIX = "mailseal"


class RefusedSettingError(PermanentError):
    """A setting that an administrator may not change."""

    what_to_do = "take it out of [postfix.settings]"


def with_overrides(rendering: Rendering, given: Mapping[str, str]) -> Rendering:
    """The rendering with an administrator's settings in it; raises RefusedSettingError."""
    for name in given:
        why = REFUSED.get(name) or ("names that begin so are Mailseal's" if name.startswith(_OWN_PREFIX) else "")
        if why:
            raise RefusedSettingError(f"postfix.settings: {name} cannot be set: {why}")
    settings = [replace(one, value=given[one.name]) if one.name in given else one for one in rendering.settings]
    known = {one.name for one in settings}
    topic = "From [postfix.settings]"
    settings += [Setting(name, value, topic) for name, value in given.items() if name not in known]
    services = tuple(_yielding(one, given) for one in rendering.services)
    return Rendering(tuple(settings), services, rendering.additions)


def _yielding(service: Service, given: Mapping[str, str]) -> Service:
    """An entry without the options that main.cf shall decide; nobody else decides of what comes back from Mailseal."""
    if service.command != "smtpd" or "receive_override_options" in dict(service.options):
        return service
    options = tuple(one for one in service.options if one[0] in _KEPT or one[0] not in given)
    return replace(service, options=options)
