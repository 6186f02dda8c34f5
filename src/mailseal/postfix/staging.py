"""A system's main.cf and master.cf with our part in them, beside the way: to be compared, checked, installed.

The edits are postconf(1)'s own, so that everything else stays octet by octet.
"""

import contextlib
import shutil
import socket
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailseal.config import Endpoint
from mailseal.config.values import BadValueError, host_port
from mailseal.postfix import files, owned
from mailseal.postfix.owned import Owned
from mailseal.postfix.parts import Rendering
from mailseal.postfix.program import PostfixError, Program, ServiceLine

FILES = ("main.cf", "master.cf")
_BESIDE = ("dynamicmaps.cf",)
_BEGIN = "\n# ---- Mailseal: by `mailseal postfix install`\n\n"
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Staged:
    """`before` and `after` are the octets of FILES and of our own list, by name; None for a file that is not there."""

    program: Program
    rendering: Rendering
    before: dict[str, bytes | None]
    after: dict[str, bytes]

    @property
    def changed(self) -> Sequence[str]:
        """The names of files that would change."""
        return [name for name, octets in self.after.items() if octets != self.before[name]]


@contextlib.contextmanager
def staged(config_dir: Path, rendering: Rendering, replace: Collection[str] = ()) -> Iterator[Staged]:
    """Our part put into a copy; raises PostfixError where something of the administrator's stands in its place.

    `replace`: keys of services (`smtp/inet`) that may be put out of use for ours.
    """
    before = {name: files.octets(config_dir / name) for name in (*FILES, owned.NAME)}
    if before["master.cf"] is None:
        raise PostfixError(f"{config_dir} has no master.cf", "install Postfix, or set postfix.config_dir")
    ours = owned.read(config_dir)
    with tempfile.TemporaryDirectory(prefix="mailseal-postfix-") as name:
        folder = Path(name)
        for file in FILES:
            (folder / file).write_bytes(before[file] or b"")
        for file in _BESIDE:
            if (config_dir / file).is_file():
                shutil.copyfile(config_dir / file, folder / file)
        program = Program(folder)
        _edit(program, rendering, ours, replace)
        after = {file: (folder / file).read_bytes() for file in FILES}
        yield Staged(program, rendering, before, {**after, owned.NAME: owned.text(owned.of(rendering)).encode()})


def _edit(program: Program, rendering: Rendering, ours: Owned, replace: Collection[str]) -> None:
    now = owned.of(rendering)
    lines = program.services()
    for gone in ours.services - now.services:
        program.must("postconf", "-MX", gone)
    for gone in ours.additions - now.additions:
        program.run("postconf", "-PX", gone)  # with its service an administrator may have taken it away
    if gone_settings := sorted(ours.settings - now.settings):
        program.must("postconf", "-X", *gone_settings)
    for line in _in_the_way(lines, rendering, ours, replace):
        program.must("postconf", "-M#", line.key)
    _edit_settings(program, rendering)
    program.must("postconf", "-M", "-e", *(f"{one.key}={one.line}" for one in rendering.services))
    there = {line.key for line in lines}
    additions = [f"{key}/{name}={value}" for key, name, value in rendering.additions if key in there]
    if additions:
        program.must("postconf", "-P", "-e", *additions)


def _edit_settings(program: Program, rendering: Rendering) -> None:
    """What stands in main.cf is changed where it stands; the rest comes behind it, with its topics."""
    there, new = program.given(), []
    for one in rendering.settings:
        if one.name not in there:
            new.append(one)
        elif there[one.name] != one.value:
            program.must("postconf", "-e", str(one))
    if new:
        main_cf = program.config_dir / "main.cf"
        text = main_cf.read_bytes()
        begin = b"" if not text or text.endswith(b"\n") else b"\n"
        main_cf.write_bytes(text + begin + _BEGIN.encode() + Rendering(tuple(new), ()).main_cf().encode())


def _in_the_way(
    lines: Sequence[ServiceLine], rendering: Rendering, ours: Owned, replace: Collection[str]
) -> Sequence[ServiceLine]:
    """Services that are not ours and listen where ours shall; raises PostfixError unless they may be replaced."""
    places = [_place(one.name) for one in rendering.services if one.kind == "inet"]
    others = [line for line in lines if line.kind == "inet" and line.key not in ours.services]
    found = [line for line in others if any(_meet(_place(line.name), one) for one in places)]
    kept = [line for line in found if line.key not in replace and (line.command, line.arguments) != ("smtpd", "")]
    if kept:
        names = ", ".join(f"{line.key} ({line.command})" for line in kept)
        words = " ".join(f"--replace {line.key}" for line in kept)
        raise PostfixError(
            f"master.cf has services of its own, with options, where ours have to listen: {names}",
            f"say {words} to put them out of use (they stay as comments), or set postfix.listen = [] and let them hand "
            "their mail to Mailseal as docs/postfix.md says",
        )
    return found


def _place(name: str) -> Endpoint | None:
    """Where a service listens, by its name in master.cf; None where that cannot be said."""
    host, port = ("", name) if ":" not in name else (name.rpartition(":")[0], name.rpartition(":")[2])
    try:
        number = int(port) if port.isdecimal() else socket.getservbyname(port, "tcp")
        return Endpoint(host=host_port(f"{host or '0.0.0.0'}:{number}")[0] if host else "", port=number)  # noqa: S104 - read
    except (OSError, BadValueError):
        return None


def _meet(one: Endpoint | None, other: Endpoint | None) -> bool:
    if one is None or other is None or one.port != other.port:
        return False
    return one.host == other.host or bool({one.host, other.host} & _EVERYWHERE)
