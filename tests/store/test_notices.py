"""Notices: requested once, told together, within so many an hour, signed, marked; none of it concerns the mail."""

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from types import SimpleNamespace

import pytest

from dkim_keys import rsa_key
from mailseal.config import from_values
from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import DkimKey
from mailseal.dkim.verify import Result, verify
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.mime import parse
from mailseal.mail.reply import Reply
from mailseal.notices.facts import Found, NoticeFacts
from mailseal.pipeline.loop import BeenThrough
from mailseal.pipeline.own_notice import is_own_notice
from mailseal.policy.model import Action
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.settings import Settings
from mailseal.ports import Hop, Notice
from mailseal.roles.handlers import HANDLERS
from mailseal.smime import message as smime_message
from mailseal.store import jobs, notice_requests, rewrap
from mailseal.store.jobs import MAX_ATTEMPTS
from mailseal.store.models import JobRow
from mailseal.store.notice_models import NoticeRow, NoticeTemplateRow
from mailseal.store.notice_requests import NOTICE, StoreNotices
from stage import ROOT, Stage

NOW = datetime.now(UTC)
ANNA, MANAGER = "anna@inside.example", "dlp@inside.example"
KEYS = SimpleNamespace(known=lambda: [b"n" * 32])
CARDS = Found("cards", 2, Action.QUARANTINE)


def notice(number: int = 1, **changes) -> Notice:
    facts = NoticeFacts(
        at=NOW, mail=f"{number:016x}", message_id=f"<{number}@inside.example>", found=(CARDS,), quarantine=f"q{number}"
    )
    known = {
        "kind": NoticeKind.DLP_QUARANTINE,
        "attempt": hashlib.sha256(b"%d" % number).digest(),
        "about": Address.parse("bob@outside.example"),
        "reader": Address.parse(ANNA),
        "role": Role.SENDER,
        "sender": Address.parse(ANNA),
        "facts": facts,
    }
    return Notice(**known | changes)


@pytest.fixture
def on(store) -> Stage:
    made = Stage()
    made.gateway_settings["notice_keys"] = KEYS
    return made


@pytest.fixture
def node(on, kek, tmp_path):
    config = from_values({"hostname": "gw.inside.example", "notices": {"folder": str(tmp_path)}})
    return SimpleNamespace(config=config, gateway=on.gateway(), kek=kek)


@pytest.fixture
def ask(kek):
    notices = StoreNotices(kek)

    def request(*wanted: Notice) -> None:
        for one in wanted:
            notices.request(one)
        JobRow.objects.filter(kind=NOTICE).update(run_at=NOW - timedelta(days=1))

    return request


def work(node, *, attempts: int = 1) -> list[float | str | None]:
    """Do every job that is due, as the worker does; what each came to."""
    done = []
    while (job := jobs.claim("w", kinds=[NOTICE])) is not None:
        try:
            again = HANDLERS[NOTICE].handle(node, replace(job, attempts=attempts))
        except PermanentError as error:
            jobs.fail(job, str(error), for_good=True)
            done.append(str(error))
        except TransientError as error:
            jobs.fail(job, str(error), retry_seconds=60)
            done.append(str(error))
        else:
            jobs.done(job, again_seconds=again)
            done.append(again)
    return done


def sent(on) -> list:
    return [message_from_bytes(b"".join(one.chunks), policy=policy.default) for one in on.sent]


def text_of(mail) -> str:
    return mail.get_body(("plain",)).get_content()


# ---- requested


def test_once_for_each_attempt_recipient_kind_and_reader(ask, node, on):
    one = notice()
    others = [
        notice(kind=NoticeKind.DLP_WARN),
        notice(reader=Address.parse(MANAGER), role=Role.MANAGER),
        notice(about=Address.parse("carol@outside.example")),
        notice(2),
    ]
    ask(one, one, *others, one)
    assert NoticeRow.objects.count() == JobRow.objects.filter(kind=NOTICE).count() == 5
    notice_requests.conclude(one.attempt)  # SMTP has its 250: an identical mail is a new one
    ask(one)
    assert NoticeRow.objects.count() == 6


def test_at_once_it_is_still_one(kek, in_threads, store):
    in_threads(lambda _: StoreNotices(kek).request(notice()), 4)
    assert NoticeRow.objects.count() == JobRow.objects.filter(kind=NOTICE).count() == 1


def test_an_expiry_that_was_put_off_is_told_of_again(ask, store):
    for days in (1, 1, 5):
        ask(notice(kind=NoticeKind.EXPIRES_SOON, facts=NoticeFacts(NOW, expires=NOW + timedelta(days=days))))
    assert NoticeRow.objects.count() == 2


def test_what_is_sealed_is_known_to_rotation_and_says_nothing_in_clear(ask, kek, store):
    ask(notice())
    row = NoticeRow.objects.get()
    assert b"cards" not in bytes(row.sealed)
    assert [one.column.what for rows in rewrap.batches() for one in rows] == ["notice"]
    assert all(one.open(kek) for rows in rewrap.batches() for one in rows)
    assert JobRow.objects.get(kind=NOTICE).payload.keys() == {"notice", "mail"}


# ---- sent


def test_a_notice_as_its_reader_gets_it(ask, node, on):
    on.sign_for_domains(DkimKey("inside.example", "s1", rsa_key()))
    node.gateway = on.gateway()
    ask(notice(), notice(about=Address.parse("carol@outside.example")))
    assert work(node) == [None, None]
    (transfer,) = on.sent
    assert (transfer.hop, transfer.sender, str(transfer.recipients[0].address)) == (Hop.INSIDE, None, ANNA)
    (mail,) = sent(on)
    assert (mail["From"], mail["To"], mail["Auto-Submitted"]) == (
        "Mailseal <postmaster@inside.example>",
        ANNA,
        "auto-replied",
    )
    assert mail["In-Reply-To"] == "<1@inside.example>"
    assert {"bob@outside.example", "carol@outside.example"} <= set(text_of(mail).replace(",", "").split())
    assert "cards (2): held" in text_of(mail)
    octets = b"".join(transfer.chunks)
    assert is_own_notice(parse(octets).root, KEYS, node.gateway.clock.now())
    (checked,) = verify(
        Mail.of_chunks([octets]), lambda name: on.domain_keys.published.get(name, []), datetime.now(UTC)
    )
    assert (checked.result, checked.domain) == (Result.PASS, "inside.example")
    row = NoticeRow.objects.first()
    assert (row.sealed, row.error) == (None, "")
    assert row.ended is not None


def test_signed_when_its_author_has_a_certificate_and_a_key(ask, node, on):
    author = ROOT.issue("mailseal@inside.example")
    on.own(author)
    on.settings[Address.parse(ANNA).key] = Settings(
        notice_from="mailseal@inside.example", notice_envelope_from="bounces@inside.example", notice_language="de"
    )
    ask(notice())
    assert work(node) == [None]
    (transfer,) = on.sent
    assert str(transfer.sender) == "bounces@inside.example"
    octets = b"".join(transfer.chunks)
    root = parse(octets).root
    assert is_own_notice(root, KEYS, node.gateway.clock.now())
    assert smime_message.classify(root) is smime_message.LayerKind.SIGNED
    (mail,) = sent(on)
    assert mail["From"] == "Mailseal <mailseal@inside.example>"
    assert "zurückgehalten" in mail["Subject"]
    assert "Quarantäne" in text_of(mail)


def test_a_manager_outside_and_the_way_back_to_the_neighbour(ask, node, on):
    on.beside_exchange_online()
    node.gateway = on.gateway()
    ask(
        notice(reader=Address.parse("dlp@elsewhere.example"), role=Role.MANAGER),
        notice(2, reader=Address.parse(MANAGER), role=Role.MANAGER, hop=Hop.NEIGHBOUR),
    )
    assert work(node) == [None, None]
    by_reader = {str(one.recipients[0].address): one for one in on.sent}
    outside, back = by_reader["dlp@elsewhere.example"], by_reader[MANAGER]
    assert (outside.hop, back.hop) == (Hop.OUTSIDE, Hop.NEIGHBOUR)
    mail = message_from_bytes(b"".join(outside.chunks), policy=policy.default)
    assert (mail["From"], mail["Auto-Submitted"]) == ("Mailseal <postmaster@gw.inside.example>", "auto-generated")
    assert mail["In-Reply-To"] is None
    root = parse(b"".join(back.chunks)).root
    assert BeenThrough(root, None, datetime.now(UTC)).holds_for(Address.parse(MANAGER), on.loop)


def test_a_broken_template_falls_back_to_the_shipped_one_and_is_said(ask, node, on, caplog, tmp_path):
    set_by_hand = {"level": "domain", "owner": "inside.example", "kind": "dlp-quarantine", "language": "en"}
    NoticeTemplateRow.objects.create(**set_by_hand, part="text", text="{{ of_an_older_release }}")
    ask(notice())
    assert work(node) == [None]
    assert "held in the quarantine" in text_of(sent(on)[0])
    assert "inside.example cannot be used: text line 1" in caplog.text
    NoticeTemplateRow.objects.update(text="only {{ sender }}")
    (tmp_path / "en.toml").write_text("broken", "utf-8")
    ask(notice(2))
    assert work(node) == [None]
    assert text_of(sent(on)[1]).strip() == f"only {ANNA}"
    assert sent(on)[1].get_content_type() == "text/plain"


@pytest.mark.parametrize(
    ("reply", "ended"), [(Reply(550, "5.1.1", "no such user"), True), (Reply(451, "4.3.0", "not now"), False)]
)
def test_refused_is_given_up_and_deferred_is_tried_again_as_the_same_mail(ask, node, on, reply, ended):
    on.answer = lambda _: [reply]
    ask(notice())
    (result,) = work(node)
    assert reply.text in result
    assert (NoticeRow.objects.get().ended is not None) is ended
    if not ended:
        on.answer = lambda _: [Reply(250, "2.0.0", "ok")]
        JobRow.objects.update(run_at=NOW - timedelta(days=1))
        assert work(node) == [None]
        first, second = sent(on)
        assert (first["Message-ID"], first["Date"]) == (second["Message-ID"], second["Date"])
    assert notice_requests.failed(NOW - timedelta(days=1)) == ended


def test_the_last_try_ends_it(ask, node, on):
    on.answer = lambda _: [Reply(451, "4.3.0", "not now")]
    ask(notice())
    work(node, attempts=MAX_ATTEMPTS)
    assert "not now" in NoticeRow.objects.get().error


def test_whatever_is_wrong_with_a_notice_it_does_not_wait_for_ever(ask, node, on):
    def fail(_):
        raise ValueError("secret")

    on.answer = fail
    ask(notice())
    for attempts in (1, MAX_ATTEMPTS):
        assert NoticeRow.objects.get().ended is None
        JobRow.objects.update(run_at=NOW - timedelta(days=1))
        job = jobs.claim("w", kinds=[NOTICE])
        with pytest.raises(ValueError, match="secret"):
            HANDLERS[NOTICE].handle(node, replace(job, attempts=attempts))
        jobs.fail(job, "ValueError")
    row = NoticeRow.objects.get()
    assert (row.error, row.sealed) == ("ValueError", None)
    assert row.ended is not None


# ---- how many


def test_a_thousand_in_a_minute_are_ten_mails_now_and_one_later(ask, node, on):
    for number in range(12):
        ask(notice(number))
        work(node)
    ask(*[notice(number) for number in range(12, 80)], notice(500, reader=Address.parse(MANAGER), role=Role.MANAGER))
    results = Counter("waits" if isinstance(one, float) else one for one in work(node))
    assert results == {"waits": 70, None: 1}
    mails = sent(on)
    assert len(mails) == 10 + 1  # and the manager's, who is another reader
    assert NoticeRow.objects.filter(ended=None).count() == 80 - 10
    NoticeRow.objects.exclude(taken=None).update(taken=NOW - timedelta(minutes=61))
    JobRow.objects.filter(kind=NOTICE).update(run_at=NOW - timedelta(days=1))
    work(node)
    singles = [one for one in sent(on)[11:] if "Several" not in one["Subject"]]
    (summary,) = [one for one in sent(on)[11:] if "Several" in one["Subject"]]
    assert len(singles) == 9
    assert summary["Subject"] == "Mail held for its content: Several notices in one (61)"
    assert "… and 11 more" in text_of(summary)
    assert NoticeRow.objects.filter(ended=None).count() == 0


def test_the_last_of_an_hour_is_for_all_that_wait(ask, node, on):
    on.settings[Address.parse(ANNA).key] = Settings(notices_per_hour=1)
    ask(*[notice(number) for number in range(3)])
    assert work(node) == [None, None, None]
    (mail,) = sent(on)
    assert mail["Subject"].endswith("(3)")


def test_two_workers_tell_nothing_twice(ask, node, on, in_threads):
    on.settings[Address.parse(ANNA).key] = Settings(notices_per_hour=2)
    ask(*[notice(number) for number in range(6)])
    in_threads(lambda _: work(node), 3)
    told = [line for mail in sent(on) for line in text_of(mail).splitlines() if "held as q" in line]
    assert len(told) == len(set(told))


def test_purge_keeps_what_waits(ask, node, on, monkeypatch):
    ask(notice())
    work(node)
    ask(notice(2))
    notice_requests.purge(datetime.now(UTC) + timedelta(seconds=60))
    assert NoticeRow.objects.filter(ended=None).count() == NoticeRow.objects.count() == 1
    monkeypatch.setattr(notice_requests, "KEPT", timedelta(hours=-1))  # as it will be in two weeks
    notice_requests.purge(datetime.now(UTC) + timedelta(hours=1))
    assert NoticeRow.objects.count() == 0
