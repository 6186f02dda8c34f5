"""[listen]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BareLf, Endpoint, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where mail comes in. A mail's origin class is decided by the listener (and for SMTP by the client's network)."""

    lmtp_authorised: Endpoint = key(
        values.endpoint,
        "LMTP for mail of authorised senders (submission, own networks). A UNIX socket; TCP only where all who can "
        "connect may sign as anyone.",
        example='"/var/spool/postfix/mailseal/lmtp-authorised"',
        default_text='"<data_dir>/run/lmtp-authorised"',
        below=lambda data: Endpoint(path=data / "run" / "lmtp-authorised"),
    )
    lmtp_outside: Endpoint = key(
        values.endpoint,
        "LMTP for mail from the outside.",
        example='"/var/spool/postfix/mailseal/lmtp-outside"',
        default_text='"<data_dir>/run/lmtp-outside"',
        below=lambda data: Endpoint(path=data / "run" / "lmtp-outside"),
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
