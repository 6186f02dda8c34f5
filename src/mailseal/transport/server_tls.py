"""TLS of our listeners: the certificate they show, read anew when its files change (RFC 3207, RFC 8446, RFC 9325)."""

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mailseal.errors import PermanentError

LOOK_AGAIN_SECONDS = 1.0

_FOR_OTHERS = 0o006

Stamp = tuple[tuple[int, int, int], ...]
"""Of each file: inode, time of status change in ns (mended rights change no other), size."""

logger = logging.getLogger(__name__)


class ServerTlsError(PermanentError):
    """The listeners' certificate or key cannot be used; `what_to_do` is for the administrator."""

    def __init__(self, text: str, what_to_do: str) -> None:
        super().__init__(f"{text}; {what_to_do}")
        self.text = text
        self.what_to_do = what_to_do


class ServerTls:
    """The TLS context for new handshakes. Used on one event loop; the files are small and local."""

    def __init__(self, certificate: Path, key: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`certificate`: PEM, the server's own first; `key`: PEM, None if it is in the same file. ServerTlsError."""
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._looked_at = clock()
        self._stamp = self._stamp_now()
        self._context = server_context(certificate, key)

    def context(self) -> ssl.SSLContext:
        """That of the files as they are, or as they last were usable: looked at, at most each second."""
        now = self._clock()
        if now - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._looked_at = now
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload()
        return self._context

    def _reload(self) -> None:
        try:
            self._context = server_context(self._certificate, self._key)
        except ServerTlsError as error:
            logger.error("the listeners keep the certificate they have: %s", error)
        else:
            logger.info("the listeners show the new certificate of %s", self._certificate)

    def _stamp_now(self) -> Stamp:
        found = []
        for path in filter(None, (self._certificate, self._key)):
            try:
                status = path.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((status.st_ino, status.st_ctime_ns, status.st_size))
        return tuple(found)


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later, without compression, renegotiation and client certificates; raises ServerTlsError."""
    _check_secrecy(key or certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:  # an OSError, but about what is in the files
        what = f"{certificate}{f' and {key}' if key else ''}: {_why(error)}"
        raise ServerTlsError(
            what, "give a PEM file with the server's certificate first, then its issuers, and the PEM key made for it"
        ) from None
    except OSError as error:
        raise ServerTlsError(
            f"{certificate}: {error.strerror}", "set listen.tls_certificate to a file that the mail role can read"
        ) from None
    return context


def _check_secrecy(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        path.open("rb").close()
    except OSError as error:
        raise ServerTlsError(
            f"{path}: {error.strerror}",
            "set listen.tls_certificate and listen.tls_key to files that the user of the mail role can read",
        ) from None
    if mode & _FOR_OTHERS:
        raise ServerTlsError(f"{path}: every user of this machine can read or change this key", f"chmod 0600 {path}")


def _no_password() -> NoReturn:
    raise ServerTlsError("the key is protected by a password", "write it without one: openssl pkey -in KEY -out NEW")


def _why(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the first certificate"
    return f"no usable certificate and key ({error.reason or error.strerror})"
