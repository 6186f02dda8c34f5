"""What a mail worker counts and measures (`metric_table`)."""

import math
from collections.abc import Sequence

from mailseal.mail import reply
from mailseal.mail.envelope import Origin
from mailseal.policy.model import Fate, Outcome
from mailseal.policy.reason import ReasonCode
from mailseal.ports import Hop
from mailseal.roles import metric_table as table
from mailseal.roles.decision_log import Handled
from mailseal.roles.meter import Meter
from mailseal.roles.metric_table import By
from mailseal.roles.records import direction_of
from mailseal.transport.receiver import Receiver
from mailseal.transport.sandbox import Reading

NO_METHOD = "none"


def count_mail(meter: Meter, mail: Handled) -> None:
    """Count a handled mail and its copies."""
    meter.observe(table.MAIL_SECONDS, mail.seconds, mail.envelope.origin.value)
    meter.observe(table.MAIL_BYTES, mail.size_bytes)
    if reply.STORE_UNAVAILABLE in mail.replies:
        meter.count(table.STORE_UNAVAILABLE, By.MAIL.value)
    for outcome in mail.done.outcomes:
        method = NO_METHOD if outcome.method is None else outcome.method.value
        direction = direction_of(outcome, mail.done)
        meter.count(table.MESSAGES, direction, method, outcome.treatment.value, outcome.fate.value)
        if outcome.fate is not Fate.RELAYED:
            _count_reason(meter, outcome)


def _count_reason(meter: Meter, outcome: Outcome) -> None:
    last = next((one for one in reversed(outcome.reasons) if one.code is not ReasonCode.HELD), None)
    code = ReasonCode.UNEXPECTED_FAILURE if last is None else last.code
    meter.count(table.REFUSALS, outcome.fate.value, code.value)
    if last is not None and outcome.fate is Fate.DEFERRED and code is ReasonCode.NEXT_HOP_REPLIED:
        inside = dict(last.parameters).get("hop") == Hop.INSIDE
        meter.count(table.NEXT_HOP_FAILURES, (Hop.INSIDE if inside else Hop.OUTSIDE).value)


def count_document(meter: Meter, reading: Reading) -> None:
    """Count a document that was read for DLP, or was not."""
    meter.observe(table.DOCUMENT_SECONDS, reading.seconds)
    for reason in reading.reasons:
        meter.count(table.DOCUMENTS_UNREAD, reason.value)


def measure_mail(meter: Meter, receivers: Sequence[Receiver], in_flight: int) -> None:
    """What a mail worker holds right now; called each second."""
    meter.rest()
    meter.set(table.MAILS_IN_FLIGHT, in_flight)
    if receivers:
        house = receivers[0].house  # what it counts is of the process, the same for all
        meter.set(table.BYTES_IN_FLIGHT, house.load.bytes_in_flight)
        for origin in Origin:
            meter.set(table.CONNECTIONS, house.guests.count(origin), origin.value)


def stop_measuring(meter: Meter) -> None:
    """The worker drains: it takes no new mail and looks for no more changes, and that is as it should be."""
    meter.set(table.READY, 0, By.MAIL.value)
    meter.set(table.LAST_POLL, math.inf)
