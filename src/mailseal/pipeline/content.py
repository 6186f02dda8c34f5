"""What DLP finds in one mail: it is read once, whoever it is for, and looked through once for each set of patterns.

Nothing is read while nobody has patterns. What fails here defers the copies that were to be looked at.
"""

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TypeVar

from mailseal.errors import TransientError
from mailseal.extract.mail import inspect
from mailseal.mail.address import Address
from mailseal.mail.mime import ParsedMessage
from mailseal.pipeline.own_notice import not_ours, readers_of
from mailseal.pipeline.run import Run, failure_reason
from mailseal.policy.dlp.gaps import gap_findings
from mailseal.policy.dlp.scanner import Scan, Scanner
from mailseal.policy.inspection import Inspection
from mailseal.policy.model import Finding
from mailseal.policy.settings import Settings
from mailseal.policy.text import render

T = TypeVar("T")


class Content:
    """The content of a mail of these senders (the envelope's, and From if that is another)."""

    def __init__(self, run: Run, senders: tuple[Address | None, ...]) -> None:
        self._run = run
        self._senders = senders
        self._known: dict[Hashable, object] = {}
        self._failed: dict[Hashable, BaseException] = {}

    def findings(self, recipient: Address, policy: Settings) -> tuple[Finding, ...]:
        """What is there for one recipient; raises TransientError, and whatever reading and looking raise."""
        patterns = self._run.gateway.patterns
        if patterns is None or not policy.dlp:
            return ()
        scanner = patterns.of(*self._senders, recipient)
        if not scanner.patterns and not policy.dlp_without_patterns:
            return ()
        inspection = self._once("read", self._read)
        ours = recipient in self._once("readers", self._readers)
        if ours:
            inspection = self._once("not ours", lambda: not_ours(inspection))
        scan = self._once((scanner, ours), lambda: self._scanned(scanner, inspection))
        unread = replace(inspection, gaps=(*inspection.gaps, *scan.gaps))
        heeded = (policy.dlp_uninspectable, policy.dlp_partial, policy.dlp_unknown_format)
        gaps = self._once((scanner, ours, *heeded), lambda: gap_findings(unread, policy, scanner.shown))
        return (*scan.findings, *gaps)

    def _read(self) -> Inspection:
        run = self._run
        return inspect(ParsedMessage(run.root, run.fault), run.gateway.documents, self._until())

    def _scanned(self, scanner: Scanner, inspection: Inspection) -> Scan:
        monotonic, until = self._run.gateway.clock.monotonic, self._until()
        return scanner.scan(inspection, lambda: monotonic() >= until)

    def _until(self) -> float:
        """Half of what is left is for all else: what is not done by then is a gap, and out of time nothing leaves."""
        now = self._run.gateway.clock.monotonic()
        return now + (self._run.deadline - now) / 2

    def _readers(self) -> tuple[Address, ...]:
        return readers_of(self._run.root, self._run.gateway.notice_keys, self._run.at)

    def _once(self, key: Hashable, work: Callable[[], T]) -> T:
        """The result of work that may take long: it is not done again for each recipient, nor when it has failed."""
        if key in self._failed:
            raise TransientError(f"the content could not be read: {render(failure_reason(self._failed[key]))}")
        if key not in self._known:
            try:
                self._known[key] = work()
            except BaseException as error:
                self._failed[key] = error
                raise
        return self._known[key]  # type: ignore[return-value]  # a key is always that of the same work
