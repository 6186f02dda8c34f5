"""The receivers of a mail worker: one per listening socket, each with its protocol and origin class."""

import socket
from collections.abc import Callable, Mapping

from mailseal.config import (
    LMTP_AUTHORISED,
    LMTP_OFFICE365,
    LMTP_OUTSIDE,
    LMTP_SUBMISSION,
    SMTP,
    BareLf,
    Config,
    StartTls,
)
from mailseal.mail.envelope import Origin, Protocol
from mailseal.transport.caps import Caps, Load
from mailseal.transport.guests import Guests
from mailseal.transport.receiver import OriginOf, Receiver, origin_by_network
from mailseal.transport.server_tls import ServerTls
from mailseal.transport.session import Handler
from mailseal.transport.transaction import House

_HANDSHAKE_SECONDS = 30


def make_receivers(
    config: Config,
    sockets: Mapping[str, socket.socket],
    handler: Handler,
    features: Callable[[], frozenset[str]],
) -> list[Receiver]:
    """Listening on the running event loop; `features` are the extensions that every next hop has.

    Raises ServerTlsError when there is a certificate that cannot be used.
    """
    load, guests, tls = Load(), Guests(), _tls(config)
    by_network = origin_by_network(config.listen.smtp_authorised_networks)
    kinds: dict[str, tuple[Protocol, Origin | OriginOf]] = {
        LMTP_AUTHORISED: (Protocol.LMTP, Origin.AUTHORISED),
        LMTP_SUBMISSION: (Protocol.LMTP, Origin.AUTHORISED),
        LMTP_OUTSIDE: (Protocol.LMTP, Origin.OUTSIDE),
        LMTP_OFFICE365: (Protocol.LMTP, Origin.NEIGHBOUR),
        SMTP: (Protocol.ESMTP, by_network),
    }
    receivers = []
    for name, listening in sockets.items():
        protocol, origin = kinds[name]
        over_tcp = listening.family != socket.AF_UNIX
        house = House(
            hostname=config.hostname,
            protocol=protocol,
            caps=_caps(config),
            load=load,
            guests=guests,
            features=features,
            normalise_bare_lf=config.listen.bare_lf is BareLf.NORMALISE,
            spool_directory=config.spool_dir,
            tls=tls if over_tcp else None,
            tls_required=over_tcp and config.listen.tls is StartTls.REQUIRED,
            submission=name == LMTP_SUBMISSION,
        )
        receiver = Receiver(
            handler,
            house,
            origin,
            xforward_peers=config.listen.xforward_peers,
            xforward_unix=config.listen.xforward_unix,
        )
        receiver.listen(listening)
        receivers.append(receiver)
    return receivers


def _tls(config: Config) -> ServerTls | None:
    listen = config.listen
    if listen.tls_certificate is None or listen.tls is StartTls.OFF:
        return None
    return ServerTls(listen.tls_certificate, listen.tls_key)


def _caps(config: Config) -> Caps:
    limits = config.limits
    return Caps(
        max_connections=limits.max_connections,
        max_recipients=limits.max_recipients,
        max_message_bytes=limits.max_message_bytes,
        max_bytes_in_flight=limits.max_bytes_in_flight,
        spool_threshold_bytes=limits.spool_threshold_bytes,
        idle_seconds=limits.idle_seconds,
        total_seconds=limits.total_seconds,
        handshake_seconds=min(_HANDSHAKE_SECONDS, limits.idle_seconds),
        outside_percent=limits.outside_percent,
        max_connections_per_client=limits.max_connections_per_client,
        min_bytes_per_second=limits.min_bytes_per_second,
        rate_window_seconds=limits.rate_window_seconds,
    )
