"""Our servers' certificates on this node: renewed in time, and written to the files from which servers read them.

Servers notice a changed file by themselves. Key and chain are in one file: there is never one without the other.
"""

import logging
import os
from pathlib import Path
from typing import Final
from uuid import UUID

from mailseal.config import Config
from mailseal.discover.fetch import FetchError
from mailseal.errors import PermanentError
from mailseal.roles.key_search import fetcher
from mailseal.store import jobs, tls_identities
from mailseal.store.jobs import Job
from mailseal.store.private_keys import Sealing
from mailseal.store.row import utc_now
from mailseal.store.tls_identities import Server, Source, TlsIdentity
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
        self._failed: dict[Server, UUID] = {}

    def keep(self) -> None:
        """Write what has changed, and have a job renew what is due. Raises StoreUnavailable."""
        now = utc_now()
        known = tls_identities.list_identities()
        if self._wants_first and all(one.purpose is not Server.CONSOLE or one.asked for one in known):
            names = [self._config.hostname, "localhost", "127.0.0.1", "::1"]
            known = (tls_identities.make_self_signed(Server.CONSOLE, names, self._sealing), *known)
        for one in known:
            if one.due is not None and one.due <= now:
                jobs.enqueue(RENEW, {"id": str(one.id)}, dedupe=str(one.id))
            if not one.asked:
                self._keep_file(one)

    @property
    def _wants_first(self) -> bool:
        """Whether the console needs a certificate of ours."""
        web = self._config.web
        return web.listen is not None and web.listen.path is None and web.tls_certificate is None

    def _keep_file(self, one: TlsIdentity) -> None:
        if self._written.get(one.purpose) == one.id and place(self._config, one.purpose).exists():
            return
        try:
            write(self._config, one, self._sealing)
        except PermanentError as error:
            if self._failed.get(one.purpose) != one.id:  # said once
                logger.error("the certificate of the %s is not where its server reads it: %s", one.purpose, error)
            self._failed[one.purpose] = one.id
        else:
            self._written[one.purpose] = one.id


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
    """Make or get the next certificate for one that is due; raises AcmeError, FetchError, both transient."""
    wanted = UUID(job.payload["id"])
    one = next((one for one in tls_identities.list_identities() if one.id == wanted), None)
    if one is None or one.due is None or one.due > utc_now():
        return None
    if one.source is Source.SELF_SIGNED:
        tls_identities.renew_self_signed(one, node.kek)
    elif one.source is Source.ACME:
        _by_acme(node, job, one)
    return None


def _by_acme(node: Node, job: Job, one: TlsIdentity) -> None:
    from mailseal.discover.acme import AcmeError, obtain  # noqa: PLC0415 -- 11 MB of libraries that few nodes need

    asked = tls_identities.begin_renewal(one, node.kek)
    account = tls_identities.account(asked.directory, node.kek)
    if not jobs.fence(job, lease_seconds=LEASE_SECONDS):
        return
    try:
        issued = obtain(
            asked.directory,
            account.key,
            account.uri,
            account.contact,
            asked.pem.encode(),
            fetcher=fetcher(node.config.discover, max_redirects=0),
            publish=tls_identities.publish,
        )
    except (AcmeError, FetchError) as error:
        tls_identities.failed(asked, str(error))
        logger.error("the certificate of the %s could not be had by ACME: %s", asked.purpose, error)
        return
    tls_identities.account_is(asked.directory, issued.account_uri)
    done = tls_identities.issued(asked, issued.chain_pem, node.kek)
    logger.info("a new certificate of the %s for %s, until %s", done.purpose, ", ".join(done.names), done.not_after)
