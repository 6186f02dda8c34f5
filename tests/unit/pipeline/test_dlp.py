"""DLP on the protect path: what is found in a mail decides what becomes of each recipient's copy."""

import io
import time
import zipfile
from base64 import b64encode
from dataclasses import replace

import pytest

from dlp_stage import DlpStage, with_dlp, word
from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.notices.mark import mark
from mailseal.pipeline import process
from mailseal.policy.dlp import scanner
from mailseal.policy.held import WhyHeld
from mailseal.policy.model import Action, Fate, Outcome, Treatment, Waiver
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, OnFailure, OnGap, Settings
from mailseal.policy.text import render
from pki import NOW
from stage import PARTNER, PARTNER_EC, SENDER, TENANT, Interrupter, Stage, envelope, mail

BOB, CAROL, X = "bob@outside.example", "carol@outside.example", "x@elsewhere.example"
WORDS = {
    "warned": word("warned", Action.WARN),
    "encrypted": word("encrypted", Action.MUST_ENCRYPT),
    "held": word("held", Action.QUARANTINE),
    "blocked": word("blocked", Action.BLOCK),
    "postheld": word("postheld", Action.QUARANTINE, delayed=True),
    "postblocked": word("postblocked", Action.BLOCK, delayed=True),
    "postencrypted": word("postencrypted", Action.MUST_ENCRYPT, delayed=True),
}
AMBIGUOUS = b"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=x\r\n"
SIGNED = (Treatment.SIGNED, Treatment.SIGNED_ENCRYPTED)


def a_stage(*, given: dict | None = None, **settings) -> tuple[Stage, DlpStage]:
    """Bob and Carol have certificates, others none; all words are looked for in all mail."""
    stage = Stage(settings={"": Settings(**settings)}).know(PARTNER, PARTNER_EC).own(SENDER)
    return stage, with_dlp(stage, given or {"": tuple(WORDS.values())})


def go(stage: Stage, text: str, *to: str, raw: bytes | None = None, waiver: Waiver | None = None, **options):
    octets = mail(body=f"It says {text}.\r\n".encode()) if raw is None else raw
    return process(envelope(*to, **options), Message(octets), stage.gateway(), waiver)


def codes(outcome: Outcome) -> set[ReasonCode]:
    return {one.code for one in outcome.reasons}


def attached(name: str, octets: bytes, kind: str = "application/octet-stream") -> bytes:
    part = f'Content-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode()
    head = mail("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", body=b"")
    text = b"--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n"
    return head + text + b"--b\r\n" + part + b64encode(octets) + b"\r\n--b--\r\n"


def zipped(name: str, octets: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, octets)
    return made.getvalue()


@pytest.mark.parametrize(
    ("text", "to", "fate", "treatment"),
    [
        ("nothing", X, Fate.RELAYED, Treatment.SIGNED),
        ("warned", X, Fate.RELAYED, Treatment.SIGNED),
        ("encrypted", BOB, Fate.RELAYED, Treatment.SIGNED_ENCRYPTED),
        ("encrypted", X, Fate.REFUSED, Treatment.NONE),
        ("held", BOB, Fate.HELD, Treatment.NONE),
        ("blocked", BOB, Fate.REFUSED, Treatment.NONE),
        ("blocked, held and encrypted", BOB, Fate.REFUSED, Treatment.NONE),
        ("held, encrypted and warned", X, Fate.HELD, Treatment.NONE),
        ("postheld", BOB, Fate.RELAYED, Treatment.SIGNED_ENCRYPTED),
        ("postheld", X, Fate.HELD, Treatment.NONE),
        ("postblocked", BOB, Fate.RELAYED, Treatment.SIGNED_ENCRYPTED),
        ("postblocked", X, Fate.REFUSED, Treatment.NONE),
        ("postencrypted", X, Fate.REFUSED, Treatment.NONE),
        ("postheld, encrypted", X, Fate.REFUSED, Treatment.NONE),
    ],
)
def test_the_strongest_action_wins(text, to, fate, treatment):
    stage, dlp = a_stage()
    (outcome,) = go(stage, text, to)
    assert (outcome.fate, outcome.treatment) == (fate, treatment)
    assert len(stage.sent) == (fate is Fate.RELAYED)
    assert len(dlp.quarantine.held) == (fate is Fate.HELD)


@pytest.mark.parametrize("setting", [{"mode": Mode.NEVER}, {"skip_calendar": True}])
def test_a_finding_beats_what_would_let_a_mail_go_in_clear(setting):
    invitation = mail("Content-Type: text/calendar; method=REQUEST", body=b"BEGIN:VCALENDAR\r\nX:encrypted\r\n")
    stage, _ = a_stage(**setting)
    (outcome,) = go(stage, "", BOB, raw=invitation)
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED


def test_a_late_must_encrypt_is_tried_where_nobody_wanted_to():
    stage, _ = a_stage(mode=Mode.NEVER)
    (outcome,) = go(stage, "postencrypted", BOB)
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED


def test_a_message_id_in_which_something_was_found_is_not_listed():
    stage, dlp = a_stage()
    process(envelope(BOB), Message(mail().replace(b"<1@", b"<held@")), stage.gateway())
    assert [one.message_id for one in dlp.quarantine.held] == [""]


def test_what_is_held_is_whole_and_for_one_recipient():
    stage, dlp = a_stage(quarantine_days=7)
    raw = mail("Bcc: x@elsewhere.example", body=b"It is held and warned, held.\r\n")
    given = replace(envelope(BOB, X), queue_id="4Q", ret="FULL")
    given = replace(given, recipients=(replace(given.recipients[0], notify="NEVER"), given.recipients[1]))
    outcomes = process(given, Message(raw), stage.gateway())
    assert [(one.fate, one.reply) for one in outcomes] == [(Fate.HELD, reply.HELD)] * 2
    first, second = dlp.quarantine.held
    assert first.envelope == replace(given, recipients=given.recipients[:1])
    assert second.envelope == replace(given, recipients=given.recipients[1:])
    assert (first.why, first.hold_days, first.message_id, first.at) == (WhyHeld.DLP, 7, "<1@inside.example>", NOW)
    assert first.reasons == outcomes[0].reasons[:-1]
    assert [(one.name, one.count) for one in first.findings] == [("held", 1), ("warned", 1)]
    assert list(dlp.quarantine.octets.values()) == [raw]
    assert outcomes[0].reasons[-1].parameters == (("quarantine", "q1"),)
    assert not stage.sent


def test_recipients_have_assignments_of_their_own():
    given = {"outside.example": (WORDS["held"],), CAROL: (WORDS["blocked"],), "inside.example": (WORDS["warned"],)}
    stage, dlp = a_stage(given=given)
    outcomes = go(stage, "held and blocked", BOB, CAROL, X, "erin@inside.example")
    assert [one.fate for one in outcomes] == [Fate.HELD, Fate.REFUSED, Fate.RELAYED, Fate.RELAYED]
    assert [str(one.recipient.address) for one in dlp.quarantine.held] == [BOB]
    assert {str(one.address) for sent in stage.sent for one in sent.recipients} == {X, "erin@inside.example"}


def test_a_sender_of_either_name_is_looked_up():
    stage, dlp = a_stage(given={"boss@inside.example": (WORDS["held"],)})
    raw = mail(sender="boss@inside.example", body=b"held\r\n")
    assert go(stage, "", X, raw=raw)[0].fate is Fate.HELD
    assert go(stage, "", X, raw=raw, sender=None)[0].fate is Fate.HELD
    assert dlp.patterns.asked[0] == ("anna@inside.example", "boss@inside.example", X)
    assert dlp.patterns.asked[1] == ("None", "boss@inside.example", X)


@pytest.mark.parametrize("origin", [Origin.OUTSIDE, Origin.AUTHORISED, Origin.NEIGHBOUR])
@pytest.mark.parametrize("sender", [None, "eve@elsewhere.example", "anna@inside.example"])
def test_it_is_for_whoever_sends(origin, sender):
    stage, dlp = a_stage()
    stage.beside_exchange_online()
    stamps = (f"X-MS-Exchange-CrossTenant-Id: {TENANT}", "X-MS-Exchange-CrossTenant-AuthAs: Internal")
    stage.gateway_settings["max_hops"] = 50
    (outcome,) = go(stage, "", BOB, raw=mail(*stamps, body=b"held\r\n"), sender=sender, origin=origin)
    if origin is Origin.OUTSIDE:
        assert outcome.reply in (reply.RELAY_DENIED, reply.HELD)
    else:
        assert outcome.fate is Fate.HELD
        assert dlp.quarantine.held[0].envelope.origin is origin
    assert not stage.sent
    if sender != "anna@inside.example":
        assert not [one for one in dlp.notices.told if one[1] == "sender"]


def test_a_mail_is_read_once_and_looked_through_once_for_each_set_of_patterns(monkeypatch):
    given = {"": (WORDS["warned"],), "outside.example": (WORDS["held"],)}
    stage, dlp = a_stage(given=given)
    raw = attached("a.zip", zipped("a.txt", b"warned"))
    go(stage, "", *(f"r{n}@outside.example" for n in range(5)), *(f"r{n}@elsewhere.example" for n in range(5)), raw=raw)
    assert dlp.documents.names == ["a.zip"]
    assert len(dlp.patterns.asked) == 10
    assert {name for name, _, _ in dlp.notices.told} == {"dlp-warn"}


def test_nothing_is_read_where_nothing_is_looked_for():
    raw = attached("a.zip", zipped("a.txt", b"held"))
    for given, settings in (({"inside.example": ()}, {}), ({"": (WORDS["held"],)}, {"dlp": False})):
        stage, dlp = a_stage(given=given, **settings)
        (outcome,) = go(stage, "", X, raw=raw)
        assert (outcome.fate, dlp.documents.names) == (Fate.RELAYED, [])


def test_what_is_in_a_file_in_a_file_counts():
    stage, dlp = a_stage()
    (outcome,) = go(stage, "", BOB, raw=attached("a.zip", zipped("b.zip", zipped("c.txt", b"it is blocked"))))
    assert outcome.reply == reply.BLOCKED
    (outcome,) = go(stage, "", BOB, raw=attached("held.bin", b"\x00\x01"))
    assert outcome.fate is Fate.HELD, "the name of a file"
    assert len(dlp.quarantine.held) == 1


@pytest.mark.parametrize(
    ("on_gap", "fate", "treatment"),
    [
        (OnGap.IGNORE, Fate.RELAYED, Treatment.SIGNED),
        (OnGap.WARN, Fate.RELAYED, Treatment.SIGNED),
        (OnGap.MUST_ENCRYPT, Fate.RELAYED, Treatment.SIGNED_ENCRYPTED),
        (OnGap.QUARANTINE, Fate.HELD, Treatment.NONE),
        (OnGap.BLOCK, Fate.REFUSED, Treatment.NONE),
    ],
)
def test_what_cannot_be_read_is_as_a_finding(on_gap, fate, treatment):
    for always in (False, True):
        given = {"": () if always else (WORDS["blocked"],)}
        stage, dlp = a_stage(given=given, mode=Mode.NEVER, dlp_uninspectable=on_gap, dlp_without_patterns=always)
        dlp.documents.crashes = True
        (outcome,) = go(stage, "", BOB, raw=attached("a.zip", zipped("a.txt", b"x")))
        assert (outcome.fate, outcome.treatment) == (fate, treatment)
    assert stage.interrupt.names.count("documents.read") == 1


def test_what_cannot_be_read_is_to_each_recipient_what_is_set_for_it():
    stage, dlp = a_stage(dlp_uninspectable=OnGap.IGNORE)
    dlp.documents.crashes = True
    stage.settings[BOB] = replace(stage.settings[""], dlp_uninspectable=OnGap.QUARANTINE)
    stage.settings[CAROL] = replace(stage.settings[""], dlp_uninspectable=OnGap.BLOCK)
    outcomes = go(stage, "", BOB, X, CAROL, raw=attached("a.zip", zipped("a.txt", b"x")))
    assert [one.fate for one in outcomes] == [Fate.HELD, Fate.RELAYED, Fate.REFUSED]


def test_every_reading_of_an_ambiguous_mail_counts_and_that_it_has_several():
    hidden = mail(
        body=b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64encode(b"It is blocked, it is.") + b"\r\n"
    )
    (outcome,) = go(a_stage(mode=Mode.NEVER)[0], "", X, raw=AMBIGUOUS + hidden)
    assert outcome.reply == reply.BLOCKED
    stage, dlp = a_stage(mode=Mode.NEVER)
    (outcome,) = go(stage, "", X, raw=AMBIGUOUS + mail())
    assert outcome.fate is Fate.HELD
    assert "not all readable: ambiguous" in [one.name for one in dlp.quarantine.held[0].findings]
    stage, _ = a_stage(mode=Mode.NEVER, dlp_partial=OnGap.WARN)
    assert go(stage, "", X, raw=AMBIGUOUS + mail())[0].fate is Fate.RELAYED


def test_a_place_is_shown_without_what_is_looked_for():
    stage, dlp = a_stage()
    dlp.documents.crashes = True
    go(stage, "", BOB, raw=attached("held 17.zip", zipped("a.txt", b"x")))
    places = [place for one in dlp.quarantine.held[0].findings for place in one.places]
    assert places
    assert not any("held" in one for one in places)


def test_reading_has_half_of_the_time_that_is_left():
    stage, dlp = a_stage()
    stage.seconds = 100.0
    go(stage, "", BOB, X)
    assert dlp.documents.deadlines == [100.0 + 240.0 / 2]


def test_a_notice_of_ours_is_not_held_for_what_it_says():
    head, body = mail("Date: Thu, 1 Jan 2026 00:00:00 +0000", to=X).split(b"\r\n\r\n")
    for octets, fate in ((b"It was held.\r\n", Fate.RELAYED), (body, Fate.RELAYED)):
        stage, _ = a_stage(mode=Mode.NEVER)
        stage.gateway_settings["notice_keys"] = stage.loop
        raw = head + b"\r\n\r\n" + octets
        marked = mark(stage.loop.keys[0], parse(raw).root, NOW) + raw
        assert go(stage, "", X, raw=marked)[0].fate is fate
        assert go(stage, "", X, raw=b"Comments: held\r\n" + marked)[0].fate is Fate.HELD
        # A sender may have had it written, with what he has chosen in it; it goes unseen to its reader only.
        forwarded = go(stage, "", BOB, X, raw=marked)
        assert [one.fate for one in forwarded] == [Fate.HELD if b"held" in octets else Fate.RELAYED, fate]
        stage.loop.keys[:] = [b"o" * 32]
        assert go(stage, "", X, raw=marked)[0].fate is (Fate.HELD if b"held" in octets else Fate.RELAYED)


def test_gaps_do_not_count_where_nothing_is_looked_for():
    stage, dlp = a_stage(given={"inside.example": ()}, dlp_uninspectable=OnGap.BLOCK)
    dlp.documents.crashes = True
    (outcome,) = go(stage, "", BOB, raw=attached("a.zip", b"x"))
    assert (outcome.fate, dlp.documents.names) == (Fate.RELAYED, [])


@pytest.mark.parametrize("lost", ["patterns.of", "documents.read", "documents.budget", "quarantine.has"])
def test_nothing_leaves_that_was_not_looked_through(lost):
    raw = attached("a.zip", zipped("a.txt", b"x"))
    names, _ = a_stage(given={"": (WORDS["held"],)})
    go(names, "", BOB, raw=raw)
    k = names.interrupt.names.index(lost) + 1
    for error in (RuntimeError("boom"), TransientError("later"), MemoryError()):
        stage, dlp = a_stage(given={"": (WORDS["held"],)})
        interrupt = Interrupter(k, lambda error=error: error)
        stage.interrupt = dlp.patterns.interrupt = dlp.documents.interrupt = dlp.quarantine.interrupt = interrupt
        stage.pgp.interrupt = stage.lookups.interrupt = interrupt
        (outcome,) = go(stage, "", BOB, raw=raw)
        assert (outcome.fate, stage.sent) == (Fate.DEFERRED, [])


def test_without_a_reader_of_documents_a_document_waits_and_a_text_goes():
    stage, _ = a_stage()
    stage.seconds = time.monotonic()
    del stage.gateway_settings["documents"]
    assert go(stage, "nothing", BOB)[0].fate is Fate.RELAYED
    (outcome,) = go(stage, "", BOB, raw=attached("a.zip", zipped("a.txt", b"x")))
    assert (outcome.fate, outcome.reply) == (Fate.DEFERRED, reply.DEFERRED)


def test_a_reading_that_failed_is_not_tried_for_each_recipient():
    stage, dlp = a_stage()
    failing = Interrupter(2, lambda: TransientError("the sandbox is not there"))
    dlp.documents.interrupt = failing
    outcomes = go(stage, "", BOB, CAROL, X, raw=attached("a.zip", zipped("a.txt", b"x")))
    assert {one.fate for one in outcomes} == {Fate.DEFERRED}
    assert failing.names == ["documents.budget", "documents.read"]
    told = [render(one.reasons[-1]) for one in outcomes]
    assert told[0] == render(because(ReasonCode.TRANSIENT_FAILURE, detail="the sandbox is not there"))
    assert told[1] == told[2]
    assert told[1].endswith(f"the content could not be read: {told[0]}")


def test_without_a_quarantine_it_waits():
    stage, _ = a_stage()
    del stage.gateway_settings["quarantine"]
    (outcome,) = go(stage, "held", BOB)
    assert (outcome.fate, outcome.reply) == (Fate.DEFERRED, reply.STORE_UNAVAILABLE)
    found, last = outcome.reasons[-2:]
    assert found == because(ReasonCode.FINDING, name="held", action="quarantine", count=1)
    assert last == because(
        ReasonCode.TRANSIENT_FAILURE, detail="this mail is to be held, and there is no quarantine here"
    )


@pytest.mark.parametrize("error", [TransientError("database is gone"), RuntimeError("boom"), MemoryError()])
def test_what_cannot_be_held_waits_and_the_others_go(error):
    stage, dlp = a_stage(given={CAROL: (WORDS["held"],)})
    dlp.quarantine.interrupt = Interrupter(4, lambda: error)  # after one look for each recipient
    outcomes = go(stage, "held", BOB, CAROL, X)
    assert [one.fate for one in outcomes] == [Fate.RELAYED, Fate.DEFERRED, Fate.RELAYED]
    assert dlp.quarantine.interrupt.names[-1] == "quarantine.hold"
    assert outcomes[1].reply == reply.STORE_UNAVAILABLE
    assert not dlp.quarantine.held


def test_what_is_not_looked_through_in_time_is_held(monkeypatch):
    stage, _ = a_stage()

    def slow(text: str) -> list[str]:
        stage.seconds += 70  # of 240: reading may take 120, looking through it half of what is left then
        return [text]

    monkeypatch.setattr(scanner, "windows", slow)
    (outcome,) = go(stage, "nothing", BOB)
    assert outcome.fate is Fate.HELD
    assert [one for one in outcome.reasons if one.code is ReasonCode.FINDING] == [
        because(ReasonCode.FINDING, name="not all readable: timeout", action="quarantine", count=1)
    ]


def test_nothing_is_held_after_the_deadline():
    stage, dlp = a_stage()
    stage.gateway_settings["deadline_seconds"] = 0.0
    (outcome,) = go(stage, "held", BOB)
    assert (outcome.reply, dlp.quarantine.held) == (reply.OUT_OF_TIME, [])
    assert [one.code for one in outcome.reasons[-2:]] == [ReasonCode.FINDING, ReasonCode.OUT_OF_TIME]


def test_what_was_held_before_is_held_whatever_policy_says_by_now():
    stage, dlp = a_stage()
    first = go(stage, "held", BOB, X)
    dlp.patterns.given.clear()
    second = go(stage, "held", BOB, X, CAROL)
    assert [one.fate for one in (*first, *second)] == [Fate.HELD] * 4 + [Fate.RELAYED]
    assert [one.reply for one in second[:2]] == [reply.HELD] * 2
    assert codes(second[0]) == {ReasonCode.HELD_BEFORE}
    assert len(dlp.quarantine.held) == 2
    assert [str(one.address) for one in stage.sent[0].recipients] == [CAROL]


@pytest.mark.parametrize(("prefix", "why"), [(b"", WhyHeld.MUST_ENCRYPT_FAILED), (AMBIGUOUS, WhyHeld.AMBIGUOUS)])
@pytest.mark.parametrize(
    ("sender", "fate"), [("anna@inside.example", Fate.HELD), (None, Fate.HELD), ("eve@elsewhere.example", Fate.REFUSED)]
)
def test_what_must_be_encrypted_and_cannot_be_is_held_if_that_is_set(prefix, why, sender, fate):
    stage, dlp = a_stage(mode=Mode.MANDATORY, on_failure=OnFailure.QUARANTINE, given={"": ()})
    (outcome,) = go(stage, "", X, raw=prefix + mail(), sender=sender)
    assert outcome.fate is fate
    assert [one.why for one in dlp.quarantine.held] == [why] * (fate is Fate.HELD)
    assert not stage.sent
