"""The kinds of value that a configuration key can have, each with its reader.

A reader takes what TOML gives (str, int, bool, list) or the text of an environment variable, and raises BadValueError
with a text that says what is wrong. It never touches the file system or the network.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_UNIX_PATH_BYTES = 107
"""sun_path of sockaddr_un is 108 octets with its closing NUL (unix(7))."""

HOSTNAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,62}))*")
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-_]{0,63}")
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

E = TypeVar("E", bound=StrEnum)


class BadValueError(ValueError):
    """The text says what is wrong with the value, to stand behind the name of its key."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a listener listens: a UNIX socket (`path`) or TCP (`host`, `port`)."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path is not None:
            return str(self.path)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class BareLf(StrEnum):
    """What happens to a mail with a line feed that has no carriage return before it."""

    REFUSE = "refuse"
    NORMALISE = "normalise"


class LogLevel(StrEnum):
    """The least important event that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How an event is written to standard error."""

    TEXT = "text"
    JSON = "json"


def text(raw: object) -> str:
    """A non-empty text without control characters."""
    if not isinstance(raw, str):
        raise BadValueError(f"must be a text, not {_kind(raw)}")
    if not raw or not raw.isprintable():
        raise BadValueError("must be a non-empty text without control characters")
    return raw


def secret(raw: object) -> str:
    """A secret; its value is never part of an error."""
    if not isinstance(raw, str) or not raw:
        raise BadValueError("must be a non-empty text")
    return raw


def hostname(raw: object) -> str:
    """A host name as it is said in a banner and in HELO."""
    value = text(raw)
    if not HOSTNAME.fullmatch(value):
        raise BadValueError(f"{value!r} is not a host name")
    return value.lower()


def node(raw: object) -> str:
    """A short name of this machine within the cluster."""
    value = text(raw)
    if not _NODE.fullmatch(value):
        raise BadValueError(f"{value!r} may have only letters, digits, dot, minus and underscore (64 at most)")
    return value


def path(raw: object) -> Path:
    """An absolute path; a relative one is taken from the current folder."""
    try:
        return Path(text(raw)).expanduser().absolute()
    except RuntimeError:
        raise BadValueError("begins with the home folder of a user that does not exist here") from None


def whole(least: int, most: int) -> Callable[[object], int]:
    """A reader of a whole number within bounds."""

    def read(raw: object) -> int:
        if isinstance(raw, str) and raw.strip().isdecimal():
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise BadValueError(f"must be a whole number, not {_kind(raw)}")
        if not least <= raw <= most:
            raise BadValueError(f"must be between {least} and {most}, not {raw}")
        return raw

    return read


def size(least: int, most: int) -> Callable[[object], int]:
    """A reader of a number of bytes: a whole number, or a text such as "100 MiB"."""
    number = whole(least, most)

    def read(raw: object) -> int:
        if isinstance(raw, str):
            match = _SIZE.fullmatch(raw.strip())
            if not match:
                raise BadValueError(f"{raw!r} is not a size; the units are B, KiB, MiB, GiB")
            raw = int(match[1]) * _UNITS[match[2] or "B"]
        return number(raw)

    return read


def flag(raw: object) -> bool:
    """True or false; in the environment also yes/no, on/off, 1/0."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in _WORDS:
        return _WORDS[raw.lower()]
    raise BadValueError("must be true or false")


def one_of(kind: type[E]) -> Callable[[object], E]:
    """A reader of one word of a closed list."""

    def read(raw: object) -> E:
        words = [member.value for member in kind]
        if not isinstance(raw, str) or raw not in words:
            raise BadValueError(f"must be one of {', '.join(words)}")
        return kind(raw)

    return read


def networks(raw: object) -> tuple[Network, ...]:
    """Addresses and networks in CIDR form."""
    return tuple(_network(item) for item in items(raw))


def endpoint(raw: object) -> Endpoint:
    """An absolute path of a UNIX socket, or host:port with a literal IP address."""
    value = text(raw)
    if value.startswith("/"):
        return Endpoint(path=unix_path(value))
    host, port = host_port(value)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise BadValueError(
            f"{host!r} is not an IP address; a listener is bound to an address, not to a name"
        ) from None
    return Endpoint(host=host, port=port)


def optional_endpoint(raw: object) -> Endpoint | None:
    """An endpoint, or off."""
    if raw is False or (isinstance(raw, str) and raw.lower() == "off"):
        return None
    return endpoint(raw)


def database_url(raw: object) -> str:
    """`sqlite:///absolute/path` or `mysql://user@host:port/name` (also MariaDB); never with a password in it."""
    value = text(raw)
    try:
        parts = urlsplit(value)
        has_password, _ = parts.password is not None, parts.port
    except ValueError:
        raise BadValueError("is not a URL") from None
    if has_password:
        raise BadValueError("must not hold the password; set database.password_file")
    if parts.scheme == "sqlite" and not parts.netloc and parts.path.startswith("/"):
        return value
    if parts.scheme in ("mysql", "mariadb") and parts.username and parts.path.strip("/"):
        return value
    raise BadValueError("must be sqlite:///absolute/path or mysql://user@host:port/name")


def _kind(raw: object) -> str:
    names = {bool: "true/false", int: "a number", float: "a number with a fraction", str: "a text"}
    return names.get(type(raw), "a list" if isinstance(raw, list) else "a table")


def items(raw: object) -> list[object]:
    """A list as TOML gives it, or the words between the commas of a text."""
    if isinstance(raw, str):
        return [item.strip() for item in raw.split(",") if item.strip()]
    if isinstance(raw, list):
        return raw
    raise BadValueError("must be a list of texts")


def _network(raw: object) -> Network:
    value = text(raw)
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        raise BadValueError(f"{value!r} is not an IP address or a network (host bits must be zero)") from None


def unix_path(value: str) -> Path:
    """The path of a UNIX socket."""
    if len(value.encode()) > MAX_UNIX_PATH_BYTES:
        raise BadValueError(f"the path of a UNIX socket is limited to {MAX_UNIX_PATH_BYTES} bytes: {value}")
    return Path(value)


def host_port(value: str) -> tuple[str, int]:
    """`host:port`, an IPv6 address in brackets."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadValueError(f"{value!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadValueError(f"an IPv6 address is written in brackets: [{host}]:{port}")
    return host, int(port)
