"""[listen]"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BadValueError, BareLf, Endpoint, Network


class StartTls(StrEnum):
    """Whether a TCP listener takes part in STARTTLS (RFC 3207)."""

    OFF = "off"
    OFFERED = "offered"
    REQUIRED = "required"


def _socket(raw: object) -> Endpoint:
    place = values.endpoint(raw)
    if place.path is None:
        raise BadValueError("must be the path of a UNIX socket")
    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where mail comes in. A mail's origin class is decided by the listener (and for SMTP by the client's network)."""

    lmtp_authorised: Endpoint = key(
        values.endpoint,
        "LMTP for mail of authorised senders (own networks). A UNIX socket; TCP only where all who can connect may "
        "sign as anyone. With a Postfix (`postfix.instance`) the default is below its queue folder.",
        example='"/var/spool/postfix/mailseal/lmtp-authorised"',
        default_text='"<data_dir>/run/lmtp-authorised"',
        among_sockets=lambda folder: Endpoint(path=folder / "lmtp-authorised"),
    )
    lmtp_submission: Endpoint = key(
        values.endpoint,
        "LMTP for mail of users who have logged in (submission): it is signed only as an address that whoever may use "
        "its envelope sender may use (submission.md).",
        example='"/var/spool/postfix/mailseal/lmtp-submission"',
        default_text='"<data_dir>/run/lmtp-submission"',
        among_sockets=lambda folder: Endpoint(path=folder / "lmtp-submission"),
    )
    lmtp_outside: Endpoint = key(
        values.endpoint,
        "LMTP for mail from the outside.",
        example='"/var/spool/postfix/mailseal/lmtp-outside"',
        default_text='"<data_dir>/run/lmtp-outside"',
        among_sockets=lambda folder: Endpoint(path=folder / "lmtp-outside"),
    )
    lmtp_office365: Endpoint = key(
        _socket,
        "LMTP for mail from Exchange Online (only with [office365]).",
        example='"/var/spool/postfix/mailseal/lmtp-office365"',
        default_text='"<data_dir>/run/lmtp-office365"',
        among_sockets=lambda folder: Endpoint(path=folder / "lmtp-office365"),
    )
    socketmap: Endpoint = key(
        _socket,
        "Where Postfix asks for relay domains, next hops, TLS policies and senders (only with `postfix.instance`).",
        example='"/var/spool/postfix/mailseal/socketmap"',
        default_text='"<data_dir>/run/socketmap"',
        among_sockets=lambda folder: Endpoint(path=folder / "socketmap"),
    )
    auth: Endpoint = key(
        _socket,
        "Where Postfix asks whether a login is right (only with `postfix.instance`).",
        example='"/var/spool/postfix/mailseal/auth"',
        default_text='"<data_dir>/run/auth"',
        among_sockets=lambda folder: Endpoint(path=folder / "auth"),
    )
    socket_group: str = key(
        values.text,
        "The group that may connect to the UNIX sockets (mode 0660); where it does not exist, the process's own.",
        example='"postfix"',
        default="postfix",
    )
    smtp: Endpoint | None = key(
        values.optional_endpoint,
        'Plain SMTP, for running without Postfix: host:port, or "off".',
        example='"127.0.0.1:10025"',
        default=None,
        default_text='"off"',
    )
    smtp_authorised_networks: tuple[Network, ...] = key(
        values.networks,
        "Clients of the SMTP listener from these networks are of the authorised class; all others are outside.",
        example='["10.0.0.0/8", "::1/128"]',
        default=(),
        default_text="[]",
    )
    xforward_peers: tuple[Network, ...] = key(
        values.networks,
        "TCP clients whose XFORWARD is believed.",
        example='["127.0.0.1/32"]',
        default=(),
        default_text="[]",
    )
    xforward_unix: bool = key(
        values.flag,
        "Whether XFORWARD is believed on the UNIX sockets, which only their group can open.",
        example="true",
        default=True,
    )
    bare_lf: BareLf = key(
        values.one_of(BareLf),
        "What to do with a line feed without a carriage return in a mail: refuse (550) or normalise.",
        example='"refuse"',
        default=BareLf.REFUSE,
    )
    tls_certificate: Path | None = key(
        values.path,
        "The certificate of the TCP listeners for STARTTLS: a PEM file with the server's own first, then its issuers. "
        "A changed file is noticed within a second. UNIX sockets have no TLS.",
        example='"/etc/mailseal/tls/fullchain.pem"',
        default=None,
        default_text="none",
    )
    tls_key: Path | None = key(
        values.path,
        "The key of that certificate, PEM without a password, not readable for all; else it is in the same file.",
        example='"/etc/mailseal/tls/privkey.pem"',
        default=None,
        default_text="none; taken from tls_certificate",
    )
    tls: StartTls = key(
        values.one_of(StartTls),
        "STARTTLS on the TCP listeners: off, offered (as soon as there is a certificate), or required (530 without; "
        "not for a server that the internet sends mail to, RFC 3207 §4).",
        example='"required"',
        default=StartTls.OFFERED,
    )
