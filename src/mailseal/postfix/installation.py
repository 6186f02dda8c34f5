"""Our part put into a system's Postfix: checked beside the way, backed up, exchanged, checked again, reloaded.

What does not come up again is taken back.
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailseal.config import Config, Endpoint
from mailseal.postfix import files
from mailseal.postfix.entry import usable
from mailseal.postfix.parts import Rendering, Surroundings
from mailseal.postfix.program import OLDEST, PostfixError, Program, said, typed
from mailseal.postfix.staging import FILES, Staged

ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done: the backups that were made, and whether a running Postfix has read the new files."""

    backups: Sequence[Path]
    reloaded: bool


def problems(program: Program, rendering: Rendering, config: Config) -> Iterator[str]:
    """What this Postfix would not do of a configuration with our part in it; none if all is well."""
    if (version := program.version()) < OLDEST:
        yield f"Postfix {'.'.join(map(str, version))} is too old: {OLDEST[0]}.{OLDEST[1]} is needed"
        return
    names = {one.name: one.value for one in rendering.settings}
    there = program.values(names)
    yield from (f"{name} is {there[name]!r}" for name, value in names.items() if there.get(name, value) != value)
    ours = names.keys() | {name for one in rendering.services for name, _ in one.options}
    for word in program.warnings():
        kind, _, name = word.partition(" parameter: ")
        name = name.partition("=")[0].strip()
        if name in ours:
            yield f"this Postfix does not know {name}" if kind.endswith("unused") else word
    given = dict(config.postfix.settings)
    yield from typed(given, program.defaults(given) if given else {})


def check(program: Program, rendering: Rendering, config: Config) -> None:
    """The same; raises PostfixError."""
    if found := list(problems(program, rendering, config)):
        raise PostfixError("; ".join(found), "mend [postfix] in mailseal.toml, or install another release of Postfix")


def check_in_place(program: Program) -> None:
    """What Postfix itself says of its files and folders, which it makes if they are missing; raises PostfixError."""
    done = program.run("postfix", "check")
    if done.returncode:
        raise PostfixError(f"postfix check: {said(done.stderr)}")


def install(config_dir: Path, made: Staged, config: Config, around: Surroundings) -> Installed:
    """Exchange the files; raises PostfixError, after which everything is as it was."""
    check(made.program, made.rendering, config)
    program = Program(config_dir)
    running = program.is_running()
    there = [config_dir / name for name in made.changed if name in FILES and made.before[name] is not None]
    backups = [files.backed_up(path) for path in there]
    if any(files.octets(config_dir / name) != before for name, before in made.before.items()):
        raise PostfixError(f"somebody else changes the files in {config_dir}", "try again")
    try:
        for name in made.changed:
            files.put(config_dir / name, made.after[name])
        check_in_place(program)
        if running:
            program.must("postfix", "reload")
            await_answers(config, around, ANSWER_SECONDS, program.is_running)
    except PostfixError as error:
        files.put_back(config_dir, made.before)
        if running:
            program.run("postfix", "reload" if program.is_running() else "start")
        raise PostfixError(f"{error}; everything is as it was", error.what_to_do) from None
    return Installed(backups, running)


def await_answers(
    config: Config, around: Surroundings, seconds: float, is_running: Callable[[], bool] = lambda: True
) -> None:
    """Wait until Postfix greets where it shall; raises PostfixError where it does not, or does not run any more."""
    postfix = config.postfix
    name = "" if "smtpd_banner" in dict(postfix.settings) else config.hostname
    until = time.monotonic() + seconds
    for place in usable([*postfix.listen, *postfix.submission, postfix.reinjection], around):
        while not greets(place, name):
            if time.monotonic() >= until or not is_running():
                raise PostfixError(f"Postfix does not answer on {place}", "read its log")
            time.sleep(0.05)


def greets(place: Endpoint, hostname: str) -> bool:
    """Whether an SMTP server with this name answers at a place (RFC 5321 §4.2)."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)  # noqa: S104 - compared, not bound
    try:
        with socket.create_connection((host, place.port), timeout=5) as client:
            line = client.recv(512)
            client.sendall(b"QUIT\r\n")
    except OSError:
        return False
    return line.startswith(b"220") and hostname.encode() in line
