"""HTTP GET and POST within bounds (RFC 9110): time in all, octets, redirects, and which addresses may be called.

A name is looked up once and the address that was checked is the one that is called, so that a name which changes its
address in between (DNS rebinding) gets nothing. No cookies, no credentials, no proxies of the environment.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit

from mailseal.discover.public_address import is_public
from mailseal.errors import TransientError
from mailseal.transport.resolver import Resolver

PORTS = {"https": 443, "http": 80}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_URL_CHARS = 2000
MAX_ADDRESSES_TRIED = 4
CHUNK_OCTETS = 65_536

LookUp = Callable[[str, int, float], tuple[tuple[str, int], ...]]
"""(host, port, monotonic deadline) to addresses; raises OSError."""


class FetchError(TransientError):
    """Nothing usable came: not reachable, too slow, too large, not to be called. The text names host and cause only."""


class UnknownHostError(FetchError):
    """The name does not exist, or has no address: the name service has said so."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """`allow_private`: private, loopback and link-local addresses may be called, and ports other than the usual."""

    total_seconds: float = 20.0
    max_bytes: int = 1 << 20
    max_redirects: int = 3
    allow_private: bool = False
    schemes: frozenset[str] = frozenset({"https"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `url` is where it came from in the end. `media_type`: lower case, without parameters.

    `fields`: the header fields, names in lower case; of several of a name the last.
    """

    status: int
    body: bytes
    url: str
    media_type: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


class Fetcher:
    """Thread-safe; each call is a connection of its own. Every method raises FetchError and nothing else."""

    def __init__(
        self, limits: FetchLimits, *, tls: ssl.SSLContext | None = None, look_up: LookUp | None = None
    ) -> None:
        self._limits = limits
        self._tls = tls or _verifying()
        self._look_up = look_up or Resolver().look_up

    def get(self, url: str, *, any_port: bool = False) -> Answer:
        """The answer to a GET, redirects followed. `any_port`: an administrator wrote this URL."""
        deadline = time.monotonic() + self._limits.total_seconds
        for _ in range(self._limits.max_redirects + 1):
            target = self._checked(url, any_port=any_port)
            answer, location = self._exchange(target, "GET", deadline)
            if answer.status not in REDIRECTS or not location:
                return answer
            url, any_port = _joined(url, location), False
        raise FetchError(f"{target.hostname} sends on too often")

    def post(self, url: str, body: bytes, content_type: str, *, any_port: bool = False) -> Answer:
        """The answer to a POST; a redirect is not followed."""
        deadline = time.monotonic() + self._limits.total_seconds
        target = self._checked(url, any_port=any_port)
        return self._exchange(target, "POST", deadline, body, {"Content-Type": content_type})[0]

    def call(self, method: str, url: str, body: bytes | None = None, fields: Mapping[str, str] | None = None) -> Answer:
        """The answer to any request, at a URL of an administrator's or of the server that he named; no redirect."""
        deadline = time.monotonic() + self._limits.total_seconds
        return self._exchange(self._checked(url, any_port=True), method, deadline, body, fields)[0]

    def _checked(self, url: str, *, any_port: bool) -> SplitResult:
        try:
            target = urlsplit(url)
            port = target.port
        except ValueError:
            raise FetchError("an address of the web cannot be read") from None
        printable = url.isascii() and url.isprintable() and " " not in url
        if not printable or len(url) > MAX_URL_CHARS or not target.hostname or target.username is not None:
            raise FetchError("an address of the web is not one that is called")
        if target.scheme not in self._limits.schemes:
            raise FetchError(
                f"{target.hostname} would have to be called by {target.scheme[:10]!r}, which is not allowed"
            )
        if port not in (None, PORTS[target.scheme]) and not (any_port or self._limits.allow_private):
            raise FetchError(f"{target.hostname} would have to be called at port {port}, which is not allowed")
        return target

    def _exchange(
        self,
        target: SplitResult,
        method: str,
        deadline: float,
        body: bytes | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> tuple[Answer, str]:
        """The answer, and where it sends on to."""
        host = target.hostname or ""
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        headers = {**(fields or {}), "Host": target.netloc, "User-Agent": "Mailseal", "Connection": "close"}
        try:  # http.client asks for identity encoding: nothing to unpack
            with self._connected(target, deadline) as connected:
                connection = http.client.HTTPConnection(host)
                connection.sock = _Timed(connected, deadline)  # what HTTPConnection uses of one
                connection.request(method, path, body, headers)
                with connection.getresponse() as response:
                    octets = self._body(response, host)
                    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                    told = {name.lower(): value for name, value in response.getheaders()}
                    answer = Answer(response.status, octets, target.geturl(), media_type, told)
                    return answer, response.headers.get("Location", "")
        except FetchError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchError(f"{host}: {_cause(error)}") from None

    def _body(self, response: http.client.HTTPResponse, host: str) -> bytes:
        pieces: list[bytes] = []
        left = self._limits.max_bytes
        while piece := response.read(min(CHUNK_OCTETS, left + 1)):
            left -= len(piece)
            if left < 0:
                raise FetchError(f"{host} answers with more than {self._limits.max_bytes} octets")
            pieces.append(piece)
        if response.length:
            raise FetchError(f"{host} answers with less than it announced")
        return b"".join(pieces)

    def _connected(self, target: SplitResult, deadline: float) -> socket.socket:
        host, port = target.hostname or "", target.port or PORTS[target.scheme]
        places = self._places(host, port, deadline)
        allowed = [place for place in places if self._limits.allow_private or is_public(place[0])]
        if not allowed:
            raise FetchError(f"{host} has no public address, and private ones are not called")
        failure: OSError = OSError("no address")
        for place in allowed[:MAX_ADDRESSES_TRIED]:
            try:
                plain = socket.create_connection(place, timeout=_left(deadline))
            except TimeoutError:
                raise
            except OSError as error:
                failure = error
                continue
            return self._secured(plain, host, deadline) if target.scheme == "https" else plain
        raise failure

    def _places(self, host: str, port: int, deadline: float) -> tuple[tuple[str, int], ...]:
        try:
            return self._look_up(host, port, deadline)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
                raise UnknownHostError(f"{host} does not exist") from None
            raise

    def _secured(self, plain: socket.socket, host: str, deadline: float) -> socket.socket:
        try:
            plain.settimeout(_left(deadline))
            return self._tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise FetchError("an address of the web cannot be read") from None


def _verifying() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525 §6.1
    return context


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not accepted"
    return type(error).__name__


class _Timed:
    """The part of a socket that http.client uses, each step within what is left of the time: a drip ends too."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected = connected
        self._deadline = deadline

    def sendall(self, octets: bytes) -> None:
        self._connected.settimeout(_left(self._deadline))
        self._connected.sendall(octets)

    def makefile(self, mode: str) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError("only for reading")
        return io.BufferedReader(_TimedReader(self._connected, self._deadline))

    def close(self) -> None:
        """The owner of the socket closes it."""


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        self._connected.settimeout(_left(self._deadline))
        return self._connected.recv_into(buffer)  # type: ignore[arg-type]  # a memoryview, as io.BufferedReader gives it
