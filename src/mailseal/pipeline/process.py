"""What happens to a mail: plan per recipient, group equal plans, carry each out once, one outcome per RCPT.

Fail closed: an exception defers; nothing that must be encrypted leaves in clear. See docs/flow.md.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailseal.errors import PermanentError, TransientError
from mailseal.mail import reply
from mailseal.mail.envelope import Envelope, Protocol, Recipient, attempt_id, mail_id
from mailseal.mail.header import decoded_subject
from mailseal.mail.message import Message
from mailseal.mail.mime import MimeError, parse
from mailseal.mail.trace import hop_count, received_field
from mailseal.pipeline.copy import Copy, Task
from mailseal.pipeline.journal_path import journal_of, journal_tasks
from mailseal.pipeline.loop import loop_field
from mailseal.pipeline.neighbour import arrival_of
from mailseal.pipeline.open_path import open_tasks
from mailseal.pipeline.protect_path import protect_tasks
from mailseal.pipeline.relayed import report_relayed
from mailseal.pipeline.run import Run, failure_reason, in_order
from mailseal.pipeline.telling import tell
from mailseal.pipeline.tls_report_path import report_taken
from mailseal.policy.model import Fate, Outcome, Party, Waiver
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.ports import Gateway, Hop, Journal, Transfer


@dataclass(frozen=True, slots=True)
class Processed:
    """One Outcome per RCPT in order, duplicates included; and what the log may say of the mail itself.

    `internal` are the recipients (`Address.key`) of the open path, `subject_for` those for whom the subject may be
    logged.
    """

    outcomes: list[Outcome]
    message_id: str = ""
    subject: str = ""
    internal: frozenset[str] = frozenset()
    subject_for: frozenset[str] = frozenset()


def process(envelope: Envelope, message: Message, gateway: Gateway, waiver: Waiver | None = None) -> list[Outcome]:
    """Send every recipient's copy on its way. Never raises; one Outcome per RCPT in order, duplicates included.

    `waiver`: of a mail that was held and is released.
    """
    return process_mail(envelope, message, gateway, attempt_id(envelope, message), waiver).outcomes


def process_mail(
    envelope: Envelope, message: Message, gateway: Gateway, attempt: bytes, waiver: Waiver | None = None
) -> Processed:
    """As `process`, for a caller that has the `attempt_id` and keeps a log. Never raises."""
    run: Run | None = None
    outcomes: dict[str, Outcome] = {}
    try:
        run = begin(envelope, message, gateway, attempt, waiver)
        outcomes = run.outcomes
        _carry_out(run)
        _remember_for_smtp(run)
        report_relayed(run)
        tell(run)
    except MimeError:
        _fill(envelope, outcomes, Fate.REFUSED, reply.BAD_MESSAGE, because(ReasonCode.MESSAGE_UNREADABLE))
    except BaseException as error:  # noqa: BLE001 -- rule 2: whatever it is defers, also a panic of Rust code
        _fill(envelope, outcomes, Fate.DEFERRED, reply.DEFERRED, failure_reason(error))
    in_turn = in_order(envelope, outcomes)
    if run is None:
        return Processed(in_turn)
    subject = decoded_subject(run.root) if run.subject_for else ""
    message_id = run.root.header("message-id") or ""
    return Processed(in_turn, message_id, subject, frozenset(run.internal), frozenset(run.subject_for))


def begin(envelope: Envelope, message: Message, gateway: Gateway, attempt: bytes, waiver: Waiver | None = None) -> Run:
    """Parse the mail, resolve its origin class and take over what the ledger has settled.

    Raises MimeError if not even the header is readable, TransientError.
    """
    parsed = parse(message.raw)
    clock = gateway.clock
    deadline = clock.monotonic() + gateway.deadline_seconds
    arrival = arrival_of(envelope, parsed.root, gateway.neighbour)
    envelope = replace(envelope, origin=arrival.origin)
    run = Run(envelope, message, gateway, attempt, clock.now(), deadline, parsed.root, parsed.fault, arrival, waiver)
    before = because(ReasonCode.SETTLED_BEFORE)
    for key, outcome in gateway.ledger.settled(attempt).items():
        if gateway.directory.party(outcome.recipient).internal:
            run.internal.add(key)
        run.outcomes[key] = Outcome(
            outcome.recipient, outcome.fate, outcome.reply, outcome.treatment, outcome.method,
            (*outcome.reasons, before), outcome.details,
        )  # fmt: skip
    return run


def _carry_out(run: Run) -> None:
    if hop_count(run.root) > run.gateway.max_hops:
        for index in run.pending():
            run.settle(index, Fate.REFUSED, reply.TOO_MANY_HOPS, [because(ReasonCode.TOO_MANY_HOPS)])
        return
    tasks = deque(plan_tasks(run))
    while tasks:
        task = tasks.popleft()
        try:
            _do(run, task, tasks)
        except BaseException as error:  # noqa: BLE001 -- one copy's failure, or panic, must not touch the others
            for index in task.indices:
                run.defer(index, failure_reason(error), before=task.reasons(index))


def plan_tasks(run: Run) -> list[Task]:
    """The tasks for all recipients that have no outcome yet; those that need no task get their outcome here."""
    if run.arrival.refused is not None:
        for index in run.pending():
            run.settle(index, Fate.REFUSED, reply.FOREIGN_TENANT, [run.arrival.refused])
        return []
    inside: list[tuple[int, Party]] = []
    outside: list[tuple[int, Party]] = []
    journals: list[tuple[int, Journal]] = []
    for index in run.pending():
        try:
            party = run.gateway.directory.party(run.address(index))
            journal = journal_of(run, run.address(index))
            taken = journal is None and report_taken(run, index)
        except BaseException as error:  # noqa: BLE001 -- a report is parsed here; the others' copies go on
            answer = reply.STORE_UNAVAILABLE if isinstance(error, TransientError) else reply.DEFERRED
            run.defer(index, failure_reason(error), answer)
            continue
        if taken:
            run.internal.add(run.address(index).key)
            continue
        if journal is not None:
            run.internal.add(run.address(index).key)
            journals.append((index, journal))
            continue
        if party.internal:
            run.internal.add(run.address(index).key)
        (inside if party.internal else outside).append((index, party))
    if outside and run.arrival.stranger:
        # Nobody else is here who could refuse to be an open relay (RFC 5321 §7.9). The whole mail, though others of its
        # recipients may be internal: a report about those refused would go to whomever a stranger has written into
        # the envelope.
        for index in run.pending():
            run.settle(index, Fate.REFUSED, reply.RELAY_DENIED, [because(ReasonCode.RELAY_DENIED)])
        return []
    return journal_tasks(run, journals) + open_tasks(run, inside) + protect_tasks(run, outside)


def _do(run: Run, task: Task, tasks: deque[Task]) -> None:
    if run.out_of_time():  # no effect starts after the deadline, and no work that is for nothing
        for index in task.indices:
            run.defer(index, because(ReasonCode.OUT_OF_TIME), reply.OUT_OF_TIME, task.reasons(index))
        return
    try:
        copy = task.build()
    except PermanentError as error:
        tasks.extendleft(reversed(task.fall_back(because(ReasonCode.METHOD_FAILED, detail=error))))
        return
    if task.route is None:
        # One transaction per route, each a task of its own: with its own deadline, failure and line in the ledger.
        tasks.extendleft(reversed(_by_route(run, task, copy)))
        return
    replies = run.gateway.relay.send(_transfer(run, task, copy))
    outcomes = _outcomes(run, task, copy, replies)
    for outcome in outcomes:
        run.outcomes[outcome.recipient.key] = outcome
    if tasks:
        _remember_or_stop(run, outcomes, tasks)


def _by_route(run: Run, task: Task, copy: Copy) -> list[Task]:
    """Tasks that only send the copy that is built, one for each route of its recipients."""
    routes: dict[str, list[int]] = {}
    for index in task.indices:
        try:
            route = run.gateway.relay.route(task.hop, task.to or run.address(index))
        except TransientError as error:
            run.defer(index, failure_reason(error), reply.STORE_UNAVAILABLE, task.reasons(index))
        else:
            routes.setdefault(route, []).append(index)
    return [replace(task, indices=tuple(indices), build=lambda: copy, route=route) for route, indices in routes.items()]


def _transfer(run: Run, task: Task, copy: Copy) -> Transfer:
    envelope = run.envelope
    trace = received_field(envelope, run.gateway.hostname, mail_id(run.attempt), run.at)
    recipients = tuple(_recipient(envelope.recipients[index], task) for index in task.indices)
    return Transfer(
        task.hop,
        envelope.sender,
        recipients,
        (trace, *_loop_mark(run, task.hop, copy, recipients), *copy.chunks),
        eight_bit=envelope.eight_bit or copy.eight_bit,
        smtputf8=envelope.smtputf8,
        ret="HDRS" if copy.headers_only else envelope.ret,
        envid=envelope.envid,
        deadline=run.deadline,
        route=task.route or "",
    )


def _recipient(recipient: Recipient, task: Task) -> Recipient:
    # What was asked of reports goes along: a redirected copy is still that recipient's (RFC 3461 §5.2.7).
    return recipient if task.to is None else replace(recipient, address=task.to)


def _loop_mark(run: Run, hop: Hop, copy: Copy, recipients: Sequence[Recipient]) -> tuple[bytes, ...]:
    """By which the copy is known should the neighbour send it here once more."""
    neighbour = run.gateway.neighbour
    if hop is not Hop.NEIGHBOUR or neighbour is None:
        return ()
    message_id = run.root.header("message-id") or ""
    to = [one.address for one in recipients]
    return (loop_field(neighbour.loop, copy.chunks, message_id, run.envelope.sender, to, run.at),)


def _outcomes(run: Run, task: Task, copy: Copy, replies: Sequence[reply.Reply]) -> list[Outcome]:
    if len(replies) != len(task.indices):
        raise TransientError("the relay did not answer once for each recipient")
    outcomes = []
    for index, answer in zip(task.indices, replies, strict=True):
        fate = Fate.RELAYED if answer.accepted else Fate.REFUSED if answer.refused else Fate.DEFERRED
        reasons = (*task.reasons(index), *copy.reasons)
        if answer.without_dsn:
            reasons = (*reasons, because(ReasonCode.RELAYED_WITHOUT_DSN, hop=task.hop))
        if fate is not Fate.RELAYED:
            reasons = (*reasons, because(ReasonCode.NEXT_HOP_REPLIED, hop=task.hop, code=answer.code))
        outcomes.append(
            Outcome(
                run.address(index), fate, answer, copy.treatment, copy.method, reasons, copy.details, copy.harvested
            )
        )
    return outcomes


def _remember_or_stop(run: Run, outcomes: Sequence[Outcome], tasks: deque[Task]) -> None:
    """Without the ledger a crash in the next effect would repeat this one, so then no further effect starts."""
    try:
        _remember(run, outcomes)
    except Exception as error:  # noqa: BLE001 -- this copy has left: its own outcome must stand whatever happened
        for task in tasks:
            for index in task.indices:
                run.defer(index, failure_reason(error), reply.STORE_UNAVAILABLE, task.reasons(index))
        tasks.clear()


def _remember(run: Run, outcomes: Sequence[Outcome]) -> None:
    done = [one for one in outcomes if one.fate is not Fate.DEFERRED]
    if done:
        run.gateway.ledger.settle(run.attempt, done)


def _remember_for_smtp(run: Run) -> None:
    """SMTP has one reply for all: after a 451 the client repeats every recipient, so keep who is settled."""
    outcomes = run.results()
    if run.envelope.protocol is Protocol.ESMTP and any(one.fate is Fate.DEFERRED for one in outcomes):
        _remember(run, outcomes)


def _fill(envelope: Envelope, outcomes: dict[str, Outcome], fate: Fate, answer: reply.Reply, reason: Reason) -> None:
    for recipient in envelope.recipients:
        outcomes.setdefault(recipient.address.key, Outcome(recipient.address, fate, answer, reasons=(reason,)))
