"""The mail role: receives mail on the inherited sockets and runs the pipeline for each in a bounded pool of threads.

The event loop only reads and writes sockets; everything that may block or compute happens in a thread.
"""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import uvloop

from mailseal.config import Config, listeners
from mailseal.mail.envelope import Envelope
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.roles.child import Inheritance, inherit
from mailseal.roles.handling import MailHandling
from mailseal.roles.lifetime import Lifetime
from mailseal.roles.listening import bind
from mailseal.roles.logs import configure
from mailseal.roles.receivers import make_receivers
from mailseal.store.stamps import POLL_SECONDS
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.wiring.gateway import Node, open_node

ASK_AGAIN_SECONDS = 60.0
ASK_SOON_SECONDS = 1.0
STUCK_SECONDS = 30.0
"""How long past its deadline a thread may be before the worker gives itself up (a native call that never returns)."""
STUCK_EXIT = 70
"""The exit code of such a worker (EX_SOFTWARE)."""

logger = logging.getLogger(__name__)


def run(config: Config, worker: int) -> None:
    """Serve until told to end; raises MailsealError when the role cannot start."""
    configure(config.log, f"mail {worker}")
    node = open_node(config)
    with unit_of_work():
        node.stamps.poll(time.monotonic())
    inheritance = inherit()
    if inheritance.supervisor_fd is None:
        group = config.listen.socket_group
        inheritance.sockets = {name: bind(place, group) for name, place in listeners(config).items()}
    role = MailRole(node)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(role.serve(inheritance))
    if role.is_stuck():
        logging.shutdown()
        os._exit(STUCK_EXIT)  # an ordinary exit would wait for the stuck thread, and nobody would start a fresh worker


class MailRole:
    """One mail worker."""

    def __init__(self, node: Node) -> None:
        config = node.config
        self._node = node
        self._config = config
        self.handling = MailHandling(node)
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="mail")

    async def serve(self, inheritance: Inheritance) -> None:
        """Listen, say so, and drain at the end."""
        lifetime = Lifetime(inheritance)
        receivers = make_receivers(self._config, inheritance.sockets, self._handle, self._features)
        watching = asyncio.create_task(self._watch(lifetime))
        asking = asyncio.create_task(self._ask_next_hops())
        inheritance.ready()
        await lifetime.wait()
        watching.cancel()
        asking.cancel()
        cut = await asyncio.gather(*(one.drain(self._config.limits.drain_seconds) for one in receivers))
        if sum(cut):
            logger.warning("%d connections were cut at the end of the drain time", sum(cut))
        self._pool.shutdown(wait=not self.is_stuck(), cancel_futures=True)
        self.handling.close()

    def _features(self) -> frozenset[str]:
        """What every next hop can do: a mail may go to any."""
        return self._node.relay.features()

    async def _ask_next_hops(self) -> None:
        """Learn what the next hops offer, so that DSN is announced only where it can be carried on.

        A next hop that is not up yet is asked again soon: without DSN, Postfix takes our 250 for the end of the way
        and reports success by itself.
        """
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1, thread_name_prefix="asking")
        pause = ASK_SOON_SECONDS
        try:
            while True:
                try:
                    known = await loop.run_in_executor(pool, self._ask)
                except Exception as error:  # noqa: BLE001 -- whatever a next hop does, the question is asked again
                    known = False
                    logger.warning("cannot ask the next hops what they offer: %s", type(error).__name__)
                pause = ASK_AGAIN_SECONDS if known else min(2 * pause, ASK_AGAIN_SECONDS)
                await asyncio.sleep(pause)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> bool:
        with unit_of_work():
            return self._node.relay.ask()

    async def _handle(self, envelope: Envelope, message: Message) -> Sequence[Reply]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.handling.work, envelope, message, time.monotonic())

    # ---- watching over itself

    async def _watch(self, lifetime: Lifetime) -> None:
        """Poll the stamps; give up when a thread is stuck, so that the supervisor starts a fresh worker."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="stamps") as pool:
            while not lifetime.over:
                try:
                    await loop.run_in_executor(pool, self._poll)
                except StoreUnavailable as error:
                    logger.debug("cannot look for changes in the database: %s", error)  # the store says it once
                except Exception as error:  # noqa: BLE001 -- without this loop the worker would answer 451 for ever
                    logger.error("unexpected failure of looking for changes: %s", type(error).__name__)
                if self.is_stuck():
                    logger.error("a mail has been in work far beyond its deadline; this worker ends")
                    lifetime.end()
                await asyncio.sleep(POLL_SECONDS)

    def _poll(self) -> None:
        with unit_of_work():
            self._node.stamps.poll(time.monotonic())
        self.handling.rest()

    def is_stuck(self) -> bool:
        """Whether a thread is so far beyond the deadline of its mail that it may never come back."""
        limit = self._config.limits.deadline_seconds + STUCK_SECONDS
        return self.handling.longest_seconds(time.monotonic()) > limit
