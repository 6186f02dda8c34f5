"""What the console has the worker do: where a key is needed, or where something of a stranger's is parsed.

Asked and answered in sealed parcels (`console_parcels`), so that the database, its backups and the log of jobs hold
neither an upload nor its password. Both are gone after ten minutes; a job that waited for longer is never begun.
"""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from mailseal.errors import PermanentError, TransientError
from mailseal.keys.hpke import PrivateKey, PublicKey
from mailseal.keys.sealing import BrokenSealError
from mailseal.store import console_keys, console_parcels, jobs
from mailseal.store.acting import Acting, Way, current
from mailseal.store.actor import Actor
from mailseal.store.console_parcels import ASK, RESULT
from mailseal.store.jobs import Job, State
from mailseal.store.models import JobRow
from mailseal.store.row import storable, utc_now, uuid7
from mailseal.store.transaction import connection, run

Json = Any
"""What JSON can say: None, bool, int, float, str, lists of these, dicts of these by text."""

CONSOLE: Final = "console"
KEPT: Final = timedelta(minutes=10)
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.25
MAX_BLOB_BYTES: Final = 25 << 20
MAX_HEAD_BYTES: Final = 512 << 10
_LENGTH_OCTETS: Final = 4
ASKER_CHARS: Final = 100


class ActionFailed(PermanentError):  # noqa: N818 -- as StoreUnavailable, it names a state
    """The worker could not do it, and says why in words for people. `transient`: later it may be possible."""

    def __init__(self, text: str, *, transient: bool = False) -> None:
        super().__init__(text)
        self.transient = transient


class StillRunning(TransientError):  # noqa: N818 -- as above
    """The worker is at it, and takes longer than somebody wants to look at an empty page: ask `result` later."""

    def __init__(self, job: UUID) -> None:
        super().__init__("the job worker is still at it")
        self.job = job


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it."""

    value: Json


@dataclass(frozen=True, slots=True)
class Failed:
    """Why nothing came of it, for people."""

    text: str
    transient: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What the worker is asked: an action by name, and who asks, as the web says."""

    action: str
    arguments: Mapping[str, Json]
    blob: bytes
    acting: Acting


def ask(action: str, arguments: Mapping[str, Json], *, blob: bytes = b"") -> UUID:
    """Have the worker of this node do it; the job, of which `result` tells.

    Raises ActionFailed for an upload that is too large, ConsoleKeyMissingError, StoreUnavailable.
    """
    assert not connection().in_atomic_block, "nobody would see the request before the end of the transaction"
    if len(blob) > MAX_BLOB_BYTES:
        raise ActionFailed(f"the file is larger than {MAX_BLOB_BYTES >> 20} MiB")
    who = current()
    head = {
        "action": action,
        "arguments": dict(arguments),
        "actor": [who.actor.key, who.actor.name],
        "way": who.way.value,
        "place": who.place,
    }
    octets = json.dumps(head).encode()
    if len(octets) > MAX_HEAD_BYTES:
        raise ActionFailed(f"that is more than {MAX_HEAD_BYTES >> 10} KiB of arguments")
    job, expires = uuid7(), utc_now() + KEPT
    intake = console_keys.require(console_keys.INTAKE)
    parcel = len(octets).to_bytes(_LENGTH_OCTETS, "big") + octets + blob
    console_parcels.put(job, ASK, parcel, intake, asker=_asker(), expires=expires)

    def begin() -> None:
        console_parcels.complete(job, ASK)
        jobs.enqueue(CONSOLE, job_id=job)

    run(begin)
    return job


def result(job: UUID) -> Done | Failed | None:
    """What came of a job that the same person asked for; None if nothing yet, or any more. Raises SealError."""
    if not console_parcels.is_there(job, RESULT, asker=_asker()):
        return None
    octets = console_parcels.take(job, RESULT, console_keys.held_web())
    if octets is None:
        return None
    said = json.loads(octets)
    return Done(said["done"]) if "done" in said else Failed(said["failed"], said["transient"])


def call(action: str, arguments: Mapping[str, Json], *, blob: bytes = b"", wait_seconds: float = 8.0) -> Json:
    """Have it done and wait for what comes of it.

    Raises ActionFailed, StillRunning, and what `ask` and `result` raise. What nobody has begun by then is called off.
    """
    give_up_at = time.monotonic() + wait_seconds
    job, pause = ask(action, arguments, blob=blob), FIRST_PAUSE_SECONDS
    while (found := result(job)) is None:
        if time.monotonic() + pause > give_up_at:
            _give_up(job)
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
    console_parcels.drop(job, RESULT)
    if isinstance(found, Failed):
        raise ActionFailed(found.text, transient=found.transient)
    return found.value


def _give_up(job: UUID) -> None:
    if run(lambda: JobRow.objects.filter(pk=job, state=State.WAITING).delete()[0]):
        console_parcels.drop(job, ASK)
        raise ActionFailed("the job worker does not answer; look whether `mailseal serve` runs", transient=True)
    raise StillRunning(job)


def _asker() -> str:
    return current().actor.key[:ASKER_CHARS]


# ---- the worker's side


def open_request(job: Job, key: PrivateKey) -> Request | None:
    """What a job was asked; None if that has expired. Raises BrokenSealError."""
    octets = console_parcels.take(job.id, ASK, key)
    if octets is None:
        return None
    length = int.from_bytes(octets[:_LENGTH_OCTETS], "big")
    if length > MAX_HEAD_BYTES:
        raise BrokenSealError("what was asked is longer than what the console asks")
    try:
        head = json.loads(octets[_LENGTH_OCTETS : _LENGTH_OCTETS + length])
        actor = Actor(*(storable(str(one)) for one in head["actor"]))
        acting = Acting(actor, Way(head["way"]), storable(str(head["place"])))
        request = Request(str(head["action"]), dict(head["arguments"]), octets[_LENGTH_OCTETS + length :], acting)
    except (ValueError, TypeError, KeyError, RecursionError):
        # Whoever can write to the database can seal what the web would never ask.
        raise BrokenSealError("what was asked is not what the console asks") from None
    if request.acting.way is Way.COMMAND:
        raise BrokenSealError("a command asks nobody: that is not what the console asks")
    return request


def answer(job: Job, request: Request, said: Done | Failed, key: PublicKey) -> None:
    """Leave what came of it for who asked, and forget what was asked. Raises ParcelTooLargeError, StoreUnavailable."""
    words = {"done": said.value} if isinstance(said, Done) else {"failed": said.text, "transient": said.transient}
    octets, expires = json.dumps(words).encode(), utc_now() + KEPT
    console_parcels.put(job.id, RESULT, octets, key, asker=request.acting.actor.key[:ASKER_CHARS], expires=expires)
    console_parcels.drop(job.id, ASK)  # before: whoever is told finds nothing left, and nothing is done twice
    run(lambda: console_parcels.complete(job.id, RESULT))


def blob_text(blob: bytes) -> str:
    """Octets as JSON can carry them."""
    return base64.b64encode(blob).decode("ascii")


def blob_octets(text: str) -> bytes:
    """The octets of `blob_text`; raises ValueError."""
    return base64.b64decode(text, validate=True)
