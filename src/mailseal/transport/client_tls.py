"""TLS contexts for next hops (RFC 8446, RFC 5246; names: RFC 9525): made once, made again when their files change."""

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from mailseal.config import NextHop, Tls
from mailseal.transport.connection import TlsError

logger = logging.getLogger(__name__)

_Key = tuple[bool, Path | None, Path | None, Path | None]
_FileStamp = tuple[int, int, int] | None
_Stamp = tuple[_FileStamp, ...]


@dataclass(frozen=True, slots=True)
class _Made:
    context: ssl.SSLContext
    stamp: _Stamp


class ClientContexts:
    """Thread-safe; hops with the same files share a context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[_Key, _Made] = {}

    def of(self, hop: NextHop, tls: Tls) -> ssl.SSLContext:
        """The context for a next hop; raises TlsError if its files cannot be used."""
        key = (tls is Tls.VERIFIED, hop.ca, hop.certificate, hop.key)
        stamp = _stamp(key)
        with self._lock:
            made = self._made.get(key)
            if made is None or made.stamp != stamp:
                made = _Made(self._make(key, made), stamp)
                self._made[key] = made
            return made.context

    def _make(self, key: _Key, before: _Made | None) -> ssl.SSLContext:
        try:
            return _context(*key)
        except TlsError as error:
            if before is None:
                raise
            # Half-way through a renewal the key is not the certificate's: the old pair still serves.
            logger.warning("%s; what was read before is still used", error)
            return before.context


def _context(verified: bool, ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:  # noqa: FBT001 -- the parts of _Key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.hostname_checks_common_name = False  # RFC 9525 §2: a subject is no name of a service
    try:
        if not verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=ca)
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # an issuing CA alone may be named
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"the CAs in {ca} cannot be used: {_why(error)}", ours=True) from None
    try:
        if certificate is not None:
            context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        files = f"{certificate} and {key}" if key else str(certificate)
        raise TlsError(f"the client certificate in {files} cannot be used: {_why(error)}", ours=True) from None
    return context


def _no_password() -> str:
    """Without this OpenSSL asks on the terminal."""
    raise ValueError("the key is encrypted; write it without a password, readable by this user only")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").lower().replace("_", " ")
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _stamp(key: _Key) -> _Stamp:
    verified, *files = key
    watched = [path for path in files if path is not None]
    if verified and files[0] is None and (system := ssl.get_default_verify_paths().cafile):
        watched.append(Path(system))
    return tuple(_of_file(path) for path in watched)


def _of_file(path: Path) -> _FileStamp:
    """With the time of status: rights that are mended make a file readable and change nothing else of it."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ctime_ns, found.st_size, found.st_ino
