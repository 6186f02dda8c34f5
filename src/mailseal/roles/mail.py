"""The mail role: receives mail on the inherited sockets and runs the pipeline for each in a bounded pool of threads.

The event loop only reads and writes sockets; everything that may block or compute happens in a thread.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import uvloop

from mailseal.config import LMTP_AUTHORISED, LMTP_OUTSIDE, SMTP, BareLf, Config, listeners
from mailseal.mail import reply
from mailseal.mail.envelope import Envelope, Origin, Protocol, attempt_id
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.pipeline import Processed, process_mail
from mailseal.pipeline.smtp_reply import conclude
from mailseal.ports import Hop
from mailseal.roles.child import Inheritance, inherit
from mailseal.roles.lifetime import Lifetime
from mailseal.roles.listening import bind
from mailseal.roles.logs import configure
from mailseal.roles.records import records_of
from mailseal.store.journal import JournalError, JournalWriter, Record
from mailseal.store.stamps import POLL_SECONDS
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.transport.caps import Caps, Load
from mailseal.transport.receiver import OriginOf, Receiver, origin_by_network
from mailseal.transport.transaction import House
from mailseal.wiring.gateway import Node, open_node
from mailseal.wiring.ledger import LedgerOfOneMail

ASK_AGAIN_SECONDS = 60.0
ASK_SOON_SECONDS = 2.0
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
        self._journal = JournalWriter(config.journal_dir)
        self._unwritten: list[Record] = []
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="mail")
        self._unwritten_lock = threading.RLock()
        self._started: dict[object, float] = {}

    async def serve(self, inheritance: Inheritance) -> None:
        """Listen, say so, and drain at the end."""
        lifetime = Lifetime(inheritance)
        receivers = self._receivers(inheritance)
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
        self._journal.close()

    def _receivers(self, inheritance: Inheritance) -> list[Receiver]:
        config = self._config
        load = Load()
        by_network = origin_by_network(config.listen.smtp_authorised_networks)
        kinds: dict[str, tuple[Protocol, Origin | OriginOf]] = {
            LMTP_AUTHORISED: (Protocol.LMTP, Origin.AUTHORISED),
            LMTP_OUTSIDE: (Protocol.LMTP, Origin.OUTSIDE),
            SMTP: (Protocol.ESMTP, by_network),
        }
        receivers = []
        for name, listening in inheritance.sockets.items():
            protocol, origin = kinds[name]
            house = House(
                hostname=config.hostname,
                protocol=protocol,
                caps=self._caps(),
                load=load,
                features=self._features,
                normalise_bare_lf=config.listen.bare_lf is BareLf.NORMALISE,
                spool_directory=config.spool_dir,
            )
            receiver = Receiver(
                self._handle,
                house,
                origin,
                xforward_peers=config.listen.xforward_peers,
                xforward_unix=config.listen.xforward_unix,
            )
            receiver.listen(listening)
            receivers.append(receiver)
        return receivers

    def _caps(self) -> Caps:
        limits = self._config.limits
        return Caps(
            max_connections=limits.max_connections,
            max_recipients=limits.max_recipients,
            max_message_bytes=limits.max_message_bytes,
            max_bytes_in_flight=limits.max_bytes_in_flight,
            spool_threshold_bytes=limits.spool_threshold_bytes,
            idle_seconds=limits.idle_seconds,
            total_seconds=limits.total_seconds,
        )

    def _features(self) -> frozenset[str]:
        """What both next hops can do: a mail may go to either."""
        known = [self._node.relay.known_capabilities(hop) for hop in Hop]
        return frozenset.intersection(*known)

    async def _ask_next_hops(self) -> None:
        """Learn what the next hops offer, so that DSN is announced only where it can be carried on.

        A next hop that is not up yet is asked again soon: without DSN, Postfix takes our 250 for the end of the way
        and reports success by itself.
        """
        loop = asyncio.get_running_loop()
        while True:
            pause = ASK_AGAIN_SECONDS
            for hop in Hop:
                try:
                    await loop.run_in_executor(self._pool, self._node.relay.capabilities, hop)
                except Exception as error:  # noqa: BLE001 -- whatever a next hop does, the question is asked again
                    logger.warning("the next hop %s did not say what it offers: %s", hop, error)
                    pause = ASK_SOON_SECONDS
            await asyncio.sleep(pause)

    # ---- one mail

    async def _handle(self, envelope: Envelope, message: Message) -> Sequence[Reply]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.work, envelope, message, time.monotonic())

    def work(self, envelope: Envelope, message: Message, arrived: float) -> list[Reply]:
        """Process one mail in a thread: effects first, then the journal, then the replies.

        The deadline counts from `arrived` (monotonic): a client that waited in vain has long tried again elsewhere.
        """
        answers = len(envelope.recipients) if envelope.protocol is Protocol.LMTP else 1
        if not self._node.stamps.fresh(time.monotonic()) or not self._journal_works():
            return [reply.STORE_UNAVAILABLE] * answers
        mail = object()
        self._started[mail] = time.monotonic()
        try:
            with unit_of_work():
                return self._work(envelope, message, arrived)
        finally:
            del self._started[mail]

    def _work(self, envelope: Envelope, message: Message, arrived: float) -> list[Reply]:
        attempt = attempt_id(envelope, message)
        shared = self._node.gateway
        ledger = LedgerOfOneMail(shared.ledger)
        left = shared.deadline_seconds - (time.monotonic() - arrived)
        done = process_mail(envelope, message, replace(shared, ledger=ledger, deadline_seconds=left), attempt)
        replies = [one.reply for one in done.outcomes]
        if envelope.protocol is Protocol.ESMTP:
            replies = [self._conclude_smtp(envelope, message, attempt, done, ledger)]
        self._log(records_of(envelope, done, attempt, datetime.now(UTC)))
        return replies

    def _log(self, records: list[Record]) -> None:
        """Copies have left: a journal that cannot be written may not make the client send them again."""
        try:
            self._journal.append(records)
        except JournalError as error:
            logger.error("no further mail is taken: %s", error)
            with self._unwritten_lock:
                self._unwritten += records

    def _journal_works(self) -> bool:
        """Whether everything so far is written; what is not is tried again before another mail has any effect."""
        if not self._unwritten:
            return True
        with self._unwritten_lock:
            waiting, self._unwritten = self._unwritten, []
            self._log(waiting)
            return not self._unwritten

    def _conclude_smtp(
        self, envelope: Envelope, message: Message, attempt: bytes, done: Processed, ledger: LedgerOfOneMail
    ) -> Reply:
        try:
            end = conclude(envelope, message, done.outcomes, self._config.hostname, datetime.now(UTC))
            if not end.reply.deferred and (ledger.used or end.report):
                self._node.reports.conclude_smtp(attempt, envelope.sender, end.report)
        except StoreUnavailable:
            return reply.STORE_UNAVAILABLE
        except Exception as error:  # noqa: BLE001 -- copies may have left: whatever happens now, the log gets them
            logger.error("a mail could not be concluded: %s", type(error).__name__)
            return reply.DEFERRED
        return end.reply

    # ---- watching over itself

    async def _watch(self, lifetime: Lifetime) -> None:
        """Poll the stamps; give up when a thread is stuck, so that the supervisor starts a fresh worker."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="stamps") as pool:
            while not lifetime.over:
                try:
                    await loop.run_in_executor(pool, self._poll)
                except StoreUnavailable as error:
                    logger.warning("cannot look for changes in the database: %s", error)
                except Exception as error:  # noqa: BLE001 -- without this loop the worker would answer 451 for ever
                    logger.error("unexpected failure of looking for changes: %s", type(error).__name__)
                if self.is_stuck():
                    logger.error("a mail has been in work far beyond its deadline; this worker ends")
                    lifetime.end()
                await asyncio.sleep(POLL_SECONDS)

    def _poll(self) -> None:
        with unit_of_work():
            self._node.stamps.poll(time.monotonic())
        self._journal.rotate_if_old()

    def is_stuck(self) -> bool:
        """Whether a thread is so far beyond the deadline of its mail that it may never come back."""
        limit = self._config.limits.deadline_seconds + STUCK_SECONDS
        now = time.monotonic()
        return any(now - began > limit for began in list(self._started.values()))
