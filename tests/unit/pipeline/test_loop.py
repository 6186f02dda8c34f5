"""The loop header: what it says, for whom, for how long; and what it can never do."""

import base64
import hashlib
import hmac
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.errors import TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.pipeline import process
from mailseal.pipeline.loop import MAX_FIELDS, MAX_MACS, PADDED_TO, VALID_SECONDS, BeenThrough, loop_field, loop_fields
from mailseal.policy.model import Fate, Outcome, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Mode, Settings
from mailseal.ports import Transfer
from pki import NOW
from stage import PARTNER, SENDER, TENANT, Interrupter, LoopStage, Stage, envelope, mail, stored

ANNA, BOB, CAROL = (
    Address.parse(one) for one in ("anna@inside.example", "bob@outside.example", "carol@outside.example")
)
STAMPS = (f"X-MS-Exchange-CrossTenant-Id: {TENANT}", "X-MS-Exchange-CrossTenant-AuthAs: Internal")
KEYS = LoopStage(Interrupter())
RAW = mail()


def marked(raw: bytes = RAW, *to: Address, keys=KEYS, sender=ANNA, message_id="<1@inside.example>", at=NOW) -> bytes:
    return loop_field(keys, [raw], message_id, sender, to or (BOB, CAROL), at) + raw


def been(raw: bytes, to: Address = BOB, *, keys=KEYS, sender=ANNA, at=NOW) -> bool:
    return BeenThrough(parse(raw).root, sender, at).holds_for(to, keys)


def test_every_subset_of_the_recipients_verifies_and_nobody_else():
    raw = marked()
    assert been(raw, BOB)
    assert been(raw, CAROL)
    assert been(raw, Address.parse("BOB@outside.EXAMPLE"))
    assert not been(raw, ANNA)


def test_how_it_is_written():
    field = marked().partition(b"\r\nFrom:")[0]
    value = re.sub(rb"\r\n ", b" ", field)
    assert re.fullmatch(
        rb"X-Mailseal-Loop: v=1; t=%d; m=[A-Za-z0-9_-]{22}( [A-Za-z0-9_-]{22}){31}" % NOW.timestamp(), value
    )
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert len(loop_fields(parse(marked()).root)) == 1


@pytest.mark.parametrize(("recipients", "macs"), [(1, 32), (31, 32), (32, 32), (33, 64)])
def test_it_does_not_say_how_many_it_is_for(recipients, macs):
    to = [Address.parse(f"{n}@outside.example") for n in range(recipients)]
    raw = marked(RAW, *to)
    assert len(parse(raw).root.header("x-mailseal-loop").partition("m=")[2].split()) == macs
    assert macs % PADDED_TO == 0
    assert all(been(raw, one) for one in to)


@pytest.mark.parametrize(
    "other",
    [
        RAW.replace(b"The canary", b"A canary"),
        RAW + b"one line more\r\n",
        RAW.replace(b"<1@", b"<2@"),
        RAW.replace(b"Message-ID: <1@inside.example>\r\n", b""),
        RAW.replace(b"Message-ID: ", b"Message-ID: <1@inside.example>\r\nMessage-ID: "),
    ],
)
def test_copied_into_another_mail_it_counts_for_nothing(other):
    field = marked()[: -len(RAW)]
    assert been(field + RAW)
    assert not been(field + other)


def test_another_envelope_sender():
    assert not been(marked(), sender=BOB)
    assert not been(marked(), sender=None)
    assert been(marked(sender=None), sender=None)


@pytest.mark.parametrize(
    ("seconds", "holds"), [(0, True), (VALID_SECONDS, True), (VALID_SECONDS + 1, False), (-300, True), (-301, False)]
)
def test_for_an_hour(seconds, holds):
    raw = marked()
    assert been(raw, at=NOW.replace(microsecond=0) + timedelta(seconds=seconds)) is holds


def test_an_old_one_does_not_become_young_by_another_time_in_it():
    old = marked(at=NOW - timedelta(hours=2))
    time = int((NOW - timedelta(hours=2)).timestamp())
    assert been(old, at=NOW - timedelta(hours=2))
    assert not been(old.replace(b"t=%d" % time, b"t=%d" % NOW.timestamp()))


def test_what_the_mac_covers():
    """Told anew: HMAC-SHA256 over a label, four texts each behind its length, and SHA-256 of the body."""
    parts = (str(int(NOW.timestamp())), "<1@inside.example>", "anna@inside.example", "bob@outside.example")
    covered = b"mailseal loop 1" + b"".join(len(one).to_bytes(4, "big") + one.encode() for one in parts)
    body = hashlib.sha256(RAW.partition(b"\r\n\r\n")[2].rstrip()).digest()
    mac = hmac.new(b"k" * 32, covered + body, "sha256").digest()[:16]
    text = base64.urlsafe_b64encode(mac).decode().rstrip("=")
    assert text in parse(marked(RAW, BOB)).root.header("x-mailseal-loop").partition("m=")[2].split()


def test_from_nobody_and_without_a_message_id():
    bare = RAW.replace(b"Message-ID: <1@inside.example>\r\n", b"")
    field = loop_field(KEYS, [bare], "", None, [BOB], NOW)
    assert been(field + bare, sender=None)
    assert not been(field + bare, sender=ANNA)
    assert not been(field + RAW, sender=None)


def test_a_body_that_ends_in_a_million_lines_of_nothing():
    long = RAW + b"\r\n" * 600_000
    assert been(marked(long))
    assert been(marked(long)[:-1000])
    assert not been(marked(long) + b"x")
    assert not been(marked(long).replace(b"The canary", b"A canary"))


def test_servers_on_the_way_may_fold_anew_and_change_line_ends_at_the_end():
    raw = marked()
    field, rest = raw[: -len(RAW)], RAW
    unfolded = field.replace(b"\r\n ", b" ")
    assert been(unfolded + rest)
    assert been(field.replace(b"\r\n ", b"\r\n\t  ") + rest)
    assert been(field + rest + b"\r\n\r\n")
    assert been(b"Received: from a by b\r\nX-A: b\r\n" + field + b"X-B: c\r\n" + rest)
    assert been(field.replace(b"X-Mailseal-Loop", b"x-mailseal-LOOP") + rest)


def test_a_header_in_several_chunks():
    head, _, body = RAW.partition(b"\r\n\r\n")
    for copy in ([head, b"\r\n", b"\r\n" + body], [head + b"\r\n\r\n", body, b"\r\n\r\n"], [head + b"\r\n\r\n" + body]):
        field = loop_field(KEYS, copy, "<1@inside.example>", ANNA, [BOB], NOW)
        assert been(field + RAW)
    empty = head + b"\r\n"
    assert been(loop_field(KEYS, [empty], "<1@inside.example>", ANNA, [BOB], NOW) + empty)


def test_a_new_key_writes_and_the_one_before_still_verifies():
    old, both = LoopStage(Interrupter(), [b"a" * 32]), LoopStage(Interrupter(), [b"b" * 32, b"a" * 32])
    assert been(marked(keys=old), keys=both)
    assert not been(marked(keys=both), keys=old)


def test_no_key_at_hand():
    def fail():
        return TransientError("later")

    broken = LoopStage(Interrupter(1, fail))
    with pytest.raises(TransientError):
        marked(keys=broken)
    with pytest.raises(TransientError):
        been(marked(), keys=LoopStage(Interrupter(1, fail)))
    assert not been(RAW, keys=LoopStage(Interrupter(1, fail)))  # nothing to verify: not even asked for


def test_bounded():
    field = marked()[: -len(RAW)]
    assert been(field * MAX_FIELDS + RAW)
    assert not been(field * (MAX_FIELDS + 1) + RAW)
    for more, holds in ((MAX_MACS - PADDED_TO, True), (MAX_MACS - PADDED_TO + 1, False)):
        macs = b" ".join(b"%022d" % n for n in range(more))
        many = b"X-Mailseal-Loop: v=1; t=%d; m=%b\r\n" % (NOW.timestamp(), macs)
        assert been(field + many + RAW) is holds
    assert been(b"X-Mailseal-Loop: nonsense\r\n" + field + RAW)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=120)
    | st.from_regex(r"v=1; t=\d{1,12}; m=[A-Za-z0-9_-]{22}", fullmatch=True)
)
def test_nothing_made_up_holds(value):
    raw = b"X-Mailseal-Loop: " + re.sub(r"[\r\n]", " ", value).encode() + b"\r\n" + RAW
    assert not been(raw)


# ---- on the mail path


def go(stage: Stage, raw: bytes, *to: Address, **options: object) -> list[Outcome]:
    message = envelope(*map(str, to), **{"origin": Origin.NEIGHBOUR, **options})
    return process(message, Message(raw), stage.gateway())


def octets(transfer: Transfer) -> bytes:
    return b"".join(transfer.chunks)


def exchange_online(transfer: Transfer) -> bytes:
    """What comes back when it sends a copy here once more: its stamps are taken off and put on again."""
    head, blank, body = octets(transfer).partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.startswith(b"X-MS-Exchange-CrossTenant")]
    return b"Received: from a by b\r\n" + b"\r\n".join([*map(str.encode, STAMPS), *kept]) + blank + body


def beside(mode: Mode = Mode.ALLOW, **options: object) -> Stage:
    return Stage(settings={"": Settings(mode=mode, **options)}).beside_exchange_online()


def codes(outcome: Outcome) -> set[ReasonCode]:
    return {one.code for one in outcome.reasons}


def test_a_copy_that_comes_back_is_not_protected_once_more():
    stage = beside().own(SENDER)
    (first,) = go(stage, mail(*STAMPS), CAROL)
    assert first.treatment is Treatment.SIGNED
    stage.certificates_of[CAROL.key] = [stored(PARTNER, selected=True)]
    back = exchange_online(stage.sent[0])
    (second,) = go(stage, back, CAROL)
    assert second.treatment is Treatment.PASSED
    assert ReasonCode.BEEN_THROUGH in codes(second)
    assert octets(stage.sent[1]).count(b"X-Mailseal-Loop:") == 1
    assert parse(octets(stage.sent[1])).root.header("x-mailseal-loop") != parse(back).root.header("x-mailseal-loop")


def test_only_for_those_it_was_for():
    stage = beside(sign=False).know(PARTNER)
    go(stage, mail(*STAMPS), CAROL)
    first, second = go(stage, exchange_online(stage.sent[0]), CAROL, BOB)
    assert ReasonCode.BEEN_THROUGH in codes(first)
    assert second.treatment is Treatment.ENCRYPTED


@pytest.mark.parametrize("demand", ["mandatory", "trigger"])
def test_what_must_be_encrypted_never_passes_because_of_it(demand):
    """The sender himself, within the hour, by a header that verifies: a mail that went clear before it had to."""
    stage = beside(sign=False)
    subject = "[encrypt] x" if demand == "trigger" else "x"
    plain = mail(*STAMPS, subject=subject, body=b"CANARY\r\n")
    field = loop_field(stage.loop, [plain], "<1@inside.example>", ANNA, [CAROL], NOW)
    if demand == "mandatory":
        stage.settings[CAROL.key] = Settings(mode=Mode.MANDATORY)
    (outcome,) = go(stage, field + plain, CAROL)
    assert outcome.fate is Fate.REFUSED
    assert ReasonCode.BEEN_THROUGH not in codes(outcome)
    assert not stage.sent


def test_what_was_encrypted_passes_by_its_structure():
    stage = beside(Mode.MANDATORY, sign=False).know(PARTNER)
    go(stage, mail(*STAMPS), BOB)
    (outcome,) = go(stage, exchange_online(stage.sent[0]), BOB)
    assert outcome.treatment is Treatment.PASSED
    assert ReasonCode.ALREADY_ENCRYPTED in codes(outcome)


@pytest.mark.parametrize("origin", list(Origin))
def test_no_loop_header_is_ever_sent_on(origin):
    stage = beside(sign=False)
    forged = b"X-Mailseal-Loop: v=1; t=1; m=" + b"A" * 22 + b"\r\n"
    raw = forged + b"x-mailseal-loop : no\r\n" + forged + mail(*STAMPS)
    go(stage, raw, BOB, ANNA, origin=origin)
    for transfer in stage.sent:
        found = parse(octets(transfer)).root.headers("x-mailseal-loop")
        assert len(found) == (origin is Origin.NEIGHBOUR)
        assert "A" * 22 not in " ".join(found)


def test_from_elsewhere_it_counts_for_nothing():
    stage = beside(sign=False).know(PARTNER)
    plain = mail()
    field = loop_field(stage.loop, [plain], "<1@inside.example>", ANNA, [BOB], NOW)
    (outcome,) = go(stage, field + plain, BOB, origin=Origin.AUTHORISED)
    assert outcome.treatment is Treatment.ENCRYPTED


def test_mail_to_internal_recipients_is_opened_and_marked_anew_all_the_same():
    stage = beside()
    marks = "X-Mailseal-Signed-By-Sender: yes"
    plain = mail(*STAMPS, marks)
    field = loop_field(stage.loop, [plain], "<1@inside.example>", BOB, [ANNA], NOW)
    go(stage, field + plain, ANNA, sender=str(BOB))
    assert b"Signed-By-Sender" not in octets(stage.sent[0])


def test_the_header_is_on_each_copy_for_its_own_recipients():
    stage = beside(sign=False).know(PARTNER)
    go(stage, mail(*STAMPS), BOB, CAROL)
    assert len(stage.sent) == 2
    for transfer in stage.sent:
        (one,) = transfer.recipients
        raw = octets(transfer)
        assert been(raw, one.address, keys=stage.loop)
        assert not been(raw, CAROL if one.address == BOB else BOB, keys=stage.loop)


def test_without_a_key_nothing_leaves():
    stage = beside(sign=False)
    stage.loop.keys = []
    assert {one.fate for one in go(stage, mail(*STAMPS), BOB, ANNA)} == {Fate.DEFERRED}
    assert not stage.sent


def test_a_mail_that_goes_round_and_round_ends():
    stage = beside(sign=False)
    raw, fate = mail(*STAMPS), Fate.RELAYED
    for _ in range(60):
        (outcome,) = go(stage, raw, BOB)
        fate = outcome.fate
        if fate is not Fate.RELAYED:
            break
        raw = exchange_online(stage.sent[-1])
    assert fate is Fate.REFUSED
    assert ReasonCode.TOO_MANY_HOPS in codes(outcome)


_settings = st.builds(
    Settings,
    mode=st.sampled_from(Mode),
    sign=st.booleans(),
    skip_calendar=st.booleans(),
    sign_only_when_encrypting=st.booleans(),
)
_forged = st.lists(
    st.sampled_from(["v=1", "v=1; t=99999999999; m=" + "A" * 22, "v=1; t={now}; m=" + "A" * 22, "yes"]),
    min_size=1,
    max_size=3,
)


@given(
    settings=_settings, forged=_forged, subject=st.sampled_from(["x", "[encrypt] x", "[sign] x"]), known=st.booleans()
)
def test_a_forged_header_never_reduces_protection(settings, forged, subject, known):
    said = [f"X-Mailseal-Loop: {one.replace('{now}', str(int(NOW.timestamp())))}" for one in forged]
    results = []
    for fields in ((), said):
        stage = Stage(settings={"": replace(settings)}).beside_exchange_online().own(SENDER)
        if known:
            stage.know(PARTNER)
        (outcome,) = go(stage, mail(*STAMPS, *fields, subject=subject), BOB)
        results.append((outcome.fate, outcome.treatment, outcome.method, outcome.reasons))
    assert results[0] == results[1]
