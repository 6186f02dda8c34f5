"""The log of Postfix into counts of TLS sessions: followed when it is moved away, begun again when it was cut."""

import hashlib
import logging
import os
import stat
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailseal.config import Config
from mailseal.config.sections.postfix import Instance
from mailseal.errors import MailsealError
from mailseal.mail.address import Address
from mailseal.mail.tls_report import AppliedPolicy, PolicyType
from mailseal.ports import Directory
from mailseal.postfix.tls_choice import Choice, StsFacts, StsMode
from mailseal.postfix.tls_results import result_of
from mailseal.postfix.tls_sessions import SessionReader, TlsSession
from mailseal.postfix.tls_way import Way
from mailseal.store import sts_policies, tls_reports, tls_sessions
from mailseal.store.pace import Turn
from mailseal.store.tls_answers import TlsAnswers
from mailseal.store.tls_sessions import Kind, LogPosition
from mailseal.store.trouble import StoreUnavailable

READ_SECONDS = 2.0
"""How often to look for new lines."""
PIECE_BYTES = 1 << 20
MAX_LINE_BYTES = 64 * 1024
HEAD_BYTES = 256
REPORTED_DAYS = 14
"""Reports about so many days may still be on their way."""
MAX_EARLIER_FILES = 10
"""Files beside the log that may be what it was before it was moved away: maillog.1, mail.log.1, …"""

logger = logging.getLogger(__name__)


def log_of(config: Config) -> Path | None:
    """The log to read; None: there is nothing to be counted, or nothing to be read."""
    if not config.tls_reports.contact:
        return None
    if config.tls_reports.maillog is not None:
        return config.tls_reports.maillog
    return config.postfix.log_file if config.postfix.instance is Instance.PRIVATE else None


class TlsLog:
    """Reads one log, and says each trouble with it once."""

    def __init__(self, config: Config, directory: Directory, *, now: Callable[[], datetime] | None = None) -> None:
        self._path = log_of(config)
        self._sending_address = config.tls_reports.sending_address
        self._says_tls = self._path == config.postfix.log_file  # of the private instance, which we set up
        self._answers = TlsAnswers.of(config)
        self._directory = directory
        self._now = now or (lambda: datetime.now(UTC))
        self._read_at = float("-inf")
        self._trouble = ""

    def read_sometimes(self, turn: Turn) -> None:
        """Read what is new, every few seconds; raises StoreUnavailable."""
        if self._path is None or time.monotonic() - self._read_at < READ_SECONDS:
            return
        self._read_at = time.monotonic()
        try:
            self.read(turn)
            self._trouble = ""
        except OSError as error:
            if self._trouble != str(error.strerror):
                logger.error("TLS sessions are not counted: %s cannot be read: %s", self._path, error.strerror)
            self._trouble = str(error.strerror)

    def read(self, turn: Turn) -> None:
        """Read what is new; raises OSError, StoreUnavailable."""
        if self._path is None:
            return
        self._answers.clear()  # a policy that was set or found meanwhile counts for what is read now
        reached = tls_sessions.position(str(self._path))
        descriptor = _opened(self._path)
        try:
            found = os.fstat(descriptor)
            if reached.offset and not _is_same(descriptor, found, reached):
                reached = self._finish_earlier(reached, turn)
            if turn.goes_on():
                self._read_on(descriptor, replace(reached, inode=_inode(found)), turn)
        finally:
            os.close(descriptor)

    def _finish_earlier(self, reached: LogPosition, turn: Turn) -> LogPosition:
        """The rest of the file that was moved away, if it is still beside; then the new one from its beginning."""
        assert self._path is not None
        beside = sorted(self._path.parent.glob(f"{self._path.name}?*"), key=_age)[:MAX_EARLIER_FILES]
        for path in beside:
            with suppress(OSError):
                descriptor = _opened(path)
                try:
                    if _is_same(descriptor, os.fstat(descriptor), reached):
                        reached = self._read_on(descriptor, reached, turn)
                        break
                finally:
                    os.close(descriptor)
        return LogPosition(begun=reached.begun)

    def _read_on(self, descriptor: int, reached: LogPosition, turn: Turn) -> LogPosition:
        while turn.goes_on() and (data := _whole_lines(descriptor, reached.offset)):
            reader = SessionReader(reached.begun, says_tls=self._says_tls)
            counts = self._counts(reader, data)
            head = os.pread(descriptor, HEAD_BYTES, 0)
            reached = LogPosition(
                reached.inode, hashlib.sha256(head).hexdigest(), len(head), reached.offset + len(data), reader.state
            )
            tls_sessions.add(counts, str(self._path), reached)
        return reached

    def _counts(self, reader: SessionReader, data: bytes) -> Counter[Kind]:
        counts: Counter[Kind] = Counter()
        published: dict[str, _Published | None] = {}
        now = self._now()
        reported_to = tls_reports.recent_addresses((now - timedelta(days=REPORTED_DAYS)).date())
        for line in data.split(b"\n"):
            for session in reader.read(line.decode("utf-8", "replace"), now):
                if session.recipient in reported_to:  # else each report would be the reason for the next one
                    continue
                if session.domain not in published:
                    published[session.domain] = self._published(session.domain, now)
                known = published[session.domain]
                if known is not None:
                    counts[self._kind(session, known)] += 1
        return counts

    def _published(self, domain: str, now: datetime) -> "_Published | None":
        """What counts for a domain; None where sessions were with none of its own servers."""
        try:
            address = Address.parse(f"postmaster@{domain}")
            internal = self._directory.party(address).internal
            if internal or self._answers.way(address.domain, internal=False) is not Way.MX:
                return None
            answer = self._answers.policy(address.domain)
        except StoreUnavailable:
            raise
        except MailsealError:  # no address, or no mail could go there by what is set now
            return None
        known = sts_policies.info_of(address.domain, now)
        if answer is None:
            return None
        if known is None or known.facts.mode is StsMode.ABSENT:
            return _Published(address.domain, answer.choice)
        return _Published(address.domain, answer.choice, known.facts, _lines(address.domain, known.facts))

    def _kind(self, session: TlsSession, known: "_Published") -> Kind:
        result = result_of(session, known.sts, known.choice)
        kind = Kind(session.at.date(), known.policy(result.type))
        if result.failure is None:
            return kind
        return replace(
            kind,
            result=result.failure.value,
            reason=result.reason,
            mx=session.host,
            mx_address=session.address,
            sending_address=self._sending_address,
        )


@dataclass(frozen=True, slots=True)
class _Published:
    """Of a domain: what it publishes, and what Postfix is told for it."""

    domain: str
    choice: Choice
    sts: StsFacts | None = None
    sts_lines: tuple[str, ...] = ()

    def policy(self, kind: PolicyType) -> AppliedPolicy:
        """As it is published now; TLSA records are looked up for the report."""
        if kind is PolicyType.STS and self.sts is not None:
            return AppliedPolicy(kind.value, self.domain, self.sts_lines, self.sts.names)
        return AppliedPolicy(kind.value, self.domain)


def _lines(domain: str, sts: StsFacts) -> tuple[str, ...]:
    """An MTA-STS policy as its file has it (RFC 8461 §3.2)."""
    names = (f"mx: {name}" for name in sts.names)
    return ("version: STSv1", f"mode: {sts.mode.value}", *names, f"max_age: {tls_sessions.max_age_seconds(domain)}")


def _opened(path: Path) -> int:
    """Nothing but a file: a pipe would stop us for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no file", str(path))
    return descriptor


def _inode(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}"


def _is_same(descriptor: int, found: os.stat_result, reached: LogPosition) -> bool:
    """Whether it is the file that was read, and was not cut since."""
    if _inode(found) != reached.inode or found.st_size < reached.offset:
        return False
    return hashlib.sha256(os.pread(descriptor, reached.head_bytes, 0)).hexdigest() == reached.head


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _whole_lines(descriptor: int, offset: int) -> bytes:
    """Lines with their ends; of one that is longer than any line of Postfix a piece, which is none."""
    data = os.pread(descriptor, PIECE_BYTES, offset)
    end = data.rfind(b"\n") + 1
    return data[:end] if end or len(data) < MAX_LINE_BYTES else data
