"""The certificate of the console's HTTPS: from the files of the configuration, or from the one that Mailseal keeps.

Before there is one the console shows a certificate of this process alone: a browser asks, and the page is there.
"""

import logging
import ssl
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mailseal.config import Config
from mailseal.keys.tls_certificate import key_pem, new_key, self_signed
from mailseal.transport.server_tls import ServerTls, ServerTlsError, server_context

LOOK_AGAIN_SECONDS = 1.0

logger = logging.getLogger(__name__)


class ConsoleTls:
    """The context for the next handshake. `look` is called by one thread, `context` by any."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ServerTlsError for files that the configuration names and that cannot be used."""
        self._clock = clock
        own = config.web.tls_certificate is None
        self._certificate = config.web.tls_certificate or config.console_certificate
        self._key = None if own else config.web.tls_key
        self._may_be_absent = own
        self._looked_at = clock()
        self._kept: ServerTls | None = None
        if own and not self._certificate.exists():
            self._context = _for_now(config.hostname)
            logger.info("the console has no certificate yet, and shows one of its own until it has")
        else:
            self._kept = ServerTls(self._certificate, self._key, clock)
            self._context = self._kept.context()

    def context(self) -> ssl.SSLContext:
        """The one to use."""
        return self._context

    def look(self) -> None:
        """Take over files that have changed, or that are there now: asked for again and again."""
        if self._kept is not None:
            self._context = self._kept.context()
            return
        if self._clock() - self._looked_at < LOOK_AGAIN_SECONDS:
            return
        self._looked_at = self._clock()
        if self._certificate.exists():
            try:
                self._kept = ServerTls(self._certificate, self._key, self._clock)
            except ServerTlsError as error:
                logger.error("the certificate of the console cannot be used: %s", error)
            else:
                self._context = self._kept.context()
                logger.info("the console shows the certificate %s", self._certificate)


def _for_now(hostname: str) -> ssl.SSLContext:
    key = new_key()
    chain = self_signed(key, [hostname, "localhost", "127.0.0.1", "::1"], datetime.now(UTC))
    with tempfile.TemporaryDirectory(prefix="mailseal-") as folder:  # mode 0700; OpenSSL reads files alone
        path = Path(folder) / "tls.pem"
        path.touch(mode=0o600)
        path.write_bytes(chain.pem + key_pem(key))
        return server_context(path, None)
