"""The queue role as its callers see it: blocking, each question with its time and its bounds."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mailseal.config import MAIL_SOCKETS, QUEUE, Config, Instance, listeners
from mailseal.errors import PermanentError, TransientError
from mailseal.postfix.queue_file import QueueFile, from_facts
from mailseal.postfix.queue_mails import MAX_LINE_BYTES, ListingError, QueuedMail, parse_mail
from mailseal.postfix.queue_request import END, MAX_IDS, Request, Trouble, Verb
from mailseal.store.audit import record

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 360.0
"""More than the role takes for anything, so that it is the role that says what took too long."""


class NoQueueError(PermanentError):
    """There is no queue to look after."""

    what_to_do = "set postfix.instance to private or system (docs/queue.md)"


class QueueAwayError(TransientError):
    """The queue role does not answer."""

    what_to_do = "`mailseal serve` starts it when it is started as root, systemd as mailseal-queue.service"


class QueueRefusedError(PermanentError):
    """The queue role does not do that."""


class QueueFailedError(TransientError):
    """The queue role, or Postfix, could not do it now."""


@dataclass(frozen=True, slots=True)
class Changed:
    """How many mails were changed, and which if they were named; `kept`: those that may not be. `note`: a trouble."""

    count: int
    ids: Sequence[str]
    kept: Sequence[str] = ()
    note: str = ""


class Listing:
    """The mails of the queue, one by one as they come; what else is to be said of them is there at the end.

    `cut`: how many more there are that were not listed; `unreadable`: lines that told of no mail.
    """

    def __init__(self, stream: IO[bytes], deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self.cut = 0
        self.unreadable = 0
        self.note = ""

    def __iter__(self) -> Iterator[QueuedMail]:
        """Raises QueueAwayError, QueueFailedError."""
        while not (line := _line(self._stream, self._deadline)).startswith(END):
            try:
                yield parse_mail(line)
            except ListingError:
                self.unreadable += 1
        end = _end(line)
        self.cut = int(end.get("cut", 0))
        self.note = str(end.get("note", ""))


class QueueClient:
    """Asks the queue role at a UNIX socket, a connection for each question. Safe to share between threads."""

    def __init__(self, place: Path) -> None:
        self._place = place

    @contextmanager
    def listing(self, seconds: float = ANSWER_SECONDS) -> Iterator[Listing]:
        """All mails; whoever leaves before the end has Postfix's listing ended. Raises as `Listing` does."""
        with self._asked(Request(Verb.LIST)) as stream:
            yield Listing(stream, time.monotonic() + seconds)

    def show(self, queue_id: str) -> QueueFile | None:
        """Envelope and names of header fields of a mail; None if it is not there (any more)."""
        files = self._end_of(Request(Verb.SHOW, (queue_id,))).get("files", [])
        return from_facts(files[0]) if files else None

    def change(self, verb: Verb, ids: Sequence[str]) -> Changed:
        """Hold, release, requeue or delete mails, however many; raises QueueRefusedError, QueueFailedError, …"""
        count, changed, kept, note = 0, list[str](), list[str](), ""
        for start in range(0, len(ids), MAX_IDS):
            end = self._end_of(Request(verb, tuple(ids[start : start + MAX_IDS])))
            count += int(end.get("count", 0))
            changed += end.get("ids", [])
            kept += end.get("kept", [])
            note = str(end.get("note", "")) or note
        return Changed(count, changed, kept, note)

    def change_all(self, verb: Verb) -> Changed:
        """Hold or release every mail."""
        end = self._end_of(Request(verb, everything=True))
        return Changed(int(end.get("count", 0)), (), note=str(end.get("note", "")))

    def try_now(self, ids: Sequence[str]) -> None:
        """Have mails tried now whatever Postfix's back-off says; those that are not waiting are left alone."""
        for start in range(0, len(ids), MAX_IDS):
            self._end_of(Request(Verb.TRY, tuple(ids[start : start + MAX_IDS])))

    def flush(self) -> None:
        """Have all waiting mails tried now."""
        self._end_of(Request(Verb.FLUSH, everything=True))

    def _end_of(self, request: Request) -> dict[str, Any]:
        deadline = time.monotonic() + ANSWER_SECONDS
        with self._asked(request) as stream:
            return _end(_line(stream, deadline))

    @contextmanager
    def _asked(self, request: Request) -> Iterator[IO[bytes]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_SECONDS)
            try:
                connection.connect(str(self._place))
                connection.sendall(request.line())
            except OSError as error:
                raise QueueAwayError(f"Postfix's queue cannot be asked at {self._place}: {_said(error)}") from None
            connection.settimeout(ANSWER_SECONDS)
            with connection.makefile("rb") as stream:
                yield stream


def record_change(verb: Verb, changed: Changed, *, everything: bool = False) -> None:
    """Into the audit: what somebody has done to mails that wait. Raises StoreUnavailable; the change is made."""
    if changed.count or changed.ids:
        ids = list(changed.ids)
        subject = "" if everything or not ids else ids[0]
        record("queue", verb.value, subject, after={"count": changed.count, "queue_ids": ids, "all": everything})


def queue_client(config: Config) -> QueueClient:
    """The client of this node; raises NoQueueError."""
    place = listeners(config).get(QUEUE)
    if place is None or place.path is None or config.postfix.instance is Instance.OFF:
        raise NoQueueError("this gateway has no Postfix of its own (postfix.instance is off)")
    return QueueClient(place.path)


def our_sockets(config: Config) -> frozenset[str]:
    """The names by which Postfix tells of the sockets that it hands mail to us by."""
    places = listeners(config)
    return frozenset(place.path.name for name in MAIL_SOCKETS if (place := places.get(name)) and place.path)


def _line(stream: IO[bytes], deadline: float) -> bytes:
    """The next line; of one that is too long, its beginning."""
    try:
        line = stream.readline(MAX_LINE_BYTES)
        rest = line
        while len(rest) == MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES)
    except OSError as error:
        raise QueueAwayError(f"Postfix's queue gives no answer: {_said(error)}") from None
    if not rest.endswith(b"\n"):
        raise QueueAwayError("the queue role has gone in the middle of its answer")
    if time.monotonic() > deadline:
        raise QueueFailedError("Postfix's queue takes too long to list")
    return line


def _end(line: bytes) -> dict[str, Any]:
    """What the last line says; raises QueueRefusedError, QueueFailedError."""
    try:
        end = json.loads(line)["end"]
        trouble, text = end.get("error"), str(end.get("text", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise QueueFailedError("the queue role gives an answer that is none") from None
    if trouble == Trouble.REFUSED:
        raise QueueRefusedError(text)
    if trouble is not None:
        raise QueueFailedError(text)
    found: dict[str, Any] = end
    return found


def _said(error: OSError) -> str:
    return error.strerror or type(error).__name__
