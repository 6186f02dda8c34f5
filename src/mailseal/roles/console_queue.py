"""What the console asks about Postfix's queue on this node, and has done to it: the queue role serves the worker."""

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime

from mailseal.mail.queue_id import is_queue_id
from mailseal.postfix.queue_request import MAX_IDS, Verb
from mailseal.postfix.queue_summary import QueueFilter, Summary, Waiting
from mailseal.roles.console_arguments import ArgumentError, Arguments, flag, number, one_of, text, texts
from mailseal.roles.queue_client import Listing, our_sockets, queue_client, record_change
from mailseal.roles.queue_view import file_facts, known_as, mail_json, summary_rows
from mailseal.store import log
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.log import LogFilter
from mailseal.wiring.gateway import Node

LIST_SECONDS = 30.0
MAX_MAILS = 200
MAX_RECIPIENTS = 100
_CHANGES = frozenset({Verb.HOLD, Verb.RELEASE, Verb.REQUEUE, Verb.DELETE, Verb.TRY})


def list_queue(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`queue-list` {queue, sender, recipient, reason, after, limit}: how much waits for what; then the oldest mails.

    `after` is the `next` of the page before. Raises what `QueueClient` does.
    """
    wanted = QueueFilter(*(text(arguments, name, "") or None for name in ("queue", "sender", "recipient", "reason")))
    limit, after = number(arguments, "limit", 50, most=MAX_MAILS), text(arguments, "after", "")
    ours, summary = our_sockets(node.config), Summary()

    def meant(listing: Listing) -> Iterator[Waiting]:
        for mail in listing:
            if (waiting := wanted.meant(mail, ours)) is not None:
                summary.add(waiting)
                if _key(waiting) > after:
                    yield waiting

    with queue_client(node.config).listing(LIST_SECONDS) as listing:
        oldest = heapq.nsmallest(limit + 1, meant(listing), key=_key)
    at = datetime.now(UTC)
    return {
        "count": summary.mails.total(),
        "queues": dict(summary.mails),
        "summary": [_spoken(row) for row in summary_rows(summary, at)],
        "mails": [_mail(one, at) for one in oldest[:limit]],
        "unreadable": listing.unreadable + listing.cut,
        "note": listing.note,
        "next": _key(oldest[limit - 1]) if len(oldest) > limit else None,
    }


def show_mail(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`queue-show` {id}: envelope and names of header fields; null if it is not there (any more)."""
    queue_id = text(arguments, "id")
    if not is_queue_id(queue_id):
        raise ArgumentError("that is not a queue ID")
    client = queue_client(node.config)
    file = client.show(queue_id)
    if file is None:
        return None
    names = known_as(file)
    subjects = [row.subject for name in names for row in log.search(LogFilter(queue_id=name)) if row.subject]
    waiting, ours = None, our_sockets(node.config)
    with client.listing(LIST_SECONDS) as listing:
        for mail in listing:
            if mail.id == queue_id:
                waiting = QueueFilter().meant(mail, ours)
                break
    facts = _spoken(file_facts(file, subjects))
    return {"facts": facts, "known_as": list(names), "mail": waiting and _mail(waiting, datetime.now(UTC))}


def change(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`queue-change` {verb, ids, all}: hold, release, requeue, delete, try, or flush, which is for all.

    Raises ArgumentError, what `QueueClient` raises.
    """
    verb, ids = one_of(Verb, arguments, "verb"), tuple(dict.fromkeys(texts(arguments, "ids")))
    everything = flag(arguments, "all")
    client = queue_client(node.config)
    if verb is Verb.FLUSH:
        client.flush()
        return {"count": 0, "ids": [], "kept": [], "note": ""}
    if everything and verb in {Verb.HOLD, Verb.RELEASE}:
        done = client.change_all(verb)
        record_change(verb, done, everything=True)
        return {"count": done.count, "ids": [], "kept": [], "note": done.note}
    if verb not in _CHANGES or everything or not 0 < len(ids) <= MAX_IDS or not all(map(is_queue_id, ids)):
        raise ArgumentError("that cannot be done, or not to all mails")
    if verb is Verb.TRY:
        client.try_now(ids)
        return {"count": len(ids), "ids": list(ids), "kept": [], "note": ""}
    done = client.change(verb, ids)
    record_change(verb, done)
    if verb is Verb.RELEASE:
        client.try_now(ids)
    return {"count": done.count, "ids": list(done.ids), "kept": list(done.kept), "note": done.note}


def _key(waiting: Waiting) -> str:
    mail = waiting.mail
    return f"{mail.arrived.timestamp():013.0f}/{mail.id}"


def _mail(waiting: Waiting, at: datetime) -> dict[str, Json]:
    some = Waiting(waiting.mail, waiting.recipients[:MAX_RECIPIENTS])
    return _spoken(mail_json(some, at, log.latest)) | {"recipient_count": len(waiting.recipients)}


def _spoken(row: dict[str, object]) -> dict[str, Json]:
    """Times as JSON has them."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
