"""What Postfix's configuration is made of: settings of main.cf (postconf(5)) and services of master.cf (master(5))."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mailseal.config.sections.postfix import SYSTEM_QUEUE_DIR

Options = tuple[tuple[str, str], ...]
"""Settings of one service alone (`-o name=value`), by name."""
_COLUMNS = (10, 6, 8, 8, 8, 8, 8)


def identity(prefix: str, certificate: Path, key: Path | None) -> Options:
    """A certificate and its key, for a server (smtpd) or a client (smtp, lmtp).

    Both may be in one file, in any order: as a chain file Postfix would want the key first, and have no TLS without.
    """
    if key is not None:
        return ((f"{prefix}_tls_chain_files", f"{key}, {certificate}"),)
    one = str(certificate)
    return ((f"{prefix}_tls_chain_files", ""), (f"{prefix}_tls_cert_file", one), (f"{prefix}_tls_key_file", one))


@dataclass(frozen=True, slots=True)
class Setting:
    """One of main.cf. `topic` says what it and its neighbours are about."""

    name: str
    value: str
    topic: str = ""

    def __str__(self) -> str:
        return f"{self.name} = {self.value}".rstrip()


@dataclass(frozen=True, slots=True)
class Service:
    """One of master.cf: its columns as they stand there, "-" for Postfix's own default; never chrooted."""

    name: str
    kind: str
    command: str
    private: str = "-"
    wakeup: str = "-"
    most: str = "-"
    options: Options = ()

    @property
    def key(self) -> str:
        """As postconf(1) calls it."""
        return f"{self.name}/{self.kind}"

    @property
    def words(self) -> Sequence[str]:
        """The columns, without options."""
        return (self.name, self.kind, self.private, "-", "n", self.wakeup, self.most, self.command)

    @property
    def option_words(self) -> Sequence[str]:
        """An argument for each option; one with blanks stands in braces."""
        return tuple(
            f"{{ {name} = {value} }}" if set(value) & set(" \t{}") else f"{name}={value}"
            for name, value in self.options
        )

    def __str__(self) -> str:
        columns = [word.ljust(width) for word, width in zip(self.words, (*_COLUMNS, 0), strict=True)]
        return "\n".join([" ".join(columns).rstrip(), *(f"  -o {word}" for word in self.option_words)])

    @property
    def line(self) -> str:
        """The same on one line."""
        return " ".join([*self.words, *(f"-o {word}" for word in self.option_words)])


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rendering depends on beside our own settings: the machine, and its Postfix if there is one."""

    ipv6: bool = True
    queue_directory: Path = SYSTEM_QUEUE_DIR

    def socket(self, path: Path) -> str:
        """A socket as Postfix's daemons find it: by its name below their queue folder, also in a chroot."""
        if path.is_relative_to(self.queue_directory):
            return str(path.relative_to(self.queue_directory))
        return str(path)


@dataclass(frozen=True, slots=True)
class Rendering:
    """All that is ours. `additions` are options of services that are not: (service, name, value)."""

    settings: tuple[Setting, ...]
    services: tuple[Service, ...]
    additions: tuple[tuple[str, str, str], ...] = ()

    def main_cf(self) -> str:
        """The settings as text, each topic with its line."""
        lines: list[str] = []
        topic = None
        for setting in self.settings:
            if setting.topic != topic:
                topic = setting.topic
                lines += ["", f"# {topic}"] if topic else [""]
            lines.append(str(setting))
        return "\n".join(lines).lstrip("\n") + "\n"

    def master_cf(self) -> str:
        """The services as text."""
        lines = [str(service) for service in self.services]
        lines += [f"# {service}: -o {name}={value}" for service, name, value in self.additions]
        return "\n".join(lines) + "\n"

    def joined(self, other: Self) -> Self:
        """Both, this one first."""
        return type(self)(
            self.settings + other.settings, self.services + other.services, self.additions + other.additions
        )
