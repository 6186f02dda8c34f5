"""The supervisor of one node: binds the listeners, starts every role by exec, keeps them running; stdlib only.

It reads no mail, opens no key and no database. A role that ends is started again with back-off. SIGTERM and SIGINT
drain; a second one kills. SIGHUP reads the configuration again: new processes first, then the old ones drain.
If the supervisor itself is killed, a pipe that every process holds comes to its end and they drain by themselves.
"""

import argparse
import contextlib
import os
import pwd
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from mailseal.config import MAIL_SOCKETS, METRICS, Config, load
from mailseal.errors import MailsealError
from mailseal.roles import generation, listening
from mailseal.roles.child import bequeath, descriptors
from mailseal.roles.generation import Generation, Role, Roles
from mailseal.roles.process import Credentials, Process, describe

ORPHAN_PATIENCE_SECONDS = 20.0
"""How long workers of a killed supervisor may still hold the listeners."""
READY_SECONDS = 60.0
"""How long the processes of a reload may take to be ready before it is given up."""


def node_roles(path: Path | None) -> Roles:
    """The roles of a node: N mail workers, one job worker, and who answers Prometheus if that is on."""
    base = [sys.executable, "-m", "mailseal", *(["--config", str(path)] if path else [])]

    def roles(config: Config) -> Sequence[Role]:
        mail = [
            Role(f"mail {n}", [*base, "mail", "--worker", str(n)], MAIL_SOCKETS) for n in range(1, config.workers + 1)
        ]
        metrics = [Role("metrics", [*base, "metrics"], [METRICS])] if config.metrics.listen else []
        return [*mail, Role("worker", [*base, "worker"]), *metrics]

    return roles


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
        self._selector = selectors.DefaultSelector()
        self._life_read, self._life_write = os.pipe()

    def run(self) -> None:
        """Supervise until told to stop; raises MailsealError when it cannot start."""
        config = self._read_config()
        user = _make_folders(config)
        listening.hold(config.run_dir / "supervisor.lock")
        _mark(config).unlink(missing_ok=True)
        self._current = generation.make(config, self._roles, patience_seconds=ORPHAN_PATIENCE_SECONDS)
        self._user = user
        self._listen_to_signals()
        try:
            while not self._stopping or self._leaving:
                self._step()
        finally:
            _mark(config).unlink(missing_ok=True)
            self._current.release_sockets()

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
        for key, _ in self._selector.select(self._wait_seconds()):
            key.data()
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
        return max(0.0, min(times) - time.monotonic()) if times else None

    # ---- processes

    def _start(self, of: Generation, process: Process) -> None:
        read_fd, write_fd = os.pipe()
        held = of.sockets_of(process)
        environ = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        environ |= bequeath(held, self._life_read, write_fd)
        try:
            process.start(descriptors(held, self._life_read), environ, write_fd, self._user)
        except OSError as error:
            os.close(read_fd)
            process.failures += 1
            process.start_at = time.monotonic() + 1.0
            _say(f"{process.name} cannot be started: {error.strerror}")
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

    def _bury_current(self) -> None:
        for process in [] if self._stopping else self._current.processes:
            code = process.ended()
            if code is not None:
                self._forget_status(process)
                pause = max(0.0, process.start_at - time.monotonic())
                _say(f"{process.name} {describe(code)}; it starts again in {pause:.2f} s")

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
            self._drain(self._next)
            self._next.release_sockets(besides=self._current)
            self._next = None
            _notify("READY=1")

    def _bury_leaving(self) -> None:
        for process in list(self._leaving):
            if process.kill_at is not None and process.kill_at <= time.monotonic():
                _say(f"{process.name} did not drain in time; it is killed")
                process.kill()
            process.ended()
            if process.running is None:
                self._forget_status(process)
                self._leaving.remove(process)

    def _drain(self, of: Generation) -> None:
        kill_at = time.monotonic() + of.config.limits.drain_seconds
        for process in of.processes:
            process.drain(kill_at)
            self._leaving.append(process)

    def _promote(self) -> None:
        if self._next is not None and self._next.is_ready:
            old, self._current, self._next = self._current, self._next, None
            self._drain(old)
            old.release_sockets(besides=self._current)
            self._announced = False

    def _announce(self) -> None:
        if self._announced or self._stopping or not self._current.is_ready:
            return
        self._announced = True
        names = ", ".join(process.name for process in self._current.processes)
        _mark(self._current.config).write_text(f"{os.getpid()}\n")
        _notify("READY=1")
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
        """Drain; a second signal kills."""
        if not self._stopping:
            _notify("STOPPING=1")
            for of in self._generations():
                self._drain(of)
            self._stopping = True
            self._stops_heard -= 1
        if self._stops_heard:
            for process in self._leaving:
                process.kill()
            self._stops_heard = 0

    def _reload(self) -> None:
        _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            config = self._read_config()
            if config.data_dir != self._current.config.data_dir:
                _say("data_dir cannot change in a reload; restart instead")
                return
            self._next = generation.make(config, self._roles, self._current, ready_seconds=READY_SECONDS)
        except MailsealError as error:
            _say(f"not reloaded: {error}")
        finally:
            if self._next is None:
                _notify("READY=1")


def _empty(wake: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while wake.recv(4096):
            pass


def _mark(config: Config) -> Path:
    return config.run_dir / "ready"


def _make_folders(config: Config) -> Credentials | None:
    """Make the run folder. Started as root, the roles run as the owner of the data folder: say who that is."""
    try:
        if not config.run_dir.is_dir():
            config.run_dir.mkdir(mode=0o750)
            owner = config.data_dir.stat()
            if os.geteuid() == 0:
                os.chown(config.run_dir, owner.st_uid, owner.st_gid)
        return _owner(config.data_dir)
    except FileNotFoundError:
        raise listening.ListenError(
            f"the data folder {config.data_dir} does not exist; `mailseal init` makes it"
        ) from None
    except OSError as error:
        raise listening.ListenError(f"the data folder {config.data_dir} cannot be used: {error.strerror}") from None


def _owner(folder: Path) -> Credentials | None:
    uid = folder.stat().st_uid
    if os.geteuid() != 0 or uid == 0:
        return None
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Credentials(uid, folder.stat().st_gid, ())
    return Credentials(uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid))


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing where it does not listen."""
    name = os.environ.get("NOTIFY_SOCKET")
    if not name:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.connect("\0" + name[1:] if name.startswith("@") else name)
        told.send(state.encode())


def _say(text: str) -> None:
    sys.stderr.write(f"mailseal: {text}\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m mailseal.roles.supervisor [--config FILE]`; what `mailseal serve` becomes by exec."""
    parser = argparse.ArgumentParser(prog="mailseal serve", description="Run the gateway.")
    parser.add_argument("--config", type=Path, default=None)
    path: Path | None = parser.parse_args(arguments).config
    try:
        Supervisor(lambda: load(path, os.environ), node_roles(path)).run()
    except MailsealError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
