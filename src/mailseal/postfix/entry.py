"""The services that mail comes in by: from the world, from users, and back from Mailseal (master(5), smtpd(8)).

The origin class is decided here: by the service, and at the entry by the client's network. Options of these services
go before main.cf, unless an administrator has set the same in [postfix.settings].
"""

from collections.abc import Iterator, Sequence

from mailseal.config import BareLf, Config, Endpoint, StartTls
from mailseal.postfix import exchange_clients
from mailseal.postfix.names import CLEANUP, TO_AUTHORISED, TO_OUTSIDE, Table
from mailseal.postfix.parts import Options, Service, Setting, Surroundings, identity

CLIENTS = "mailseal_authorised_clients"
"""The setting (a name of our own) that leads mail of our networks to the authorised class."""
GROWTH = 3
"""How much larger a mail may come back: base64 in base64 in base64 (signed, encrypted, signed) is 2.6 times."""
_LOOPBACK = "127.0.0.0/8 [::1]/128"
_RECEIVED_BYTES = 2048
_UNFILTERED = "no_unknown_recipient_checks,no_header_body_checks,no_milters,no_address_mappings"
_UNCHANGED: Options = (("cleanup_service_name", CLEANUP), ("local_header_rewrite_clients", ""))
_NO_SMUGGLING: Options = (
    ("smtpd_forbid_bare_newline_exclusions", ""),
    ("smtpd_forbid_unauth_pipelining", "yes"),
    ("smtpd_data_restrictions", "reject_unauth_pipelining"),
)


def services(config: Config, around: Surroundings) -> Iterator[Service]:
    """All of them, in the order of a mail's way."""
    postfix = config.postfix
    for place in usable(postfix.listen, around):
        yield Service(str(place), "inet", "smtpd", "n", options=_from_the_world(config, around))
    for place in usable(postfix.submission, around):
        yield Service(str(place), "inet", "smtpd", "n", options=_from_users(config, around, wrapped=False))
    for place in usable(postfix.submissions, around):
        yield Service(str(place), "inet", "smtpd", "n", options=_from_users(config, around, wrapped=True))
    yield Service(str(postfix.reinjection), "inet", "smtpd", "n", options=back(config, "postfix/reinject"))


def usable(places: Sequence[Endpoint], around: Surroundings) -> Sequence[Endpoint]:
    """Those that can be listened at: master ends where one cannot."""
    return [place for place in places if around.ipv6 or ":" not in place.host]


def settings(config: Config, around: Surroundings) -> Iterator[Setting]:
    """What the services refer to."""
    topic = "Clients at the entry whose mail is of the authorised class"
    rows = " ".join(f"{{ {network} FILTER {to_authorised(config, around)} }}" for network in config.postfix.networks)
    if rows:  # without one Postfix warns of a setting that nothing uses
        yield Setting(CLIENTS, f"cidr:{{ {rows} }}", topic)


def to_authorised(config: Config, around: Surroundings) -> str:
    """The content filter of authorised mail."""
    return f"{TO_AUTHORISED}:{destination(config.listen.lmtp_authorised, around)}"


def destination(place: Endpoint, around: Surroundings) -> str:
    """A listener of ours as Postfix's LMTP client calls it."""
    return f"unix:{around.socket(place.path)}" if place.path else f"inet:{place}"


def _from_the_world(config: Config, around: Surroundings) -> Options:
    networks = config.postfix.networks
    outside = f"{TO_OUTSIDE}:{destination(config.listen.lmtp_outside, around)}"
    authorise = [f"check_client_access ${CLIENTS}", "permit_mynetworks"] if networks else []
    exchange = exchange_clients.restrictions(config)
    verified: Options = (
        ("unverified_recipient_defer_code", "250"),  # the mail is taken, as postconf(5) has it
        ("unverified_recipient_reject_code", "550"),
        ("unverified_recipient_reject_reason", "No such address"),  # not what the inner server says, and its address
    )
    ends_here = f"check_recipient_access {table(config, around, Table.ENDS_HERE)}"
    verify = [ends_here, "reject_unverified_recipient"] if config.postfix.verify_recipients else []
    return (
        ("syslog_name", "postfix/entry"),
        ("content_filter", outside),
        ("mynetworks", ", ".join(_bracketed(str(network)) for network in networks)),
        ("smtpd_relay_restrictions", ", ".join([*authorise, *exchange, "reject_unauth_destination", *verify])),
        *(verified if verify else ()),
        *exchange_clients.options(config),
        ("smtpd_sasl_auth_enable", "no"),
        *_tls(config, {StartTls.OFF: "none", StartTls.OFFERED: "may", StartTls.REQUIRED: "encrypt"}[config.listen.tls]),
        *_common(config),
    )


def _from_users(config: Config, around: Surroundings, *, wrapped: bool) -> Options:
    # To a listener of its own: there Mailseal looks whether who may use the envelope sender may use From.
    filtered = f"{TO_AUTHORISED}:{destination(config.listen.lmtp_submission, around)}"
    return (
        ("syslog_name", "postfix/submissions" if wrapped else "postfix/submission"),
        ("content_filter", filtered),
        ("mynetworks", ""),
        ("smtpd_client_restrictions", "permit_sasl_authenticated, reject"),
        ("smtpd_helo_restrictions", ""),
        ("smtpd_recipient_restrictions", ""),
        ("smtpd_sender_restrictions", "reject_sender_login_mismatch"),
        ("smtpd_relay_restrictions", "permit_sasl_authenticated, reject"),
        ("smtpd_sender_login_maps", table(config, around, Table.SENDER_LOGINS)),
        ("smtpd_sasl_auth_enable", "yes"),
        ("smtpd_sasl_type", "dovecot"),
        ("smtpd_sasl_path", around.socket(config.listen.auth.path) if config.listen.auth.path else ""),
        ("smtpd_sasl_security_options", "noanonymous"),
        ("smtpd_sasl_authenticated_header", "no"),
        ("smtpd_tls_auth_only", "yes"),
        *([("smtpd_tls_wrappermode", "yes")] if wrapped else []),
        *_tls(config, "encrypt"),
        *_common(config),
    )


def back(config: Config, syslog_name: str) -> Options:
    """From Mailseal, on this machine: nothing is asked and nothing changed, and no limit of the entry counts."""
    return (
        ("syslog_name", syslog_name),
        ("content_filter", ""),
        ("receive_override_options", _UNFILTERED),
        ("mynetworks", _LOOPBACK),
        ("smtpd_authorized_xforward_hosts", _LOOPBACK),
        ("smtpd_client_restrictions", "permit_mynetworks, reject"),
        ("smtpd_helo_restrictions", ""),
        ("smtpd_sender_restrictions", ""),
        ("smtpd_relay_restrictions", "permit_mynetworks, reject"),
        ("smtpd_recipient_restrictions", "permit_mynetworks, reject"),
        ("smtpd_end_of_data_restrictions", ""),
        ("smtpd_proxy_filter", ""),
        *_NO_SMUGGLING,
        ("smtpd_forbid_bare_newline", "reject"),
        ("smtpd_sasl_auth_enable", "no"),
        ("smtpd_tls_security_level", "none"),
        ("smtpd_discard_ehlo_keywords", ""),
        ("smtpd_client_connection_count_limit", "0"),
        ("smtpd_error_sleep_time", "0"),
        ("smtpd_soft_error_limit", str(config.limits.max_recipients + 1)),
        ("smtpd_hard_error_limit", str(config.limits.max_recipients + 1)),
        ("smtpd_recipient_limit", str(config.limits.max_recipients)),
        *_UNCHANGED,
    )


def _common(config: Config) -> Options:
    refused = config.listen.bare_lf is BareLf.REFUSE
    return (
        *_NO_SMUGGLING,
        ("smtpd_forbid_bare_newline", "reject" if refused else "normalize"),
        ("disable_vrfy_command", "yes"),
        ("message_size_limit", str(config.limits.max_message_bytes - _room(config))),
        # smtpd wants 1.5 times its own limit; with less than that of the way back nothing could leave any more.
        ("queue_minfree", str(2 * GROWTH * config.limits.max_message_bytes)),
        ("smtpd_recipient_limit", str(config.limits.max_recipients)),
        *_UNCHANGED,
    )


def _room(config: Config) -> int:
    """For the Received field of Postfix: Mailseal gets it too, and has the same limit."""
    return min(_RECEIVED_BYTES, config.limits.max_message_bytes // 2)


def _tls(config: Config, level: str) -> Options:
    certificate, key = config.listen.tls_certificate, config.listen.tls_key
    if certificate is None or level == "none":
        return (("smtpd_tls_security_level", "none"),)
    return (
        ("smtpd_tls_security_level", level),
        *identity("smtpd", certificate, key),
        ("smtpd_tls_protocols", ">=TLSv1.2"),
        ("smtpd_tls_mandatory_protocols", ">=TLSv1.2"),
        ("smtpd_tls_received_header", "yes"),
        ("smtpd_tls_loglevel", "1"),
    )


def table(config: Config, around: Surroundings, name: Table) -> str:
    """A look-up table that Mailseal answers: no answer defers the mail."""
    assert config.listen.socketmap.path is not None
    return f"socketmap:unix:{around.socket(config.listen.socketmap.path)}:{name}"


def _bracketed(network: str) -> str:
    address, _, bits = network.partition("/")
    return f"[{address}]/{bits}" if ":" in address else network
