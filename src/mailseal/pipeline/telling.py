"""Who is told what of a copy, once its fate is known (docs/notices.md).

Told are the managers of DLP and the sender, as the settings say; he only if internal and authorised, and never a null
sender. A notice that cannot be kept changes nothing of the mail's fate. That about a held copy is kept together with
it: whoever comes again finds it held, and would not know what to tell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import mail_id
from mailseal.mail.header import decoded_subject
from mailseal.notices.facts import NoticeFacts, found_of, shown_message_id, shown_subject
from mailseal.pipeline.case import Case
from mailseal.pipeline.own_notice import is_own_notice
from mailseal.pipeline.run import Run, failure_reason
from mailseal.policy.decide import counted
from mailseal.policy.model import Action, Fate, Outcome, Treatment
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.ports import Notice, ToTell

_ENCRYPTED = (Treatment.ENCRYPTED, Treatment.SIGNED_ENCRYPTED)


def tell(run: Run) -> None:
    """Ask for the notices about all copies of the protect path. Never raises: the copies have left, or are held."""
    notices = run.gateway.notices
    if notices is None or _is_notice(run):
        return
    for key, case in run.cases.items():
        outcome = run.outcomes.get(key)
        if outcome is None or key in run.told:
            continue
        try:
            for notice in _notices_of(run, outcome, case):
                notices.request(notice)
        except BaseException as error:  # noqa: BLE001 -- a 451 now would only have the copy sent again
            *before, last = outcome.reasons
            why = (because(ReasonCode.NOTICE_NOT_KEPT), failure_reason(error))
            run.outcomes[key] = replace(outcome, reasons=(*before, *why, last))  # the last is why the copy is refused


def _is_notice(run: Run) -> bool:
    """Nobody is told of what becomes of a notice of ours; if that cannot be said now, of nothing."""
    try:
        return is_own_notice(run.root, run.gateway.notice_keys, run.at)
    except BaseException:  # noqa: BLE001 -- the copies have left, or are held
        return True


def to_tell_of_held(run: Run, index: int, reasons: Sequence[Reason]) -> ToTell:
    """What to tell of a copy that is about to be held. What cannot be said now `tell` tries once more."""
    address = run.address(index)

    def notices_of(quarantine: str) -> Sequence[Notice]:
        case = run.cases.get(address.key)
        if case is None or run.gateway.notices is None or _is_notice(run):
            return ()
        held = (*reasons, because(ReasonCode.HELD, quarantine=quarantine))
        try:
            found = list(_notices_of(run, Outcome(address, Fate.HELD, reply.HELD, reasons=held), case))
        except BaseException:  # noqa: BLE001 -- it is to be held whatever becomes of its notice
            return ()
        run.told.add(address.key)
        return found

    return notices_of


def _notices_of(run: Run, outcome: Outcome, case: Case) -> Iterator[Notice]:
    for kind in kinds_of(outcome, case, released=run.waiver is not None):
        facts = None
        for reader, role in _readers(run, kind, case):
            facts = facts or _facts(run, kind, outcome, case)
            yield Notice(kind, run.attempt, outcome.recipient, reader, role, run.envelope.sender, facts, run.back)


def kinds_of(outcome: Outcome, case: Case, *, released: bool) -> tuple[NoticeKind, ...]:
    """What a copy's fate is worth telling. Of a mail that is released, only that it was encrypted."""
    warned = any(one.action is Action.WARN for one in counted(case.findings, outcome.reasons))
    match outcome.fate:
        case Fate.RELAYED:
            encrypted = (NoticeKind.ENCRYPTED,) if outcome.treatment in _ENCRYPTED else ()
            return (*((NoticeKind.DLP_WARN,) if warned and not released else ()), *encrypted)
        case Fate.HELD | Fate.REFUSED | Fate.NOTIFIED if not released:
            return _not_sent(outcome)
        case _:
            return ()


def _not_sent(outcome: Outcome) -> tuple[NoticeKind, ...]:
    codes = [one.code for one in outcome.reasons]
    if outcome.fate is not Fate.HELD:  # a next hop may have refused it as well
        told = {ReasonCode.FINDING: NoticeKind.DLP_BLOCK, ReasonCode.MUST_ENCRYPT_FAILED: NoticeKind.NOT_ENCRYPTED}
        return (told[codes[-1]],) if codes and codes[-1] in told else ()
    if ReasonCode.MUST_ENCRYPT_FAILED not in codes:
        return (NoticeKind.DLP_QUARANTINE,)
    return (NoticeKind.AMBIGUOUS_HELD if ReasonCode.AMBIGUOUS in codes else NoticeKind.MUST_ENCRYPT_HELD,)


def _readers(run: Run, kind: NoticeKind, case: Case) -> Iterator[tuple[Address, Role]]:
    """Each once: a sender who looks after DLP himself is told as that."""
    told: set[str] = set()
    if kind in case.policy.notify_managers:
        for text in case.policy.dlp_managers:
            manager = Address.parse(text)
            outside = not run.gateway.directory.party(manager).internal
            if manager.key in told or (outside and not case.policy.notify_outside_managers):
                continue
            told.add(manager.key)
            yield manager, Role.MANAGER
    if kind in case.policy.notify_sender and case.sender is not None and case.sender.key not in told:
        yield case.sender, Role.SENDER


def _facts(run: Run, kind: NoticeKind, outcome: Outcome, case: Case) -> NoticeFacts:
    quarantine = _quarantine(outcome)
    return NoticeFacts(
        at=run.at,
        mail=mail_id(run.attempt),
        message_id=shown_message_id(run.root.header("message-id") or "", case.findings),
        subject=shown_subject(decoded_subject(run.root), case.findings, allowed=case.policy.notice_subject),
        found=found_of(counted(case.findings, outcome.reasons)),
        reasons=outcome.reasons,
        quarantine=quarantine,
        expires=_expires(run.at, case) if quarantine else None,
        detail=outcome.method.value if kind is NoticeKind.ENCRYPTED and outcome.method is not None else "",
    )


def _expires(at: datetime, case: Case) -> datetime:
    return at + timedelta(days=case.policy.quarantine_days)


def _quarantine(outcome: Outcome) -> str:
    """The ID under which a copy is held; "" for one that is not."""
    held = next((one for one in outcome.reasons if one.code is ReasonCode.HELD), None)
    return "" if held is None else dict(held.parameters)["quarantine"]
