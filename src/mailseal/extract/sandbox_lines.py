"""What the sandbox is asked and what it answers: JSON values, a line each (RFC 8259), bounded on both sides.

A question is one line, with the document as a descriptor beside it. An answer begins when a process is there to read
it (BEGUN), has a line for each piece of text and each gap, and a last one: END from the process that read it, FAILED
from who watches over that process, BUSY if none was there in time.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection, Passage

MAX_REQUEST_BYTES = 16 * 1024
MAX_LINE_BYTES = 4 << 20
MAX_NAME = 1000
MAX_PLACE = 4000
MAX_LINES = 2_000_000
MAX_PASSAGES = 200_000
MAX_GAPS = 10_000
MAX_PLACES_CHARACTERS = 32 << 20
"""Of all places in an answer, and the details of its gaps; half of it is kept for the gaps."""
MAX_DOCUMENTS = 100
"""After so many another process goes on: whatever one of them has left behind in this one, it does not last."""
PIECE_CHARACTERS = 256 * 1024
"""Of a text in one line; even if each were escaped, the line would not be too long."""
STATUS = b'{"status":true}\n'
BEGUN = b'{"begun":true}\n'
BUSY = b'{"busy":true}\n'


class LinesError(ValueError):
    """That is no question, or no answer, of ours."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is said of a document, and what reading it may spend. `used`: seconds that the same mail had before."""

    name: str
    media_type: str
    characters: int
    octets: int
    files: int
    depth: int
    seconds: float
    used: float = 0.0

    def line(self) -> bytes:
        """As `parse_request` reads it."""
        cut = {"name": self.name[:MAX_NAME], "media_type": self.media_type[:MAX_NAME]}
        return _line(asdict(self) | cut)


@dataclass(frozen=True, slots=True)
class Status:
    """How it stands with the sandbox. `lacking`: the walls around its processes that could not be had."""

    user: str
    extractors: int
    running: int
    waiting: int
    lacking: tuple[str, ...]
    trouble: str

    def line(self) -> bytes:
        """As `parse_status` reads it."""
        return _line(asdict(self))


@dataclass(frozen=True, slots=True)
class Spent:
    """What reading a document has cost of the mail's budget."""

    octets: int
    files: int


def parse_request(line: bytes) -> Request:
    """Raises LinesError."""
    found = _value(line)
    try:
        return Request(
            name=_text(found["name"], MAX_NAME),
            media_type=_text(found["media_type"], MAX_NAME),
            characters=_count(found["characters"]),
            octets=_count(found["octets"]),
            files=_count(found["files"]),
            depth=_count(found["depth"]),
            seconds=_seconds(found["seconds"]),
            used=_seconds(found["used"]),
        )
    except (KeyError, TypeError, ValueError):
        raise LinesError("that is no question") from None


def parse_status(line: bytes) -> Status:
    """Raises LinesError."""
    found = _value(line)
    try:
        lacking = tuple(_text(one) for one in found["lacking"])
        extractors, running, waiting = (_count(found[name]) for name in ("extractors", "running", "waiting"))
        return Status(_text(found["user"]), extractors, running, waiting, lacking, _text(found["trouble"]))
    except (KeyError, TypeError, ValueError):
        raise LinesError("that is no status") from None


def answer_lines(inspection: Inspection, spent: Spent, place: str) -> Iterator[bytes]:
    """An answer from BEGUN on; what is more than a reader takes is a gap of the document's own place."""
    passages, gaps = _within(inspection.passages), inspection.gaps[: MAX_GAPS - 1]
    for passage in passages:
        text = passage.text
        for start in range(0, len(text), PIECE_CHARACTERS):
            end = start + PIECE_CHARACTERS
            yield _line({"place": passage.place[:MAX_PLACE], "text": text[start:end], "more": end < len(text)})
    if len(passages) < len(inspection.passages) or len(gaps) < len(inspection.gaps):
        gaps = (*gaps, Gap(place, GapStatus.PARTIAL, GapReason.TOO_MANY, "there are more places than are looked at"))
    for gap in gaps:
        shown = {"place": gap.place[:MAX_PLACE], "detail": gap.detail[:MAX_PLACE]}
        yield _line({"gap": gap.reason.value, "status": gap.status.value, **shown})
    yield _line({"end": asdict(spent)})


def _within(passages: tuple[Passage, ...]) -> tuple[Passage, ...]:
    """Those that a reader takes."""
    left = MAX_PLACES_CHARACTERS // 2
    for count, passage in enumerate(passages[:MAX_PASSAGES]):
        left -= len(passage.place[:MAX_PLACE]) * (1 + len(passage.text) // PIECE_CHARACTERS)
        if left < 0:
            return passages[:count]
    return passages[:MAX_PASSAGES]


def failed_line(reason: GapReason) -> bytes:
    """The last line of an answer that was broken off; it begins a line of its own."""
    return b"\n" + _line({"failed": reason.value})


class Answer:
    """An answer as it comes in. At its end `spent` or `failed` is set, or it is `busy`.

    It may come from a process that a document has taken over: it is bounded, and places are fit for a terminal.
    """

    def __init__(self, characters: int) -> None:
        self._left = characters
        self._left_for_places = MAX_PLACES_CHARACTERS
        self._passages: list[Passage] = []
        self._pieces: list[str] = []
        self._gaps: list[Gap] = []
        self._torn = False
        self._lines = 0
        self.busy = False
        self.spent: Spent | None = None
        self.failed: GapReason | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self.busy or self.spent is not None or self.failed is not None

    def take(self, line: bytes) -> None:
        """One more line; raises LinesError. The only torn one is that of a process that was killed, before FAILED."""
        self._lines += 1
        if self._lines > MAX_LINES:
            raise LinesError("an answer has more lines than there can be")
        if not line.strip() or line.startswith(b'{"begun"'):
            return
        if self._torn and not line.startswith(b'{"failed"'):
            raise LinesError("an answer has a torn line")
        try:
            found = _value(line)
        except LinesError:
            self._torn = True
            return
        try:
            self._take(found)
        except (KeyError, TypeError, ValueError) as error:
            raise LinesError(f"an answer has a wrong line: {type(error).__name__}") from None

    def _take(self, found: dict[str, Any]) -> None:
        if "text" in found:
            self._text(found["place"], found["text"], more=found["more"])
        elif "gap" in found:
            status, reason = GapStatus(found["status"]), GapReason(found["gap"])
            self._gaps.append(Gap(self._shown(found["place"]), status, reason, self._shown(found["detail"])))
        elif "end" in found:
            end = found["end"]
            self.spent = Spent(_count(end["octets"]), _count(end["files"]))
        elif "failed" in found:
            self.failed = GapReason(found["failed"])
        else:
            self.busy = bool(found["busy"])
        if len(self._gaps) > MAX_GAPS or len(self._passages) > MAX_PASSAGES or (self._pieces and self.spent):
            raise LinesError("an answer is not as it shall be")

    def _text(self, place: object, text: object, *, more: object) -> None:
        place, text = self._shown(place), _text(text, PIECE_CHARACTERS)
        text.encode()  # what nothing can encode would fail later, mail after mail: a ValueError
        self._left -= len(text)
        if self._left < 0:
            raise LinesError("an answer has more text than was asked for")
        self._pieces.append(text)
        if more is not True:
            self._passages.append(Passage(place, "".join(self._pieces)))
            self._pieces.clear()

    def _shown(self, found: object) -> str:
        """What people are shown, as `walk.shown` makes it."""
        text = _text(found)
        self._left_for_places -= len(text)
        if self._left_for_places < 0:
            raise LinesError("an answer has longer places than there can be")
        return text if text.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in text)

    def inspection(self, place: str) -> Inspection:
        """What was read of a document at that place, with a gap for all of it if it was broken off."""
        gaps = self._gaps
        if self.failed is not None:
            gaps = [*gaps, Gap(place, GapStatus.UNINSPECTABLE, self.failed, _WHY.get(self.failed, ""))]
        return Inspection(tuple(self._passages), tuple(gaps))


_WHY = {
    GapReason.CRASHED: "the process that read it ended before it was done",
    GapReason.TIMEOUT: "the process that read it was killed when its time was over",
}


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _value(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise LinesError("a line is not JSON") from None
    if not isinstance(found, dict):
        raise LinesError("a line is not an object")
    return found


def _text(found: object, most: int = MAX_PLACE) -> str:
    if not isinstance(found, str) or len(found) > most:
        raise ValueError
    return found


def _count(found: object) -> int:
    if type(found) is not int or not 0 <= found < 1 << 48:
        raise ValueError
    return found


def _seconds(found: object) -> float:
    if type(found) not in {int, float} or not isinstance(found, int | float) or not 0 <= found < 1 << 32:
        raise ValueError
    return float(found)
