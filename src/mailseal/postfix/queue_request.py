"""What may be asked of the queue role: a closed set of verbs, one JSON object on one line (docs/queue.md).

    {"verb": "hold", "ids": ["4dJmVf1Bqmz9sTz"]}        {"verb": "hold", "all": true}        {"verb": "list"}

The answer is lines too. For `list` what postqueue(1) -j prints comes first, a mail on each line; the last line of every
answer is {"end": {…}}: what became of it, or an "error" from ERRORS and its "text".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailseal.errors import PermanentError
from mailseal.mail.queue_id import is_queue_id

MAX_IDS = 1000
MAX_LINE_BYTES = 64 * 1024
END = b'{"end": '


class Verb(StrEnum):
    """What can be done. `REQUEUE`: through Postfix's rewriting and its filter once more. `TRY`: deliver now."""

    LIST = "list"
    SHOW = "show"
    HOLD = "hold"
    RELEASE = "release"
    REQUEUE = "requeue"
    DELETE = "delete"
    FLUSH = "flush"
    TRY = "try"
    PING = "ping"


class Trouble(StrEnum):
    """Why it was not done. `BUSY`: the same is being done already; `LATE`: it took too long and was ended."""

    REFUSED = "refused"
    BUSY = "busy"
    LATE = "late"
    FAILED = "failed"


TAKES_IDS: Mapping[Verb, int] = {
    Verb.SHOW: 1,
    Verb.HOLD: MAX_IDS,
    Verb.RELEASE: MAX_IDS,
    Verb.REQUEUE: MAX_IDS,
    Verb.DELETE: MAX_IDS,
    Verb.TRY: MAX_IDS,
}
"""How many queue IDs a verb can be given at most."""
TAKES_ALL = frozenset({Verb.HOLD, Verb.RELEASE, Verb.FLUSH})
"""What can be done to all mails at once. Nothing deletes them all, and for requeueing each is looked at."""
_KEYS = frozenset({"verb", "ids", "all"})


class RequestError(PermanentError):
    """It cannot be asked like that."""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to do to mails: those named, or `everything`. Raises RequestError if it is none that may be asked."""

    verb: Verb
    ids: Sequence[str] = ()
    everything: bool = False

    def __post_init__(self) -> None:
        """As the tables above say."""
        limit = TAKES_IDS.get(self.verb, 0)
        if len(self.ids) > limit:
            raise RequestError(f"{self.verb} takes {limit or 'no'} queue IDs at most")
        if not all(map(is_queue_id, self.ids)):
            raise RequestError("a queue ID is 5 to 32 letters and digits")
        if self.everything and (self.ids or self.verb not in TAKES_ALL):
            raise RequestError(f"{self.verb} cannot be done like that to all mails")
        if not self.everything and not self.ids and (limit or self.verb in TAKES_ALL):
            raise RequestError(f"{self.verb} needs to be told of which mails")

    def line(self) -> bytes:
        """As it is asked."""
        value: dict[str, object] = {"verb": self.verb}
        if self.ids:
            value["ids"] = list(self.ids)
        if self.everything:
            value["all"] = True
        return json.dumps(value).encode() + b"\n"


def parse_request(line: bytes) -> Request:
    """A line as a request; raises RequestError for everything that is not exactly one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise RequestError("that is not JSON") from None
    if not isinstance(found, dict) or not _KEYS.issuperset(found):
        raise RequestError("that is not an object with verb, ids and all")
    ids, everything = found.get("ids", []), found.get("all", False)
    if not isinstance(ids, list) or not all(type(one) is str for one in ids) or type(everything) is not bool:
        raise RequestError("ids is a list of texts, all is true or false")
    try:
        verb = Verb(str(found["verb"]))
    except (ValueError, KeyError):
        raise RequestError("there is no such verb") from None
    return Request(verb, tuple(ids), everything)


def end_line(**facts: object) -> bytes:
    """The last line of an answer."""
    return END + json.dumps(facts).encode() + b"}\n"
