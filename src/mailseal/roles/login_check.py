"""Whether somebody is who he says: his login, looked up anew each time, and his password.

It takes as long for a login that does not exist, is disabled or has another password. What the client is told is the
same; what the log says is not, but for a name that no login has: it may be a password, typed into the wrong field.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from mailseal.config import LogAddresses
from mailseal.errors import TransientError
from mailseal.keys.password_hash import NOBODYS, WrongPasswordError, verify_password
from mailseal.roles import metric_table
from mailseal.roles.login_limits import LoginLimits, Ticket, client_key
from mailseal.roles.meter import Meter
from mailseal.roles.metric_table import By
from mailseal.store import logins
from mailseal.store.logins import Login, LoginError, login_name
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.transport.dovecot_auth import Attempt, accepted, failed
from mailseal.transport.sasl import Credentials

AT_ONCE = 2
"""Passwords that are looked at: each takes 64 MiB and a core."""
MAX_WAITING = 40
TURN_SECONDS = 4.0
"""How long one may wait for its turn: Postfix gives up after 10 seconds in all."""
_REFUSED = "wrong user or password"
_LOCKED = "too many failures, try again in some minutes"

logger = logging.getLogger(__name__)


class Result(StrEnum):
    """What came of an attempt."""

    ACCEPTED = "accepted"
    WRONG_PASSWORD = "wrong-password"  # noqa: S105 -- the name of a result
    UNKNOWN = "unknown"
    DISABLED = "disabled"
    LOCKED = "locked"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


_TEMPORARY = frozenset({Result.BUSY, Result.UNAVAILABLE})
"""Nothing is known of who tries: to say "wrong" would make a mail program ask for another password."""


class LoginCheck:
    """Used on one event loop; passwords are looked at in threads."""

    def __init__(self, meter: Meter, addresses: LogAddresses, clock: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._shows_names = addresses is LogAddresses.FULL
        self._limits = LoginLimits(clock)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="login")
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def answer(self, attempt: Attempt) -> bytes | None:
        """What Postfix is told; None: nothing now."""
        credentials = attempt.credentials
        name = _stored_form(credentials.name)
        ticket = self._limits.begin(name, client_key(attempt.client))
        result, login = (Result.LOCKED, None) if ticket is None else await self._look(ticket, credentials)
        self._meter.count(metric_table.LOGINS, result.value)
        self._log(attempt, result, login)
        if result is Result.ACCEPTED and login is not None:
            return accepted(attempt.number, login.name)
        if result in _TEMPORARY:
            return None
        if ticket is None:
            return failed(attempt.number, reason=_LOCKED)
        await asyncio.sleep(self._limits.delay_seconds(ticket))
        return failed(attempt.number, user=login.name if login else "", reason=_REFUSED)

    def close(self) -> None:
        """No more are looked at."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _look(self, ticket: Ticket, credentials: Credentials) -> tuple[Result, Login | None]:
        if self._waiting >= MAX_WAITING:
            self._limits.undecided(ticket)
            return Result.BUSY, None
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            self._limits.undecided(ticket)
            return Result.BUSY, None
        finally:
            self._waiting -= 1
        try:
            loop = asyncio.get_running_loop()
            result, login = await loop.run_in_executor(self._pool, _verify, ticket.login, credentials.password)
        finally:
            self._turn.release()
        if result is Result.ACCEPTED:
            self._limits.succeeded(ticket)
        elif result in _TEMPORARY:
            self._limits.undecided(ticket)
            self._meter.count(metric_table.STORE_UNAVAILABLE, By.MAPS.value)
        return result, login

    def _log(self, attempt: Attempt, result: Result, login: Login | None) -> None:
        fields = {
            "login": login.name if login is not None and self._shows_names else "",
            "result": result.value,
            "from": attempt.client if client_key(attempt.client) else "",
            "tls": "yes" if attempt.secured else "no",
        }
        level, event = (logging.DEBUG, "login") if result is Result.ACCEPTED else (logging.INFO, "login refused")
        logger.log(level, event, extra={key: value for key, value in fields.items() if value})


def _stored_form(name: str) -> str:
    """As logins are stored; a name that none can have is counted as it is, and looked up in vain."""
    try:
        return login_name(name)
    except LoginError:
        return name


def _verify(name: str, password: bytes) -> tuple[Result, Login | None]:
    """In a thread."""
    try:
        with unit_of_work():
            login = logins.find(name)
    except StoreUnavailable:
        return Result.UNAVAILABLE, None
    except Exception as error:  # noqa: BLE001 -- whatever it is, it says nothing about who tries
        logger.error("a login could not be looked up: %s", type(error).__name__)
        return Result.UNAVAILABLE, None
    try:
        verify_password(password, NOBODYS if login is None else login.password)
    except WrongPasswordError:
        return (Result.UNKNOWN if login is None else Result.WRONG_PASSWORD), login
    except TransientError as error:
        logger.error("a password could not be looked at: %s", error)
        return Result.UNAVAILABLE, login
    if login is None:
        return Result.UNKNOWN, None
    return (Result.ACCEPTED if login.enabled else Result.DISABLED), login
