"""What one reading of the configuration started: its sockets and its processes; standard library only."""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mailseal.config import Config, Endpoint, listeners
from mailseal.errors import MailsealError
from mailseal.roles import listening
from mailseal.roles.process import Process


@dataclass(frozen=True, slots=True)
class Role:
    """A process that a node runs; `listens` are the names of the listening sockets that it gets."""

    name: str
    command: Sequence[str]
    listens: Sequence[str] = ()


Roles = Callable[[Config], Sequence[Role]]
Bound = Mapping[str, tuple[Endpoint, socket.socket]]


@dataclass(slots=True, eq=False)
class Generation:
    """Sockets and processes of one configuration. `ready_by` bounds the start of one that shall replace another."""

    config: Config
    sockets: Bound
    processes: list[Process]
    ready_by: float = field(default=float("inf"))

    @property
    def is_ready(self) -> bool:
        """Whether every process said so."""
        return all(process.is_ready for process in self.processes)

    def sockets_of(self, process: Process) -> dict[str, socket.socket]:
        """The sockets that a process gets."""
        return {name: held for name, (_, held) in self.sockets.items() if name in process.listens}

    def release_sockets(self, besides: "Generation | None" = None) -> None:
        """Close the listeners that the other generation does not have."""
        kept = {id(held) for _, held in besides.sockets.values()} if besides else set()
        for place, held in self.sockets.values():
            if id(held) not in kept:
                listening.release(place, held)


def make(
    config: Config,
    roles: Roles,
    before: Generation | None = None,
    *,
    patience_seconds: float = 0.0,
    ready_seconds: float = float("inf"),
) -> Generation:
    """Bind what the earlier generation has not bound, and name the processes. Nothing is started yet; raises
    MailsealError.
    """
    sockets: dict[str, tuple[Endpoint, socket.socket]] = {}
    held_before = dict(before.sockets.values()) if before else {}
    made = Generation(config, sockets, [], time.monotonic() + ready_seconds)
    try:
        for name, place in listeners(config).items():
            held = held_before.get(place)
            if held is None:
                held = listening.bind(place, config.listen.socket_group, patience_seconds=patience_seconds)
            sockets[name] = (place, held)
    except MailsealError:
        made.release_sockets(before)
        raise
    made.processes.extend(Process(role.name, role.command, role.listens) for role in roles(config))
    return made
