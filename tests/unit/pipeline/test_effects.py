"""Effects and what is remembered of them: transfers in every field, replies, the ledger, the deadline."""

from dataclasses import replace

import pytest

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Client, Origin, Protocol, attempt_id, mail_id
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.mail.trace import received_field
from mailseal.methods.smime import Smime
from mailseal.pipeline import Processed, process, process_mail
from mailseal.policy.model import Fate, MethodName, Outcome, Treatment
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Mode, OnFailure, Settings
from mailseal.ports import Hop, Transfer
from pki import NOW
from stage import PARTNER, SENDER, Interrupter, Stage, envelope, mail

DORA, A, B, C = "dora@inside.example", "a@elsewhere.example", "b@elsewhere.example", "c@elsewhere.example"
OFF = Settings(mode=Mode.NEVER, sign=False)
PLANNED = (because(ReasonCode.MODE_NEVER), because(ReasonCode.SIGNING_OFF), because(ReasonCode.SENT_CLEAR))
NOTHING = because(ReasonCode.NOTHING_TO_OPEN)
AWAY = because(ReasonCode.TRANSIENT_FAILURE, detail="away")
LATE = because(ReasonCode.OUT_OF_TIME)
BEFORE = because(ReasonCode.SETTLED_BEFORE)
ATTEMPT = bytes(range(32))


def off(**options: object) -> Stage:
    return Stage(settings={"": OFF}, **options)


def go(stage: Stage, *recipients: str, raw: bytes = mail(), **options: object) -> list[Outcome]:
    return process(envelope(*recipients, **options), Message(raw), stage.gateway())


def away(name: str, *recipients: str) -> Stage:
    """A stage on which the first call of one port function fails."""
    names = off()
    go(names, *recipients)
    return off(interrupt=Interrupter(names.interrupt.names.index(name) + 1, lambda: TransientError("away")))


def relayed(to: str, *reasons: Reason) -> Outcome:
    return Outcome(Address.parse(to), Fate.RELAYED, reply.ACCEPTED, Treatment.PASSED, reasons=reasons)


def ended(to: str, fate: Fate, answer: Reply, *reasons: Reason) -> Outcome:
    return Outcome(Address.parse(to), fate, answer, reasons=reasons)


def deferred(to: str, answer: Reply, *reasons: Reason) -> Outcome:
    return ended(to, Fate.DEFERRED, answer, *reasons)


def test_a_transfer_carries_what_the_client_asked_for():
    asked = replace(
        envelope(A, B, DORA),
        client=Client("192.0.2.1", "host.example", "helo.example"),
        eight_bit=True,
        smtputf8=True,
        ret="FULL",
        envid="E1",
    )
    raw = mail()
    for sent in (asked, envelope(A, B, DORA)):
        stage = off(seconds=100.0)
        process_mail(sent, Message(raw), stage.gateway(), ATTEMPT)
        common = {"eight_bit": sent.eight_bit, "smtputf8": sent.smtputf8, "ret": sent.ret, "envid": sent.envid}
        chunks = (received_field(sent, "gw.inside.example", ATTEMPT[:8].hex(), NOW), raw)
        assert stage.sent == [
            Transfer(Hop.INSIDE, sent.sender, sent.recipients[2:], chunks, deadline=340.0, **common),
            Transfer(Hop.OUTSIDE, sent.sender, sent.recipients[:2], chunks, deadline=340.0, **common),
        ]
    assert mail_id(ATTEMPT) == "0001020304050607"


def test_what_the_next_hop_says():
    stage = off()
    answers = {"a": Reply(550, "5.1.1", "no"), "b": Reply(452, "4.2.2", "full"), "c": reply.ACCEPTED}
    stage.answer = lambda transfer: [answers[one.address.local] for one in transfer.recipients]
    refused, full, accepted = go(stage, A, B, C)
    said = [because(ReasonCode.NEXT_HOP_REPLIED, hop="outside", code=code) for code in (550, 452)]
    as_sent = {"treatment": Treatment.PASSED}
    assert refused == replace(ended(A, Fate.REFUSED, answers["a"], *PLANNED, said[0]), **as_sent)
    assert full == replace(deferred(B, answers["b"], *PLANNED, said[1]), **as_sent)
    assert accepted == relayed(C, *PLANNED)


def test_a_relay_that_does_not_answer_for_each_recipient_defers_all():
    stage = off()
    stage.answer = lambda _: [reply.ACCEPTED]
    unclear = because(ReasonCode.TRANSIENT_FAILURE, detail="the relay did not answer once for each recipient")
    assert go(stage, A, B) == [deferred(one, reply.DEFERRED, *PLANNED, unclear) for one in (A, B)]


def test_a_directory_that_fails_for_one_recipient():
    stage = away("party", A, DORA)
    assert go(stage, A, DORA) == [deferred(A, reply.STORE_UNAVAILABLE, AWAY), relayed(DORA, NOTHING)]


def test_a_copy_that_cannot_be_sent_leaves_the_others():
    stage = away("send", DORA, A)
    assert go(stage, DORA, A) == [deferred(DORA, reply.DEFERRED, AWAY), relayed(A, *PLANNED)]
    assert stage.interrupt.names.count("settle") == 0


def test_a_ledger_that_does_not_answer_defers_all():
    assert go(away("settled", A, DORA), A, DORA) == [deferred(one, reply.DEFERRED, AWAY) for one in (A, DORA)]


def test_without_the_ledger_no_further_effect_starts():
    assert go(away("settle", DORA, A, B), DORA, A, B) == [
        relayed(DORA, NOTHING),
        deferred(A, reply.STORE_UNAVAILABLE, *PLANNED, AWAY),
        deferred(B, reply.STORE_UNAVAILABLE, *PLANNED, AWAY),
    ]


@pytest.mark.parametrize(("protocol", "settled"), [(Protocol.LMTP, 0), (Protocol.ESMTP, 1)])
def test_what_is_deferred_is_not_remembered(protocol, settled):
    stage = off()
    stage.answer = lambda transfer: [
        Reply(451, "4.2.0", "later") if one.address.local in ("a", "dora") else reply.ACCEPTED
        for one in transfer.recipients
    ]
    go(stage, DORA, A, B, protocol=protocol)
    assert [key for _, key in stage.rows] == [B] * settled
    stage.rows.clear()
    stage.interrupt.names.clear()
    go(stage, DORA, A, protocol=protocol)
    go(stage, B, protocol=protocol)
    assert "settle" not in stage.interrupt.names


def late_after(call: str, monkeypatch) -> Stage:
    """A stage on which one method call takes longer than the deadline allows."""
    stage = Stage().know(PARTNER).own(SENDER)
    whole = getattr(Smime, call)

    def slow(*arguments: object, **options: object) -> object:
        stage.seconds += 240.0
        return whole(*arguments, **options)

    monkeypatch.setattr(Smime, call, slow)
    return stage


@pytest.mark.parametrize("call", ["encrypt", "usable_keys"])
def test_no_effect_starts_late(monkeypatch, call):
    stage = late_after(call, monkeypatch)
    (outcome,) = go(stage, "bob@outside.example")
    signed = because(ReasonCode.SIGNED_BY, method="smime", fingerprint=SENDER.certificate.fingerprint)
    planned = (because(ReasonCode.MODE_ALLOW), signed, because(ReasonCode.PROTECTED_BY, method="smime"))
    assert outcome == deferred("bob@outside.example", reply.OUT_OF_TIME, *planned, LATE)
    assert not stage.sent
    assert ("private_key" in stage.interrupt.names) is (call == "encrypt")


def test_too_many_hops():
    hop = b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n"
    stage = off()
    loop = because(ReasonCode.TOO_MANY_HOPS)
    assert go(stage, A, DORA, raw=hop * 51 + mail()) == [
        ended(one, Fate.REFUSED, reply.TOO_MANY_HOPS, loop) for one in (A, DORA)
    ]
    assert not stage.sent
    assert {one.fate for one in go(stage, A, DORA, raw=hop * 50 + mail())} == {Fate.RELAYED}


def test_a_strangers_mail_to_the_outside_is_denied_as_a_whole():
    denied = because(ReasonCode.RELAY_DENIED)
    options = {"origin": Origin.OUTSIDE, "protocol": Protocol.ESMTP}
    assert go(off(), DORA, A, **options) == [ended(one, Fate.REFUSED, reply.RELAY_DENIED, denied) for one in (DORA, A)]


def test_a_header_that_cannot_be_read():
    bad = because(ReasonCode.MESSAGE_UNREADABLE)
    done = process_mail(envelope(A, DORA), Message(b"X: " + b"a" * 400_000), off().gateway(), ATTEMPT)
    assert done == Processed([ended(one, Fate.REFUSED, reply.BAD_MESSAGE, bad) for one in (A, DORA)])


def test_the_log_learns_of_the_mail_what_it_may():
    stage = Stage(settings={"": OFF, "inside.example": replace(OFF, log_subject=True)})
    done = process_mail(envelope(A, DORA), Message(mail(subject="=?utf-8?Q?H=C3=B6?=")), stage.gateway(), ATTEMPT)
    assert done == Processed(
        [relayed(A, *PLANNED), relayed(DORA, NOTHING)],
        "<1@inside.example>", "Hö", frozenset({DORA}), frozenset({DORA}),
    )  # fmt: skip
    nameless = mail().replace(b"Message-ID", b"X-ID")
    done = process_mail(envelope(A), Message(nameless), off().gateway(), ATTEMPT)
    assert done == Processed([relayed(A, *PLANNED)])


def test_what_was_settled_before_is_answered_as_it_was():
    stage = off()
    before = Outcome(
        Address.parse(DORA), Fate.RELAYED, Reply(250, "2.6.0", "queued"), Treatment.OPENED, MethodName.SMIME,
        (NOTHING,), (("layer-1", "x"),),
    )  # fmt: skip
    stage.rows[ATTEMPT, DORA] = before
    outside = ended(A, Fate.REFUSED, reply.NOT_PROTECTED)
    stage.rows[ATTEMPT, A] = outside
    stage.rows[bytes(32), B] = ended(B, Fate.REFUSED, reply.NOT_PROTECTED)
    done = process_mail(envelope(DORA, A, B), Message(mail()), stage.gateway(), ATTEMPT)
    assert done.outcomes == [
        replace(before, reasons=(NOTHING, BEFORE)),
        replace(outside, reasons=(BEFORE,)),
        relayed(B, *PLANNED),
    ]
    assert done.internal == {DORA}
    assert len(stage.sent) == 1


def test_the_attempt_names_the_mail_in_ledger_and_reports():
    asked = envelope(A, DORA, B)
    notify = replace(OFF, on_failure=OnFailure.NOTIFY)
    stage = Stage(settings={"": OFF, A: Settings(mode=Mode.MANDATORY), "inside.example": notify})
    attempts: list[bytes] = []
    stage.failure = lambda attempt, *_: attempts.append(attempt)
    process(asked, Message(mail()), stage.gateway())
    assert {attempt for attempt, _ in stage.rows} | set(attempts) == {attempt_id(asked, Message(mail()))}
    assert attempts
    assert stage.rows
