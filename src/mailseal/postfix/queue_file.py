"""What postcat(1) -e -h -q prints of queue files: the envelope, and of the header the names of its fields alone."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailseal.errors import PermanentError

MAX_RECORDS = 5000
MAX_HEADER_FIELDS = 1000
MAX_VALUE_CHARS = 1000
CONTENT_FILTER = "content_filter"

_SECTION = re.compile(r"\*\*\* ([A-Z ]+) ([a-z]+)/(?:[0-9A-Za-z]/)*([0-9A-Za-z]+) \*\*\*")
_RECORD = re.compile(r"([a-z_]+): ?(.*)")
_FIELD_NAME = re.compile(r"([!-9;-~]+)[ \t]*:")


class QueueFileError(PermanentError):
    """That is not what is told of a queue file."""


@dataclass(slots=True)
class QueueFile:
    """A mail's envelope records in order, and the names of its header fields; `cut`: how many more there are."""

    queue: str
    id: str
    records: list[tuple[str, str]] = field(default_factory=list)
    header_names: list[str] = field(default_factory=list)
    cut: int = 0

    @property
    def content_filter(self) -> str:
        """Where Postfix takes it before anywhere else; the last one that was set counts. "" for none."""
        return next((value for name, value in reversed(self.records) if name == CONTENT_FILTER), "")

    def facts(self) -> Mapping[str, object]:
        """For the answer of the queue role."""
        return {
            "queue": self.queue,
            "id": self.id,
            "records": self.records,
            "header_names": self.header_names,
            "cut": self.cut,
        }


def read_queue_files(lines: Iterable[str]) -> Iterator[QueueFile]:
    """Each file that postcat has printed, as long as nothing is missing of it.

    No value can look like a section: Postfix takes no line feed into an envelope, and prints a header up to the first
    line that is no field.
    """
    section, current = "", None
    for line in lines:
        if begun := _SECTION.fullmatch(line):
            section = begun[1]
            if section == "ENVELOPE RECORDS":
                current = QueueFile(begun[2], begun[3])
            elif section == "MESSAGE FILE END" and current is not None:
                yield current
                current = None
        elif current is not None and section == "MESSAGE CONTENTS":
            _take_field(current, line)
        elif current is not None and (found := _RECORD.fullmatch(line)):
            _take_record(current, found[1], found[2])


def _take_record(found: QueueFile, name: str, value: str) -> None:
    # The filter always counts: by it is decided what may be done to the mail.
    if len(found.records) < MAX_RECORDS or name == CONTENT_FILTER:
        found.records.append((name[:MAX_VALUE_CHARS], value[:MAX_VALUE_CHARS]))
    else:
        found.cut += 1


def _take_field(found: QueueFile, line: str) -> None:
    name = _FIELD_NAME.match(line)
    if name is None:
        return
    if len(found.header_names) < MAX_HEADER_FIELDS:
        found.header_names.append(name[1][:MAX_VALUE_CHARS])
    else:
        found.cut += 1


def from_facts(facts: Mapping[str, Any]) -> QueueFile:
    """The way back; raises QueueFileError."""
    try:
        records = [(str(name), str(value)) for name, value in facts["records"]]
        names = [str(one) for one in facts["header_names"]]
        return QueueFile(str(facts["queue"]), str(facts["id"]), records, names, int(facts["cut"]))
    except (KeyError, TypeError, ValueError):
        raise QueueFileError("the answer tells of no queue file") from None
