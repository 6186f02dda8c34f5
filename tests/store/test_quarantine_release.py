"""A release by the worker, with the real engines: what leaves, what is held again, and that it happens once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest

from held_mails import CARD, held
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin, Recipient
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.policy.held import WhyHeld
from mailseal.policy.model import Action
from mailseal.policy.settings import Mode, OnFailure, Settings
from mailseal.ports import Hop
from mailseal.roles import quarantine_release
from mailseal.roles.handlers import HANDLERS
from mailseal.store import jobs, log, quarantine, quarantine_actions, quarantine_events
from mailseal.store.log import LogFilter
from mailseal.store.models import JobRow
from mailseal.store.quarantine import State, StoreQuarantine
from mailseal.store.quarantine_actions import RELEASE, Way
from mailseal.store.quarantine_events import Actor
from mailseal.store.stored_message_models import StoredMessageRow
from mailseal.store.transaction import StoreUnavailable
from stage import PARTNER, SENDER, TENANT, Stage, mail

PIA, QUINN = Actor("user:pia", "pia"), Actor("user:quinn", "quinn")
ANNA, BOB = "anna@inside.example", PARTNER.certificate.san_emails[0]
BODY = b"CANARY-4711"
RAW = mail(to=BOB) + BODY + b"\r\n"
MUST = Settings(mode=Mode.MANDATORY, on_failure=OnFailure.QUARANTINE, log_subject=True)
REFUSES = Settings(mode=Mode.MANDATORY, on_failure=OnFailure.REFUSE)


@pytest.fixture
def on(store) -> Stage:
    made = Stage().own(SENDER)
    made.route_of = lambda address: f"way to {address.domain}"
    return made


@pytest.fixture
def node(on, kek):
    """What the worker has; its gateway holds in the store."""
    gateway = replace(on.gateway(), quarantine=StoreQuarantine(kek))
    return SimpleNamespace(gateway=gateway, kek=kek, stamps=SimpleNamespace(poll=lambda _: None))


def hold(kek, raw: bytes = RAW, *, origin: Origin = Origin.AUTHORISED, **changes) -> UUID:
    recipient = Recipient(Address.parse(BOB), notify="FAILURE,DELAY", orcpt="rfc822;bob+2B@outside.example")
    envelope = Envelope(Address.parse(ANNA), (recipient,), origin, queue_id="4Q", ret="FULL", envid="e1")
    made = held(envelope=envelope, **changes)
    return UUID(StoreQuarantine(kek).hold(made, Message(raw)))


def work(node, *, attempts: int = 1) -> None:
    """As `roles.worker` does a job."""
    job = jobs.claim("w", kinds=[RELEASE])
    job = replace(job, attempts=attempts)
    try:
        HANDLERS[RELEASE].handle(node, job)
    except PermanentError as error:
        jobs.fail(job, str(error), for_good=True)
        raise
    except TransientError as error:
        jobs.fail(job, str(error), retry_seconds=0)
        raise
    jobs.done(job)


def release(node, one: UUID, way: Way = Way.POLICY, **more) -> quarantine.HeldMail:
    if way is Way.AS_IS:
        quarantine_actions.ask_as_is(one, PIA)
        quarantine_actions.approve(one, QUINN)
    else:
        quarantine_actions.release(one, PIA, way)
    work(node, **more)
    return quarantine.find(one)


def actions_of(one: UUID) -> list[str]:
    return [event.action for event in reversed(quarantine_events.list_events(one))]


def test_it_goes_as_it_would_have_gone(on, node, kek):
    one = hold(kek)
    mail_before = quarantine.find(one)
    mail_after = release(node, one)

    [transfer] = on.sent
    assert (transfer.hop, str(transfer.sender), transfer.ret, transfer.envid) == (Hop.OUTSIDE, ANNA, "FULL", "e1")
    [recipient] = transfer.recipients
    assert (str(recipient.address), recipient.notify, recipient.orcpt) == (
        BOB, "FAILURE,DELAY", "rfc822;bob+2B@outside.example",
    )  # fmt: skip
    octets = b"".join(transfer.chunks)
    assert BODY in octets
    assert b"multipart/signed" in octets, "it came from an authorised client"
    assert mail_before.mail.encode() in octets.partition(b"\r\nFrom:")[0], "the same ID in the trace"
    assert mail_after.state is State.RELEASED
    assert not StoredMessageRow.objects.filter(complete=True).exists()
    assert actions_of(one) == ["held", "release-asked", "released"]


def test_the_outcome_is_another_line_of_the_log(on, node, kek):
    on.know(PARTNER)
    one = hold(kek)
    release(node, one)
    [row] = log.search(LogFilter(message=quarantine.find(one).mail))
    assert (row.fate, row.treatment, row.method, row.direction) == ("relayed", "signed+encrypted", "smime", "out")
    assert dict(row.details)["quarantine"] == str(one)
    assert (row.queue_id, row.sender, row.recipient) == ("4Q", ANNA, BOB)


def test_must_encrypt_and_no_key_yet_is_held_again(on, node, kek):
    on.settings[""] = MUST
    one = hold(kek, why=WhyHeld.MUST_ENCRYPT_FAILED, findings=())
    mail_after = release(node, one)
    assert not on.sent
    assert (mail_after.state, mail_after.why) == (State.HELD, "must-encrypt-failed")
    assert mail_after.error.startswith("held again")
    assert actions_of(one)[1:] == ["release-asked", "held-again"]
    assert len(quarantine.search(quarantine.HeldFilter())) == 1, "not a second time"
    [row] = log.search(LogFilter(message=mail_after.mail))
    assert row.fate == "held"
    assert quarantine.details(one, kek).envelope.recipients[0].notify == "FAILURE,DELAY"

    on.know(PARTNER)
    assert release(node, one).state is State.RELEASED
    assert BODY not in on.octets_sent()


def test_encrypted_or_not_at_all(on, node, kek):
    on.settings[""] = Settings(mode=Mode.NEVER, on_failure=OnFailure.REFUSE)
    one = hold(kek)
    mail_after = release(node, one, Way.ENCRYPTED)
    assert (mail_after.state, on.sent) == (State.HELD, [])
    assert "refused" in mail_after.error
    assert actions_of(one)[1:] == ["release-asked", "not-released"]
    on.know(PARTNER)
    assert release(node, one, Way.ENCRYPTED).state is State.RELEASED
    assert BODY not in on.octets_sent()


def test_nobody_is_told_that_a_mail_was_not_sent_which_is_held_on(on, node, kek):
    on.settings[""] = Settings(mode=Mode.MANDATORY, on_failure=OnFailure.NOTIFY)
    one = hold(kek)
    mail_after = release(node, one)
    assert (mail_after.state, on.sent, on.reports) == (State.HELD, [], [])
    assert mail_after.error.startswith("refused")


def test_as_it_is_leaves_in_clear_whatever_policy_says(on, node, kek):
    on.settings[""] = REFUSES
    one = hold(kek)
    assert release(node, one, Way.AS_IS).state is State.RELEASED
    [transfer] = on.sent
    assert b"".join(transfer.chunks).endswith(RAW), "as it came, to the octet"


def test_mail_of_the_neighbour_goes_back_there(kek, store):
    on = Stage().own(SENDER).beside_exchange_online()
    gateway = replace(on.gateway(), quarantine=StoreQuarantine(kek))
    node = SimpleNamespace(gateway=gateway, kek=kek, stamps=SimpleNamespace(poll=lambda _: None))
    fields = f"X-MS-Exchange-CrossTenant-Id: {TENANT}\r\nX-MS-Exchange-CrossTenant-AuthAs: Internal\r\n".encode()
    one = hold(kek, fields + RAW, origin=Origin.NEIGHBOUR)
    assert release(node, one).state is State.RELEASED
    [transfer] = on.sent
    assert transfer.hop is Hop.NEIGHBOUR
    assert b"X-Mailseal-Loop" in b"".join(transfer.chunks) or b"loop" in b"".join(transfer.chunks[:2]).lower()


def test_a_refusal_is_for_people_to_decide(on, node, kek):
    on.answer = lambda _: [Reply(550, "5.1.1", "no such user")]
    one = hold(kek)
    mail_after = release(node, one)
    assert mail_after.state is State.HELD
    assert "550 5.1.1 no such user" in mail_after.error
    assert quarantine.octets(mail_after, kek) == RAW
    assert on.reports == []


def test_a_dead_next_hop_is_tried_again_and_at_last_given_up(on, node, kek):
    on.answer = lambda _: [Reply(451, "4.4.1", "nobody there")]
    one = hold(kek)
    with pytest.raises(TransientError, match="nobody there"):
        release(node, one)
    mail_between = quarantine.find(one)
    assert (mail_between.state, mail_between.releases) == (State.RELEASING, 1)
    assert "nobody there" in mail_between.error
    with pytest.raises(TransientError):
        work(node, attempts=jobs.MAX_ATTEMPTS - 1)
    work(node, attempts=jobs.MAX_ATTEMPTS)
    mail_after = quarantine.find(one)
    assert (mail_after.state, "nobody there" in mail_after.error) == (State.HELD, True)
    assert actions_of(one)[1:] == ["release-asked", "not-released"]
    assert len(log.search(LogFilter(message=mail_after.mail))) == 3

    on.answer = lambda transfer: [Reply(250, "2.0.0", "ok")] * len(transfer.recipients)
    assert release(node, one).state is State.RELEASED


def test_a_worker_that_lost_the_job_sends_nothing(on, node, kek):
    one = hold(kek)
    quarantine_actions.release(one, PIA)
    job = jobs.claim("w", kinds=[RELEASE])

    def other_takes_it(address: Address) -> str:
        JobRow.objects.filter(pk=job.id).update(epoch=job.epoch + 1)
        return ""

    on.route_of = other_takes_it
    with pytest.raises(quarantine_release.LostReleaseError):
        HANDLERS[RELEASE].handle(node, job)
    assert not on.sent
    assert quarantine.find(one).state is State.RELEASING


def test_killed_before_the_250_it_is_tried_again(on, node, kek, monkeypatch):
    def dies(*_, **__):
        raise KeyboardInterrupt

    one = hold(kek)
    monkeypatch.setattr(quarantine_release, "process_mail", dies)
    quarantine_actions.release(one, PIA)
    with pytest.raises(KeyboardInterrupt):
        work(node)
    monkeypatch.undo()
    JobRow.objects.update(lease_until="2000-01-01T00:00Z")
    jobs.reclaim()
    work(node, attempts=2)
    assert (len(on.sent), quarantine.find(one).state) == (1, State.RELEASED)


def test_killed_between_the_250_and_the_commit_it_goes_twice_under_one_name(on, node, kek, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    one = hold(kek)
    monkeypatch.setattr(quarantine_release.quarantine_work, "released", dies)
    quarantine_actions.release(one, PIA)
    with pytest.raises(KeyboardInterrupt):
        work(node)
    monkeypatch.undo()
    JobRow.objects.update(lease_until="2000-01-01T00:00Z")
    jobs.reclaim()
    work(node, attempts=2)
    assert len(on.sent) == 2
    assert quarantine.find(one).state is State.RELEASED


def test_killed_after_the_commit_it_is_not_sent_again(on, node, kek):
    one = hold(kek)
    quarantine_actions.release(one, PIA)
    job = jobs.claim("w", kinds=[RELEASE])
    HANDLERS[RELEASE].handle(node, job)
    JobRow.objects.filter(pk=job.id).update(lease_until="2000-01-01T00:00Z")
    jobs.reclaim()
    work(node, attempts=2)
    assert len(on.sent) == 1


def test_a_database_that_is_away_after_the_250_is_waited_for(on, node, kek, monkeypatch):
    calls, real = [], quarantine_release.quarantine_work.released

    def away_at_first(*arguments):
        calls.append(1)
        if len(calls) < 4:
            raise StoreUnavailable("away")
        return real(*arguments)

    monkeypatch.setattr(quarantine_release, "COMMIT_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(quarantine_release.quarantine_work, "released", away_at_first)
    assert release(node, hold(kek)).state is State.RELEASED
    assert (len(calls), len(on.sent)) == (4, 1)


def test_what_cannot_be_stored_after_the_250_is_not_sent_again(on, node, kek, monkeypatch):
    one = hold(kek)
    monkeypatch.setattr(
        quarantine_release.quarantine_work, "released", lambda *_: (_ for _ in ()).throw(ValueError("bad row"))
    )
    with pytest.raises(PermanentError, match="the next hop has it"):
        release(node, one)
    assert jobs.claim("w", kinds=[RELEASE]) is None
    mail_after = quarantine.find(one)
    assert (mail_after.state, "the next hop has it" in mail_after.error) == (State.HELD, True)
    assert len(on.sent) == 1


def test_a_database_that_is_away_before_changes_nothing(on, node, kek, monkeypatch):
    one = hold(kek)
    monkeypatch.setattr(
        quarantine_release.quarantine, "details", lambda *_: (_ for _ in ()).throw(StoreUnavailable("away"))
    )
    quarantine_actions.release(one, PIA)
    job = jobs.claim("w", kinds=[RELEASE])
    with pytest.raises(StoreUnavailable):
        HANDLERS[RELEASE].handle(node, job)
    monkeypatch.undo()
    assert (quarantine.find(one).state, on.sent) == (State.RELEASING, [])


def test_a_damaged_mail_is_not_released_in_part(on, node, kek):
    one = hold(kek)
    StoredMessageRow.objects.update(sealed=b"\1" * 80)
    quarantine_actions.release(one, PIA)
    with pytest.raises(TransientError):
        work(node)
    with pytest.raises(TransientError):
        work(node, attempts=jobs.MAX_ATTEMPTS)
    mail_after = quarantine.find(one)
    assert (mail_after.state, on.sent) == (State.HELD, [])
    assert mail_after.error


def test_what_is_waived_is_what_it_was_held_for(node, kek):
    warning = replace(CARD, action=Action.WARN, key="partial:unknown-format:a.bin")
    one = hold(kek, findings=(CARD, warning))
    mail_before = quarantine_actions.release(one, PIA, Way.ENCRYPTED)
    waiver = quarantine_release.waiver_of(mail_before, quarantine.details(one, kek))
    assert (waiver.approved, waiver.must_encrypt, waiver.as_is) == (frozenset({"cards:1"}), True, False)


def test_it_has_the_time_that_any_mail_has(on, node, kek):
    node.gateway = replace(node.gateway, deadline_seconds=900.0)
    before = node.gateway.clock.monotonic()
    release(node, hold(kek))
    [transfer] = on.sent
    assert transfer.deadline - before >= 900.0
    assert JobRow.objects.get(kind=RELEASE).lease_until > datetime.now(UTC) + timedelta(seconds=900)


def test_each_release_has_a_name_of_its_own_and_a_repetition_the_same(node, kek):
    one = hold(kek)
    first = quarantine.find(one)
    second = replace(first, releases=first.releases + 1)
    names = {quarantine_release.release_attempt(each) for each in (first, first, second)}
    assert len(names) == 2
    assert {name[:8] for name in names} == {first.attempt[:8]}
    assert first.attempt not in names
