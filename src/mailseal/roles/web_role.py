"""The web role: the console and the API over HTTPS. It has the database and the web key, no KEK, no mail, no queue."""

import logging
import math
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from django.core.handlers.wsgi import WSGIHandler

from mailseal import web
from mailseal.config import WEB, WEB_PLAIN, Config, group_of, listeners
from mailseal.errors import PermanentError
from mailseal.keys.web_key import WebKey, WebKeyMissingError, make_web_key, read_web_key
from mailseal.roles import child
from mailseal.roles.child import Inheritance, inherit
from mailseal.roles.lifetime import ORPHAN_SECONDS
from mailseal.roles.listening import bind
from mailseal.roles.logs import configure
from mailseal.roles.notify import ALIVE, STOPPING, beat_seconds, notify
from mailseal.roles.process import CANNOT_WORK
from mailseal.roles.store_wait import wait_for_store
from mailseal.roles.web_folders import unshared_database
from mailseal.roles.web_server import Server, Serving
from mailseal.roles.web_tls import ConsoleTls
from mailseal.store import console_keys, transaction, web_rights
from mailseal.store.transaction import unit_of_work
from mailseal.web import secrets
from mailseal.web.front import Front
from mailseal.web.plain import HTTPS_PORT, Doors, Plain
from mailseal.web.static_files import serving

logger = logging.getLogger(__name__)


MAX_NAMED = 5


class WebCannotWorkError(PermanentError):
    """Somebody has to do something first."""

    exit_status = CANNOT_WORK


def run(config: Config) -> None:
    """Answer until told to end; raises MailsealError when the role cannot start."""
    configure(config.log, "web")
    inheritance = inherit()
    places = listeners(config)
    if WEB not in places and WEB not in inheritance.sockets:
        logger.warning("web.listen is off: there is nothing to do")
        return
    for name in (WEB, WEB_PLAIN) if not inheritance.supervised else ():
        if name in places and name not in inheritance.sockets:
            inheritance.sockets[name] = bind(places[name], group_of(name, config))
    _require_database(config)
    wait_for_store(with_own_database(config), inheritance)
    _judge_rights()
    _take_key(_own_key(config))
    web.setup(config, secrets.django_secret())
    WebRole(config, inheritance).serve()


def _require_database(config: Config) -> None:
    what_to_do = unshared_database(config)
    path = Path(urlsplit(config.database.url).path)
    if what_to_do and path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise WebCannotWorkError(f"the web role's user cannot get at {config.database.url}; {what_to_do}")


def _judge_rights() -> None:
    with unit_of_work():
        judged = transaction.read(web_rights.judge)
    if judged.lacking:
        raise WebCannotWorkError(
            f"the web role's database account cannot read {', '.join(judged.lacking[:MAX_NAMED])}: "
            "`mailseal store grants`, after each update"
        )
    if judged.excess:
        logger.warning(
            "the web role's database account reads what is sealed (%s): set web.database_url, `mailseal store grants`",
            ", ".join(judged.excess[:MAX_NAMED]),
        )


def with_own_database(config: Config) -> Config:
    """The configuration with the database account that the web uses."""
    if config.web.database_url is None:
        return config
    return replace(
        config, database=replace(config.database, url=config.web.database_url, password=config.web.database_password)
    )


def _own_key(config: Config) -> WebKey:
    """The web key, made where this role may make it; raises WebKeyError."""
    path = config.keys.web_key
    try:
        return read_web_key(path)
    except WebKeyMissingError:
        if not os.access(path.parent, os.W_OK) or console_keys.public(console_keys.WEB) is not None:
            raise
    return make_web_key(path)


def _take_key(key: WebKey) -> None:
    """Use it, if it is the one of the cluster; raises WebCannotWorkError."""
    if not console_keys.register_web(key.opens.public):
        raise WebCannotWorkError(
            "this node's web key is not the one that the database knows: copy keys.web_key from another node; if it is "
            "lost, `mailseal key forget-web`, after which second factors have to be set up anew"
        )
    secrets.hold(key)
    console_keys.hold_web(key.opens)


class WebRole:
    """One process: its server, and what it hears of supervisor and signals."""

    def __init__(self, config: Config, inheritance: Inheritance) -> None:
        self._config = config
        self._inheritance = inheritance
        self._beat_at = 0.0
        behind_proxy = listens_for_proxy(config)
        plain = [inheritance.sockets[WEB_PLAIN]] if WEB_PLAIN in inheritance.sockets else []
        self._tls = None if behind_proxy else ConsoleTls(config)
        application = Front(
            serving(WSGIHandler()),
            max_bytes=config.web.max_upload_bytes,
            trusted=config.web.trusted_proxies,
            behind_proxy=behind_proxy,
        )
        limits = Serving(
            threads=config.web.threads,
            drain_seconds=config.limits.drain_seconds,
            tls=None if self._tls is None else self._tls.context,
            each_second=self._each_second,
            ready=self._ready,
            plain=frozenset(one.getsockname() for one in plain),
        )
        sockets = [inheritance.sockets[WEB], *plain]
        self._server = Server(_doors(application, plain, config), sockets, limits)

    def serve(self) -> None:
        """Answer, and end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._end())
        signal.signal(signal.SIGHUP, lambda _number, _frame: self._hang_up())
        self._server.init_process()

    def _ready(self) -> None:
        fd = self._inheritance.supervisor_fd
        if fd is not None:
            self._server.poller.register(fd, 1, partial(self._supervisor_spoke, fd))
        self._inheritance.ready()

    def _each_second(self) -> None:
        if self._tls is not None:
            self._tls.look()
        pause = child.BEAT_SECONDS if self._inheritance.supervised else beat_seconds()
        if pause is not None and time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + pause
            if self._inheritance.supervised:
                self._inheritance.beat()
            else:
                notify(ALIVE)

    def _supervisor_spoke(self, fd: int, _fileobj: object) -> None:
        # Nothing is ever written to this pipe: to be readable is to be at its end.
        self._server.poller.unregister(fd)
        signal.alarm(math.ceil(self._config.limits.drain_seconds) + ORPHAN_SECONDS)
        self._end()

    def _hang_up(self) -> None:
        if not self._inheritance.supervised:  # else the supervisor, who got it too, starts another
            self._end()

    def _end(self) -> None:
        if self._server.alive and not self._inheritance.supervised:
            notify(STOPPING)
        self._server.end()


def _doors(application: Front, plain: Sequence[socket.socket], config: Config) -> Doors:
    """Another application for whoever comes without TLS."""
    place = config.web.listen
    port = HTTPS_PORT if place is None or place.path is not None else place.port
    answer = Plain(web.hosts(config), port)
    return Doors(application, {(str(one.getsockname()[0]), str(one.getsockname()[1])): answer for one in plain})


def listens_for_proxy(config: Config) -> bool:
    """Whether a proxy has the TLS: then it connects to a UNIX socket."""
    return config.web.listen is not None and config.web.listen.path is not None
