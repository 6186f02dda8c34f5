"""Our servers' certificates on this node: renewed in time, and written to the files from which servers read them.

Servers notice a changed file by themselves. Key and chain are in one file: there is never one without the other.
"""

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from mailseal.config import Config
from mailseal.errors import MailsealError, PermanentError
from mailseal.keys.seal_errors import SealError
from mailseal.roles.key_search import fetcher
from mailseal.store import jobs, tls_identities
from mailseal.store.jobs import Job
from mailseal.store.private_keys import Sealing
from mailseal.store.row import utc_now
from mailseal.store.tls_identities import Server, Source, TlsIdentity
from mailseal.store.transaction import StoreUnavailable
from mailseal.wiring.gateway import Node

RENEW: Final = "tls-renew"
LEASE_SECONDS: Final = 600
OPEN_TO_GROUP: Final = 0o640
OWN: Final = 0o600

logger = logging.getLogger(__name__)


class TlsFiles:
    """Keeps the files as the database has it, and what is shown in date; asked again and again by the worker."""

    def __init__(self, config: Config, sealing: Sealing) -> None:
        self._config = config
        self._sealing = sealing
        self._written: dict[Server, UUID] = {}
        self._said: set[UUID | None] = set()

    def keep(self) -> None:
        """Write what has changed, and have jobs renew what is due. Raises StoreUnavailable."""
        known = tls_identities.list_identities()
        for one in tls_identities.to_renew(known, utc_now()):
            jobs.enqueue(RENEW, {"id": str(one.id)}, dedupe=str(one.id))
        shown = {one.purpose: one for one in known if not one.asked}
        if Server.CONSOLE not in shown and self._wants_first:
            self._try(None, self._make_first)
        for purpose, one in shown.items():
            if self._written.get(purpose) != one.id or not place(self._config, purpose).exists():
                self._try(one.id, partial(self._write, one))

    def _make_first(self) -> None:
        """What the console shows until somebody wants something else; a request of before goes on."""
        names = [self._config.hostname, "localhost", "127.0.0.1", "::1"]
        tls_identities.make_self_signed(Server.CONSOLE, names, self._sealing, ends_request=False)

    def _write(self, one: TlsIdentity) -> None:
        write(self._config, one, self._sealing)
        self._written[one.purpose] = one.id

    def _try(self, which: UUID | None, do: Callable[[], None]) -> None:
        """Do it; why it cannot be done is said once of each certificate. Raises StoreUnavailable."""
        try:
            do()
        except StoreUnavailable:
            raise
        except MailsealError as error:
            if which not in self._said:
                self._said.add(which)
                logger.error("a server's certificate is not where it is read: %s", error)

    @property
    def _wants_first(self) -> bool:
        """Whether the console needs a certificate of ours."""
        web = self._config.web
        return web.listen is not None and web.listen.path is None and web.tls_certificate is None


def place(config: Config, purpose: Server) -> Path:
    """The file of a purpose."""
    return config.console_certificate if purpose is Server.CONSOLE else config.tls_dir / "mail.pem"


def write(config: Config, one: TlsIdentity, sealing: Sealing) -> Path:
    """Write key and chain into the file of this purpose, in one step; raises SealError, PermanentError."""
    path = place(config, one.purpose)
    octets = tls_identities.private_pem(one, sealing) + one.pem.encode()
    # The console's stands in a folder whose group is that of the web's user, and of nobody else.
    mode = OPEN_TO_GROUP if one.purpose is Server.CONSOLE else OWN
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, OWN)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    except OSError as error:
        raise PermanentError(f"{path} cannot be written: {error.strerror}") from None
    return path


def renew(node: Node, job: Job) -> float | None:
    """Make or get the next certificate for one that is due. Raises SealError, StoreUnavailable: tried again."""
    wanted = UUID(job.payload["id"])
    due = tls_identities.to_renew(tls_identities.list_identities(), utc_now())
    for one in due:
        if one.id == wanted:
            _renew(node, job, one)
    return None


def _renew(node: Node, job: Job, one: TlsIdentity) -> None:
    try:
        if one.source is Source.SELF_SIGNED:
            tls_identities.make_self_signed(one.purpose, one.names, node.kek, ends_request=False)
        elif one.asked:
            _ask_ca(node, job, one)
        else:
            tls_identities.begin_renewal(one, node.kek)  # what is asked is due at once, and a job of its own
    except (StoreUnavailable, SealError):
        raise
    except MailsealError as error:
        # Tried again much later, whatever it was: one that stays due would be a storm of orders at the CA.
        tls_identities.failed(one, str(error))
        logger.error("there is no new certificate of the %s: %s", one.purpose, error)


def _ask_ca(node: Node, job: Job, asked: TlsIdentity) -> None:
    from mailseal.discover.acme import obtain  # noqa: PLC0415 -- 11 MB of libraries that few nodes need

    account = tls_identities.account(asked.directory, node.kek)
    if not jobs.fence(job, lease_seconds=LEASE_SECONDS):
        return
    issued = obtain(
        asked.directory,
        account.key,
        account.uri,
        account.contact,
        asked.pem.encode(),
        fetcher=fetcher(node.config.discover, max_redirects=0),
        publish=tls_identities.publish,
    )
    tls_identities.account_is(asked.directory, issued.account_uri)
    done = tls_identities.issued(asked, issued.chain_pem, node.kek)
    logger.info("a new certificate of the %s for %s, until %s", done.purpose, ", ".join(done.names), done.not_after)
