"""When a process that the supervisor started shall end: a signal, or the supervisor gone (docs/flow.md)."""

import asyncio
import contextlib
import os
import signal

from mailseal.roles.child import Inheritance


class Lifetime:
    """Set once the process is to drain. Used on one event loop."""

    def __init__(self, inheritance: Inheritance) -> None:
        self._over = asyncio.Event()
        self._inheritance = inheritance
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._over.set)
        if inheritance.supervisor_fd is not None:
            loop.add_reader(inheritance.supervisor_fd, self._supervisor_spoke)

    def _supervisor_spoke(self) -> None:
        # Nothing is ever written to this pipe: to be readable is to be at its end.
        fd = self._inheritance.supervisor_fd
        if fd is not None and not os.read(fd, 1):
            asyncio.get_running_loop().remove_reader(fd)
            self._over.set()

    def end(self) -> None:
        """The process itself wants to end."""
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
