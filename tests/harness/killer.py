"""Kills one process of a site after the other, at random, while mail flows."""

from __future__ import annotations

import collections
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from harness.gateway import Gateway
from harness.mariadb import MariaDb

FIRST = (("worker", 2), ("supervisor", 3), ("database", 4))
"""Each of these is the victim once after so many mail workers; then chance alone decides."""
WEIGHTS = {"mail": 16, "worker": 2, "supervisor": 1, "database": 2}


@dataclass
class Killer:
    """A killed supervisor is started again at once, as systemd would; a killed database after a while."""

    gateway: Gateway
    random: random.Random
    seconds_between: float
    database: MariaDb | None = None
    done: collections.Counter[str] = field(default_factory=collections.Counter)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _error: BaseException | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        assert self._thread is not None
        self._thread.join()
        assert self._error is None, self._error

    def _run(self) -> None:
        try:
            while not self._stopped.wait(self.random.uniform(0.5, 1.5) * self.seconds_between):
                self._kill(self._next_victim())
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self._error = error

    def _next_victim(self) -> str:
        victims = [name for name in WEIGHTS if name != "database" or self.database is not None]
        for name, after in FIRST:
            if name in victims and self.done["mail"] >= after and not self.done[name]:
                return name
        return self.random.choices(victims, [WEIGHTS[name] for name in victims])[0]

    def _kill(self, victim: str) -> None:
        if victim == "supervisor":
            self.gateway.kill()
            self.gateway.launch()
        elif victim == "database":
            assert self.database is not None
            self.database.kill()
            time.sleep(self.random.uniform(0.1, 1.5))
            self.database.start()
        else:
            found = self.gateway.processes(victim)
            if not found:
                return
            os.kill(self.random.choice(found), signal.SIGKILL)
        self.done[victim] += 1
