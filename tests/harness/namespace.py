"""A network namespace with loopback alone: port 25, port 53 and a resolv.conf of its own, nothing of the machine's.

with Namespace("tls", addresses=["10.99.0.1"]) as net:
    subprocess.run(net.command("postfix", "check"))
    with net.inside():
        sink = Sink(host="10.99.0.1", port=25)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

_CLONE_NEWNET = 0x40000000
_NETNS = Path("/run/netns")
_ETC = Path("/etc/netns")


def why_not() -> str | None:
    """Why there can be none here; None if there can."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    try:
        with Namespace("probe", addresses=["10.99.0.1"]) as probe:
            subprocess.run(probe.command("true"), capture_output=True, text=True, check=True)
            with probe.inside():
                pass
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces cannot be made here: {(getattr(error, 'stderr', '') or str(error)).strip()}"
    return None


class Namespace:
    """Everything in it can reach everything else in it, and nothing outside."""

    def __init__(self, name: str, *, addresses: Sequence[str] = (), resolver: str = "127.0.0.1") -> None:
        self.name = f"ms-{name}-{os.getpid()}"
        self._addresses = addresses
        self._resolver = resolver

    def __enter__(self) -> Self:
        _run("ip", "netns", "add", self.name)
        try:
            self._ip("link", "set", "lo", "up")
            for address in self._addresses:
                self._ip("address", "add", f"{address}/32", "dev", "lo")
            # `ip netns exec` shows this file as /etc/resolv.conf to the program that it starts.
            (_ETC / self.name).mkdir(parents=True)
            (_ETC / self.name / "resolv.conf").write_text(f"nameserver {self._resolver}\noptions trust-ad\n")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _ip(self, *words: str) -> None:
        _run("ip", "-n", self.name, *words)

    def _remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False)
        shutil.rmtree(_ETC / self.name, ignore_errors=True)

    def command(self, *words: str) -> list[str]:
        """A command line that runs in it: `ip` becomes the program, so its process ID is the program's."""
        return ["ip", "netns", "exec", self.name, *words]

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread makes its sockets in there; a socket, and threads that serve it, stay where it was made."""
        libc = ctypes.CDLL(None, use_errno=True)
        before = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(_NETNS / self.name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(libc, there)
            try:
                yield
            finally:
                _enter(libc, before)
        finally:
            os.close(there)
            os.close(before)


def _run(*words: str) -> None:
    subprocess.run(words, capture_output=True, text=True, check=True)


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
