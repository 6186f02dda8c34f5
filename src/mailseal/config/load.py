"""Reads mailseal.toml and the environment into a Config; every problem is reported, all at once.

A key may be set by the environment variable MAILSEAL_<KEY>, or MAILSEAL_<SECTION>_<KEY> for a key of a section, which
wins over the file. A secret may be set by `<key>_file` (MAILSEAL_<SECTION>_<KEY>_FILE) instead: a file that holds it.
"""

import difflib
import ipaddress
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailseal.config import with_office365, with_postfix, with_web
from mailseal.config.key import Key
from mailseal.config.model import DEFAULT_DATA_DIR, RUN_NAME, SECTIONS, Config, default_of, keys_of
from mailseal.config.problem import Problem
from mailseal.config.sections.listen import StartTls
from mailseal.config.sections.postfix import Instance, Postfix
from mailseal.config.sockets import SOCKETS
from mailseal.config.values import MAX_UNIX_PATH_BYTES, BadValueError, Endpoint
from mailseal.errors import PermanentError

PREFIX = "MAILSEAL_"
DEFAULT_PATHS = (Path("mailseal.toml"), Path("/etc/mailseal/mailseal.toml"))
MAX_FILE_BYTES = 1 << 20
_WEB = "web"

_RESERVED = ("CONFIG", "SOCKETS", "SUPERVISOR", "STATUS", "EXAMPLES", "TEST", "BENCH", "DEMO", "COMPLETE")
"""Variables with these beginnings are not keys: the file's path, what the supervisor tells its children, tools."""


class ConfigError(PermanentError):
    """The configuration is not usable. `problems` holds everything that is wrong with it."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.source = source
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"the configuration ({source}) is not usable:\n{lines}")


def load(path: Path | None, environ: Mapping[str, str], *, with_secrets: bool = True, for_web: bool = False) -> Config:
    """The configuration from a file and the environment; raises ConfigError.

    Without `path` it is MAILSEAL_CONFIG, else ./mailseal.toml, else /etc/mailseal/mailseal.toml, else no file at all.
    Without secrets the files that hold them are not opened: a role whose user may not read them needs none. The web
    role reads its own and no other, and nobody else reads these.
    """
    found = find(path, environ)
    if found is None:
        source = "the environment; there is no mailseal.toml"
        return from_values({}, environ, source=source, with_secrets=with_secrets, for_web=for_web)
    document = read_document(found)
    return from_values(document, environ, source=str(found), with_secrets=with_secrets, for_web=for_web)


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file that `load` would read; one that was named is returned even if it does not exist."""
    if path is not None:
        return path
    if named := environ.get(f"{PREFIX}CONFIG"):
        return Path(named)
    return next((candidate for candidate in DEFAULT_PATHS if candidate.is_file()), None)


def from_values(
    document: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
    *,
    source: str = "values",
    with_secrets: bool = True,
    for_web: bool = False,
) -> Config:
    """The configuration from a document as TOML gives it; raises ConfigError."""
    reading = _Reading(dict(document), dict(environ or {}), with_secrets=with_secrets, for_web=for_web)
    top = reading.section("", Config, reading.document)
    data_dir = top.get("data_dir", DEFAULT_DATA_DIR)
    sections = {name: reading.table(name, kind) for name, kind in SECTIONS.items()}
    reading.unknown_variables()
    if reading.problems:
        raise ConfigError(source, tuple(reading.problems))
    run_dir = data_dir / RUN_NAME
    postfix: Postfix = _make(Postfix, sections["postfix"], data_dir, run_dir)
    sockets_dir = postfix.sockets_dir(run_dir)
    made = {name: _make(kind, sections[name], data_dir, sockets_dir) for name, kind in SECTIONS.items()}
    config: Config = _make(Config, top | made, data_dir, sockets_dir)
    if problems := _contradictions(config):
        raise ConfigError(source, problems)
    return config


def variable(section: str, name: str) -> str:
    """The environment variable of a key."""
    return f"{PREFIX}{section}_{name}".upper() if section else f"{PREFIX}{name}".upper()


def secret_variables(*, of_web: bool | None = None) -> frozenset[str]:
    """The environment variables that hold a secret: all, or those of the web role alone, or all others."""
    tables = [(name, kind) for name, kind in (("", Config), *SECTIONS.items()) if of_web in (None, name == _WEB)]
    return frozenset(variable(name, key) for name, kind in tables for key, it in keys_of(kind).items() if it.secret)


def inline_secrets(document: Mapping[str, object]) -> tuple[str, ...]:
    """The secrets that stand in a configuration file itself, by their dotted names."""
    return tuple(_dotted(name, key) for name, key, table in _secrets(document) if key in table)


def secret_files(document: Mapping[str, object], environ: Mapping[str, str]) -> tuple[tuple[str, Path], ...]:
    """The files that hold secrets, as a configuration file and the environment name them, by the secrets' names."""
    found = []
    for name, key, table in _secrets(document):
        given = environ.get(variable(name, f"{key}_file")) or table.get(f"{key}_file")
        if isinstance(given, str) and given:
            found.append((_dotted(name, key), Path(given)))
    return tuple(found)


def _secrets(document: Mapping[str, object]) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Section, key and the section's table, of each secret."""
    for name, kind in (("", Config), *SECTIONS.items()):
        table = document.get(name) if name else document
        for key, it in keys_of(kind).items():
            if it.secret:
                yield name, key, table if isinstance(table, dict) else {}


def _make(kind: type[Any], given: Mapping[str, object], data_dir: Path, sockets_dir: Path) -> Any:
    absent = {name: default_of(kind, name, data_dir, sockets_dir) for name in keys_of(kind) if name not in given}
    return kind(**absent, **given)


def read_document(path: Path) -> dict[str, object]:
    """A configuration file as TOML gives it; raises ConfigError."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
        if len(octets) > MAX_FILE_BYTES:
            raise ConfigError(str(path), (Problem("file", "is larger than 1 MiB"),))
        return tomllib.loads(octets.decode())
    except OSError as error:
        raise ConfigError(str(path), (Problem("file", f"cannot be read ({error.strerror})"),)) from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), (Problem("file", "is not UTF-8"),)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            str(path), (Problem("file", f"is not TOML ({error})", 'hostname = "mx1.example.com"'),)
        ) from None


@dataclass(slots=True)
class _Reading:
    """One document and environment being read; gathers the problems."""

    document: dict[str, object]
    environ: dict[str, str]
    with_secrets: bool = True
    for_web: bool = False
    problems: list[Problem] = field(default_factory=list)
    known_variables: set[str] = field(default_factory=set)

    def table(self, name: str, kind: type[Any]) -> dict[str, Any]:
        given = self.document.get(name, {})
        if not isinstance(given, dict):
            first = next(iter(keys_of(kind).items()))
            self.problems.append(
                Problem(name, "is a table, not a value", f"[{name}] with {first[0]} = {first[1].example}")
            )
            given = {}
        return self.section(name, kind, given)

    def section(self, section: str, kind: type[Any], given: Mapping[str, object]) -> dict[str, Any]:
        declared = keys_of(kind)
        files = {f"{name}_file" for name, key in declared.items() if key.secret}
        allowed = declared.keys() | files | (SECTIONS.keys() if not section else set())
        for name in given:
            if name not in allowed:
                self.problems.append(Problem(_dotted(section, name), _unknown(name, sorted(allowed))))
        result: dict[str, Any] = {}
        for name, key in declared.items():
            self._one(section, name, key, given, result)
        return result

    def unknown_variables(self) -> None:
        for name in self.environ:
            reserved = not name.startswith(PREFIX) or name.removeprefix(PREFIX).startswith(_RESERVED)
            if not reserved and name not in self.known_variables:
                self.problems.append(Problem(name, _unknown(name, sorted(self.known_variables))))

    def _one(self, section: str, name: str, key: Key, given: Mapping[str, object], result: dict[str, Any]) -> None:
        label, raw = self._given(section, name, given)
        if key.secret:
            label, raw = self._secret(section, name, given, label, raw)
        if raw is None:
            return
        try:
            result[name] = key.read(raw)
        except BadValueError as error:
            self.problems.append(Problem(label, str(error), f"{name} = {key.example}"))

    def _reads(self, section: str) -> bool:
        """Whether a section's secrets are for who reads. Without a database of its own the web has the gateway's."""
        if not self.with_secrets:
            return False
        if not self.for_web:
            return section != _WEB
        web = self.document.get(_WEB)
        own = (isinstance(web, dict) and "database_url" in web) or variable(_WEB, "database_url") in self.environ
        return section == _WEB or (section == "database" and not own)

    def _given(self, section: str, name: str, given: Mapping[str, object]) -> tuple[str, object | None]:
        """Where the value stands and what it is; the environment wins."""
        env = variable(section, name)
        self.known_variables.add(env)
        if env in self.environ:
            return env, self.environ[env]
        return _dotted(section, name), given.get(name)

    def _secret(
        self, section: str, name: str, given: Mapping[str, object], label: str, raw: object | None
    ) -> tuple[str, object | None]:
        file_label, file = self._given(section, f"{name}_file", given)
        if not self._reads(section):
            return label, None
        if file is None:
            return label, raw
        if raw is not None:
            self.problems.append(Problem(file_label, f"stands beside {label}; set only one of them"))
            return label, None
        example = f'{name}_file = "/etc/mailseal/{name}"'
        if not isinstance(file, str) or not file:
            self.problems.append(Problem(file_label, "must be the path of a file", example))
            return file_label, None
        try:
            return file_label, Path(file).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            self.problems.append(Problem(file_label, f"{file} cannot be read ({why})", example))
            return file_label, None


def _dotted(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name


def _unknown(name: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(name, allowed, n=1)
    return "is not a known key" + (f"; did you mean {close[0]}?" if close else f"; known are {', '.join(allowed)}")


def _places(config: Config) -> tuple[Endpoint, ...]:
    """Where something listens: we, and the Postfix that works with us."""
    ours = tuple(place for info in SOCKETS if (place := info.place(config)) is not None)
    if config.postfix.instance is Instance.OFF:
        return ours
    postfix = config.postfix
    back = (postfix.return_listen,) if config.office365.on else ()
    return (*ours, *postfix.listen, *postfix.submission, *postfix.submissions, postfix.reinjection, *back)


def _contradictions(config: Config) -> tuple[Problem, ...]:
    """What each key alone cannot show."""
    problems: list[Problem] = []
    limits = config.limits
    for info in SOCKETS:
        place = info.place(config)
        if place is not None and place.path is not None and len(str(place.path).encode()) > MAX_UNIX_PATH_BYTES:
            what = f"the path of a UNIX socket is limited to {MAX_UNIX_PATH_BYTES} bytes: {place}"
            problems.append(Problem(info.key, what, '"/run/mailseal/lmtp"'))
    places = [str(place) for place in _places(config)]
    if len(set(places)) < len(places):
        problems.append(Problem("listen", "two listeners have the same place; each needs its own"))
    problems += _open_metrics(config)
    problems += _tls_without_certificate(config)
    problems += with_web.problems(config)
    problems += with_postfix.problems(config)
    problems += with_office365.problems(config)
    if limits.max_bytes_in_flight < limits.max_message_bytes:
        problems.append(
            Problem(
                "limits.max_bytes_in_flight",
                "is smaller than limits.max_message_bytes",
                'max_bytes_in_flight = "512 MiB"',
            )
        )
    return tuple(problems)


def _open_metrics(config: Config) -> tuple[Problem, ...]:
    place = config.metrics.listen
    if place is None or config.metrics.remote or ipaddress.ip_address(place.host).is_loopback:
        return ()
    what = f"{place.host} is not a loopback address, and there is no login; if that is meant, say so"
    return (Problem("metrics.listen", what, "remote = true"),)


def _tls_without_certificate(config: Config) -> tuple[Problem, ...]:
    listen = config.listen
    if listen.tls_certificate is not None or (listen.tls is not StartTls.REQUIRED and listen.tls_key is None):
        return ()
    what = "is missing; listen.tls and listen.tls_key need it"
    return (Problem("listen.tls_certificate", what, 'tls_certificate = "/etc/mailseal/tls/fullchain.pem"'),)
