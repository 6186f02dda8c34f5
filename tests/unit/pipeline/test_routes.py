"""A copy whose recipients have several routes: built once, one transaction for each, remembered in between."""

import pytest

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.envelope import Protocol
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.methods.smime import Smime
from mailseal.pipeline import process
from mailseal.policy.model import Fate, Outcome
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Mode, Settings
from mailseal.ports import Hop
from stage import PARTNER, SENDER, Interrupter, Stage, envelope, mail, stored

A, B, C, DORA = "a@one.example", "b@two.example", "c@one.example", "dora@inside.example"
OFF = Settings(mode=Mode.NEVER, sign=False)


def stage_of(**options: object) -> Stage:
    return Stage(settings={"": OFF}, route_of=lambda address: f"smtp://{address.domain}:25", **options)


def go(stage: Stage, *recipients: str, protocol: Protocol = Protocol.LMTP) -> list[Outcome]:
    return process(envelope(*recipients, protocol=protocol), Message(mail()), stage.gateway())


def sent(stage: Stage) -> list[tuple[str, list[str]]]:
    return [(one.route, [str(each.address) for each in one.recipients]) for one in stage.sent]


def test_one_transaction_for_each_route_in_the_order_of_the_recipients():
    stage = stage_of()
    assert {one.fate for one in go(stage, A, B, C, DORA)} == {Fate.RELAYED}
    assert sent(stage) == [
        ("smtp://inside.example:25", [DORA]),
        ("smtp://one.example:25", [A, C]),
        ("smtp://two.example:25", [B]),
    ]
    assert len({one.chunks for one in stage.sent}) == 1
    assert stage.interrupt.names.count("settle") == 2
    assert {key for _, key in stage.rows} == {DORA, A, C}


def test_a_route_is_asked_for_with_the_direction_of_the_copy():
    class Asked(Stage):
        def route(self, hop, address):
            return f"smtp://{hop}.example:25"

    stage = Asked(settings={"": OFF})
    assert {one.fate for one in go(stage, A, DORA, B)} == {Fate.RELAYED}
    assert [(one.hop, *pair) for one, pair in zip(stage.sent, sent(stage), strict=True)] == [
        (Hop.INSIDE, "smtp://inside.example:25", [DORA]),
        (Hop.OUTSIDE, "smtp://outside.example:25", [A, B]),
    ]


def test_the_copy_is_encrypted_once(monkeypatch):
    made = []
    whole = Smime.encrypt
    monkeypatch.setattr(Smime, "encrypt", lambda *arguments: made.append(1) or whole(*arguments))
    routes = iter(["smtp://x:1", "smtp://y:2"])
    stage = Stage(route_of=lambda _: next(routes)).know(PARTNER).own(SENDER)
    stage.certificates_of["carol@outside.example"] = [stored(PARTNER, selected=True)]
    shown = mail(to="bob@outside.example, carol@outside.example")
    process(envelope("bob@outside.example", "carol@outside.example"), Message(shown), stage.gateway())
    assert [one.route for one in stage.sent] == ["smtp://x:1", "smtp://y:2"]
    assert stage.sent[0].chunks == stage.sent[1].chunks
    assert len(made) == 1


def test_after_a_crash_between_two_routes_only_the_second_is_sent():
    stage = stage_of()
    stage.answer = lambda transfer: (
        [reply.ACCEPTED if "one" in transfer.route else reply.DEFERRED] * len(transfer.recipients)
    )
    assert [one.fate for one in go(stage, A, B)] == [Fate.RELAYED, Fate.DEFERRED]
    stage.sent.clear()
    stage.answer = lambda transfer: [reply.ACCEPTED] * len(transfer.recipients)
    assert [one.fate for one in go(stage, A, B)] == [Fate.RELAYED, Fate.RELAYED]
    assert sent(stage) == [("smtp://two.example:25", [B])]


def test_without_the_ledger_the_second_route_is_not_begun():
    names = stage_of()
    go(names, A, B)
    settle = names.interrupt.names.index("settle") + 1
    stage = stage_of(interrupt=Interrupter(settle, lambda: TransientError("away")))
    first, second = go(stage, A, B)
    assert first.fate is Fate.RELAYED
    assert (second.fate, second.reply) == (Fate.DEFERRED, reply.STORE_UNAVAILABLE)
    assert [route for route, _ in sent(stage)] == ["smtp://one.example:25"]


def test_the_deadline_counts_before_each_route():
    stage = stage_of()

    def slow(transfer):
        stage.seconds += 240.0
        return [reply.ACCEPTED]

    stage.answer = slow
    first, second = go(stage, A, B)
    assert first.fate is Fate.RELAYED
    assert (second.fate, second.reply) == (Fate.DEFERRED, reply.OUT_OF_TIME)
    assert second.reasons[-1].code is ReasonCode.OUT_OF_TIME


@pytest.mark.parametrize("error", [RuntimeError, lambda: TransientError("away")])
def test_a_route_that_fails_leaves_the_other(error):
    stage = stage_of()

    def answer(transfer):
        if "one" in transfer.route:
            raise error()
        return [Reply(550, "5.1.1", "no")]

    stage.answer = answer
    assert [one.fate for one in go(stage, A, B, C)] == [Fate.DEFERRED, Fate.REFUSED, Fate.DEFERRED]


def test_a_look_up_that_fails_defers_that_recipient_alone():
    stage = stage_of()

    def route_of(address):
        if address.domain == "two.example":
            raise TransientError("away")
        return ""

    stage.route_of = route_of
    first, second, third = go(stage, A, B, C)
    assert [first.fate, third.fate] == [Fate.RELAYED] * 2
    assert (second.fate, second.reply) == (Fate.DEFERRED, reply.STORE_UNAVAILABLE)
    assert ReasonCode.SENT_CLEAR in {one.code for one in second.reasons}
    assert sent(stage) == [("", [A, C])]


def test_a_look_up_that_fails_for_all_sends_nothing():
    stage = stage_of(interrupt=Interrupter(error=lambda: TransientError("away")))
    stage.route_of = lambda _: (_ for _ in ()).throw(TransientError("away"))
    assert {one.fate for one in go(stage, A, B, DORA, protocol=Protocol.ESMTP)} == {Fate.DEFERRED}
    assert not stage.sent
    assert not stage.rows
