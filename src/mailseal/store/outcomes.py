"""Outcomes, replies and reasons as JSON values, for the ledger and the log."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from mailseal.mail.address import Address
from mailseal.mail.reply import Reply
from mailseal.policy.model import Fate, MethodName, Outcome, Treatment
from mailseal.policy.reason import Reason, ReasonCode

Json = dict[str, Any]


def reasons_to_json(reasons: Iterable[Reason]) -> list[Json]:
    """A list of {"code", "parameters"}."""
    return [{"code": reason.code.value, "parameters": dict(reason.parameters)} for reason in reasons]


def reasons_from_json(values: Iterable[Json]) -> tuple[Reason, ...]:
    """The reasons; raises ValueError or KeyError for a code that this release does not know."""
    return tuple(Reason(ReasonCode(one["code"]), tuple(one["parameters"].items())) for one in values)


def known_reasons(values: Iterable[Json]) -> tuple[Reason, ...]:
    """The reasons that this release knows: in a cluster that is being upgraded, others may have been written."""
    known: list[Reason] = []
    for value in values:
        with contextlib.suppress(ValueError, KeyError):
            known += reasons_from_json([value])
    return tuple(known)


def outcome_to_json(outcome: Outcome) -> Json:
    """All of an outcome but what was harvested from the mail."""
    return {
        "recipient": str(outcome.recipient),
        "fate": outcome.fate.value,
        "reply": [outcome.reply.code, outcome.reply.enhanced, outcome.reply.text, outcome.reply.remote],
        "treatment": outcome.treatment.value,
        "method": outcome.method.value if outcome.method else None,
        "reasons": reasons_to_json(outcome.reasons),
        "details": [list(pair) for pair in outcome.details],
    }


def outcome_from_json(value: Mapping[str, Any]) -> Outcome:
    """The outcome again."""
    code, enhanced, text, *remote = value["reply"]  # an older release kept no `remote`
    return Outcome(
        recipient=Address.parse(value["recipient"]),
        fate=Fate(value["fate"]),
        reply=Reply(code, enhanced, text, remote="".join(remote)),
        treatment=Treatment(value["treatment"]),
        method=MethodName(value["method"]) if value["method"] else None,
        reasons=reasons_from_json(value["reasons"]),
        details=tuple((name, content) for name, content in value["details"]),
    )
