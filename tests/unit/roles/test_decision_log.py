"""The line of a decision, and the names that stand for addresses in it."""

import json
import re

import pytest

from mailseal.config import LogAddresses
from mailseal.errors import TransientError
from mailseal.keys.sealing import Kek
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin, Protocol, Recipient
from mailseal.pipeline import Processed
from mailseal.policy.model import Fate, MethodName, Outcome, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.roles import decision_log
from mailseal.roles.decision_log import Handled, log_decisions, shown_as
from mailseal.wiring.pseudonyms import UNKNOWN, Pseudonyms

ANNA, OLGA = Address.parse("anna@alpha.example"), Address.parse("Olga@out.example")


class Ring:
    """A KekRing of which one seals."""

    def __init__(self) -> None:
        self.keks = {kek.id: kek for kek in (Kek(bytes([number]) * 32) for number in (1, 2))}
        self.id = next(iter(self.keks))

    def kek(self, kek_id):
        return self.keks[kek_id]


class Gone:
    @property
    def id(self):
        raise TransientError("the database is away")


@pytest.fixture
def told(monkeypatch):
    lines = []
    monkeypatch.setattr(decision_log.logger, "isEnabledFor", lambda _: True)
    monkeypatch.setattr(decision_log.logger, "info", lambda event, *, extra: lines.append({"event": event, **extra}))
    return lines


def handled(*outcomes, sender=ANNA, protocol=Protocol.LMTP, replies=(reply.ACCEPTED,), **done):
    envelope = Envelope(sender, tuple(Recipient(one.recipient) for one in outcomes), Origin.OUTSIDE, protocol)
    return Handled("0011", envelope, Processed(list(outcomes), **done), list(replies), 4711, 0.0123)


def test_what_a_line_says(told):
    reasons = (because(ReasonCode.MODE_ALLOW), because(ReasonCode.PROTECTED_BY, method="smime"))
    outcome = Outcome(OLGA, Fate.RELAYED, reply.ACCEPTED, Treatment.SIGNED_ENCRYPTED, MethodName.SMIME, reasons)
    log_decisions(handled(outcome, subject="Numbers"), str)
    assert told == [
        {
            "event": "decision",
            "mail": "0011",
            "direction": "out",
            "fate": "relayed",
            "treatment": "signed+encrypted",
            "method": "smime",
            "code": 250,
            "status": "2.0.0",
            "reasons": ["mode-allow", "protected-by"],
            "milliseconds": 12,
            "bytes": 4711,
            "client": "outside",
            "sender": "anna@alpha.example",
            "recipient": "Olga@out.example",
        }
    ]
    assert json.dumps(told)


def test_a_line_for_each_recipient_and_the_answer_where_it_differs(told):
    refused = Outcome(OLGA, Fate.REFUSED, reply.NOT_PROTECTED)
    relayed = Outcome(ANNA, Fate.RELAYED, reply.ACCEPTED)
    log_decisions(handled(refused, relayed, sender=None, protocol=Protocol.ESMTP, internal=frozenset({ANNA.key})), str)
    assert [(one["code"], one.get("answer"), one["direction"], one["sender"]) for one in told] == [
        (550, 250, "out", "<>"),
        (250, None, "in", "<>"),
    ]


def test_a_subject_only_for_whom_it_is_allowed(told):
    outcomes = [Outcome(one, Fate.RELAYED, reply.ACCEPTED) for one in (ANNA, OLGA)]
    log_decisions(handled(*outcomes, subject="Numbers", subject_for=frozenset({OLGA.key})), str)
    assert [one.get("subject") for one in told] == [None, "Numbers"]


@pytest.mark.parametrize(
    ("addresses", "shown"),
    [("full", r"Olga@out\.example"), ("domain", r"@out\.example"), ("hashed", "[0-9a-f]{16}"), ("none", "None")],
)
def test_how_addresses_are_shown(addresses, shown):
    show = shown_as(LogAddresses(addresses), Pseudonyms(Ring()))
    assert re.fullmatch(shown, str(show(OLGA)))


def test_pseudonyms_follow_an_address_and_the_kek():
    ring = Ring()
    one, other = Pseudonyms(ring), Pseudonyms(ring)
    assert one.of(OLGA) == other.of(Address.parse("olga@out.example"))
    assert one.of(OLGA) != one.of(ANNA)
    before = one.of(OLGA)
    ring.id = list(ring.keks)[1]
    assert one.of(OLGA) not in {before, UNKNOWN}


def test_without_a_kek_an_address_is_unknown_and_not_shown():
    assert Pseudonyms(Gone()).of(OLGA) == UNKNOWN
