"""The receivers of a mail worker have what the configuration says, each its class, and together one house."""

import asyncio
import contextlib
import socket
from dataclasses import fields, replace

import pytest

from harness.server_certificate import server_certificate
from mailseal.config import LMTP_AUTHORISED, LMTP_OFFICE365, LMTP_OUTSIDE, SMTP, from_values
from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol
from mailseal.roles.receivers import make_receivers
from mailseal.transport.caps import Caps
from mailseal.transport.receiver import Receiver

OTHERS = {
    "max_connections": 411,
    "max_recipients": 42,
    "max_message_bytes": 4300,
    "max_bytes_in_flight": 44_000,
    "spool_threshold_bytes": 450,
    "idle_seconds": 26,
    "total_seconds": 470,
    "outside_percent": 48,
    "max_connections_per_client": 49,
    "min_bytes_per_second": 511,
    "rate_window_seconds": 52,
}
"""A value of its own for each limit that has a key."""


async def _accept(*_: object) -> list[reply.Reply]:
    return [reply.ACCEPTED]


@pytest.fixture
def receivers(tmp_path):
    """Makes those of a worker with this [listen] and [limits]; by the name of their socket."""

    def make(listen=(), limits=()) -> dict[str, Receiver]:
        config = from_values(
            {"data_dir": str(tmp_path), "hostname": "mx.test", "limits": dict(limits), "listen": dict(listen)}
        )

        async def made() -> dict[str, Receiver]:
            with contextlib.ExitStack() as stack:
                unix = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
                tcp = stack.enter_context(socket.socket(socket.AF_INET))
                names = (LMTP_AUTHORISED, LMTP_OUTSIDE, LMTP_OFFICE365, SMTP)
                sockets = dict(zip(names, (*unix, tcp), strict=True))
                found = make_receivers(config, sockets, _accept, frozenset)
                for one in found:
                    await one.drain(0)
                return dict(zip(sockets, found, strict=True))

        return asyncio.run(made())

    return make


def test_every_limit_is_the_configured_one(receivers):
    fixed = {one.name for one in fields(Caps)} - OTHERS.keys()
    assert fixed == {"max_command_bytes", "max_errors", "handshake_seconds", "expendable_seconds", "talk_seconds"}
    for one in receivers(limits=OTHERS).values():
        caps = one.house.caps
        assert {name: getattr(caps, name) for name in OTHERS} == OTHERS
        assert caps.handshake_seconds == 26, "no longer than any silence"
        assert caps == replace(Caps(handshake_seconds=26), **OTHERS)


def test_all_count_together(receivers):
    houses = [one.house for one in receivers().values()]
    assert len({id(one.load) for one in houses}) == 1
    assert len({id(one.guests) for one in houses}) == 1


def test_the_socket_says_whose_mail_it_is(receivers):
    made = receivers({"smtp_authorised_networks": ["10.0.0.0/8"]})
    assert [one.house.protocol for one in made.values()] == [*[Protocol.LMTP] * 3, Protocol.ESMTP]
    assert made[LMTP_AUTHORISED]._peer("").origin is Origin.AUTHORISED
    assert made[LMTP_OUTSIDE]._peer("").origin is Origin.OUTSIDE
    assert made[LMTP_OFFICE365]._peer("").origin is Origin.NEIGHBOUR
    assert made[SMTP]._peer(("10.1.2.3", 1)).origin is Origin.AUTHORISED
    assert made[SMTP]._peer(("127.0.0.1", 1)).origin is Origin.OUTSIDE


@pytest.mark.parametrize("unix", [True, False])
def test_xforward_is_believed_from_whom_the_configuration_names(receivers, unix):
    made = receivers({"xforward_peers": ["192.0.2.1/32"], "xforward_unix": unix})
    assert [made[name]._peer("").may_xforward for name in (LMTP_AUTHORISED, LMTP_OUTSIDE)] == [unix, unix]
    assert made[SMTP]._peer(("192.0.2.1", 1)).may_xforward
    assert not made[SMTP]._peer(("192.0.2.2", 1)).may_xforward


@pytest.mark.parametrize(
    ("word", "offered", "required"), [("off", False, False), ("offered", True, False), ("required", True, True)]
)
def test_tls_is_offered_or_required_by_tcp_alone(receivers, tmp_path, word, offered, required):
    pem = server_certificate(tmp_path)
    made = receivers({"tls_certificate": str(pem.certificate), "tls_key": str(pem.key), "tls": word})
    for name, one in made.items():
        by_tcp = name == SMTP
        assert (one.house.tls is not None) == (offered and by_tcp)
        assert one.house.tls_required == (required and by_tcp)


@pytest.mark.parametrize(("word", "normalise"), [("refuse", False), ("normalise", True)])
def test_spool_and_bare_line_feeds(receivers, tmp_path, word, normalise):
    for one in receivers({"bare_lf": word}).values():
        assert one.house.spool_directory == tmp_path / "spool"
        assert one.house.normalise_bare_lf is normalise
        assert one.house.hostname == "mx.test"
