"""The mail role: receives mail on the inherited sockets and runs the pipeline for each in a bounded pool of threads.

The event loop only reads and writes sockets; everything that may block or compute happens in a thread.
"""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvloop

from mailseal.config import MAIL_SOCKETS, Config, listeners
from mailseal.mail.envelope import Envelope, Origin
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.roles import listening, metric_table
from mailseal.roles.child import ActivationError, Inheritance, inherit
from mailseal.roles.handling import MailHandling
from mailseal.roles.held_keks import HeldKeks
from mailseal.roles.lifetime import Lifetime
from mailseal.roles.logs import configure
from mailseal.roles.mail_metrics import count_document, measure_mail, stop_measuring
from mailseal.roles.meter import Meter, open_meter
from mailseal.roles.metric_table import By
from mailseal.roles.receivers import make_receivers
from mailseal.roles.startup import open_when_possible
from mailseal.roles.store_wait import keep_supervisors_away
from mailseal.store.stamps import POLL_SECONDS
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.transport.receiver import Receiver
from mailseal.wiring.gateway import Node

ASK_AGAIN_SECONDS = 60.0
ASK_SOON_SECONDS = 1.0
STUCK_SECONDS = 30.0
"""How long past its deadline a thread may be before the worker gives itself up (a native call that never returns)."""
STUCK_EXIT = 70
"""The exit code of such a worker (EX_SOFTWARE)."""
_LOOK_AGAIN_SECONDS = 0.05

logger = logging.getLogger(__name__)


def run(config: Config, worker: int) -> None:
    """Serve until told to end; raises MailsealError when the role cannot start."""
    configure(config.log, f"mail {worker}")
    meter = open_meter(config, By.MAIL, worker)
    inheritance = inherit()
    if not inheritance.supervised:
        _stand_alone(config, inheritance)
    node = open_when_possible(config, inheritance)
    with unit_of_work():
        node.stamps.poll(time.monotonic())
    role = MailRole(node, meter)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(role.serve(inheritance))
    if not role.finish():
        logging.shutdown()
        os._exit(STUCK_EXIT)  # an ordinary exit would wait for the stuck thread, and nobody would start a fresh worker


def _stand_alone(config: Config, inheritance: Inheritance) -> None:
    """Without a supervisor: keep one away, and bind the listeners that no service manager handed in."""
    keep_supervisors_away(config)
    strange = inheritance.sockets.keys() - set(MAIL_SOCKETS)
    if strange:
        raise ActivationError(f"no mail comes in by the socket {min(strange)}")
    if not inheritance.sockets:
        places = listeners(config)
        group = config.listen.socket_group
        inheritance.sockets = {name: listening.bind(places[name], group) for name in MAIL_SOCKETS if name in places}


class MailRole:
    """One mail worker."""

    def __init__(self, node: Node, meter: Meter) -> None:
        config = node.config
        self._node = node
        self._meter = meter
        self._in_flight = 0
        self._receivers: list[Receiver] = []
        self._config = config
        self.handling = MailHandling(node, meter)
        node.documents.told = partial(count_document, meter)
        self._held: HeldKeks | None = None
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="mail")
        # One thread is kept for authorised mail: a flood of costly mail from outside cannot make it wait in the queue.
        self._outside_turn = asyncio.Semaphore(max(1, config.threads - 1))
        self._drained_by = 0.0

    async def serve(self, inheritance: Inheritance) -> None:
        """Listen, say so, and drain at the end."""
        lifetime = Lifetime(inheritance, self._config.limits.drain_seconds)
        self._receivers = make_receivers(self._config, inheritance.sockets, self._handle, self._features)
        watching = asyncio.create_task(self._watch(lifetime))
        asking = asyncio.create_task(self._ask_next_hops())
        inheritance.ready()
        self._meter.set(metric_table.READY, 1, By.MAIL.value)
        await lifetime.wait()
        self._drained_by = time.monotonic() + self._config.limits.drain_seconds
        stop_measuring(self._meter)
        watching.cancel()
        asking.cancel()
        cut = await asyncio.gather(*(one.drain(self._config.limits.drain_seconds) for one in self._receivers))
        if sum(cut):
            logger.warning("%d connections were cut at the end of the drain time", sum(cut))
        self._pool.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> bool:
        """After `serve`: wait for mails of clients that hung up, until the drain time is over; whether none is left."""
        while self.handling.started and time.monotonic() < self._drained_by:
            time.sleep(_LOOK_AGAIN_SECONDS)
        if self.handling.started:
            return False
        self.handling.close()
        return True

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
            return self._node.relay.ask(lambda: not self._drained_by)  # the process's end would wait for all of them

    async def _handle(self, envelope: Envelope, message: Message) -> Sequence[Reply]:
        arrived = time.monotonic()
        self._in_flight += 1
        try:
            if envelope.origin is Origin.AUTHORISED:
                return await self._in_thread(envelope, message, arrived)
            async with self._outside_turn:
                return await self._in_thread(envelope, message, arrived)
        finally:
            self._in_flight -= 1

    async def _in_thread(self, envelope: Envelope, message: Message, arrived: float) -> list[Reply]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.handling.work, envelope, message, arrived)

    # ---- watching over itself

    async def _watch(self, lifetime: Lifetime) -> None:
        """Poll the stamps; give up when a thread is stuck, so that the supervisor starts a fresh worker."""
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1, thread_name_prefix="stamps")
        try:
            while not lifetime.over:
                try:
                    await loop.run_in_executor(pool, self._poll)
                except StoreUnavailable as error:
                    self._meter.count(metric_table.STORE_UNAVAILABLE, By.MAIL.value)
                    logger.debug("cannot look for changes in the database: %s", error)  # the store says it once
                except Exception as error:  # noqa: BLE001 -- without this loop the worker would answer 451 for ever
                    logger.error("unexpected failure of looking for changes: %s", type(error).__name__)
                if self.is_stuck():
                    logger.error("a mail has been in work far beyond its deadline; this worker ends")
                    lifetime.end()
                await asyncio.sleep(POLL_SECONDS)
        finally:
            pool.shutdown(wait=False)  # a database that hangs must not hold up the mails that drain

    def _poll(self) -> None:
        measure_mail(self._meter, self._receivers, self._in_flight)
        with unit_of_work():
            self._node.stamps.poll(time.monotonic())
        if not self._drained_by:
            self._meter.now(metric_table.LAST_POLL)
        if self._held is None:
            self._held = HeldKeks(self._node.kek, self._config.run_dir)
        self._held.say(time.monotonic())
        self.handling.rest()

    def is_stuck(self) -> bool:
        """Whether a thread is so far beyond the deadline of its mail that it may never come back."""
        limit = self._config.limits.deadline_seconds + STUCK_SECONDS
        return self.handling.longest_seconds(time.monotonic()) > limit
