"""Checks of the listeners: the table of sockets and ports, each answering or free."""

import socket
from collections.abc import Iterator
from pathlib import Path

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import METRICS, QUEUE, SOCKETS, WEB, WEB_PLAIN, Config, Endpoint, SocketInfo
from mailseal.roles.listening import group_id, is_held

TIMEOUT_SECONDS = 5.0
_GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
_ASKED = {METRICS: (_GET, "HTTP/1.1 200"), WEB_PLAIN: (_GET, "HTTP/1.1 ")}
"""What is said first to a listener, and how a good answer begins."""
_GREETS = b"", "220"
_SILENT = frozenset({"socketmap", "dovecot-auth", "json", "documents", "https"})
"""Protocols in which nothing is said unasked, or nothing that tells more than that somebody is there."""


def listeners(config: Config) -> Iterator[Finding]:
    """One line for each row of SOCKETS."""
    is_running = is_held(config.run_dir / "supervisor.lock")
    for info in SOCKETS:
        place = info.place(config)
        if place is None:
            yield Finding("listener", Status.OK, f"{info.name}: off")
            continue
        yield _listener(info, place, is_running=is_running)
        if place.path is not None and not info.for_owner and info.name != WEB:
            yield from _reachable_for(place.path, config.listen.socket_group)


def _listener(info: SocketInfo, place: Endpoint, *, is_running: bool) -> Finding:
    label = f"{info.name}: {info.protocol} on {place}, origin {info.origin} ({info.purpose})"
    asked, good = _ASKED.get(info.name, _GREETS)
    greeting = _greeting(place, asked, listens=info.protocol not in _SILENT)
    if greeting is None and is_running and info.name == QUEUE:
        return Finding("listener", Status.WARN, f"{label} does not answer", "start `mailseal serve` as root")
    if greeting is None and is_running:
        return Finding(
            "listener", Status.FAIL, f"{label} does not answer", "restart `mailseal serve` and read its output"
        )
    if greeting is None:
        return Finding("listener", Status.OK, f"{label} is free; the gateway is not running")
    if not is_running:
        return Finding(
            "listener",
            Status.FAIL,
            f"{label} is taken by another program",
            f"stop it, or set {info.key} to another place",
        )
    if info.protocol not in _SILENT and not greeting.startswith(good):
        return Finding(
            "listener", Status.FAIL, f"{label} says {greeting or 'nothing'}", "read the output of `mailseal serve`"
        )
    return Finding("listener", Status.OK, f"{label} answers")


def _greeting(place: Endpoint, asked: bytes, *, listens: bool) -> str | None:
    """The first line that is said there, "" if none, or if nobody `listens` for it; None where nobody is."""
    family = socket.AF_UNIX if place.path else socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(TIMEOUT_SECONDS)
        try:
            client.connect(str(place.path) if place.path else (place.host, place.port))
        except OSError:
            return None
        if not listens:
            return ""
        try:
            client.sendall(asked)
            line = client.recv(512).decode("ascii", "replace").splitlines()
            client.sendall(b"" if asked else b"QUIT\r\n")
        except OSError:
            return ""
        return line[0] if line else ""


def _reachable_for(path: Path, group: str) -> Iterator[Finding]:
    """Whether the MTA's group can get to a UNIX socket: it must be able to search every folder above it."""
    number = group_id(group)
    if number is None:
        yield Finding(
            "listener",
            Status.WARN,
            f"{path}: there is no group {group!r}, so only Mailseal's own user and group can connect",
            "set listen.socket_group to the group of the MTA",
        )
        return
    for folder in reversed(path.parents):
        try:
            found = folder.stat()
        except OSError:
            return
        bit = 0o010 if found.st_gid == number else 0o001
        if not found.st_mode & bit:
            yield Finding(
                "listener",
                Status.WARN,
                f"{path}: the group {group!r} cannot get through {folder}",
                "set postfix.instance, which puts the sockets where Postfix can get; or put this one elsewhere, for "
                f"example in /var/spool/postfix/mailseal (chgrp {group}, mode 0750)",
            )
            return
    try:
        theirs = path.stat().st_gid == number
    except OSError:
        return  # not there, or not for our eyes
    if not theirs:
        yield Finding(
            "listener",
            Status.WARN,
            f"{path} does not belong to the group {group!r}",
            f"start `mailseal serve` as root, or make its user a member of {group}",
        )
