"""What keys of [postfix] alone cannot show: what goes with other keys, and what Postfix cannot do."""

import ipaddress
from collections.abc import Iterator, Sequence

from mailseal.config.model import Config
from mailseal.config.next_hop import NextHop
from mailseal.config.problem import Problem
from mailseal.config.sections.postfix import Instance, Postfix
from mailseal.config.values import Endpoint

_LEAST_BITS = {4: 8, 6: 7}
"""Of a network of ours, by IP version: 10.0.0.0/8 and fc00::/7 are the largest that somebody can have."""


def problems(config: Config) -> Iterator[Problem]:
    """None where Postfix is not our concern."""
    if config.postfix.instance is Instance.OFF:
        return
    yield from _submission_without_certificate(config)
    yield from _open_to_others(config)
    yield from _open_to_the_world(config)
    for key in ("inside", "outside"):
        yield from _not_for_postfix(f"postfix.{key}", getattr(config.postfix, key))
        yield from _in_a_circle(f"postfix.{key}", getattr(config.postfix, key), config.postfix)


def _submission_without_certificate(config: Config) -> Iterator[Problem]:
    postfix = config.postfix
    if (postfix.submission or postfix.submissions) and config.listen.tls_certificate is None:
        what = "is missing; postfix.submission and postfix.submissions take passwords only under TLS"
        yield Problem("listen.tls_certificate", what, 'tls_certificate = "/etc/mailseal/tls/fullchain.pem"')


def _open_to_others(config: Config) -> Iterator[Problem]:
    for key in ("reinjection", "return_listen"):
        place = getattr(config.postfix, key)
        if not ipaddress.ip_address(place.host).is_loopback:
            what = f"{place.host} is not a loopback address, and who can connect there may relay"
            yield Problem(f"postfix.{key}", what, f'{key} = "127.0.0.1:{place.port}"')


def _open_to_the_world(config: Config) -> Iterator[Problem]:
    for network in config.postfix.networks:
        if network.prefixlen < _LEAST_BITS[network.version]:
            what = f"{network} is most of the internet, and who is in it may relay and have mail signed"
            yield Problem("postfix.networks", what, 'networks = ["10.0.0.0/24"]')


def _in_a_circle(key: str, hops: Sequence[NextHop], postfix: Postfix) -> Iterator[Problem]:
    """Postfix would find out that it talks to itself, and return all of that mail to its senders."""
    for place in (*postfix.listen, postfix.reinjection):
        if any(hop.port == place.port and _is_there(hop, place) for hop in hops):
            example = f'{key.rpartition(".")[2]} = ["smtp://10.0.0.5:25"]'
            yield Problem(key, f"leads back to {place}, where Postfix itself listens", example)


def _is_there(hop: NextHop, place: Endpoint) -> bool:
    everywhere = place.host in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    here = hop.host == "localhost" and ipaddress.ip_address(place.host).is_loopback
    return hop.host == place.host or here or (everywhere and hop.path is None and hop.local)


def _not_for_postfix(key: str, hops: Sequence[NextHop]) -> Iterator[Problem]:
    if any(hop.user for hop in hops):
        what = (
            "names a user, but Postfix has passwords in a table of its own: take user= out and set "
            'smtp_sasl_auth_enable = "yes", smtp_sasl_security_options = "noanonymous" and smtp_sasl_password_maps'
        )
        yield Problem(key, what, 'settings = { smtp_sasl_password_maps = "texthash:/etc/postfix/passwords" }')
    if len({(hop.protocol, hop.implicit, hop.certificate, hop.key) for hop in hops}) > 1:
        what = "names next hops that differ in protocol or certificate; Postfix tries one after the other only if alike"
        yield Problem(key, what)
    if sum(hop.path is not None for hop in hops) and len(hops) > 1:
        yield Problem(key, "names a UNIX socket beside other next hops; Postfix takes one alone")
