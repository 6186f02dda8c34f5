"""The worker role: moves journals to the message log, does jobs, takes over those of a dead node."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from mailseal.config import Config, Instance
from mailseal.errors import PermanentError, TransientError
from mailseal.roles import metric_table
from mailseal.roles.child import Inheritance, inherit
from mailseal.roles.handlers import HANDLERS, Lane, kinds_of
from mailseal.roles.held_keks import KekWatch, held_by_all
from mailseal.roles.lifetime import Lifetime
from mailseal.roles.log_lines import CURRENT_MAIL
from mailseal.roles.logs import configure
from mailseal.roles.measuring import MEASURE_SECONDS, StoreMeasures
from mailseal.roles.meter import Meter, open_meter
from mailseal.roles.metric_table import By
from mailseal.roles.queue_measuring import QueueMeasures
from mailseal.roles.startup import open_when_possible
from mailseal.roles.store_wait import keep_supervisors_away
from mailseal.roles.tls_log import TlsLog
from mailseal.roles.tls_renewal import TlsFiles
from mailseal.store import console_keys, findings, jobs, nodes
from mailseal.store.house import House
from mailseal.store.jobs import Job
from mailseal.store.journal_import import import_journals
from mailseal.store.pace import Turn
from mailseal.store.reports import ABOUT_MAIL
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.wiring.gateway import Node

JOURNAL_SECONDS = 0.5
IMPORT_TURN_SECONDS = 5.0
JOB_SECONDS = 0.5
TLS_FILES_SECONDS = 2.0
JOB_TURN_SECONDS = 10.0
"""After so long it is asked whether the worker shall end, whatever jobs wait."""

CONSOLE_SECONDS = 0.15
"""Somebody waits for these."""

NETWORK_LOOPS, SEARCH_LOOPS, LOOK_LOOPS, CONSOLE_LOOPS = 2, 4, 2, 2
"""Jobs that wait for other machines, or that somebody waits for, at the same time."""

DONE, AGAIN, FAILED = "done", "again", "failed"

logger = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Work until told to end; raises MailsealError when the role cannot start."""
    configure(config.log, "worker")
    meter = open_meter(config, By.WORKER)
    inheritance = inherit()
    if not inheritance.supervised:
        keep_supervisors_away(config)
    node = open_when_possible(config, inheritance)
    asyncio.run(WorkerRole(node, meter).serve(inheritance))


class WorkerRole:
    """The one job worker of a node."""

    def __init__(self, node: Node, meter: Meter) -> None:
        self._node = node
        self._meter = meter
        self._house = House()
        self._keks = KekWatch(node.kek)
        self._measures = StoreMeasures(meter, node.config.journal_dir, HANDLERS)
        self._queue = QueueMeasures(meter, node.config)
        self._has_queue = node.config.postfix.instance is not Instance.OFF
        self._tls_log = TlsLog(node.config, node.gateway.directory)
        self._tls_files = TlsFiles(node.config, node.kek)
        self._token = secrets.token_hex(8)

    async def serve(self, inheritance: Inheritance) -> None:
        """Run the loops until the end."""
        lifetime = Lifetime(inheritance, self._node.config.limits.drain_seconds)
        loops = (
            (self._import, JOURNAL_SECONDS),
            (self._do_jobs, JOB_SECONDS),
            (self._keep_house, nodes.HEARTBEAT_SECONDS),
            (self._measures.take, MEASURE_SECONDS),
            (self._tls_files.keep, TLS_FILES_SECONDS),
            *([(self._queue.take, MEASURE_SECONDS)] if self._has_queue else []),
            *[(self._ask_around, JOB_SECONDS)] * NETWORK_LOOPS,
            *[(self._search, JOB_SECONDS)] * SEARCH_LOOPS,
            *[(self._look, JOB_SECONDS)] * LOOK_LOOPS,
            *[(self._do_for_console, CONSOLE_SECONDS)] * CONSOLE_LOOPS,
            (self._check, JOB_SECONDS),
        )
        with ExitStack() as threads:
            # One for each loop: a connection to SQLite keeps up to 16 MB of what it has read, and imports read most.
            own = [threads.enter_context(ThreadPoolExecutor(1, thread_name_prefix="worker")) for _ in loops]
            inheritance.ready()
            self._meter.set(metric_table.READY, 1, By.WORKER.value)
            turns = zip(own, loops, strict=True)
            await asyncio.gather(*(self._repeat(lifetime, thread, *loop) for thread, loop in turns))
            self._meter.set(metric_table.READY, 0, By.WORKER.value)
            # What the mail workers wrote while draining; the next worker finds what comes after this.
            await asyncio.get_running_loop().run_in_executor(own[0], self._quietly, self._import)

    def _import(self) -> None:
        done = import_journals(self._node.config.journal_dir, Turn(IMPORT_TURN_SECONDS))
        self._meter.count(metric_table.ROWS_IMPORTED, by=done.rows)
        self._meter.count(metric_table.JOURNAL_BAD_LINES, by=done.bad_lines)
        self._tls_log.read_sometimes(Turn(IMPORT_TURN_SECONDS))

    def _keep_house(self) -> None:
        self._house.keep()
        nodes.beat(held_by_all(self._node.config.run_dir, self._keks.look()))
        self._meter.now(metric_table.HEARTBEAT)
        self._node.stamps.poll(time.monotonic())
        findings.ensure()
        for kind, row in HANDLERS.items():
            if row.every_seconds is not None:
                jobs.ensure_recurring(kind, "", row.every_seconds)
        # The console can ask from now on. Last, since a KEK that is missing must not keep this node from all the rest.
        if console_keys.public(console_keys.INTAKE) is None:
            console_keys.open_intake(self._node.kek)

    def _do_jobs(self) -> None:
        self._do_all(Lane.MAIN)

    def _ask_around(self) -> None:
        self._do_all(Lane.NETWORK)

    def _search(self) -> None:
        self._do_all(Lane.SEARCH)

    def _look(self) -> None:
        self._do_all(Lane.LOOK)

    def _do_for_console(self) -> None:
        self._do_all(Lane.CONSOLE)

    def _check(self) -> None:
        self._do_all(Lane.CHECK)

    def _do_all(self, lane: Lane) -> None:
        kinds = kinds_of(lane)
        turn = Turn(JOB_TURN_SECONDS)
        while turn.goes_on() and (job := jobs.claim(self._token, kinds=kinds)) is not None:
            self._do(job)

    def _do(self, job: Job) -> None:
        said_of = CURRENT_MAIL.set(str(job.payload.get(ABOUT_MAIL, "")))
        try:
            result = self._attempt(job)
        finally:
            CURRENT_MAIL.reset(said_of)
        self._meter.count(metric_table.JOBS, job.kind, result)

    def _attempt(self, job: Job) -> str:
        """Do a job; what became of it, as `metric_table.JOBS` names it."""
        try:
            again_seconds = HANDLERS[job.kind].handle(self._node, job)
        except StoreUnavailable:
            raise
        except PermanentError as error:
            logger.error("job %s (%s) failed for good: %s", job.id, job.kind, error)
            jobs.fail(job, str(error), for_good=True)
            return FAILED
        except TransientError as error:
            logger.warning("job %s (%s) will be tried again: %s", job.id, job.kind, error)
            jobs.fail(job, str(error))
            return _after_failure(job)
        except Exception as error:  # noqa: BLE001 -- one broken job must not stop the others
            # The text of an unexpected exception may hold what the job is about, so only its kind is kept.
            logger.error("job %s (%s) failed unexpectedly: %s", job.id, job.kind, type(error).__name__)
            jobs.fail(job, type(error).__name__)
            return _after_failure(job)
        jobs.done(job, again_seconds=again_seconds)
        return DONE if again_seconds is None else AGAIN

    def _quietly(self, work: Callable[[], None]) -> None:
        """One turn of a loop: a database that is away is waited for."""
        try:
            with unit_of_work():
                work()
        except StoreUnavailable as error:
            self._meter.count(metric_table.STORE_UNAVAILABLE, By.WORKER.value)
            logger.debug("the database is not available, trying again: %s", error)  # the store says it once
        except OSError as error:
            logger.error("cannot read or write a file, trying again: %s", error)
        except Exception as error:  # noqa: BLE001 -- one broken row or file must not end the other loops
            logger.error("unexpected failure of %s, trying again: %s", work.__name__, type(error).__name__)

    async def _repeat(
        self, lifetime: Lifetime, thread: ThreadPoolExecutor, work: Callable[[], None], seconds: float
    ) -> None:
        loop = asyncio.get_running_loop()
        while not lifetime.over:
            await loop.run_in_executor(thread, self._quietly, work)
            await lifetime.wait(seconds)


def _after_failure(job: Job) -> str:
    return FAILED if job.every_seconds is None and job.attempts >= jobs.MAX_ATTEMPTS else AGAIN
