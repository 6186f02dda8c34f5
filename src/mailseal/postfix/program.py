"""The commands of one Postfix, run for one configuration folder: postconf(1), postfix(1). Never through a shell."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailseal.config import Config, Instance
from mailseal.errors import PermanentError
from mailseal.postfix.parts import Surroundings

OLDEST = (3, 7)
"""The oldest release whose syntax the rendering uses (`cidr:{…}`)."""
_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/postfix/sbin:/sbin:/usr/bin"
_SECONDS = 60
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")


class PostfixError(PermanentError):
    """What Postfix's programs say is wrong, or what keeps them from being run."""

    def __init__(self, text: str, what_to_do: str = "") -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


class NotInstalledError(PostfixError):
    """There is no Postfix on this machine."""

    def __init__(self) -> None:
        super().__init__("Postfix is not installed", "install it (Debian: apt-get install postfix)")


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """A service as postconf(1) shows it: its columns, and what stands behind the command."""

    name: str
    kind: str
    chroot: str
    command: str
    arguments: str

    @property
    def key(self) -> str:
        """As postconf(1) calls it."""
        return f"{self.name}/{self.kind}"


@dataclass(frozen=True, slots=True)
class Program:
    """Postfix with the main.cf and master.cf of a folder."""

    config_dir: Path

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command to its end; raises NotInstalledError, or PostfixError if it takes more than a minute."""
        try:
            return subprocess.run(  # noqa: S603 - our own command line, no shell
                [_find(command), "-c", str(self.config_dir), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_SECONDS,
                check=False,
                env={"PATH": _FOLDERS + ":/bin", "LANG": "C", "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired:
            raise PostfixError(f"{command} {' '.join(arguments)[:100]} does not come to an end") from None

    def must(self, command: str, *arguments: str) -> str:
        """The standard output of a command that has to succeed; raises PostfixError."""
        done = self.run(command, *arguments)
        if done.returncode:
            raise PostfixError(f"{command} for {self.config_dir}: {said(done.stderr)}")
        return done.stdout

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Settings as they stand or by default, as they are written; without those that Postfix does not know."""
        return dict(_setting(line) for line in self.must("postconf", *names).splitlines() if " =" in line)

    def given(self) -> dict[str, str]:
        """What main.cf says, as it is written."""
        return dict(_setting(line) for line in self.must("postconf", "-n").splitlines() if " =" in line)

    def defaults(self, names: Iterable[str]) -> dict[str, str]:
        """What settings are where main.cf says nothing, with what they refer to filled in."""
        return dict(_setting(line) for line in self.must("postconf", "-dx", *names).splitlines() if " =" in line)

    def value(self, name: str) -> str:
        """One setting, with what it refers to filled in."""
        return self.must("postconf", "-xh", name).strip()

    def services(self) -> tuple[ServiceLine, ...]:
        """The services of master.cf; raises PostfixError where it cannot be read."""
        return tuple(_service(line) for line in self.must("postconf", "-M").splitlines() if line.strip())

    def warnings(self) -> tuple[str, ...]:
        """What postconf(1) finds strange: names that nothing uses, or nothing defines."""
        lines = self.run("postconf", "-n").stderr.splitlines() + self.run("postconf", "-M").stderr.splitlines()
        return tuple(dict.fromkeys(line.partition("warning: ")[2] for line in lines if "warning: " in line))

    def version(self) -> tuple[int, int, int]:
        """Of the programs, not of a master that was started before they were replaced."""
        found = _VERSION.match(self.must("postconf", "-d", "-h", "mail_version"))
        if found is None:
            raise PostfixError("postconf(1) does not say which release this Postfix is")
        return int(found[1]), int(found[2]), int(found[3] or 0)

    def is_running(self) -> bool:
        """Whether there is a master; raises PostfixError."""
        return self.run("postfix", "status").returncode == 0


def _find(command: str) -> str:
    found = shutil.which(command, path=_FOLDERS)
    if found is None:
        raise NotInstalledError
    return found


def is_installed() -> bool:
    """Whether there is a Postfix on this machine."""
    return shutil.which("postconf", path=_FOLDERS) is not None


def surroundings(config: Config) -> Surroundings:
    """What this machine adds to a rendering; where there is no Postfix, what most have."""
    queue = config.postfix.queue_dir
    if config.postfix.instance is not Instance.PRIVATE and is_installed():
        asked = Program(config.postfix.config_dir).run("postconf", "-xh", "queue_directory")
        queue = Path(asked.stdout.strip()) if asked.returncode == 0 and asked.stdout.startswith("/") else queue
    return Surroundings(ipv6=has_ipv6(), queue_directory=queue)


def has_ipv6() -> bool:
    """Whether this machine has IPv6 addresses to listen at."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def said(text: str) -> str:
    """What a program of Postfix says, on one line, without what it says of itself."""
    found = []
    for line in text.splitlines():
        word = re.sub(r"^(?:\S*/)?post\S+: (?:fatal: |error: )?", "", line.strip())
        if word and not word.startswith("warning:") and word not in found:
            found.append(word)
    return "; ".join(found)[:1000] or text[:300].strip()


def typed(given: Mapping[str, str], defaults: Mapping[str, str]) -> Sequence[str]:
    """What is wrong with values, seen from the kind of their defaults: a program that reads them would not start."""
    wrong = []
    for name, value in given.items():
        default = defaults.get(name)
        if default is None:
            wrong.append(f"Postfix has no setting {name}")
        elif "$" not in value and (kind := _kind(default)) and not kind[1].fullmatch(value):
            wrong.append(f"{name} = {value}: {kind[0]} is needed")
    return wrong


_KINDS = (
    ("yes or no", re.compile(r"yes|no")),
    ("a whole number", re.compile(r"\d{1,18}")),
    ("a time such as 5d, 2h, 30s", re.compile(r"\d{1,9}[smhdw]?")),
)


def _kind(default: str) -> tuple[str, re.Pattern[str]] | None:
    return next((kind for kind in _KINDS if kind[1].fullmatch(default)), None)


def _setting(line: str) -> tuple[str, str]:
    name, _, value = line.partition(" =")
    return name, value.strip()


def _service(line: str) -> ServiceLine:
    words = line.split(None, 8)
    return ServiceLine(words[0], words[1], words[4], words[7], words[8] if len(words) > 8 else "")


def is_root() -> bool:
    """Whether this process may do what only root may."""
    return os.geteuid() == 0
