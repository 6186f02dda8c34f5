"""The maps role: answers Postfix's questions about domains, next hops, TLS and senders, and whether a login is right.

It opens the database and no key. What it cannot say makes the mail wait: the database away, a look for changes that is
too long ago, a rule that cannot be kept; and its own absence.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

import uvloop

from mailseal.config import AUTH, SOCKETMAP, Config, listeners
from mailseal.errors import MailsealError
from mailseal.roles import metric_table
from mailseal.roles.child import ActivationError, Inheritance, inherit
from mailseal.roles.lifetime import Lifetime
from mailseal.roles.listening import bind
from mailseal.roles.login_check import LoginCheck
from mailseal.roles.logs import configure
from mailseal.roles.maps_tables import MAPS, Found, Sources, telling
from mailseal.roles.meter import Meter, open_meter
from mailseal.roles.metric_table import By
from mailseal.roles.store_wait import keep_supervisors_away, wait_for_store
from mailseal.store.lru import Lru
from mailseal.store.stamps import POLL_SECONDS, Scope, StampWatch
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.transport.callers import Callers
from mailseal.transport.dovecot_auth import Attempt, AuthDialogue
from mailseal.transport.socketmap import Kind, Question, Reply, ReplyTooLongError, SocketmapDialogue

LISTENS = (SOCKETMAP, AUTH)
THREADS = 2
"""Each has a connection to the database. Most answers need none."""
MAX_ANSWERS = 50_000
"""That are kept, for a minute or until something changes."""
LOOK_AGAIN_SECONDS = 0.1
DRAIN_SECONDS = 10.0
"""No answer takes longer."""
SCOPES = (Scope.SETTINGS, Scope.TLS, Scope.LOGINS)

_STALE = Reply(Kind.TEMP, "Mailseal cannot look for changes in its database")
_AWAY = Reply(Kind.TEMP, "Mailseal's database is not available")
_UNEXPECTED = Reply(Kind.TEMP, "Mailseal cannot answer for now")
_NO_TABLE = Reply(Kind.PERM, "there is no such table")
_NO_LABEL = "other"
_TOO_LONG = Reply(Kind.TEMP, "the answer is longer than Postfix takes")

logger = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Answer until told to end; raises MailsealError when the role cannot start."""
    configure(config.log, "maps")
    meter = open_meter(config, By.MAPS)
    inheritance = inherit()
    if not inheritance.supervised:
        _stand_alone(config, inheritance)
    if not inheritance.sockets:
        logger.warning("postfix.instance is off: there is nothing to do")
        return
    wait_for_store(config, inheritance)
    role = MapsRole(config, meter)
    with unit_of_work():
        role.stamps.poll(time.monotonic())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(role.serve(inheritance))


def _stand_alone(config: Config, inheritance: Inheritance) -> None:
    """Without a supervisor: keep one away, and bind what no service manager handed in."""
    keep_supervisors_away(config)
    strange = inheritance.sockets.keys() - set(LISTENS)
    if strange:
        raise ActivationError(f"nothing is answered on the socket {min(strange)}")
    if not inheritance.sockets:
        places = listeners(config)
        group = config.listen.socket_group
        inheritance.sockets = {name: bind(places[name], group) for name in LISTENS if name in places}


class MapsRole:
    """The one process of a node that answers."""

    def __init__(self, config: Config, meter: Meter) -> None:
        self._config = config
        self._meter = meter
        self._sources = Sources(config)
        self._answers: Lru[tuple[str, str], Reply] = Lru(MAX_ANSWERS)
        self._told: Lru[str, str] = Lru(1000)
        clear = [self._sources.clear, self._answers.clear]  # in this order: no answer is made of what is old
        self.stamps = StampWatch(dict.fromkeys(SCOPES, clear))
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="maps")
        self._callers: list[Callers[Question] | Callers[Attempt]] = []

    async def serve(self, inheritance: Inheritance) -> None:
        """Listen, say so, and end when all that was asked is answered."""
        lifetime = Lifetime(inheritance, self._config.limits.drain_seconds)
        check = LoginCheck(self._meter, self._config.log.addresses)
        self._listen(inheritance, check)
        watching = asyncio.create_task(self._watch(lifetime))
        inheritance.ready()
        self._meter.set(metric_table.READY, 1, By.MAPS.value)
        await lifetime.wait()
        self._meter.set(metric_table.READY, 0, By.MAPS.value)
        seconds = min(DRAIN_SECONDS, self._config.limits.drain_seconds)
        await asyncio.gather(*(one.drain(seconds) for one in self._callers))
        watching.cancel()
        check.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _listen(self, inheritance: Inheritance, check: LoginCheck) -> None:
        if (held := inheritance.sockets.get(SOCKETMAP)) is not None:
            maps: Callers[Question] = Callers(SocketmapDialogue, self.answer)
            maps.listen(held)
            self._callers.append(maps)
        if (held := inheritance.sockets.get(AUTH)) is not None:
            auth: Callers[Attempt] = Callers(AuthDialogue, check.answer)
            auth.listen(held)
            self._callers.append(auth)

    # ---- answers

    def answer(self, question: Question) -> bytes | Awaitable[bytes]:
        """What Postfix is told: at once if it is known, and trusted only while changes are looked for."""
        if not self.stamps.fresh(time.monotonic()):
            return self._said(question, _STALE)
        question = telling(question)
        known = self._answers.get((question.table, question.key))
        if known is not None:
            return self._said(question, known)
        if question.table not in MAPS:
            return self._said(question, _NO_TABLE)
        return self._look(question)

    async def _look(self, question: Question) -> bytes:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._config.tls.mta_sts_wait_seconds
        found = await loop.run_in_executor(self._pool, self._find, question)
        while found.passing and loop.time() < until:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            found = await loop.run_in_executor(self._pool, self._find, question)
        return self._said(question, found.reply)

    def _find(self, question: Question) -> Found:
        """In a thread."""
        generation = self._answers.generation
        try:
            with unit_of_work():
                found = MAPS[question.table](self._sources, question.key)
        except StoreUnavailable:
            self._meter.count(metric_table.STORE_UNAVAILABLE, By.MAPS.value)
            return Found(_AWAY)
        except MailsealError as error:
            self._say(f"{question.table}: {error}")
            return Found(Reply(Kind.TEMP, str(error)))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the mail waits and other questions are answered
            logger.error("a question about %s could not be answered: %s", question.table, type(error).__name__)
            return Found(_UNEXPECTED)
        if not found.passing:
            self._answers.put((question.table, question.key), found.reply, generation)
        return found

    def _said(self, question: Question, reply: Reply) -> bytes:
        try:
            octets = reply.encode()
        except ReplyTooLongError as error:
            self._say(f"{question.table}: {error}")
            reply = _TOO_LONG
            octets = reply.encode()
        table = question.table if question.table in MAPS else _NO_LABEL
        self._meter.count(metric_table.MAP_ANSWERS, table, reply.kind.value.lower())
        return octets

    def _say(self, text: str) -> None:
        """Once a minute: Postfix asks again for each mail that waits."""
        if self._told.get(text) is None:
            self._told.put(text, text, self._told.generation)
            logger.warning("mail waits: %s", text)

    # ---- changes

    async def _watch(self, lifetime: Lifetime) -> None:
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1, thread_name_prefix="stamps")
        try:
            while not lifetime.over:
                await loop.run_in_executor(pool, self._poll)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            pool.shutdown(wait=False)  # a database that hangs must not hold up the end

    def _poll(self) -> None:
        self._meter.rest()
        try:
            with unit_of_work():
                self.stamps.poll(time.monotonic())
        except StoreUnavailable as error:
            self._meter.count(metric_table.STORE_UNAVAILABLE, By.MAPS.value)
            logger.debug("cannot look for changes in the database: %s", error)  # the store says it once
        except Exception as error:  # noqa: BLE001 -- without this loop all mail would wait for ever
            logger.error("unexpected failure of looking for changes: %s", type(error).__name__)
