"""The supervisor of one node: binds the listeners, starts every role by exec, keeps them running; stdlib only.

It reads no mail, opens no key and no database. A role that ends is started again with back-off; one that says at the
first start that it cannot work (CANNOT_WORK) ends everything. SIGTERM and SIGINT drain; a second one kills. SIGHUP
reads the configuration again: new processes first, then the old ones drain. One that gives no sign of life for long is
killed. If the supervisor itself is killed, a pipe that every process holds comes to its end and they drain by
themselves.
"""

import argparse
import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from mailseal.config import Config, Instance, load
from mailseal.errors import MailsealError, PermanentError
from mailseal.roles import child, generation, listening, notify, stderr
from mailseal.roles.child import bequeath, descriptors
from mailseal.roles.confinement import confine
from mailseal.roles.generation import Generation, Roles
from mailseal.roles.node_roles import hidden_from, node_roles
from mailseal.roles.notify import beat_seconds
from mailseal.roles.process import CANNOT_WORK, Process, describe
from mailseal.roles.startup_mark import set_mark
from mailseal.roles.users import as_owner, make_folders, unseparated

ORPHAN_PATIENCE_SECONDS = 20.0
"""How long workers of a killed supervisor may still hold the listeners."""
SILENT_SECONDS = 30.0
"""How long past a mail's deadline a process may give no sign of life: native code holds its interpreter for ever."""
READY_SECONDS = 60.0
"""How long the processes of a reload may take to be ready before it is given up."""


class CannotWorkError(PermanentError):
    """A role said at its first start that it cannot work before something is put right."""

    exit_status = CANNOT_WORK


class Supervisor:
    """The processes of one node. `run` returns when all have ended."""

    def __init__(self, read_config: Callable[[], Config], roles: Roles) -> None:
        self._read_config = read_config
        self._roles = roles
        self._current: Generation
        self._next: Generation | None = None
        self._leaving: list[Process] = []
        self._stopping = False
        self._stops_heard = 0
        self._reload_wanted = False
        self._announced = False
        self._was_ready = False
        self._gave_up = ""
        self._beat = beat_seconds()
        self._listened_at = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._life_read, self._life_write = os.pipe()

    def run(self) -> None:
        """Supervise until told to stop; raises MailsealError when it cannot start."""
        confine()
        config = self._read_config()
        make_folders(config, ())
        with as_owner(config.data_dir):
            listening.hold(config.run_dir / "supervisor.lock")
            _forget_metrics(config)
        _mark(config, ready=False)
        self._current = generation.make(config, self._roles, patience_seconds=ORPHAN_PATIENCE_SECONDS)
        if lacking := unseparated(config, [process.role for process in self._current.processes]):
            _say(lacking)
        if config.postfix.instance is not Instance.OFF and os.geteuid() != 0:
            _say("nothing looks after Postfix's queue: that needs root")
        self._listen_to_signals()
        try:
            while not self._stopping or self._leaving:
                self._step()
        finally:
            _mark(config, ready=False)
            self._current.release_sockets()
        if self._gave_up:
            raise CannotWorkError(self._gave_up)

    def _step(self) -> None:
        """One turn: obey, start what is due, wait, hear, bury, promote. Signal handlers only leave a note."""
        if self._stops_heard:
            self._stop()
        if self._reload_wanted and self._next is None and not self._stopping:
            self._reload_wanted = False
            self._reload()
        for of in self._generations():
            for process in of.processes:
                if process.running is None and process.start_at <= time.monotonic():
                    self._start(of, process)
        if self._beat is not None:
            notify.notify(notify.ALIVE)
        for key, _ in self._selector.select(self._wait_seconds()):
            key.data()
        self._kill_silent()
        self._bury_current()
        self._bury_next()
        self._bury_leaving()
        self._promote()
        self._announce()

    def _generations(self) -> list[Generation]:
        if self._stopping:
            return []
        return [self._current, self._next] if self._next else [self._current]

    def _wait_seconds(self) -> float | None:
        times = [p.start_at for of in self._generations() for p in of.processes if p.running is None]
        # One that had ended already when it was told to leave sends no signal any more.
        times += [0.0 for process in self._leaving if process.running is None]
        times += [process.kill_at for process in self._leaving if process.running and process.kill_at is not None]
        times += [self._next.ready_by] if self._next else []
        times += [time.monotonic() + self._beat] if self._beat is not None else []
        watched = any(p.heard_at is not None for of in self._generations() for p in of.processes)
        times += [time.monotonic() + child.BEAT_SECONDS] if watched else []
        return max(0.0, min(times) - time.monotonic()) if times else None

    # ---- processes

    def _start(self, of: Generation, process: Process) -> None:
        read_fd, write_fd = os.pipe()
        held = of.sockets_of(process)
        hidden = hidden_from(process.role)
        environ = {name: value for name, value in os.environ.items() if name not in hidden}
        environ |= bequeath(held, self._life_read, write_fd)
        try:
            process.start(descriptors(held, self._life_read), environ, write_fd)
        except OSError as error:
            os.close(read_fd)
            process.postpone()
            what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
            _say(f"{process.name} cannot be started ({what}){process.pause}")
            return
        finally:
            os.close(write_fd)
        process.status_fd = read_fd
        self._selector.register(read_fd, selectors.EVENT_READ, lambda: self._hear(process))

    def _hear(self, process: Process) -> None:
        if not process.read_status():
            self._forget_status(process)

    def _forget_status(self, process: Process) -> None:
        if process.status_fd is not None:
            self._selector.unregister(process.status_fd)
            os.close(process.status_fd)
            process.status_fd = None

    def _kill_silent(self) -> None:
        now = time.monotonic()
        # Who was stopped itself (a paused machine) has heard nobody, and says nothing of them.
        slept, self._listened_at = now - self._listened_at > 3 * child.BEAT_SECONDS, now
        for of in self._generations():
            for process in of.processes:
                if process.heard_at is None:
                    continue
                if slept:
                    process.heard_at = now
                elif now - process.heard_at > of.config.limits.deadline_seconds + SILENT_SECONDS:
                    _say(f"{process.name} gives no sign of life; it is killed")
                    process.heard_at = None
                    process.kill()

    def _bury_current(self) -> None:
        for process in [] if self._stopping else self._current.processes:
            code = process.ended()
            if code is not None:
                self._forget_status(process)
                if code == CANNOT_WORK and not self._was_ready:
                    self._give_up(process)
                    return
                _say(f"{process.name} {describe(code)}{process.pause}")

    def _give_up(self, process: Process) -> None:
        self._gave_up = f"{process.name} cannot work as things are, and says why; put that right, then start again"
        self._stops_heard += 1

    def _bury_next(self) -> None:
        """A process of a reload that ends before all are ready, or lateness, ends the reload."""
        if self._next is None:
            return
        ended = [(process, code) for process in self._next.processes if (code := process.ended()) is not None]
        for process, code in ended:
            self._forget_status(process)
            _say(f"{process.name} of the new configuration {describe(code)}")
        if ended or time.monotonic() >= self._next.ready_by:
            _say("the reload is given up; everything goes on as before")
            self._drain(self._next, besides=self._current)
            self._next.release_sockets(besides=self._current)
            self._next = None
            notify.notify(notify.READY)

    def _bury_leaving(self) -> None:
        for process in list(self._leaving):
            if process.kill_at is not None and process.kill_at <= time.monotonic():
                _say(f"{process.name} did not drain in time; it is killed")
                process.kill()
            process.ended()
            if process.running is None:
                self._forget_status(process)
                self._leaving.remove(process)

    def _drain(self, of: Generation, besides: Generation | None = None) -> None:
        kill_at = time.monotonic() + of.config.limits.drain_seconds
        kept = [*self._leaving, *(besides.processes if besides else ())]
        for process in of.processes:
            if process not in kept:
                process.drain(kill_at)
                self._leaving.append(process)

    def _promote(self) -> None:
        if self._next is not None and self._next.is_ready:
            old, self._current, self._next = self._current, self._next, None
            self._drain(old, besides=self._current)
            for process in old.processes:
                if process in self._current.processes:
                    process.reload()
            old.release_sockets(besides=self._current)
            self._announced = False

    def _announce(self) -> None:
        if self._announced or self._stopping or not self._current.is_ready:
            return
        self._announced = self._was_ready = True
        names = ", ".join(process.name for process in self._current.processes)
        _mark(self._current.config, ready=True)
        notify.notify(notify.READY)
        _say(f"ready ({names})")

    # ---- signals

    def _listen_to_signals(self) -> None:
        wake_read, wake_write = socket.socketpair()
        wake_read.settimeout(0)
        wake_write.settimeout(0)
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        self._wake_write = wake_write
        self._selector.register(wake_read, selectors.EVENT_READ, lambda: _empty(wake_read))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops_heard += 1

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_wanted = True

    def _stop(self) -> None:
        """Drain; a second signal ends all at once."""
        if not self._stopping:
            notify.notify(notify.STOPPING)
            for of in self._generations():
                self._drain(of)
            self._stopping = True
            self._stops_heard -= 1
        if self._stops_heard:
            for process in self._leaving:
                process.hurry()
            self._stops_heard = 0

    def _reload(self) -> None:
        notify.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            config = self._read_config()
            if (lasting := _lasting(self._current.config, config)) is not None:
                _say(f"{lasting} cannot change in a reload; restart instead")
                return
            self._next = generation.make(config, self._roles, self._current, ready_seconds=READY_SECONDS)
        except MailsealError as error:
            _say(f"not reloaded: {error}")
        finally:
            if self._next is None:
                notify.notify(notify.READY)


def _lasting(before: Config, after: Config) -> str | None:
    """What would change that what runs cannot follow."""
    if after.data_dir != before.data_dir:
        return "data_dir"
    both_private = before.postfix.instance is after.postfix.instance is Instance.PRIVATE
    return "postfix.folder" if both_private and after.postfix.folder != before.postfix.folder else None


def _empty(wake: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while wake.recv(4096):
            pass


def _forget_metrics(config: Config) -> None:
    """Counters begin at zero with the supervisor; what workers of a killed one still write goes nowhere."""
    with contextlib.suppress(OSError):
        for path in config.metrics_dir.iterdir():
            path.unlink()


def _mark(config: Config, *, ready: bool) -> None:
    try:
        set_mark(config, ready=ready)
    except OSError as error:
        _say(f"the sign of readiness in {config.run_dir} cannot be written: {error.strerror}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        stderr.put(f"mailseal: {text}\n".encode("utf-8", "backslashreplace"))


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m mailseal.roles.supervisor [--config FILE]`; what `mailseal serve` becomes by exec."""
    parser = argparse.ArgumentParser(prog="mailseal serve", description="Run the gateway.")
    parser.add_argument("--config", type=Path, default=None)
    path: Path | None = parser.parse_args(arguments).config
    try:
        Supervisor(lambda: load(path, os.environ), node_roles(path)).run()
    except MailsealError as error:
        sys.stderr.write(f"error: {error}\n")
        return int(getattr(error, "exit_status", 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
