"""When a role's process shall end: a signal, or its supervisor gone; and its signs of life (docs/running.md)."""

import asyncio
import contextlib
import math
import os
import signal

from mailseal.roles import child
from mailseal.roles.child import Inheritance
from mailseal.roles.notify import ALIVE, STOPPING, beat_seconds, notify

ORPHAN_SECONDS = 5
"""How long after its drain time a process without its supervisor may still be there."""


class Lifetime:
    """Set once the process is to drain, for which it has `drain_seconds`. Used on one event loop.

    A role without a supervisor drains on SIGHUP as well: the service manager starts it anew, with the configuration as
    it then is. Supervisor or manager are told that it lives, as long as the loop turns.
    """

    def __init__(self, inheritance: Inheritance, drain_seconds: float) -> None:
        self._over = asyncio.Event()
        self._drain_seconds = drain_seconds
        self._inheritance = inheritance
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        if inheritance.supervisor_fd is not None:
            loop.add_reader(inheritance.supervisor_fd, self._supervisor_spoke)
            loop.call_later(child.BEAT_SECONDS, self._beat, child.BEAT_SECONDS)
        elif (pause := beat_seconds()) is not None:
            self._beat(pause)

    def _hang_up(self) -> None:
        if not self._inheritance.supervised:  # else the supervisor, who got it too, starts others
            self.end()

    def _supervisor_spoke(self) -> None:
        # Nothing is ever written to this pipe: to be readable is to be at its end.
        fd = self._inheritance.supervisor_fd
        if fd is not None and not os.read(fd, 1):
            asyncio.get_running_loop().remove_reader(fd)
            # Nobody is left to kill it where a thread hangs, so the kernel does (SIGALRM, which nobody handles).
            signal.alarm(math.ceil(self._drain_seconds) + ORPHAN_SECONDS)
            self.end()

    def _beat(self, pause: float) -> None:
        if self._inheritance.supervised:
            self._inheritance.beat()
        else:
            notify(ALIVE)
        asyncio.get_running_loop().call_later(pause, self._beat, pause)

    def end(self) -> None:
        """End as soon as the work at hand is done."""
        if not self._over.is_set() and not self._inheritance.supervised:
            notify(STOPPING)
        self._over.set()

    @property
    def over(self) -> bool:
        """Whether to drain."""
        return self._over.is_set()

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the end, or for some time; whether it is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), timeout_seconds)
        return self._over.is_set()
