"""A mail for somebody who must look at it: decoded text without anything that acts or misleads (RFC 2047, UAX #9).

Never HTML, never an attachment's content: no attachment is opened. What DLP patterns of today match is masked.
"""

import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from mailseal.extract.budget import Budget
from mailseal.extract.mail import inspect
from mailseal.mail.encoded_word import decode_words
from mailseal.mail.entity import Entity, MimeError
from mailseal.mail.envelope import Envelope
from mailseal.mail.header import authors
from mailseal.mail.message import Octets
from mailseal.mail.mime import ParsedMessage, parse
from mailseal.policy.dlp.normal import normalise
from mailseal.policy.dlp.scanner import ScanError, Scanner
from mailseal.policy.inspection import Gap, Inspection, Passage
from mailseal.ports import Patterns

VIEW_SECONDS = 20.0
READ_CHARS = 4 << 20
MAX_FIELDS = 200
MAX_FIELD_CHARS = 2000
MAX_TEXT_CHARS = 200_000
MAX_ATTACHMENTS = 200
MAX_ATTACHMENT_BYTES = 1 << 30
NOT_SHOWN = "(not shown: what was found in it could not be masked)"
REPLACED = "\ufffd"
_MISLEADING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BODY = ("body", "message (as it stands)")
"""The places (`extract.mail`) of what is shown; the second is a mail whose structure can be read in several ways."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not shown. `name` is "" without one; `size_bytes` is None for what cannot be decoded."""

    name: str
    media_type: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class SafeView:
    """What may be shown. `fault`: why the structure can be read in several ways. `cut`: there is more than this."""

    headers: tuple[tuple[str, str], ...]
    texts: tuple[Passage, ...]
    attachments: tuple[Attachment, ...]
    gaps: tuple[Gap, ...] = ()
    fault: str = ""
    cut: bool = False


class _Unopened:
    """Implements `extract.mail.Documents`: nothing is opened, so that nothing can be broken by it."""

    def budget(self, deadline: float) -> Budget:
        return Budget(characters=READ_CHARS, until=deadline)

    def read(self, document: Octets, name: str, media_type: str, budget: Budget, deadline: float) -> Inspection:  # noqa: ARG002 -- the port's signature
        return Inspection()


def view_of(envelope: Envelope, octets: Octets, patterns: Patterns) -> SafeView:
    """The view of a mail that came with an envelope; raises MimeError, TransientError."""
    parsed = parse(octets)
    until = time.monotonic() + VIEW_SECONDS
    inspection = inspect(parsed, _Unopened(), until, Budget(characters=READ_CHARS, until=until))
    of = (envelope.sender, *authors(parsed.root), *(one.address for one in envelope.recipients))
    return safe_view(parsed, inspection, patterns.of(*of))


def safe_view(parsed: ParsedMessage, inspection: Inspection, scanner: Scanner) -> SafeView:
    """The view of a mail; `inspection` need be of its body only."""
    root = parsed.root
    bodies: dict[str, Passage] = {}  # each text once, where it stands first
    for one in inspection.passages:
        if one.place.startswith(_BODY):
            bodies.setdefault(normalise(one.text), one)
    files = [] if parsed.fault else [one for one in root.walk() if _is_file(one)]
    texts, left = [], MAX_TEXT_CHARS
    for passage in bodies.values():
        text = _masked(passage.text, scanner)
        texts.append(Passage(clean(passage.place), text[:left]))
        left -= min(left, len(text))
    return SafeView(
        headers=tuple(_headers(root, scanner)),
        texts=tuple(texts),
        attachments=tuple(_attachment(one, scanner) for one in files[:MAX_ATTACHMENTS]),
        gaps=tuple(one for one in inspection.gaps if one.place.startswith(_BODY)),
        fault="" if parsed.fault is None else str(parsed.fault),
        cut=left == 0 or len(root.fields) > MAX_FIELDS or len(files) > MAX_ATTACHMENTS,
    )


def clean(text: str) -> str:
    """Text that reads as it stands: control, direction and invisible characters are U+FFFD, but line ends and tabs."""
    text = text.replace("\r\n", "\n")
    return "".join(one if one in "\n\t" or unicodedata.category(one) not in _MISLEADING else REPLACED for one in text)


def _headers(root: Entity, scanner: Scanner) -> Sequence[tuple[str, str]]:
    found = []
    for field in root.fields[:MAX_FIELDS]:
        value = decode_words(field.value(root.buffer))[:MAX_FIELD_CHARS]
        found.append((field.name, _masked(value, scanner).replace("\n", REPLACED)))
    return found


def _masked(text: str, scanner: Scanner) -> str:
    """As it stands where nothing is found; else as it was scanned, with every match masked."""
    try:
        masked = scanner.masked(text)
    except ScanError:
        return NOT_SHOWN
    return clean(text if masked == normalise(text) else masked)


def _is_file(entity: Entity) -> bool:
    """Whether it is no text to be read in the mail itself."""
    if entity.children:
        return False
    kind = entity.content_type.type
    disposition = (entity.header("content-disposition") or "").partition(";")[0].strip().lower()
    return kind not in ("text/plain", "text/html") or disposition == "attachment" or bool(entity.filename)


def _attachment(entity: Entity, scanner: Scanner) -> Attachment:
    try:
        size = len(entity.decoded_body(MAX_ATTACHMENT_BYTES))
    except MimeError:
        size = None
    name = _masked((entity.filename or "")[:MAX_FIELD_CHARS], scanner).replace("\n", REPLACED)
    return Attachment(name, clean(entity.content_type.type), size)
