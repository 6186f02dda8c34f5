"""The order of things: one outcome per RCPT, groups, Bcc, ledger, deadline, byte-exact pass-through."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.errors import PermanentError, TransientError
from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol, attempt_id
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.methods.smime import Smime
from mailseal.pipeline import process
from mailseal.pipeline.explain import explain
from mailseal.policy.model import Fate, MethodName, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Mode, OnFailure, Settings
from mailseal.ports import Hop
from stage import PARTNER, PARTNER_EC, READER, SENDER, Interrupter, Stage, envelope, mail

OFF = Settings(mode=Mode.NEVER, sign=False)


def body_of(transfer) -> bytes:
    """What was sent, without our Received field."""
    assert transfer.chunks[0].startswith(b"Received: ")
    return b"".join(transfer.chunks[1:])


def go(stage: Stage, raw: bytes, *recipients: str, **options: object) -> list:
    return process(envelope(*recipients, **options), Message(raw), stage.gateway())


@given(body=st.binary(max_size=400), to=st.sampled_from(["x@elsewhere.example", "dora@inside.example"]))
def test_mail_that_needs_no_change_leaves_with_the_same_octets(body, to):
    stage = Stage(settings={"": OFF, "inside.example": OFF})
    raw = mail("X-Odd:\tvalue ", "Received: from a by b") + body
    (outcome,) = go(stage, raw, to, sender="eve@elsewhere.example", origin=Origin.OUTSIDE)
    assert outcome.fate is Fate.RELAYED
    assert outcome.treatment is Treatment.PASSED
    assert body_of(stage.sent[0]) == raw


def test_equal_plans_share_one_transaction_and_bcc_gets_its_own():
    third = PARTNER.certificate.san_emails[0]
    stage = Stage().know(PARTNER, PARTNER_EC).own(SENDER)
    raw = mail("Bcc: carol@outside.example", to=third)
    outcomes = go(stage, raw, third, "carol@outside.example", "x@elsewhere.example", "y@elsewhere.example")
    assert [one.treatment for one in outcomes] == [
        Treatment.SIGNED_ENCRYPTED,
        Treatment.SIGNED_ENCRYPTED,
        Treatment.SIGNED,
        Treatment.SIGNED,
    ]
    assert [len(transfer.recipients) for transfer in stage.sent] == [1, 1, 2]
    assert all(b"\r\nBcc:" not in b"".join(transfer.chunks) for transfer in stage.sent)
    assert [transfer.ret for transfer in stage.sent] == ["HDRS", "HDRS", None]


def test_two_hidden_recipients_with_the_same_key_get_two_ciphertexts():
    stage = Stage().own(SENDER)
    for address in ("h1@outside.example", "h2@outside.example"):
        stage.certificates_of[address] = [
            replace(one, selected=True) for one in Stage().know(PARTNER).certificates_of["bob@outside.example"]
        ]
    outcomes = go(stage, mail(to="undisclosed-recipients:;"), "h1@outside.example", "h2@outside.example")
    assert {one.method for one in outcomes} == {MethodName.SMIME}
    assert len(stage.sent) == 2


def test_one_signature_for_all_copies(monkeypatch):
    stage = Stage().know(PARTNER, PARTNER_EC).own(SENDER)
    go(stage, mail(), "bob@outside.example", "carol@outside.example", "x@elsewhere.example")
    assert len(stage.sent) == 3
    assert stage.interrupt.names.count("private_key") == 1


def test_a_repeated_recipient_is_sent_once_and_answered_twice():
    stage = Stage(settings={"": OFF})
    outcomes = go(stage, mail(), "x@elsewhere.example", "X@elsewhere.example")
    assert [one.fate for one in outcomes] == [Fate.RELAYED, Fate.RELAYED]
    assert len(stage.sent) == 1
    assert len(stage.sent[0].recipients) == 1


def test_what_the_ledger_has_settled_is_not_done_again():
    stage = Stage().know(PARTNER).own(SENDER, READER)
    to = ("dora@inside.example", "bob@outside.example", "x@elsewhere.example")
    first = go(stage, mail(), *to)
    # Two effects were committed while others were to come; the last one needs no row.
    assert len(stage.rows) == 2
    stage.sent.clear()
    second = go(stage, mail(), *to)
    assert len(stage.sent) == 1
    assert [one.fate for one in second] == [one.fate for one in first]
    assert [one.treatment for one in second] == [one.treatment for one in first]
    assert ReasonCode.SETTLED_BEFORE in {one.code for one in second[0].reasons}


def test_a_failing_ledger_stops_further_effects_but_not_the_truth_about_this_one():
    stage = Stage().know(PARTNER).own(SENDER, READER)
    names = Stage().know(PARTNER).own(SENDER, READER)
    go(names, mail(), "dora@inside.example", "bob@outside.example")
    k = names.interrupt.names.index("settle") + 1
    stage.interrupt = Interrupter(k, lambda: TransientError("database is gone"))
    outcomes = go(stage, mail(), "dora@inside.example", "bob@outside.example")
    assert [one.fate for one in outcomes] == [Fate.RELAYED, Fate.DEFERRED]
    assert len(stage.sent) == 1


def test_smtp_keeps_settled_recipients_when_it_must_answer_451():
    stage = Stage(settings={"": OFF})
    stage.answer = lambda transfer: [
        reply.ACCEPTED if one.address.local == "a" else Reply(451, "4.2.0", "later") for one in transfer.recipients
    ]
    go(stage, mail(), "a@elsewhere.example", "b@elsewhere.example", protocol=Protocol.ESMTP)
    assert [key for _, key in stage.rows] == ["a@elsewhere.example"]


class PanicException(BaseException):
    """What a panic of Rust code comes as."""


class NoJournalOf:
    """ports.Journals of which asking about one address fails."""

    def __init__(self, address: str, error: BaseException) -> None:
        self.address, self.error = address, error

    def of(self, address):
        if str(address) == self.address:
            raise self.error


@pytest.mark.parametrize(
    ("error", "answer", "code"),
    [
        (TransientError("database is gone"), reply.STORE_UNAVAILABLE, ReasonCode.TRANSIENT_FAILURE),
        (ValueError("a piece of the mail"), reply.DEFERRED, ReasonCode.UNEXPECTED_FAILURE),
        (PanicException("a piece of the mail"), reply.DEFERRED, ReasonCode.UNEXPECTED_FAILURE),
    ],
)
def test_what_fails_before_there_are_tasks_defers_that_recipient_alone(error, answer, code):
    stage = Stage(settings={"": OFF})
    stage.gateway_settings["journals"] = NoJournalOf("y@elsewhere.example", error)
    to = ("x@elsewhere.example", "y@elsewhere.example", "dora@inside.example")
    outcomes = go(stage, mail(), *to)
    assert [one.fate for one in outcomes] == [Fate.RELAYED, Fate.DEFERRED, Fate.RELAYED]
    assert outcomes[1].reply == answer
    assert [one.code for one in outcomes[1].reasons] == [code]
    assert "a piece" not in repr(outcomes[1])


def test_no_effect_starts_after_the_deadline():
    stage = Stage(settings={"": OFF}, gateway_settings={"deadline_seconds": 0.0})
    (outcome,) = go(stage, mail(), "x@elsewhere.example")
    assert outcome.reply == reply.OUT_OF_TIME
    assert not stage.sent


def test_no_notice_is_committed_after_the_deadline():
    must = Settings(mode=Mode.MANDATORY, on_failure=OnFailure.NOTIFY)
    stage = Stage(settings={"": must}, gateway_settings={"deadline_seconds": 0.0}).own(SENDER)
    (outcome,) = go(stage, mail(), "nobody@outside.example")
    assert outcome.reply == reply.OUT_OF_TIME
    assert not stage.reports


def test_plain_smtp_is_no_open_relay_and_answers_a_stranger_without_a_report():
    to = ("dora@inside.example", "x@elsewhere.example")
    options = {"sender": "eve@elsewhere.example", "protocol": Protocol.ESMTP}
    stage = Stage()
    outcomes = go(stage, mail(), *to, origin=Origin.OUTSIDE, **options)
    assert {one.reply.code for one in outcomes} == {550}
    assert not stage.sent
    assert go(stage, mail(), to[0], origin=Origin.OUTSIDE, **options)[0].fate is Fate.RELAYED
    assert go(stage, mail(), to[1], **options)[0].fate is Fate.RELAYED


def test_bcc_is_taken_off_a_copy_in_clear_too():
    stage = Stage(settings={"": OFF})
    raw = mail("Bcc: carol@outside.example")
    go(stage, raw, "x@elsewhere.example", "dora@inside.example")
    assert [body_of(one) for one in stage.sent] == [raw.replace(b"Bcc: carol@outside.example\r\n", b"")] * 2


def test_a_header_without_a_last_line_end_is_mended():
    stage = Stage().know(PARTNER)
    raw = b"From: anna@inside.example\r\nContent-Type: text/plain\r\nTo: bob@outside.example"
    go(stage, raw, "bob@outside.example")
    assert b"To: bob@outside.example\r\nMIME-Version: 1.0\r\n" in stage.octets_sent()


def test_refusals_and_deferrals_of_the_next_hop_reach_the_right_recipient():
    stage = Stage(settings={"": OFF})
    answers = {
        "a": Reply(250, "2.0.0", "ok"),
        "b": Reply(550, "5.1.1", "no such user"),
        "c": Reply(452, "4.2.2", "full"),
    }
    stage.answer = lambda transfer: [answers[one.address.local] for one in transfer.recipients]
    outcomes = go(stage, mail(), "a@elsewhere.example", "b@elsewhere.example", "c@elsewhere.example")
    assert [one.reply for one in outcomes] == list(answers.values())
    assert [one.fate for one in outcomes] == [Fate.RELAYED, Fate.REFUSED, Fate.DEFERRED]


def test_a_mail_in_a_loop_is_refused():
    stage = Stage()
    raw = b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n" * 51 + mail()
    (outcome,) = go(stage, raw, "dora@inside.example")
    assert outcome.reply == reply.TOO_MANY_HOPS


def test_a_header_that_cannot_be_read_is_refused_for_all():
    stage = Stage()
    outcomes = go(stage, b"X: " + b"a" * 400_000 + b"\r\n\r\n", "dora@inside.example", "x@elsewhere.example")
    assert {one.reply for one in outcomes} == {reply.BAD_MESSAGE}


def test_an_unexpected_exception_defers_and_does_not_quote_the_mail():
    stage = Stage(interrupt=Interrupter(1, lambda: ValueError("Subject: the secret")))
    (outcome,) = go(stage, mail(), "x@elsewhere.example")
    assert outcome.fate is Fate.DEFERRED
    assert "secret" not in repr(outcome)
    assert outcome.reasons[-1].code is ReasonCode.UNEXPECTED_FAILURE


class Panic(BaseException):
    """As Rust code raises it: no Exception."""


def test_a_panic_defers_its_own_copy_and_leaves_what_the_others_got():
    calls = Stage()
    go(calls, mail(), "x@elsewhere.example")
    for k in range(1, calls.interrupt.calls + 1):
        (outcome,) = go(Stage(interrupt=Interrupter(k, Panic)), mail(), "x@elsewhere.example")
        assert outcome.fate is Fate.DEFERRED
    stage = Stage()
    stage.route_of = lambda address: address.local

    def answer(transfer):
        if transfer.route == "b":
            raise Panic
        return [reply.ACCEPTED]

    stage.answer = answer
    outcomes = go(stage, mail(), *(f"{name}@elsewhere.example" for name in "abc"))
    assert [one.fate for one in outcomes] == [Fate.RELAYED, Fate.DEFERRED, Fate.RELAYED]


def test_notify_commits_a_report_with_headers_only():
    must = Settings(mode=Mode.MANDATORY, on_failure=OnFailure.NOTIFY)
    stage = Stage(settings={"": must}).own(SENDER)
    (outcome,) = go(stage, mail(body=b"CANARY"), "nobody@outside.example")
    assert outcome.fate is Fate.NOTIFIED
    assert outcome.reply.accepted
    ((recipient, sender, report),) = stage.reports
    assert (recipient, sender) == ("nobody@outside.example", "anna@inside.example")
    assert b"CANARY" not in report
    assert b"Subject: Hello" in report


def test_method_that_fails_for_good_is_crossed_out_and_planned_again(monkeypatch):
    must = Settings(mode=Mode.MANDATORY)
    stage = Stage(settings={"bob@outside.example": must}).know(PARTNER, PARTNER_EC).own(SENDER)

    def broken(*_: object) -> bytes:
        raise PermanentError("cannot")

    monkeypatch.setattr(Smime, "encrypt", broken)
    outcomes = go(stage, mail(), "bob@outside.example", "carol@outside.example")
    assert outcomes[0].fate is Fate.REFUSED
    # carol's mail need not be encrypted, so hers leaves signed
    assert outcomes[1].treatment is Treatment.SIGNED


def test_a_signer_that_fails_for_good_does_not_cost_the_encryption(monkeypatch):
    def broken(*_: object) -> bytes:
        raise PermanentError("cannot")

    monkeypatch.setattr(Smime, "sign", broken)
    stage = Stage(settings={"carol@outside.example": Settings(mode=Mode.MANDATORY)})
    stage.know(PARTNER, PARTNER_EC).own(SENDER)
    outcomes = go(stage, mail(), "bob@outside.example", "carol@outside.example", "x@elsewhere.example")
    assert [one.treatment for one in outcomes] == [Treatment.ENCRYPTED, Treatment.ENCRYPTED, Treatment.PASSED]


def test_an_outbound_report_is_cut_to_headers_unless_encrypted():
    inner = mail(body=b"CANARY\r\n")
    raw = (
        b"From: postmaster@inside.example\r\nTo: eve@elsewhere.example\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;x\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    )
    stage = Stage(settings={"": OFF})
    (outcome,) = go(stage, raw, "eve@elsewhere.example", sender=None)
    assert outcome.fate is Fate.RELAYED
    sent = stage.octets_sent()
    assert b"CANARY" not in sent
    assert b"Subject: Hello" in sent


def test_signing_only_for_authorised_origin_and_one_internal_from():
    for options, raw in [
        ({"origin": Origin.OUTSIDE}, mail()),
        ({}, mail(sender="anna@inside.example, dora@inside.example")),
        ({"sender": "eve@elsewhere.example"}, mail()),
    ]:
        stage = Stage().own(SENDER)
        (outcome,) = go(stage, raw, "x@elsewhere.example", **options)
        assert outcome.treatment is Treatment.PASSED, options


def test_explain_says_what_process_does():
    stage = Stage(settings={"nobody@outside.example": Settings(mode=Mode.MANDATORY)}).know(PARTNER).own(SENDER, READER)
    to = ("bob@outside.example", "nobody@outside.example", "x@elsewhere.example", "dora@inside.example")
    told = explain(envelope(*to), Message(mail()), stage.gateway())
    assert not stage.sent
    done = go(stage, mail(), *to)
    assert [(one.recipient, one.fate, one.treatment, one.method) for one in told] == [
        (str(one.recipient), one.fate, one.treatment, one.method) for one in done
    ]
    assert [one.reasons for one in told] == [one.reasons for one in done]
    assert [one.hop for one in told] == [Hop.OUTSIDE, None, Hop.OUTSIDE, Hop.INSIDE]


def test_explain_says_that_a_key_not_at_hand_defers():
    stage = Stage(settings={"": Settings(mode=Mode.MANDATORY)}).know(PARTNER).own(SENDER)
    stage.keys.clear()
    (told,) = explain(envelope("bob@outside.example"), Message(mail()), stage.gateway())
    (done,) = go(stage, mail(), "bob@outside.example")
    assert (told.fate, told.reasons) == (done.fate, done.reasons)
    assert done.fate is Fate.DEFERRED


def test_attempt_is_the_same_for_fewer_recipients_and_another_for_another_client():
    one = envelope("a@elsewhere.example", "b@elsewhere.example")
    raw = Message(mail())
    assert attempt_id(one, raw) == attempt_id(replace(one, recipients=one.recipients[:1]), raw)
    assert attempt_id(one, raw) != attempt_id(replace(one, queue_id="Q1"), raw)
    assert attempt_id(one, raw) != attempt_id(one, Message(mail(body=b"x")))


@pytest.mark.parametrize("trigger", ["[encrypt] Hello", "Hello [ENCRYPT]"])
def test_subject_trigger_encrypts_and_is_taken_off(trigger):
    stage = Stage(settings={"": Settings(mode=Mode.NEVER)}).know(PARTNER).own(SENDER)
    (outcome,) = go(stage, mail(subject=trigger), "bob@outside.example")
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED
    assert b"\r\nSubject: Hello\r\n" in stage.octets_sent()


def test_a_trigger_from_outside_fires_nothing_and_is_taken_off_for_internal_readers():
    stage = Stage()
    raw = mail(sender="eve@elsewhere.example", subject="[encrypt] Hello", to="dora@inside.example")
    (outcome,) = go(stage, raw, "dora@inside.example", sender="eve@elsewhere.example", origin=Origin.OUTSIDE)
    assert outcome.fate is Fate.RELAYED
    assert b"\r\nSubject: Hello\r\n" in stage.octets_sent()


def test_notify_is_the_senders_choice_and_declined_by_notify_never():
    notify = Settings(on_failure=OnFailure.NOTIFY)
    stage = Stage(settings={"inside.example": notify, "outside.example": Settings(mode=Mode.MANDATORY)}).own(SENDER)
    (outcome,) = go(stage, mail(), "nobody@outside.example")
    assert outcome.fate is Fate.NOTIFIED
    never = envelope("nobody@outside.example")
    never = replace(never, recipients=(replace(never.recipients[0], notify="NEVER"),))
    (outcome,) = process(never, Message(mail()), stage.gateway())
    assert outcome.fate is Fate.REFUSED


def test_an_additional_certificate_that_cannot_be_used_is_said():
    additional = Settings(additional_certificates=("ab" * 32,))
    stage = Stage(settings={"": additional}).know(PARTNER).own(SENDER)
    (outcome,) = go(stage, mail(), "bob@outside.example")
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED
    assert ReasonCode.ADDITIONAL_CERTIFICATE_UNUSABLE in {one.code for one in outcome.reasons}


def test_keys_that_cannot_be_looked_up_defer_only_their_reader():
    outer = Stage(internal=set()).know(READER)
    go(outer, mail(), "dora@inside.example", sender="eve@elsewhere.example", origin=Origin.OUTSIDE)
    encrypted = b"".join(outer.sent[0].chunks)
    to = ("dora@inside.example", "anna@inside.example")
    names = Stage().own(READER, SENDER)
    go(names, encrypted, *to, sender="eve@elsewhere.example", origin=Origin.OUTSIDE)
    k = names.interrupt.names.index("with_key_of") + 1
    stage = Stage(interrupt=Interrupter(k, lambda: TransientError("away"))).own(READER, SENDER)
    outcomes = go(stage, encrypted, *to, sender="eve@elsewhere.example", origin=Origin.OUTSIDE)
    assert [one.fate for one in outcomes] == [Fate.DEFERRED, Fate.RELAYED]
