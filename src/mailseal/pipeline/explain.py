"""What would happen to a mail, without doing it: the same code as `process` up to the point where effects begin."""

from dataclasses import dataclass

from mailseal.errors import PermanentError, TransientError
from mailseal.mail.envelope import Envelope, attempt_id
from mailseal.mail.message import Message
from mailseal.mail.trace import hop_count
from mailseal.pipeline.process import begin, plan_tasks
from mailseal.pipeline.run import Run, failure_reason
from mailseal.policy.model import Fate, Finding, MethodName, Treatment
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.ports import Gateway, Hop


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one recipient's copy would become, and each reason. `fate` RELAYED means: handed to the next hop.

    `findings`: all that DLP finds for this recipient, those too that change nothing.
    """

    recipient: str
    fate: Fate
    hop: Hop | None
    treatment: Treatment
    method: MethodName | None
    reasons: tuple[Reason, ...]
    details: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()


def explain(envelope: Envelope, message: Message, gateway: Gateway) -> list[Explanation]:
    """One explanation per recipient, in order. The gateway's ports must have no effect. May raise MimeError."""
    run = begin(envelope, message, gateway, attempt_id(envelope, message))
    found: dict[str, Explanation] = {}
    if hop_count(run.root) > gateway.max_hops:
        reason = because(ReasonCode.TOO_MANY_HOPS)
        return [
            Explanation(str(one.address), Fate.REFUSED, None, Treatment.NONE, None, (reason,))
            for one in envelope.recipients
        ]
    tasks = plan_tasks(run)
    while tasks:
        task = tasks.pop(0)
        try:
            copy = task.build()
        except PermanentError as error:
            tasks += task.fall_back(because(ReasonCode.METHOD_FAILED, detail=error))
            continue
        except TransientError as error:
            for index in task.indices:
                run.defer(index, failure_reason(error), before=task.reasons(index))
            continue
        for index in task.indices:
            address = run.address(index)
            found[address.key] = Explanation(
                str(address), Fate.RELAYED, task.hop, copy.treatment, copy.method,
                (*task.reasons(index), *copy.reasons), copy.details, _findings(run, address.key),
            )  # fmt: skip
    for key, outcome in run.outcomes.items():
        found[key] = Explanation(
            str(outcome.recipient), outcome.fate, None, outcome.treatment, outcome.method, outcome.reasons,
            findings=_findings(run, key),
        )  # fmt: skip
    return [found[one.address.key] for one in envelope.recipients if one.address.key in found]


def _findings(run: Run, key: str) -> tuple[Finding, ...]:
    return run.cases[key].findings if key in run.cases else ()
