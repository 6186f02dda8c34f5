"""What one reading of the configuration started: its sockets and its processes; standard library only."""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from mailseal.config import FOR_OWNER, Config, Endpoint, Instance, group_of, listeners
from mailseal.errors import MailsealError
from mailseal.postfix import folders
from mailseal.roles import listening
from mailseal.roles.process import Process, Role
from mailseal.roles.users import as_owner, make_folders, user_of

__all__ = ["Bound", "Generation", "Role", "Roles", "make"]


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
        return {name: held for name, (_, held) in self.sockets.items() if name in process.role.listens}

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
    """Make folders, bind what the earlier generation has not bound, name the processes. Nothing is started yet.

    A role that is reloaded in place has the process of the earlier generation. Raises MailsealError.
    """
    wanted = roles(config)
    make_folders(config, wanted)
    if config.postfix.instance is Instance.PRIVATE:
        folders.make(config)  # our sockets are in there
    sockets: dict[str, tuple[Endpoint, socket.socket]] = {}
    held_before = dict(before.sockets.values()) if before else {}
    made = Generation(config, sockets, [], time.monotonic() + ready_seconds)
    try:
        for name, place in listeners(config).items():
            if not any(name in role.listens for role in wanted):
                continue  # who called there would wait for ever
            held = held_before.get(place)
            sockets[name] = (place, held or _bind(config, name, place, patience_seconds))
    except MailsealError:
        made.release_sockets(before)
        raise
    kept = {process.name: process for process in before.processes if process.role.in_place} if before else {}
    for role in wanted:
        made.processes.append(kept.get(role.name) or Process(role, user_of(role, config.data_dir)))
    return made


def _bind(config: Config, name: str, place: Endpoint, patience_seconds: float) -> socket.socket:
    for_owner = name in FOR_OWNER
    with as_owner(config.data_dir) if for_owner else nullcontext():
        return listening.bind(place, group_of(name, config), for_owner=for_owner, patience_seconds=patience_seconds)
