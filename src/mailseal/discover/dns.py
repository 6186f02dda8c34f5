"""DNS look-ups within bounds: TXT, MX, TLSA, NS and addresses, with the AD flag (RFC 1035, RFC 4035 §3.2.3, RFC 6698).

Time in all, size of an answer and how long one is kept are bounded. The name server is trusted: what it says of DNSSEC
is only worth something if it validates, and if nobody sits between (`[dns] servers`).
"""

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY import MX, NS, TLSA, TXT
from dns.rdtypes.IN import AAAA, A

from mailseal.config.sections.dns import NameServer
from mailseal.errors import PermanentError, TransientError

RESOLV_CONF = Path("/etc/resolv.conf")
LEAST_TTL_SECONDS = 30
MOST_TTL_SECONDS = 3600
FAILURE_KEPT_SECONDS = 5
"""A name server that does not answer is not waited for by every mail."""
MAX_KEPT = 1000
MAX_NAME_CHARS = 1000
MAX_RECORDS = 100
MAX_ANSWER_OCTETS = 16_384
UDP_OCTETS = 1232
ATTEMPT_SECONDS = 1.5

R = TypeVar("R")


class NoAnswerError(PermanentError):
    """There is nothing under the name. `authenticated`: DNSSEC proves it."""

    def __init__(self, text: str, *, authenticated: bool = False) -> None:
        super().__init__(text)
        self.authenticated = authenticated


class NoSuchNameError(NoAnswerError):
    """The name does not exist (NXDOMAIN), or is none that could."""


class NoRecordsError(NoAnswerError):
    """The name exists, but has no records of that kind."""


class DnsUnavailableError(TransientError):
    """Nobody can say now: no answer in time, a failure of the servers, DNSSEC that is wrong, or an absurd answer."""


@dataclass(frozen=True, slots=True)
class Records(Generic[R]):
    """The records of a name, in no order. `authenticated`: the name server has proved them by DNSSEC (AD)."""

    records: tuple[R, ...]
    authenticated: bool


@dataclass(frozen=True, slots=True)
class Mx:
    """A mail exchanger, lower case, without the final dot; "" is the null MX (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """Certificate usage, selector, matching type and data (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


Kept = Records[object] | NoAnswerError | DnsUnavailableError


class Dns:
    """Thread-safe. Every method raises NoSuchNameError, NoRecordsError or DnsUnavailableError and nothing else.

    `deadline` (monotonic) may shorten the time of a look-up, never lengthen it.
    """

    def __init__(self, servers: Sequence[NameServer] = (), timeout_seconds: float = 5.0) -> None:
        self._servers = tuple(servers)
        self._timeout_seconds = timeout_seconds
        self._kept: OrderedDict[tuple[str, str], tuple[float, Kept]] = OrderedDict()
        self._lock = threading.Lock()
        self._resolver: dns.resolver.Resolver | None = None
        self._resolver_of = 0

    def txt(self, name: str, deadline: float | None = None) -> Records[str]:
        """TXT records, the strings of each joined; octets that are no UTF-8 become U+FFFD."""
        return self._ask(name, dns.rdatatype.TXT, _txt, deadline)

    def mx(self, name: str, deadline: float | None = None) -> Records[Mx]:
        """MX records by preference."""
        found = self._ask(name, dns.rdatatype.MX, _mx, deadline)
        return Records(tuple(sorted(found.records, key=lambda one: one.preference)), found.authenticated)

    def tlsa(self, host: str, port: int = 25, deadline: float | None = None) -> Records[Tlsa]:
        """The TLSA records of a host's TCP port."""
        return self._ask(f"_{port}._tcp.{host}", dns.rdatatype.TLSA, _tlsa, deadline)

    def ns(self, name: str, deadline: float | None = None) -> Records[str]:
        """The name servers of a zone; of "." they show whether the resolver validates."""
        return self._ask(name, dns.rdatatype.NS, _ns, deadline)

    def a(self, name: str, deadline: float | None = None) -> Records[str]:
        """IPv4 addresses."""
        return self._ask(name, dns.rdatatype.A, _address, deadline)

    def aaaa(self, name: str, deadline: float | None = None) -> Records[str]:
        """IPv6 addresses."""
        return self._ask(name, dns.rdatatype.AAAA, _address, deadline)

    def _ask(
        self,
        name: str,
        kind: dns.rdatatype.RdataType,
        read: Callable[[dns.rdata.Rdata], R],
        deadline: float | None,
    ) -> Records[R]:
        if len(name) > MAX_NAME_CHARS:
            raise NoSuchNameError("no name of the DNS is that long")
        key = (name.lower().rstrip("."), kind.name)
        kept = self._known(key)
        if kept is None:
            kept, seconds = self._found(name, kind, read, deadline)
            self._keep(key, kept, seconds)
        if isinstance(kept, Exception):
            raise copy.copy(kept)  # each thread its own: raising writes a traceback into it
        return cast("Records[R]", kept)  # a kind is always read by the same function

    def _known(self, key: tuple[str, str]) -> Kept | None:
        with self._lock:
            until, kept = self._kept.get(key, (0.0, None))
            if kept is None or until < time.monotonic():
                return None
            self._kept.move_to_end(key)
            return kept

    def _keep(self, key: tuple[str, str], kept: Kept, seconds: float) -> None:
        with self._lock:
            self._kept[key] = (time.monotonic() + seconds, kept)
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)

    def _found(
        self,
        name: str,
        kind: dns.rdatatype.RdataType,
        read: Callable[[dns.rdata.Rdata], R],
        deadline: float | None,
    ) -> tuple[Kept, float]:
        """What is known of the name now, and for how long."""
        shown = f"{kind.name} of {name!r}"
        seconds = self._timeout_seconds
        if deadline is not None:
            seconds = min(seconds, deadline - time.monotonic())
        try:
            wanted = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError):
            return NoSuchNameError(f"{shown}: no name of the DNS"), MOST_TTL_SECONDS
        if seconds <= 0:
            return DnsUnavailableError(f"{shown}: no time is left to ask"), 0.0
        try:
            answer = self._current().resolve(wanted, kind, raise_on_no_answer=False, lifetime=seconds, search=False)
            return _judged(answer, read, shown)
        except dns.resolver.NXDOMAIN as error:
            response = _last_response(error)
            proved = bool(response.flags & dns.flags.AD)
            return NoSuchNameError(f"{shown}: no such name", authenticated=proved), _negative_ttl(response)
        except dns.resolver.LifetimeTimeout:
            # Somebody with more time may still get an answer: only a look-up with its whole time is kept.
            kept = FAILURE_KEPT_SECONDS if seconds >= self._timeout_seconds else 0.0
            return DnsUnavailableError(f"{shown}: no answer in time"), kept
        except (dns.exception.DNSException, OSError, ValueError) as error:
            return DnsUnavailableError(f"{shown}: {_cause(error)}"), FAILURE_KEPT_SECONDS

    def _current(self) -> dns.resolver.Resolver:
        """The resolver; made again when resolv.conf has changed."""
        changed = 0 if self._servers else RESOLV_CONF.stat().st_mtime_ns
        with self._lock:
            if self._resolver is None or changed != self._resolver_of:
                self._resolver = self._made()
                self._resolver_of = changed
            return self._resolver

    def _made(self) -> dns.resolver.Resolver:
        made = dns.resolver.Resolver(str(RESOLV_CONF), configure=not self._servers)
        if self._servers:
            made.nameservers = [dns.nameserver.Do53Nameserver(one.host, one.port) for one in self._servers]
        made.timeout = ATTEMPT_SECONDS
        made.flags = dns.flags.RD | dns.flags.AD
        made.use_edns(0, dns.flags.DO, UDP_OCTETS)
        return made


def _judged(answer: dns.resolver.Answer, read: Callable[[dns.rdata.Rdata], R], shown: str) -> tuple[Kept, float]:
    response = answer.response
    proved = bool(response.flags & dns.flags.AD)
    if answer.rrset is None:
        return NoRecordsError(f"{shown}: no records", authenticated=proved), _negative_ttl(response)
    rdatas = list(answer.rrset)
    octets = sum(len(one.to_digestable()) for one in rdatas)
    if len(rdatas) > MAX_RECORDS or octets > MAX_ANSWER_OCTETS:
        return DnsUnavailableError(f"{shown}: more than anybody needs"), LEAST_TTL_SECONDS
    return Records(tuple(read(one) for one in rdatas), proved), _bounded(answer.chaining_result.minimum_ttl)


def _last_response(error: dns.resolver.NXDOMAIN) -> dns.message.Message:
    last = error.qnames()[-1]  # type: ignore[no-untyped-call]  # dnspython has no types here
    return cast("dns.message.Message", error.response(last))  # type: ignore[no-untyped-call]  # nor here


def _negative_ttl(response: dns.message.Message) -> float:
    """How long it may be believed that there is nothing (RFC 2308 §5)."""
    if isinstance(response, dns.message.QueryMessage) and response.authority:
        try:
            return _bounded(response.resolve_chaining().minimum_ttl)
        except dns.exception.DNSException:
            pass
    return LEAST_TTL_SECONDS


def _bounded(seconds: int) -> float:
    return float(min(max(seconds, LEAST_TTL_SECONDS), MOST_TTL_SECONDS))


def _cause(error: Exception) -> str:
    if isinstance(error, dns.resolver.NoResolverConfiguration | FileNotFoundError):
        return f"{RESOLV_CONF} names no name server"
    return "the name servers cannot say" if isinstance(error, dns.exception.DNSException) else type(error).__name__


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if len(name) > 1 else ""


def _txt(rdata: dns.rdata.Rdata) -> str:
    return b"".join(cast("TXT.TXT", rdata).strings).decode(errors="replace")


def _mx(rdata: dns.rdata.Rdata) -> Mx:
    mx = cast("MX.MX", rdata)
    return Mx(mx.preference, _host(mx.exchange))


def _tlsa(rdata: dns.rdata.Rdata) -> Tlsa:
    tlsa = cast("TLSA.TLSA", rdata)
    return Tlsa(int(tlsa.usage), int(tlsa.selector), int(tlsa.mtype), tlsa.cert)


def _ns(rdata: dns.rdata.Rdata) -> str:
    return _host(cast("NS.NS", rdata).target)


def _address(rdata: dns.rdata.Rdata) -> str:
    return str(cast("A.A | AAAA.AAAA", rdata).address)
