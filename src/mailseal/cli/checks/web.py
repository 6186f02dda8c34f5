"""Checks of the console: its key, its database account, its UNIX socket, and that it answers over HTTPS."""

import http.client
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config, Endpoint
from mailseal.keys.web_key import WebKeyError, read_web_key
from mailseal.roles.listening import group_id, is_held
from mailseal.roles.users import exists
from mailseal.roles.web_folders import unshared_database
from mailseal.store import console_keys

SUBJECT = "console"
TIMEOUT_SECONDS = 5.0


def answers(config: Config) -> Iterator[Finding]:
    """Whether it is on, and answers."""
    place = config.web.listen
    if place is None:
        yield Finding(SUBJECT, Status.OK, "web.listen is off: no console, no API")
        return
    if place.path is not None:
        yield from _socket(place.path, config.web.socket_group)
        return
    name = config.web.hosts[0] if config.web.hosts else config.hostname
    if not config.web.hosts and not ipaddress.ip_address(place.host).is_loopback and "." not in name:
        yield Finding(SUBJECT, Status.WARN, f"it answers by the name {name!r} alone", "set web.hosts")
    if not is_held(config.run_dir / "supervisor.lock"):
        yield Finding(SUBJECT, Status.OK, f"https://{name}:{place.port}/, when the gateway runs")
        return
    status = _status(place, name)
    if status in {200, 302}:
        yield Finding(SUBJECT, Status.OK, f"https://{name}:{place.port}/ answers")
        return
    text = f"https://{name}:{place.port}/ says {status}" if status else f"nothing answers by TLS on {place}"
    yield Finding(SUBJECT, Status.FAIL, text, "read the output of `mailseal serve`")


def _socket(path: Path, group: str) -> Iterator[Finding]:
    if group_id(group) is None:
        text = f"{path}: there is no group {group!r}, so no proxy can connect"
        yield Finding(SUBJECT, Status.WARN, text, "set web.socket_group to the group of the proxy")
        return
    yield Finding(SUBJECT, Status.OK, f"behind a proxy, by {path}, for the group {group!r}")


def _status(place: Endpoint, name: str) -> int:
    """What the sign-in page says; 0 if nobody answers. Whose certificate it is, is another check."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)  # noqa: S104 -- where it listens
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    asking = http.client.HTTPSConnection(host, place.port, timeout=TIMEOUT_SECONDS, context=context)
    try:
        asking.request("GET", "/", headers={"Host": name})
        return asking.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        asking.close()


def kept(config: Config) -> Iterator[Finding]:
    """Whether key and database are as the web role needs them; asked as the owner of the data folder."""
    if config.web.listen is None:
        return
    yield from _key(config)
    yield from _database(config)


def _key(config: Config) -> Iterator[Finding]:
    try:
        key = read_web_key(config.keys.web_key)
    except WebKeyError as error:
        yield Finding(SUBJECT, Status.FAIL, error.text, error.what_to_do)
        return
    known = console_keys.public(console_keys.WEB)
    if known is not None and known != key.opens.public:
        yield Finding(
            SUBJECT,
            Status.FAIL,
            f"{config.keys.web_key} is not the web key that the database knows",
            "copy it from another node; if it is lost, `mailseal key forget-web`",
        )
        return
    yield Finding(SUBJECT, Status.OK, f"web key {config.keys.web_key}")


def _database(config: Config) -> Iterator[Finding]:
    if urlsplit(config.database.url).scheme != "sqlite":
        if config.web.database_url is None:
            text = "the web role has the gateway's own database account, which reads what is sealed"
            yield Finding(SUBJECT, Status.WARN, text, "set web.database_url; `mailseal store grants` (docs/web.md)")
        return
    what_to_do = unshared_database(config)
    if what_to_do and exists(config.users.web) and config.data_dir.stat().st_uid != 0:
        text = f"the user {config.users.web} cannot get at {config.database.url}, so started as root it does not run"
        yield Finding(SUBJECT, Status.WARN, text, what_to_do)
