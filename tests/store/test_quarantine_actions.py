"""What people do with held mails: each once, with its event; as it is by two different people; and what stays of it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from held_mails import ANNA, X, Y, held, message
from mailseal.errors import PermanentError, TransientError
from mailseal.policy.notice_kind import NoticeKind
from mailseal.policy.settings import Settings
from mailseal.ports import Notice
from mailseal.roles import quarantine_house
from mailseal.store import (
    gauges,
    jobs,
    quarantine,
    quarantine_actions,
    quarantine_events,
    quarantine_work,
    stored_messages,
)
from mailseal.store.accounts import accounts
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.audit_models import AuditEventRow
from mailseal.store.clock import CLOCK
from mailseal.store.quarantine import NotHeldError, State, StoreQuarantine
from mailseal.store.quarantine_actions import (
    ENDED,
    RELEASE,
    BusyError,
    NoRequestError,
    SamePersonError,
    Way,
)
from mailseal.store.quarantine_events import Action, Actor
from mailseal.store.quarantine_models import QuarantineEventRow, QuarantineRow
from mailseal.store.stored_message_models import MessageChunkRow, StoredMessageRow
from stage import Stage

QUIET = SimpleNamespace(gateway=SimpleNamespace(notices=None))
"""A node that tells nobody."""
PIA, QUINN = Actor("user:pia", "pia"), Actor("user:quinn", "quinn")


@pytest.fixture
def one(store, kek) -> UUID:
    return UUID(StoreQuarantine(kek).hold(held(), message()))


def events(held_id: UUID | None = None) -> list[tuple[str, str]]:
    return [(one.actor.name, one.action) for one in reversed(quarantine_events.list_events(held_id))]


def state(held_id: UUID) -> State:
    return quarantine.find(held_id).state


def work(kind: str, handle, node=None) -> int:
    """Do the jobs of a kind that wait; how many."""
    done = 0
    while job := jobs.claim("worker", kinds=[kind]):
        handle(node or QUIET, job)
        jobs.done(job)
        done += 1
    return done


def test_a_release_is_a_job(one):
    mail = quarantine_actions.release(one, PIA, Way.ENCRYPTED, "the customer calls")
    assert (mail.state, mail.way, mail.releases) == (State.RELEASING, "encrypted", 1)
    job = jobs.claim("worker", kinds=[RELEASE])
    assert job.payload == {"quarantine": str(one), "number": 1, "mail": mail.mail}
    assert events(one) == [("Mailseal", "held"), ("pia", "release-asked")]
    assert quarantine_events.list_events(one)[0].note == "encrypted; the customer calls"


def test_nothing_else_can_be_done_meanwhile(one):
    quarantine_actions.release(one, PIA)
    for act in (quarantine_actions.release, quarantine_actions.delete, quarantine_actions.ask_as_is):
        with pytest.raises(BusyError):
            act(one, QUINN)
    with pytest.raises(BusyError):
        quarantine_actions.approve(one, QUINN)
    assert len(jobs.list_jobs()) == 1


def test_of_many_at_once_one_does_it(one, in_threads):
    def act(number: int) -> str:
        try:
            quarantine_actions.release(one, PIA) if number % 2 else quarantine_actions.delete(one, QUINN)
        except PermanentError as error:
            return type(error).__name__
        return "done"

    assert in_threads(act, 6).count("done") == 1
    assert len(events(one)) == 2


def test_what_is_over_is_over(one):
    quarantine_actions.delete(one, PIA, "spam")
    for act in (quarantine_actions.release, quarantine_actions.delete, quarantine_actions.ask_as_is):
        with pytest.raises(NotHeldError, match="it is deleted"):
            act(one, PIA)
    with pytest.raises(NotHeldError):
        quarantine_actions.extend(one, PIA, datetime.now(UTC) + timedelta(days=2))
    with pytest.raises(NotHeldError):
        quarantine_actions.delete(uuid4(), PIA)


def test_deleted_with_nothing_left_but_what_was_done(one, kek):
    assert work(ENDED, quarantine_house.end_held) == 0
    quarantine_actions.delete(one, PIA, "spam")
    assert not StoredMessageRow.objects.filter(complete=True).exists()
    assert work(ENDED, quarantine_house.end_held) == 1

    assert not MessageChunkRow.objects.exists()
    with pytest.raises(NotHeldError):
        quarantine.details(one, kek)
    assert state(one) is State.DELETED
    assert events(one) == [("Mailseal", "held"), ("pia", "deleted")]

    QuarantineRow.objects.update(ended=datetime.now(UTC) - timedelta(days=40))
    assert quarantine_work.purge(datetime.now(UTC) - timedelta(days=30)) == 1
    assert events(one) == [("Mailseal", "held"), ("pia", "deleted")], "they outlive the mail and its row"


def test_a_worker_that_dies_before_everything_is_deleted(one, monkeypatch):
    quarantine_actions.delete(one, PIA)
    monkeypatch.setattr(stored_messages, "delete_dropped", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    job = jobs.claim("worker", kinds=[ENDED])
    with pytest.raises(KeyboardInterrupt):
        quarantine_house.end_held(QUIET, job)
    monkeypatch.undo()
    quarantine_house.end_held(QUIET, job)
    assert not MessageChunkRow.objects.exists()


def test_a_purge_takes_nothing_that_is_held(one):
    assert quarantine_work.purge(datetime.now(UTC) + timedelta(days=1)) == 0
    assert stored_messages.purge() == 0
    assert state(one) is State.HELD


def test_events_are_kept_longer_than_a_year(one):
    assert quarantine_events.purge(30) == 0
    old = QuarantineEventRow(
        id=quarantine_events.first_uuid7(datetime.now(UTC) - timedelta(days=401)),
        quarantine=one, mail="0" * 16, recipient=X, actor="user:pia", actor_name="pia", action="shown",
    )  # fmt: skip
    old.save(force_insert=True)
    assert quarantine_events.purge(500) == 0
    assert quarantine_events.purge(30) == 1
    assert events(one) == [("Mailseal", "held")]


def test_as_it_is_by_two_people(one):
    mail = quarantine_actions.ask_as_is(one, PIA, "they cannot decrypt")
    assert (mail.state, mail.asked_by) == (State.HELD, PIA.key)
    assert not jobs.list_jobs()

    with pytest.raises(SamePersonError, match="another person"):
        quarantine_actions.approve(one, PIA)
    assert state(one) is State.HELD

    mail = quarantine_actions.approve(one, QUINN)
    assert (mail.state, mail.way, mail.asked_by) == (State.RELEASING, "as-is", "")
    assert len(jobs.list_jobs()) == 1
    expected = [("pia", "as-is-asked"), ("pia", "as-is-denied"), ("quinn", "as-is-approved")]
    assert events(one)[1:] == expected
    assert quarantine_events.list_events(one)[0].note == "asked for by user:pia"


def test_nobody_has_asked(one):
    with pytest.raises(NoRequestError):
        quarantine_actions.approve(one, QUINN)
    with pytest.raises(ValueError, match="two people"):
        quarantine_actions.release(one, PIA, Way.AS_IS)


def test_a_request_expires(one):
    quarantine_actions.ask_as_is(one, PIA)
    QuarantineRow.objects.update(asked_until=datetime.now(UTC) - timedelta(seconds=1))
    assert quarantine.find(one).asked_by == ""
    with pytest.raises(NoRequestError):
        quarantine_actions.approve(one, QUINN)
    quarantine_actions.ask_as_is(one, QUINN)
    with pytest.raises(SamePersonError):
        quarantine_actions.approve(one, QUINN)
    assert quarantine_actions.approve(one, PIA).state is State.RELEASING


def test_two_who_both_ask_need_one_of_them_still(one):
    quarantine_actions.ask_as_is(one, PIA)
    quarantine_actions.ask_as_is(one, QUINN)
    with pytest.raises(SamePersonError):
        quarantine_actions.approve(one, QUINN)
    assert quarantine_actions.approve(one, PIA).way == "as-is"


def test_a_request_is_void_once_something_else_was_done(one):
    quarantine_actions.ask_as_is(one, PIA)
    mail = quarantine_actions.release(one, QUINN)
    quarantine_work.not_released(mail, "refused: 550")
    assert state(one) is State.HELD
    with pytest.raises(NoRequestError):
        quarantine_actions.approve(one, QUINN)


def test_extended(one):
    until = datetime.now(UTC) + timedelta(days=90)
    assert quarantine_actions.extend(one, PIA, until).expires == until
    assert events(one)[-1] == ("pia", "extended")
    for bad in (datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=4000)):
        with pytest.raises(PermanentError):
            quarantine_actions.extend(one, PIA, bad)


def expire(node=None) -> float | None:
    job = jobs.claim("worker", kinds=[quarantine_house.EXPIRE])
    assert job is not None
    again = quarantine_house.expire_held(node or QUIET, job)
    jobs.done(job, again_seconds=0)
    return again


@pytest.fixture
def recurring(store) -> None:
    jobs.ensure_recurring(quarantine_house.EXPIRE, "", 60)


def test_expiry_is_said_before_it_happens_and_once(one, recurring):
    expire()
    assert events(one) == [("Mailseal", "held")]
    now = datetime.now(UTC)
    quarantine_actions.extend(one, PIA, now + timedelta(days=quarantine_work.NOTICE_DAYS, seconds=-60))
    QuarantineRow.objects.update(created=now - timedelta(days=20))
    expire()
    expire()
    assert events(one)[2:] == [("Mailseal", "expiry-noticed")]

    QuarantineRow.objects.update(expires=now - timedelta(seconds=1))
    expire()
    assert state(one) is State.EXPIRED
    assert events(one)[3:] == [("Mailseal", "expired")]
    assert work(ENDED, quarantine_house.end_held) == 1
    assert not MessageChunkRow.objects.exists()


@dataclass
class Told:
    """Implements `ports.Notices`: what was asked for."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def request(self, notice: Notice) -> None:
        self.asked.append((notice.kind.value, str(notice.reader), notice.facts.quarantine))


@pytest.fixture
def telling(kek) -> SimpleNamespace:
    """A node that tells the sender of everything."""
    on = Stage(internal={"alpha.example"}, settings={"": Settings(notify_sender=tuple(NoticeKind))})
    return SimpleNamespace(gateway=replace(on.gateway(), notices=Told()), kek=kek)


def test_the_sender_is_told_of_each_end_before_everything_is_forgotten(store, kek, recurring, telling):
    port, told = StoreQuarantine(kek), telling.gateway.notices.asked
    deleted, ended = (UUID(port.hold(held(to, number=number), message())) for number, to in enumerate((X, Y)))
    quarantine_actions.delete(deleted, PIA)
    work(ENDED, quarantine_house.end_held, telling)
    assert told == [("deleted", ANNA, str(deleted))]

    now = datetime.now(UTC)
    QuarantineRow.objects.filter(pk=ended).update(created=now - timedelta(days=20), expires=now + timedelta(days=1))
    expire(telling)
    QuarantineRow.objects.filter(pk=ended).update(expires=now)
    expire(telling)
    work(ENDED, quarantine_house.end_held, telling)
    assert told[1:] == [("expires-soon", ANNA, str(ended)), ("expired", ANNA, str(ended))]


def test_nobody_can_be_told_and_it_is_deleted_all_the_same(one, telling, monkeypatch):
    monkeypatch.setattr(
        telling.gateway.notices, "request", lambda _: (_ for _ in ()).throw(TransientError("no KEK")), raising=False
    )
    quarantine_actions.delete(one, PIA)
    assert work(ENDED, quarantine_house.end_held, telling) == 1
    assert QuarantineRow.objects.get().sealed is None


def test_put_off_it_is_said_anew(one, recurring):
    QuarantineRow.objects.update(
        created=datetime.now(UTC) - timedelta(days=20), expires=datetime.now(UTC) + timedelta(days=1)
    )
    expire()
    quarantine_actions.extend(one, PIA, datetime.now(UTC) + timedelta(days=30))
    assert quarantine.find(one).noticed is None


def test_what_is_being_released_does_not_expire(one, recurring):
    quarantine_actions.release(one, PIA)
    QuarantineRow.objects.update(expires=datetime.now(UTC) - timedelta(days=1))
    expire()
    mail = quarantine.find(one)
    assert mail.state is State.RELEASING
    quarantine_work.not_released(mail, "refused: 550")
    assert quarantine.find(one).expires > datetime.now(UTC) + timedelta(hours=23), "somebody shall see why"


def test_nothing_expires_by_a_clock_that_has_jumped(one, recurring, monkeypatch):
    QuarantineRow.objects.update(expires=datetime.now(UTC) - timedelta(days=1))
    monkeypatch.setattr(type(CLOCK), "trusted", lambda _: False)
    expire()
    assert state(one) is State.HELD


def test_many_expire_in_turns(store, kek, recurring, monkeypatch):
    monkeypatch.setattr(quarantine_house, "AT_ONCE", 2)
    port = StoreQuarantine(kek)
    for number in range(3):
        port.hold(held(number=number, hold_days=-1), message())
    assert expire() == quarantine_house.AGAIN_SECONDS
    assert expire() is None
    assert not QuarantineRow.objects.filter(state="held").exists()


def test_a_release_whose_job_was_given_up_is_held_again(one, recurring):
    quarantine_actions.release(one, PIA)
    expire()
    assert state(one) is State.RELEASING, "its job waits"
    jobs.fail(jobs.claim("worker", kinds=[RELEASE]), "KeyError", for_good=True)
    expire()
    mail = quarantine.find(one)
    assert (mail.state, mail.error) == (State.HELD, "the release was given up")


def test_a_worker_that_lost_its_job_changes_nothing(one):
    late = quarantine_actions.release(one, PIA)
    quarantine_work.not_released(late, "refused: 550")
    quarantine_actions.release(one, PIA)
    assert not quarantine_work.not_released(late, "late")
    assert quarantine.find(one).error == ""
    assert quarantine_work.to_release(one, 1) is None
    assert quarantine_work.to_release(one, 2) is not None


def test_who_has_looked(one):
    quarantine_actions.seen(one, PIA, Action.SHOWN)
    quarantine_actions.seen(one, QUINN, Action.EXPORTED, "for the lawyers")
    assert events(one)[1:] == [("pia", "shown"), ("quinn", "exported")]
    assert [one.action for one in quarantine_events.list_events(actor=QUINN.key)] == ["exported"]
    assert len(quarantine_events.list_events(action=Action.SHOWN, since=datetime.now(UTC) - timedelta(hours=1))) == 1
    [newest] = quarantine_events.list_events(limit=1)
    assert len(quarantine_events.list_events(before=newest.id)) == 2


def test_what_an_account_has_asked_for_ends_with_it(one):
    """Who deactivates an account may do so because somebody else has used it."""
    anna = accounts.create("anna@inside.example", "", [Role.ADMINISTRATOR])
    bob = accounts.create("bob@inside.example", "", [Role.QUARANTINE_REVIEWER])
    for end in (lambda: accounts.set_active(bob.id, active=False), lambda: accounts.reset(bob.id)):
        quarantine_actions.ask_as_is(one, Actor(accounts.key_of(bob.id), "bob"))
        end()
        with pytest.raises(NoRequestError):
            quarantine_actions.approve(one, Actor(accounts.key_of(anna.id), "anna"))
    quarantine_actions.ask_as_is(one, Actor(accounts.key_of(anna.id), "anna"))
    accounts.set_active(bob.id, active=True)
    accounts.reset(bob.id)
    assert quarantine.find(one).asked_by == accounts.key_of(anna.id)
    Account.objects.all().delete()


def test_nobody_looks_unrecorded_by_another_name(one):
    quarantine_actions.seen(one, quarantine_events.MAILSEAL, Action.SHOWN)
    assert [(row.actor, row.action) for row in AuditEventRow.objects.filter(area="quarantine")] == [
        ("mailseal", "shown")
    ]


def test_gauges(store, kek):
    assert (gauges.held().count, gauges.held().oldest) == (0, None)
    port = StoreQuarantine(kek)
    one, two = (UUID(port.hold(held(to), message())) for to in (X, Y))
    quarantine_actions.release(one, PIA)
    found = gauges.held()
    assert (found.by_why["dlp"], found.by_why["ambiguous"], found.count) == (2, 0, 2)
    assert found.next_end == quarantine.find(two).expires
