"""Who is told what of a copy: managers and an internal sender, as the settings say, once its fate is known."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dlp_stage import with_dlp, word
from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin, attempt_id, mail_id
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.mail.reply import Reply
from mailseal.notices.mark import mark
from mailseal.pipeline import process
from mailseal.pipeline.case import Case
from mailseal.pipeline.process import process_mail
from mailseal.pipeline.telling import kinds_of
from mailseal.policy.decide import finding_reason
from mailseal.policy.model import Action, Fate, Finding, Outcome
from mailseal.policy.notice_kind import EVENTS, NoticeKind, Role
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, OnFailure, Settings
from mailseal.ports import Hop
from pki import NOW
from stage import PARTNER, SENDER, TENANT, Interrupter, Stage, envelope, mail

ANNA, BOB, X = "anna@inside.example", "bob@outside.example", "x@elsewhere.example"
MANAGER, AWAY = "dlp@inside.example", "dlp@consultant.example"
ALL = {"notify_sender": EVENTS, "notify_managers": EVENTS, "dlp_managers": (MANAGER,)}
WORDS = (
    word("warnword", Action.WARN),
    word("heldword", Action.QUARANTINE),
    word("blockword", Action.BLOCK),
    word("mustword", Action.MUST_ENCRYPT),
    word("latewarn", Action.WARN, delayed=True),
)


def a_stage(**settings):
    stage = Stage(settings={"": Settings(**(ALL | settings))}).know(PARTNER).own(SENDER)
    return stage, with_dlp(stage, {"": WORDS})


def told(text: str, to: str = X, *, raw: bytes | None = None, sender: str | None = ANNA, **more):
    stage, dlp = a_stage(**more)
    octets = mail(body=text.encode()) if raw is None else raw
    process(envelope(to, sender=sender), Message(octets), stage.gateway())
    return dlp.notices.told


def both(kind: NoticeKind) -> list[tuple[str, str, str]]:
    return [(kind, "manager", MANAGER), (kind, "sender", ANNA)]


@pytest.mark.parametrize(
    ("text", "to", "settings", "kinds"),
    [
        ("nothing", X, {}, []),
        ("nothing", BOB, {}, [NoticeKind.ENCRYPTED]),
        ("warnword", X, {}, [NoticeKind.DLP_WARN]),
        ("warnword", BOB, {}, [NoticeKind.DLP_WARN, NoticeKind.ENCRYPTED]),
        ("latewarn", X, {}, [NoticeKind.DLP_WARN]),
        ("latewarn", BOB, {}, [NoticeKind.ENCRYPTED]),
        ("mustword", BOB, {}, [NoticeKind.ENCRYPTED]),
        ("mustword warnword", X, {}, [NoticeKind.NOT_ENCRYPTED]),
        ("mustword", X, {"on_failure": OnFailure.NOTIFY}, [NoticeKind.NOT_ENCRYPTED]),
        ("mustword", X, {"on_failure": OnFailure.QUARANTINE}, [NoticeKind.MUST_ENCRYPT_HELD]),
        ("heldword warnword", BOB, {}, [NoticeKind.DLP_QUARANTINE]),
        ("heldword mustword", X, {"on_failure": OnFailure.QUARANTINE}, [NoticeKind.DLP_QUARANTINE]),
        ("blockword heldword warnword", BOB, {}, [NoticeKind.DLP_BLOCK]),
        ("warnword", X, {"mode": Mode.MANDATORY}, [NoticeKind.NOT_ENCRYPTED]),
    ],
)
def test_what_has_happened(text, to, settings, kinds):
    assert told(text, to, **settings) == [one for kind in kinds for one in both(kind)]


def test_an_ambiguous_mail():
    raw = b"Content-Type: text/plain\r\nContent-Type: text/html\r\n" + mail()
    settings = {"mode": Mode.MANDATORY, "on_failure": OnFailure.QUARANTINE, "dlp": False}
    assert told("", raw=raw, **settings) == both(NoticeKind.AMBIGUOUS_HELD)


def test_nobody_is_told_of_a_notice_of_ours_nor_where_that_cannot_be_said():
    stage, dlp = a_stage()
    raw = mail("Date: Thu, 1 Jan 2026 00:00:00 +0000", body=b"warnword\r\n")
    marked = mark(stage.loop.keys[0], parse(raw).root, NOW) + raw
    stage.gateway_settings["notice_keys"] = stage.loop
    process(envelope(BOB), Message(marked), stage.gateway())
    assert not dlp.notices.asked
    process(envelope(BOB), Message(marked.replace(b"warnword", b"warnword!")), stage.gateway())
    assert dlp.notices.told == [*both(NoticeKind.DLP_WARN), *both(NoticeKind.ENCRYPTED)]
    dlp.notices.asked.clear()
    stage.loop.interrupt = Interrupter(1, lambda: TransientError("the key is not at hand"))
    stage.gateway_settings["patterns"].given.clear()
    (outcome,) = process(envelope(BOB), Message(marked), stage.gateway())
    assert (outcome.fate, dlp.notices.asked) == (Fate.RELAYED, [])


def test_the_fate_decides_not_the_findings_alone():
    found = finding_reason(Finding("blockword", Action.BLOCK))
    case = Case(Settings(), (Finding("blockword", Action.BLOCK),), None)
    for fate, reasons in (
        (Fate.REFUSED, ()),
        (Fate.REFUSED, (found, because(ReasonCode.NEXT_HOP_REPLIED))),
        (Fate.DEFERRED, (found,)),
        (Fate.KEPT, (found,)),
    ):
        outcome = Outcome(Address.parse(X), fate, reply.BLOCKED, reasons=reasons)
        assert kinds_of(outcome, case, released=False) == ()
    outcome = Outcome(Address.parse(X), Fate.REFUSED, reply.BLOCKED, reasons=(found,))
    assert kinds_of(outcome, case, released=False) == (NoticeKind.DLP_BLOCK,)
    assert kinds_of(outcome, case, released=True) == ()


def test_who_is_told_is_a_setting():
    assert told("heldword", notify_sender=()) == both(NoticeKind.DLP_QUARANTINE)[:1]
    assert told("heldword", notify_managers=()) == both(NoticeKind.DLP_QUARANTINE)[1:]
    assert told("heldword", notify_sender=("dlp-warn",), notify_managers=("dlp-warn",)) == []
    assert told("heldword", dlp_managers=(ANNA, MANAGER)) == [
        ("dlp-quarantine", "manager", ANNA),
        ("dlp-quarantine", "manager", MANAGER),
    ]


def test_a_manager_outside_is_told_only_if_that_is_set():
    assert told("heldword", dlp_managers=(AWAY,), notify_sender=()) == []
    assert told("heldword", dlp_managers=(AWAY, MANAGER)) == both(NoticeKind.DLP_QUARANTINE)
    assert told("heldword", dlp_managers=(AWAY,), notify_sender=(), notify_outside_managers=True) == [
        ("dlp-quarantine", "manager", AWAY)
    ]


@pytest.mark.parametrize("sender", [None, "eve@elsewhere.example"])
@pytest.mark.parametrize("text", ["heldword", "blockword", "warnword", "mustword"])
def test_no_other_sender_is_told_anything(sender, text):
    roles = {role for _, role, _ in told(text, sender=sender)}
    assert roles == {"manager"}


def test_mail_from_the_world_tells_its_sender_nothing():
    """A neighbour hands in what comes from outside, too, whatever sender it names."""
    stage, dlp = a_stage()
    stage.beside_exchange_online(takes_others=True)
    stamps = (f"X-MS-Exchange-CrossTenant-Id: {TENANT}", "X-MS-Exchange-CrossTenant-AuthAs: Anonymous")
    process(envelope(X, origin=Origin.NEIGHBOUR), Message(mail(*stamps, body=b"heldword")), stage.gateway())
    assert {role for _, role, _ in dlp.notices.told} <= {"manager"}


def test_what_a_notice_says():
    stage, dlp = a_stage(notice_subject=True, quarantine_days=3)
    raw = mail(body=b"heldword, heldword and warnword")
    given = envelope(X)
    process(given, Message(raw), stage.gateway())
    [manager, sender] = dlp.notices.asked
    attempt = attempt_id(given, Message(raw))
    assert (manager.attempt, str(manager.about), str(manager.sender)) == (attempt, X, ANNA)
    assert (sender.role, sender.hop, sender.facts) == (Role.SENDER, None, manager.facts)
    facts = manager.facts
    assert [(one.name, one.count, one.action) for one in facts.found] == [
        ("heldword", 1, Action.QUARANTINE),
        ("warnword", 1, Action.WARN),
    ]
    assert (facts.at, facts.mail, facts.message_id) == (NOW, mail_id(attempt), "<1@inside.example>")
    assert (facts.subject, facts.quarantine, facts.expires) == ("Hello", "q1", NOW + timedelta(days=3))
    assert ReasonCode.HELD in {one.code for one in facts.reasons}


def test_a_subject_is_shown_only_if_that_is_set_and_nothing_is_in_it():
    for subject, allowed, shown in (("Hello", False, ""), ("Hello", True, "Hello"), ("warnword", True, "")):
        stage, dlp = a_stage(notice_subject=allowed)
        process(envelope(X), Message(mail(subject=subject, body=b"warnword")), stage.gateway())
        assert dlp.notices.asked[0].facts.subject == shown
        assert dlp.notices.asked[0].facts.quarantine == ""
        assert dlp.notices.asked[0].facts.expires is None


def test_no_subject_is_shown_where_something_was_found_in_more_places_than_are_named():
    stage, dlp = a_stage(notice_subject=True, log_subject=True)
    raw = b"".join(b"X-%d: warnword\r\n" % number for number in range(30)) + mail(subject="warnword")
    done = process_mail(envelope(X), Message(raw), stage.gateway(), b"a" * 32)
    assert (done.subject, dlp.notices.asked[0].facts.subject, dlp.notices.asked[0].facts.message_id) == ("", "", "")


def test_the_method_of_what_was_encrypted():
    stage, dlp = a_stage()
    process(envelope(BOB), Message(mail()), stage.gateway())
    assert [one.facts.detail for one in dlp.notices.asked] == ["smime", "smime"]
    dlp.notices.asked.clear()
    process(envelope(BOB), Message(mail(body=b"warnword")), stage.gateway())
    assert [one.facts.detail for one in dlp.notices.asked] == ["", "", "smime", "smime"]


def test_a_neighbour_gets_its_notices_back():
    stage, dlp = a_stage()
    stage.beside_exchange_online()
    stamps = (f"X-MS-Exchange-CrossTenant-Id: {TENANT}", "X-MS-Exchange-CrossTenant-AuthAs: Internal")
    process(envelope(X, origin=Origin.NEIGHBOUR), Message(mail(*stamps, body=b"heldword")), stage.gateway())
    assert [one.hop for one in dlp.notices.asked] == [Hop.NEIGHBOUR, Hop.NEIGHBOUR]
    assert dlp.quarantine.held[0].envelope.origin is Origin.NEIGHBOUR


def test_what_goes_wrong_with_a_copy_is_told_of_nobody():
    stage, dlp = a_stage()
    for code in (451, 550):
        stage.answer = lambda transfer, code=code: [Reply(code, "", "no")] * len(transfer.recipients)
        process(envelope(BOB, X), Message(mail(body=b"warnword")), stage.gateway())
    assert not dlp.notices.asked


@pytest.mark.parametrize("error", [TransientError("database is gone"), RuntimeError("boom"), MemoryError()])
@pytest.mark.parametrize(
    ("text", "fate", "answer"),
    [
        ("warnword", Fate.RELAYED, reply.ACCEPTED),
        ("blockword", Fate.REFUSED, reply.BLOCKED),
    ],
)
def test_a_notice_that_cannot_be_kept_changes_nothing(error, text, fate, answer):
    stage, dlp = a_stage()
    expected = process(envelope(X), Message(mail(body=text.encode())), stage.gateway())[0]
    dlp.quarantine.rows.clear()
    dlp.notices.interrupt = Interrupter(1, lambda: error)
    (outcome,) = process(envelope(X), Message(mail(body=text.encode())), stage.gateway())
    assert (outcome.fate, outcome.reply) == (fate, answer)
    assert outcome.reasons[-1] == expected.reasons[-1]
    assert ReasonCode.NOTICE_NOT_KEPT in {one.code for one in outcome.reasons}


@pytest.mark.parametrize("error", [TransientError("database is gone"), RuntimeError("boom"), MemoryError()])
def test_a_held_copy_and_its_notices_are_kept_together_or_neither_is(error):
    stage, dlp = a_stage()
    dlp.notices.interrupt = Interrupter(1, lambda: error)
    (outcome,) = process(envelope(X), Message(mail(body=b"heldword")), stage.gateway())
    assert (outcome.fate, dlp.quarantine.rows, dlp.notices.asked) == (Fate.DEFERRED, {}, [])
    (outcome,) = process(envelope(X), Message(mail(body=b"heldword")), stage.gateway())
    assert (outcome.fate, dlp.notices.told) == (Fate.HELD, both(NoticeKind.DLP_QUARANTINE))


def test_a_directory_that_does_not_answer_for_a_held_copy_is_asked_again():
    stage, dlp = a_stage()
    process(envelope(X), Message(mail(body=b"heldword")), stage.gateway())
    calls = stage.interrupt.names.index("quarantine.hold") + 2
    assert stage.interrupt.names[calls - 1] == "party"
    dlp.quarantine.rows.clear()
    dlp.notices.asked.clear()
    stage.interrupt.__init__(calls, lambda: TransientError("database is gone"))
    (outcome,) = process(envelope(X), Message(mail(body=b"heldword")), stage.gateway())
    assert (outcome.fate, dlp.notices.told) == (Fate.HELD, both(NoticeKind.DLP_QUARANTINE))


def test_a_directory_that_fails_afterwards_changes_nothing():
    stage, dlp = a_stage()
    process(envelope(X), Message(mail(body=b"warnword")), stage.gateway())
    k = len(stage.interrupt.names) - stage.interrupt.names[::-1].index("party")
    assert stage.interrupt.names[k:] == ["notices.request", "notices.request"]
    stage.interrupt.__init__(k, lambda: TransientError("database is gone"))
    dlp.notices.asked.clear()
    (outcome,) = process(envelope(X), Message(mail(body=b"warnword")), stage.gateway())
    assert (outcome.fate, dlp.notices.asked) == (Fate.RELAYED, [])


def test_nobody_is_told_where_nobody_can_be():
    stage, _ = a_stage()
    del stage.gateway_settings["notices"]
    (outcome,) = process(envelope(X), Message(mail(body=b"heldword")), stage.gateway())
    assert outcome.fate is Fate.HELD


def test_each_copy_is_told_of():
    stage, dlp = a_stage(dlp_managers=())
    stage.settings = {"": stage.settings[""], "inside.example": replace(stage.settings[""], notify_sender=EVENTS)}
    to = (X, BOB, "X@elsewhere.example", "erin@inside.example")
    process(envelope(*to), Message(mail(body=b"warnword")), stage.gateway())
    assert [(one.kind.value, str(one.about)) for one in dlp.notices.asked] == [
        ("dlp-warn", X),
        ("dlp-warn", BOB),
        ("encrypted", BOB),
    ]
    assert {one.reader for one in dlp.notices.asked} == {Address.parse(ANNA)}
