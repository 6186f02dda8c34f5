"""Reports to senders: committed here as sealed jobs, sent by the worker (RFC 3464)."""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass

from mailseal.mail.address import Address
from mailseal.mail.envelope import mail_id
from mailseal.ports import Hop
from mailseal.store import jobs, ledger, notice_requests, quarantine
from mailseal.store.jobs import Job
from mailseal.store.private_keys import Sealing
from mailseal.store.row import uuid7
from mailseal.store.transaction import run

REPORT = "report"
"""The kind of job."""
ABOUT_MAIL = "mail"
"""In a job's payload: the ID of the mail that it is about, for the log."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report to send, with the null sender, to `recipient` (who sent the mail it is about); `hop` as of the port."""

    recipient: Address
    content: bytes
    hop: Hop | None = None


class StoreReports:
    """The port `Reports`. The content is sealed: it has the headers of a mail."""

    def __init__(self, kek: Sealing) -> None:
        self._kek = kek

    def failure(
        self, attempt: bytes, recipient: Address, sender: Address, report: bytes, hop: Hop | None = None
    ) -> None:
        """Commit a report to `sender` about `recipient`, once per (attempt, recipient)."""
        dedupe = f"{attempt.hex()}:{recipient.key}"
        self._enqueue(sender, report, hop, mail=mail_id(attempt), dedupe=dedupe, once=True)

    def conclude_smtp(self, attempt: bytes, sender: Address | None = None, report: bytes | None = None) -> None:
        """The one commit before SMTP's 250: the report, if there is one; nobody knows the attempt any more."""

        def work() -> None:
            if sender is not None and report is not None:
                # Not once: an identical mail after the 250 is a new mail, and may fail anew.
                self._enqueue(sender, report, None, mail=mail_id(attempt), dedupe=attempt.hex(), once=False)
            ledger.forget(attempt)
            quarantine.conclude(attempt)
            notice_requests.conclude(attempt)

        run(work)

    def _enqueue(self, to: Address, report: bytes, hop: Hop | None, *, mail: str, dedupe: str, once: bool) -> None:
        job_id = uuid7()
        plain = json.dumps({"to": str(to), "report": b64encode(report).decode(), "hop": hop}).encode()
        sealed = self._kek.seal(plain, identity=jobs.identity(job_id))
        jobs.enqueue(REPORT, {ABOUT_MAIL: mail}, job_id=job_id, sealed=sealed, dedupe=dedupe, once=once)

    def open(self, job: Job) -> Report:
        """What a job of kind REPORT is to send; raises SealError."""
        if job.sealed is None:
            raise ValueError("the job has no sealed payload")
        value = json.loads(self._kek.open(job.sealed, identity=jobs.identity(job.id)))
        hop = value.get("hop")  # absent in a job of an earlier release
        return Report(Address.parse(value["to"]), b64decode(value["report"]), Hop(hop) if hop else None)
