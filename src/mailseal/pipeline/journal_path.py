"""The journal path: reports to a journal address go to its archive, opened (docs/journaling.md).

Only clients of the authorised class, or of the journal's own networks, are believed: whoever could write a report could
have captured mail decrypted that is none of theirs.
"""

import ipaddress
from collections.abc import Callable, Sequence
from contextlib import suppress

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin
from mailseal.mail.mime import ParsedMessage
from mailseal.pipeline.copy import Copy, Task
from mailseal.pipeline.opened_report import NotOpenedError, open_report
from mailseal.pipeline.run import Run, failure_reason
from mailseal.policy.model import Fate, Treatment
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.ports import Gateway, Hop, Journal, Journals, OnUnopened, Unopened


class NoArchiveError(TransientError):
    """The archive is not an address that may have opened mail: the reports wait for an administrator."""


def journal_of(run: Run, address: Address) -> Journal | None:
    """The journal of a recipient; raises TransientError."""
    return None if run.gateway.journals is None else run.gateway.journals.of(address)


def journal_tasks(run: Run, recipients: Sequence[tuple[int, Journal]]) -> list[Task]:
    """One task for each journal address; those who may not use it, and reports that are kept, are settled here."""
    tasks = []
    for index, journal in recipients:
        if not _is_believed(run.envelope, journal):
            run.settle(index, Fate.REFUSED, reply.JOURNAL_DENIED, [because(ReasonCode.JOURNAL_DENIED)])
            continue
        try:
            tasks += _OneJournal(run, index, journal).tasks()
        except BaseException as error:  # noqa: BLE001 -- one recipient's failure, or panic, must not touch the others
            run.defer(index, failure_reason(error))
    return tasks


def _is_believed(envelope: Envelope, journal: Journal) -> bool:
    if envelope.origin is Origin.AUTHORISED and not envelope.submission:
        return True  # a user who has logged in is no mail server
    with suppress(ValueError):
        client = ipaddress.ip_address(envelope.client.address)
        return any(client in network for network in journal.networks)
    return False


def archive_hop(gateway: Gateway, journal: Journal) -> Hop:
    """The way to an archive; raises NoArchiveError and TransientError."""
    if gateway.directory.party(journal.archive).internal:
        return Hop.INSIDE
    if not journal.outside:
        raise NoArchiveError("the archive is not an internal address (any more)")
    return Hop.OUTSIDE


class _OneJournal:
    """A report to one journal address. `_why` it was not opened is known once its task has been tried."""

    def __init__(self, run: Run, index: int, journal: Journal) -> None:
        self._run = run
        self._index = index
        self._journal = journal
        self._journals: Journals = run.gateway.journals  # type: ignore[assignment]  # a journal came from there
        self._report = because(ReasonCode.JOURNAL_REPORT, archive=journal.archive)
        self._why: tuple[Reason, ...] = ()

    def tasks(self) -> list[Task]:
        run = self._run
        keeps = self._journal.on_unopened is OnUnopened.KEEP
        # A key may have come since; but what is kept will go from here, so it must not go from there as well.
        if keeps and self._journals.has(run.attempt, self._journal.address):
            self._settle_kept(ReasonCode.JOURNAL_KEPT_BEFORE)
            return []
        archive_hop(run.gateway, self._journal)
        return [self._task(self._opened)]

    def _task(self, build: Callable[[], Copy]) -> Task:
        hop = archive_hop(self._run.gateway, self._journal)
        return Task((self._index,), hop, build, self._without_opening, lambda _: (), to=self._journal.archive)

    def _opened(self) -> Copy:
        run = self._run
        settings = run.gateway.directory.party(self._journal.archive).settings
        try:
            report = open_report(ParsedMessage(run.root, run.fault), run.gateway, settings, run.at)
        except NotOpenedError as error:
            self._why = (self._report, *error.reasons)
            raise
        return Copy(
            report.chunks,
            Treatment.OPENED if report.decrypted else Treatment.PASSED,
            headers_only=True,
            eight_bit=report.decrypted,
            reasons=(self._report, *report.reasons),
            details=report.details,
        )

    def _without_opening(self, reason: Reason) -> list[Task]:
        """What the journal is set to do with a report that was not opened."""
        run = self._run
        told = Unopened(
            run.attempt,
            self._journal.address,
            run.envelope.sender,
            run.root.header("message-id") or "",
            self._why or (self._report, reason),
        )
        try:
            if self._journal.on_unopened is OnUnopened.KEEP:
                self._journals.keep(told, run.message)
                self._settle_kept(ReasonCode.JOURNAL_KEPT)
                return []
            self._journals.note(told)
        except TransientError as error:
            run.defer(self._index, failure_reason(error), reply.STORE_UNAVAILABLE, told.reasons)
            return []
        return [self._task(self._as_it_came)]

    def _as_it_came(self) -> Copy:
        return Copy((self._run.root.buffer,), Treatment.PASSED, headers_only=True, reasons=self._why)

    def _settle_kept(self, code: ReasonCode) -> None:
        reasons = self._why or (self._report,)
        self._run.settle(self._index, Fate.KEPT, reply.KEPT, (*reasons, because(code)))
