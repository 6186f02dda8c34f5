"""The keeper of a private Postfix: one process, root's, that is the parent of its master; standard library only.

It makes the configuration, starts master, says "ready" when Postfix greets, and ends when master does, so that the
supervisor starts both again. SIGHUP reads the configuration again and has Postfix read what came of it; what does not
work changes nothing. SIGTERM, or the end of the supervisor, ends Postfix when what it delivers is done; a second
one ends it at once. It reads no mail, opens no key and no database.
"""

import argparse
import contextlib
import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from mailseal.config import Config, load
from mailseal.config.values import endpoint
from mailseal.errors import MailsealError
from mailseal.postfix import folders, log_file, master, private_files
from mailseal.postfix.installation import await_answers
from mailseal.postfix.parts import Rendering
from mailseal.postfix.program import PostfixError, Program, surroundings
from mailseal.postfix.render import render
from mailseal.roles import child, listening, stderr
from mailseal.roles.child import Inheritance, inherit
from mailseal.roles.confinement import confine
from mailseal.roles.process import CANNOT_WORK

ANSWER_SECONDS = 60.0
LEFT_OVER_SECONDS = 10.0
"""How long a master that was left over may end its deliveries: nobody takes mail meanwhile."""
DRAIN_MARGIN_SECONDS = 5
"""How long before the supervisor's patience ends Postfix is ended, whatever it does."""


class InUseError(PostfixError):
    """Another gateway keeps the private Postfix of this folder."""

    exit_status = CANNOT_WORK


class Keeper:
    """One life of a private Postfix's master."""

    def __init__(self, path: Path | None, inheritance: Inheritance) -> None:
        self._path = path
        self._inheritance = inheritance
        self._config = self._read()
        self._program = Program(self._config.postfix.active_dir)
        self._selector = selectors.DefaultSelector()
        self._stops_heard = 0
        self._over = False
        self._reload_wanted = False

    def run(self) -> int:
        """The exit status, when master has ended; raises MailsealError when it cannot be started."""
        config = self._config
        folders.make(config)
        lock = _hold(config.postfix.folder)
        self._listen()
        around = surroundings(config)
        if (pid := master.left_over(config.postfix.queue_dir)) is not None:
            _say(f"Postfix (process {pid}) is left over from a keeper that was killed; it is stopped")
            master.end(pid, config.postfix.queue_dir, min(LEFT_OVER_SECONDS, self._drain_seconds))
        private_files.write(config, render(config, around))
        self._began_at = log_file.size(config.postfix.log_file)
        self._master = master.start(self._program)
        try:
            return self._keep()
        finally:
            drain_seconds = self._drain_seconds
            master.end(
                self._master.pid, config.postfix.queue_dir, drain_seconds, self._master.poll, self._is_pressed
            )  # fmt: skip
            os.close(lock)

    def _keep(self) -> int:
        ready_by, is_ready, beat_at = time.monotonic() + ANSWER_SECONDS, False, 0.0
        while not self._over:
            if self._master.poll() is not None:
                _say(f"Postfix has ended{self._why()}")
                return os.EX_TEMPFAIL
            if not is_ready and self._answers():
                is_ready = True
                self._inheritance.ready()
            if not is_ready and time.monotonic() >= ready_by:
                raise PostfixError(f"Postfix does not answer{self._why()}")
            if self._reload_wanted:
                self._reload_wanted = False
                self._reload()
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + child.BEAT_SECONDS
                self._inheritance.beat()
                self._rotate()
            for key, _ in self._selector.select(child.BEAT_SECONDS if is_ready else 0.05):
                key.data()
        return 0

    @property
    def _drain_seconds(self) -> float:
        return max(0, self._config.limits.drain_seconds - DRAIN_MARGIN_SECONDS)

    def _why(self) -> str:
        return log_file.why(self._config.postfix.log_file, self._began_at)

    def _read(self) -> Config:
        return load(self._path, os.environ, with_secrets=False)

    def _answers(self) -> bool:
        with contextlib.suppress(PostfixError):
            await_answers(self._config, surroundings(self._config), 0.0)
            return True
        return False

    def _reload(self) -> None:
        try:
            config = self._read()
            if config.postfix.folder != self._config.postfix.folder:
                raise PostfixError("postfix.folder cannot change in a reload; restart instead")
            around = surroundings(config)
            rendering = render(config, around)
            _try_places(rendering, render(self._config, around))
            if private_files.exchange(config, rendering):
                self._program.must("postfix", "reload")
            self._config = config
        except MailsealError as error:
            _say(f"Postfix goes on as before: {error}")

    def _rotate(self) -> None:
        try:
            if log_file.rotated(self._config):
                self._program.must("postfix", "reload")  # its logging process opens the new one
        except (OSError, MailsealError) as error:
            _say(f"the log of Postfix stays as it is: {error}")

    # ---- signals

    def _listen(self) -> None:
        wake_read, wake_write = socket.socketpair()
        wake_read.setblocking(False)  # noqa: FBT003 - the socket module takes no keyword here
        wake_write.setblocking(False)  # noqa: FBT003 - same
        self._wake_write = wake_write
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        self._selector.register(wake_read, selectors.EVENT_READ, lambda: _empty(wake_read))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        if (fd := self._inheritance.supervisor_fd) is not None:
            self._selector.register(fd, selectors.EVENT_READ, self._supervisor_gone)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._over = True
        self._stops_heard += 1

    def _is_pressed(self) -> bool:
        """Whether it was told to end a second time: what is being delivered is tried again by the next Postfix."""
        return self._stops_heard > 1

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_wanted = True

    def _supervisor_gone(self) -> None:
        self._over = True  # nothing is ever written to that pipe


def _try_places(wanted: Rendering, before: Rendering) -> None:
    """Raises MailsealError for a place that Postfix cannot listen at: in a reload its master would end."""
    now, then = ({one.name for one in all_.services if one.kind == "inet"} for all_ in (wanted, before))
    for name in sorted(now - then):
        listening.bind(endpoint(name), "").close()


def _hold(folder: Path) -> int:
    """The lock of the folder, as long as this process lives; raises InUseError."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InUseError(
            f"another `mailseal serve` has its Postfix in {folder}", "stop it, or give this one a postfix.folder"
        ) from None
    return descriptor


def _empty(wake: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while wake.recv(4096):
            pass


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        stderr.put(f"mailseal: {text}\n".encode("utf-8", "backslashreplace"))


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m mailseal.roles.postfix_role [--config FILE]`, started by the supervisor."""
    parser = argparse.ArgumentParser(prog="mailseal postfix", description="Keep a private Postfix.")
    parser.add_argument("--config", type=Path, default=None)
    path: Path | None = parser.parse_args(arguments).config
    confine()
    try:
        return Keeper(path, inherit()).run()
    except PostfixError as error:
        _say(f"{error}{f' ({error.what_to_do})' if error.what_to_do else ''}")
        return int(getattr(error, "exit_status", 1))
    except MailsealError as error:
        _say(str(error))
        return int(getattr(error, "exit_status", 1))


if __name__ == "__main__":
    sys.exit(main())
