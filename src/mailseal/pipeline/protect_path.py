"""The protect path: for external recipients decide, see which keys are there, plan, and build the copies.

Recipients with equal plans share one copy; a recipient whom To and Cc do not show gets a ciphertext of its own.
A method that fails for good is crossed out and the plan is made again; the plan, not this module, knows what must
never leave in clear.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.dsn import cut_to_headers, status_report
from mailseal.mail.header import addresses, decoded_subject
from mailseal.mail.mime import Entity
from mailseal.methods import METHODS
from mailseal.notices.facts import in_subject
from mailseal.pipeline.able import able_for
from mailseal.pipeline.case import Case
from mailseal.pipeline.content import Content
from mailseal.pipeline.copy import Copy, Task
from mailseal.pipeline.domain_signature import author_to_sign_for, signed_for
from mailseal.pipeline.hold import held_before, hold
from mailseal.pipeline.loop import BeenThrough
from mailseal.pipeline.outgoing import Fields, Outgoing, Written
from mailseal.pipeline.run import Run, ending_with, failure_reason
from mailseal.pipeline.sender import Sender, sender_of
from mailseal.policy.combine import combine
from mailseal.policy.decide import decide, unwaived
from mailseal.policy.model import (
    Able,
    Already,
    Asked,
    Clear,
    Decision,
    Defer,
    Fate,
    Finding,
    Hold,
    Notify,
    Party,
    Plan,
    Protect,
    Refuse,
    Signer,
    Treatment,
)
from mailseal.policy.plan import plan, with_delayed
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.policy.text import render
from mailseal.policy.trigger import asked_by_triggers
from mailseal.ports import Hop


@dataclass(frozen=True, slots=True)
class Considered:
    """One recipient between decision and plan."""

    index: int
    policy: Settings
    decision: Decision
    able: Able
    plan: Plan
    findings: tuple[Finding, ...] = ()


def protect_tasks(run: Run, recipients: Sequence[tuple[int, Party]]) -> list[Task]:
    """The tasks for external recipients; refusals, deferrals and notices are settled here."""
    if not recipients:
        return []
    path = ProtectPath(run)
    considered = []
    for index, party in recipients:
        try:
            if not held_before(run, index):
                considered.append(path.consider(index, party))
        except BaseException as error:  # noqa: BLE001 -- one recipient's failure, or panic, must not touch the others
            run.defer(index, failure_reason(error))
    return path.tasks(considered)


class ProtectPath:
    """The protect path of one mail: what is the same for all its recipients is found out once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.sender: Sender = sender_of(run.envelope, run.root, run.gateway.directory, run.gateway.logins)
        self.outgoing = Outgoing(run.root)
        self._content = Content(run, self.sender.addresses)
        self._author = author_to_sign_for(run, self.sender)
        self._asked = self._what_is_asked()
        self._been_through = BeenThrough(run.root, run.envelope.sender, run.at) if run.arrival.returns else None
        self._visible = {one.key for name in ("to", "cc") for one in addresses(run.root, name)}

    def consider(self, index: int, party: Party) -> Considered:
        """Decide and plan for one recipient."""
        policy = combine(self.sender.settings, party.settings)
        waiver = self.run.waiver
        as_is = waiver is not None and waiver.as_is
        found = () if as_is else self._content.findings(self.run.address(index), policy)
        self._note(index, policy, found, looked=not as_is)
        findings = unwaived(found, waiver)
        decision = decide(
            policy,
            [one for one in findings if not one.delayed],
            self._asked_for(index),
            authorised=self.sender.authorised,
            internal_sender=self.sender.internal,
            waiver=waiver,
        )
        if as_is:
            plain = Clear(None, (because(ReasonCode.RELEASED_AS_IS),))
            return Considered(index, policy, decision, Able({}, {}, {}), plain)
        able = self._able(index, policy, decision, findings)
        plan = self._plan(index, decision, policy, able, findings)
        return Considered(index, policy, decision, able, plan, findings)

    def _able(self, index: int, policy: Settings, decision: Decision, findings: Sequence[Finding]) -> Able:
        if decision.refuse is not None or decision.hold is not None:
            return Able({}, {}, {})  # no keys are looked for, or made, for what does not leave
        # A mail that nobody wanted to encrypt may have to be for a delayed finding: then keys are needed.
        strongest = with_delayed(decision, [one for one in findings if one.delayed])
        return able_for(self.run, self.sender, self.run.address(index), policy, strongest)

    def _note(self, index: int, policy: Settings, found: tuple[Finding, ...], *, looked: bool) -> None:
        """What log and notices may say of the copy: no subject that something was found in."""
        key = self.run.address(index).key
        self.run.cases[key] = Case(policy, found, self.sender.reader(self.run.envelope))
        if policy.log_subject and looked and not in_subject(found):
            self.run.subject_for.add(key)

    def _asked_for(self, index: int) -> Asked:
        """What the mail asks of all recipients, and whether this one's copy has been here before."""
        neighbour = self.run.gateway.neighbour
        if self._been_through is None or neighbour is None:
            return self._asked
        before = self._been_through.holds_for(self.run.address(index), neighbour.loop)
        return replace(self._asked, been_through=before)

    def _plan(self, index: int, decision: Decision, policy: Settings, able: Able, findings: Sequence[Finding]) -> Plan:
        # Only an internal, authorised sender is told by a report of ours, and only if that is not declined (RFC 3461).
        # Never of a release: then the mail is held on, and may still be sent.
        envelope = self.run.envelope
        told = envelope.sender is not None and self.sender.ours and envelope.recipients[index].wants_failure
        mute = not told or self.run.waiver is not None
        made = plan(decision, policy, able, delayed=[one for one in findings if one.delayed], null_sender=mute)
        if not isinstance(made, Protect):
            return made
        missing = [one for one in METHODS[made.method].additional(policy) if one not in made.keys]
        notes = (because(ReasonCode.ADDITIONAL_CERTIFICATE_UNUSABLE, fingerprint=one) for one in missing)
        return replace(made, reasons=(*made.reasons, *notes))

    def _what_is_asked(self) -> Asked:
        root = self.run.root
        asked = asked_by_triggers(decoded_subject(root), root.headers, *self.sender.each)
        return replace(
            asked,
            calendar=_is_invitation(root),
            already=self._already(),
            size_bytes=len(self.run.message),
            subject=asked.subject if self.sender.ours else None,
        )

    def _already(self) -> Already:
        if self.run.fault is not None:
            return Already.NOTHING
        return max((method.already(self.run.root) for method in METHODS.values()), key=list(Already).index)

    def tasks(self, considered: Sequence[Considered]) -> list[Task]:
        """Group equal plans into tasks; settle what needs none."""
        groups: dict[object, list[Considered]] = {}
        for one in considered:
            match one.plan:
                case Refuse(reason, reasons):
                    answer = reply.BLOCKED if reason.code is ReasonCode.FINDING else reply.NOT_PROTECTED
                    self.run.settle(one.index, Fate.REFUSED, answer, ending_with(reasons, reason))
                case Defer(reason, reasons):
                    self.run.defer(one.index, reason, before=reasons)
                case Hold():
                    hold(self.run, one.index, one.plan, one.policy, one.findings)
                case Notify():
                    self._notify(one, one.plan)
                case Clear() | Protect():
                    groups.setdefault(self._group(one), []).append(one)
        return [self._task(members) for members in groups.values()]

    def _group(self, one: Considered) -> object:
        hidden = isinstance(one.plan, Protect) and self.run.address(one.index).key not in self._visible
        return (one.plan, one.policy, one.index if hidden else None)

    def _notify(self, one: Considered, wish: Notify) -> None:
        run = self.run
        recipient = run.envelope.recipients[one.index]
        sender = run.envelope.sender
        reasons = (*wish.reasons, wish.reason)
        if run.out_of_time():
            run.defer(one.index, because(ReasonCode.OUT_OF_TIME), reply.OUT_OF_TIME, reasons)
            return
        # plan() never notifies a null sender. Who is not to be told of failures (NOTIFY, RFC 3461 §4.1) has to be told
        # by the reply: without it the mail would be gone without a word.
        if sender is None or not recipient.wants_failure:
            run.settle(one.index, Fate.REFUSED, reply.NOT_PROTECTED, reasons)
            return
        report = status_report(
            envelope=run.envelope,
            root=run.root,
            failed=[(recipient, reply.NOT_PROTECTED, render(wish.reason))],
            hostname=run.gateway.hostname,
            at=run.at,
        )
        try:
            run.gateway.reports.failure(run.attempt, recipient.address, sender, report, run.back)
        except TransientError as error:
            run.defer(one.index, failure_reason(error), reply.STORE_UNAVAILABLE, reasons)
            return
        run.settle(one.index, Fate.NOTIFIED, reply.NOTIFIED, reasons)

    def _task(self, members: Sequence[Considered]) -> Task:
        first = members[0]
        indices = tuple(one.index for one in members)
        plans = {one.index: one.plan for one in members}

        def fall_back(reason: Reason) -> list[Task]:
            return self.tasks([self._without(one, reason) for one in members])

        return Task(
            indices,
            self.run.hop(Hop.OUTSIDE),
            lambda: signed_for(self._author, self.run, self._build(first.plan, first.policy), first.policy),
            fall_back,
            lambda index: plans[index].reasons,
        )

    def _without(self, one: Considered, reason: Reason) -> Considered:
        """Cross out what failed: the signature, else the method that was to encrypt."""
        able = one.able
        if isinstance(one.plan, Protect) and one.plan.signer not in self.outgoing.failed:
            keys = dict(able.keys)
            del keys[one.plan.method]
            able = replace(able, keys=keys, unable={**able.unable, one.plan.method: reason})
        else:
            left = {name: one for name, one in able.signers.items() if Signer(name, one) not in self.outgoing.failed}
            able = replace(able, signers=left, no_signer=reason)
        return replace(one, able=able, plan=self._plan(one.index, one.decision, one.policy, able, one.findings))

    def _build(self, wish: Plan, policy: Settings) -> Copy:
        subject, fields = self._asked.subject, self._announced(policy)
        if isinstance(wish, Protect):
            return self._protected(wish, policy, subject, fields)
        if isinstance(wish, Clear) and wish.signer is not None:
            written = self.outgoing.signed(self.run, wish.signer, policy, subject, fields)
            details = _signer_details(wish.signer, written)
            return Copy(written.chunks, Treatment.SIGNED, wish.signer.method, details=details)
        if self.run.envelope.sender is None and (cut := cut_to_headers(self.run.root)) is not None:
            return Copy(tuple(cut), Treatment.PASSED, headers_only=True, reasons=(because(ReasonCode.REPORT_CUT),))
        return Copy(self.outgoing.clear(subject, fields), Treatment.PASSED)

    def _announced(self, policy: Settings) -> Fields:
        """What the methods tell readers about the sender's keys, where his own program tells nothing."""
        identity, run = self.sender.identity, self.run
        if identity is None:
            return ()
        told = [one for method in METHODS.values() for one in method.announce(run.gateway, identity, policy, run.at)]
        return [(name, value) for name, value in told if not run.root.headers(name.lower())]

    def _protected(self, wish: Protect, policy: Settings, subject: str | None, fields: Fields) -> Copy:
        written = self.outgoing.protected(self.run, wish, policy, subject, fields)
        details: tuple[tuple[str, str], ...] = (
            ("algorithm", written.algorithm),
            ("keys", " ".join(key[:16] for key in wish.keys)),
        )
        treatment = Treatment.ENCRYPTED
        if wish.signer is not None:
            treatment = Treatment.SIGNED_ENCRYPTED
            details += _signer_details(wish.signer, written)
        return Copy(written.chunks, treatment, wish.method, headers_only=True, details=details)


def _signer_details(signer: Signer, written: Written) -> tuple[tuple[str, str], ...]:
    return (("signer", signer.fingerprint[:16]), ("signature", written.signature))


def _is_invitation(root: Entity) -> bool:
    """A scheduling message: text/calendar with a method, as the whole mail or one of its parts (RFC 6047 §2.4)."""
    kind = root.content_type.type
    if kind == "text/calendar":
        return "method" in root.content_type.parameters
    if kind not in ("multipart/alternative", "multipart/mixed"):
        return False
    return any(_is_invitation(child) for child in root.children)
