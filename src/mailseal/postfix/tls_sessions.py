"""What Postfix's SMTP client says of TLS in its log (smtp_tls_loglevel = 1): the sessions of each delivery.

    Untrusted TLS connection established to mx.example.com[192.0.2.1]:25: TLSv1.3 with cipher …
    server certificate verification failed for mx.example.com[192.0.2.1]:25: certificate has expired
    4jd7wC63qgzLwyw: Server certificate not verified                                   (and on to the next host)
    4jd7wC63qgzLwyw: to=<bob@example.com>, relay=mx2.example.com[192.0.2.2]:25, …, status=sent (250 2.0.0 kept)

Only the line with the recipient says what the sessions before it, of the same process, were for. Nothing in a line is
believed to be more than text: hosts and replies of strangers are in it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

MAX_LINE_CHARS = 4000
MAX_PROCESSES = 500
"""Whose beginnings are remembered; Postfix has some 100 by default."""
MAX_BEGUN = 50
MAX_DETAIL_CHARS = 200
ONE_DELIVERY = timedelta(seconds=5)
"""Within so long Postfix writes the lines about all recipients of one."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_HALF_A_YEAR = timedelta(days=183)

_LINE = re.compile(
    r"(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+\-]\d\d:\d\d))"
    r" \S{1,255} \S{1,100}/smtp\[(?P<process>\d{1,10})\]: (?P<text>.*)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HOST = r"(?P<host>[A-Za-z0-9.\-_]{1,255})\[(?P<address>[0-9a-fA-F:.]{2,45})\]"
_ESTABLISHED = re.compile(
    rf"(?P<grade>Anonymous|Untrusted|Trusted|Verified) TLS connection established to {_HOST}:\d+: "
)
_NOT_VERIFIED = re.compile(rf"(?:server )?certificate verification failed for {_HOST}:\d+: (?P<why>.*)")
_NO_HANDSHAKE = re.compile(rf"SSL_connect error to {_HOST}:\d+: ")
_DELIVERY = re.compile(r"(?P<queue_id>[0-9A-Za-z]{5,32}): (?P<text>.*)")
_RECIPIENT = re.compile(
    r"to=<(?P<to>[^>]{1,500})>, (?:orig_to=<[^>]{0,500}>, )?relay=(?P<relay>\S{1,400}), "
    r".*?, status=(?P<status>sent|deferred|bounced|undeliverable|deliverable) \((?P<said>.*)\)$"
)
_RELAY = re.compile(rf"{_HOST}:\d+")
_NAMED = re.compile(rf"host {_HOST}")


class Grade(StrEnum):
    """How far the certificate of a session with TLS was proven, in Postfix's words."""

    ANONYMOUS = "Anonymous"
    UNTRUSTED = "Untrusted"
    TRUSTED = "Trusted"
    VERIFIED = "Verified"


class Fault(StrEnum):
    """What was wrong with a certificate."""

    EXPIRED = "expired"
    UNTRUSTED = "untrusted"
    OTHER_NAME = "other-name"
    NO_TLSA_MATCH = "no-tlsa-match"
    OTHER = "other"


class Trouble(StrEnum):
    """Why nothing could be sent in a session, or none begun."""

    NOT_OFFERED = "not-offered"
    REFUSED = "refused"
    HANDSHAKE = "handshake"
    UNPROVEN = "unproven"
    TLSA_UNKNOWN = "tlsa-unknown"
    TLSA_UNUSABLE = "tlsa-unusable"
    NO_TLSA = "no-tlsa"
    NO_DNSSEC = "no-dnssec"


_TROUBLES = (
    ("TLS is required, but was not offered", Trouble.NOT_OFFERED),
    ("TLS is required, but host ", Trouble.REFUSED),
    ("Cannot start TLS: handshake failure", Trouble.HANDSHAKE),
    ("Server certificate not ", Trouble.UNPROVEN),
    ("TLSA lookup error", Trouble.TLSA_UNKNOWN),
    ("TLSA records unusable", Trouble.TLSA_UNUSABLE),
    ("no TLSA records found", Trouble.NO_TLSA),
    ("non DNSSEC destination", Trouble.NO_DNSSEC),
)
"""How the reasons of Postfix's SMTP client begin (smtp_proto.c, smtp_tls_policy.c; seen with 3.7.11)."""
_FAULTS = (
    ("certificate has expired", Fault.EXPIRED),
    ("untrusted issuer", Fault.UNTRUSTED),
    ("self-signed certificate", Fault.UNTRUSTED),
    ("self signed certificate", Fault.UNTRUSTED),
    ("num=62:", Fault.OTHER_NAME),
    ("num=65:", Fault.NO_TLSA_MATCH),
)
_WITHOUT_HOST = frozenset({Trouble.TLSA_UNKNOWN, Trouble.TLSA_UNUSABLE, Trouble.NO_TLSA, Trouble.NO_DNSSEC})


@dataclass(slots=True)
class _Begun:
    """A session of which it is not known yet whom it was for."""

    host: str = ""
    address: str = ""
    grade: Grade | None = None
    fault: Fault | None = None
    trouble: Trouble | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TlsSession:
    """One session, or the attempt at one, with a mail server of a domain. `at` is UTC.

    `recipient`: the first of those that it was for, in lower case. `grade`: None without TLS. `fault`: of the
    certificate. `trouble`: what kept the mail from going this way.
    """

    at: datetime
    recipient: str
    host: str
    address: str
    grade: Grade | None
    fault: Fault | None
    trouble: Trouble | None
    detail: str

    @property
    def domain(self) -> str:
        """Of the recipient, as it stands in the log."""
        return self.recipient.rpartition("@")[2]


class SessionReader:
    """Reads the lines of one log in order. `state` is what it has to know of them to go on later.

    `says_tls`: it is known that Postfix was asked to speak of TLS; else that is believed once it does.
    """

    def __init__(self, state: Mapping[str, Any] | None = None, *, says_tls: bool = False) -> None:
        self._processes: dict[str, _Process] = {}
        self._says_tls = False
        self._restore(state or {})
        self._says_tls |= says_tls

    def read(self, line: str, now: datetime) -> tuple[TlsSession, ...]:
        """The sessions that a line completes; `now`, aware, tells the year of lines that have none. Never raises."""
        found = _LINE.fullmatch(line[:MAX_LINE_CHARS].rstrip("\n"))
        if found is None:
            return ()
        at = _time(found["time"], now)
        if at is None:
            return ()
        process = self._process(found["process"])
        return tuple(self._read(process, found["text"], at))

    def _read(self, process: "_Process", text: str, at: datetime) -> Iterator[TlsSession]:
        if established := _ESTABLISHED.match(text):
            self._says_tls = True
            process.established(established)
        elif failed := _NOT_VERIFIED.match(text):
            process.fault = (failed["address"], *_fault(failed["why"]))
        elif broken := _NO_HANDSHAKE.match(text):
            process.add(_Begun(broken["host"], broken["address"], trouble=Trouble.HANDSHAKE))
        elif delivery := _DELIVERY.fullmatch(text):
            recipient = _RECIPIENT.match(delivery["text"])
            if recipient is None:
                process.failed(_trouble(delivery["text"]), delivery["text"])
            else:
                yield from self._delivered(process, delivery["queue_id"], recipient, at)

    def _delivered(
        self, process: "_Process", queue_id: str, recipient: re.Match[str], at: datetime
    ) -> Iterator[TlsSession]:
        if process.is_another(queue_id, at):
            process.failed(_trouble(recipient["said"]), recipient["said"])
            relay = _RELAY.fullmatch(recipient["relay"])
            # A log that says nothing of TLS at all is one of a Postfix that was not asked to.
            if relay and not process.begun and self._says_tls and _has_talked(recipient):
                process.add(_Begun(relay["host"], relay["address"]))
        process.last, process.last_at = queue_id, at
        first = recipient["to"].lower()
        begun, process.begun = process.begun, []
        for one in begun:
            yield TlsSession(at, first, one.host, one.address, one.grade, one.fault, one.trouble, one.detail)

    def _process(self, number: str) -> "_Process":
        found = self._processes.pop(number, None) or _Process()
        self._processes[number] = found
        while len(self._processes) > MAX_PROCESSES:
            self._processes.pop(next(iter(self._processes)))
        return found

    @property
    def state(self) -> dict[str, Any]:
        """A JSON value."""
        processes = {number: one.state for number, one in self._processes.items() if one.state}
        return {"says_tls": self._says_tls, "processes": processes}

    def _restore(self, state: Mapping[str, Any]) -> None:
        """What another release wrote is forgotten: a few sessions more or less."""
        try:
            self._says_tls = bool(state.get("says_tls"))
            self._processes = {str(number): _Process.of(one) for number, one in state.get("processes", {}).items()}
        except (AttributeError, TypeError, ValueError, KeyError, OverflowError):
            self._processes = {}


@dataclass(slots=True)
class _Process:
    """What an SMTP client process has said since its last delivery."""

    begun: list[_Begun] = field(default_factory=list)
    last: str = ""
    last_at: datetime = NEVER
    fault: tuple[str, Fault, str] | None = None

    def is_another(self, queue_id: str, at: datetime) -> bool:
        """Whether it is another delivery than that of the last line, whose further recipients had its sessions."""
        return bool(self.begun) or self.last != queue_id or abs(at - self.last_at) > ONE_DELIVERY

    def add(self, one: _Begun) -> None:
        if len(self.begun) < MAX_BEGUN:
            self.begun.append(one)

    def established(self, found: re.Match[str]) -> None:
        one = _Begun(found["host"], found["address"], Grade(found["grade"]))
        if self.fault is not None and self.fault[0] == one.address:
            _, one.fault, one.detail = self.fault
        self.fault = None
        self.add(one)

    def failed(self, trouble: Trouble | None, text: str) -> None:
        """A host could not be used, or none could, for this reason."""
        if trouble is None:
            return
        if trouble is Trouble.UNPROVEN:
            if self.begun:
                self.begun[-1].trouble = trouble
        elif trouble in _WITHOUT_HOST:
            self.add(_Begun(trouble=trouble, detail=text[:MAX_DETAIL_CHARS]))
        elif trouble is not Trouble.HANDSHAKE and (named := _NAMED.search(text)):  # that was said before
            self.add(_Begun(named["host"], named["address"], trouble=trouble))

    @property
    def state(self) -> list[Any]:
        if not self.begun and not self.last:
            return []
        return [
            self.last,
            self.last_at.isoformat(),
            [[one.host, one.address, one.grade, one.fault, one.trouble, one.detail] for one in self.begun],
        ]

    @staticmethod
    def of(state: Any) -> "_Process":
        made = _Process()
        last, last_at, begun = state
        made.last, made.last_at = str(last), datetime.fromisoformat(last_at).astimezone(UTC)
        for host, address, grade, fault, trouble, detail in begun[:MAX_BEGUN]:
            made.begun.append(
                _Begun(
                    str(host),
                    str(address),
                    None if grade is None else Grade(grade),
                    None if fault is None else Fault(fault),
                    None if trouble is None else Trouble(trouble),
                    str(detail)[:MAX_DETAIL_CHARS],
                )
            )
        return made


def _trouble(text: str) -> Trouble | None:
    return next((trouble for begin, trouble in _TROUBLES if text.startswith(begin)), None)


def _fault(text: str) -> tuple[Fault, str]:
    found = next((fault for begin, fault in _FAULTS if begin in text[:60]), Fault.OTHER)
    return found, text[:MAX_DETAIL_CHARS]


def _has_talked(recipient: re.Match[str]) -> bool:
    """Whether the server has taken the mail, or has said why not: it was past the question of TLS."""
    return recipient["status"] in ("sent", "deliverable") or " said: " in recipient["said"]


def _time(text: str, now: datetime) -> datetime | None:
    """UTC. The traditional form is local time without a year: that of the nearest such day."""
    try:
        if text[0].isdigit():
            return datetime.fromisoformat(text).astimezone(UTC)
        month, day, clock = text[:3], text[4:6], text[7:]
        hour, minute, second = (int(one) for one in clock.split(":"))
        local = now.astimezone()
        candidates = []
        for year in (local.year - 1, local.year, local.year + 1):
            try:
                naive = datetime(year, _MONTHS.index(month) + 1, int(day), hour, minute, min(second, 59))  # noqa: DTZ001 -- local
            except ValueError:  # the 29th of February of another year
                continue
            candidates.append(naive.astimezone(UTC))
    except (ValueError, OverflowError):
        return None
    found = min(candidates, key=lambda one: abs(one - now), default=None)
    return found if found is not None and abs(found - now) <= _HALF_A_YEAR else None
