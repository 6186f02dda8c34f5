"""Workers that share a listening socket share the connections too."""

import asyncio
import contextlib
import socket

import pytest

from harness.waiting import PATIENCE_SECONDS
from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol
from mailseal.transport.caps import Caps, Load
from mailseal.transport.receiver import Receiver
from mailseal.transport.transaction import House


async def _accept(*_: object) -> list[reply.Reply]:
    return [reply.ACCEPTED]


@pytest.mark.parametrize("busy", [0, 1])
def test_who_has_more_connections_leaves_new_ones_to_the_other(busy):
    async def scenario() -> list[int]:
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
            loads = [Load(), Load()]
            loads[busy].connections = 10
            receivers = [
                Receiver(_accept, House("mx.test", Protocol.ESMTP, Caps(), load), Origin.OUTSIDE) for load in loads
            ]
            for receiver in receivers:
                receiver.listen(listening.dup())
            for _ in range(6):
                stack.enter_context(socket.create_connection(listening.getsockname()))
                await asyncio.sleep(0.05)
            counts = [load.connections for load in loads]
            for receiver in receivers:
                await receiver.drain(0.1)
            return counts

    counts = asyncio.run(asyncio.wait_for(scenario(), PATIENCE_SECONDS))
    assert sum(counts) == 16
    assert counts[1 - busy] >= 5
