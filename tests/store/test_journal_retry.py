"""The worker tries a kept report again: opened and sent on, shut as before, or not taken by the archive."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from journal_stage import ARCHIVE, CANARY, DORA, EMIL, JOURNAL, about, shelf, smime, stage
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.policy.reason import ReasonCode, because
from mailseal.ports import OnUnopened, Unopened
from mailseal.roles.handlers import HANDLERS
from mailseal.store import jobs, journal_failures, stored_messages
from mailseal.store.stored_message_models import StoredMessageRow
from stage import READER

WHY = (because(ReasonCode.KEY_NOT_FOUND),)


@pytest.fixture
def on(store):
    made = stage(shelf(on_unopened=OnUnopened.KEEP))
    made.route_of = lambda address: f"way to {address.domain}"
    return made


@pytest.fixture
def node(on, kek):
    return SimpleNamespace(gateway=on.gateway(), kek=kek, stamps=SimpleNamespace(poll=lambda _: None))


def keep(kek, raw: bytes) -> journal_failures.Failure:
    told = Unopened(b"\1" * 32, Address.parse(JOURNAL), Address.parse("ex@inside.example"), "<1@x>", WHY)
    journal_failures.keep(told, Message(raw), kek)
    [one] = journal_failures.list_failures(kept=True)
    return one


def retry(node, failure, **more) -> None:
    journal_failures.retry([failure.id], **more)
    job = jobs.claim("w", kinds=[journal_failures.RETRY])
    HANDLERS[job.kind].handle(node, job)
    jobs.done(job)


def test_opened_and_sent_on(on, node, kek):
    failure = keep(kek, about(smime(READER)))
    retry(node, failure)
    [transfer] = on.sent
    octets = b"".join(transfer.chunks)
    assert CANARY in octets
    assert octets.startswith(b"Received: from unknown")
    assert ([str(one.address) for one in transfer.recipients], str(transfer.sender)) == ([ARCHIVE], "ex@inside.example")
    assert (transfer.ret, transfer.route) == ("HDRS", "way to inside.example")
    assert journal_failures.find(failure.id).ended is not None
    assert not StoredMessageRow.objects.exists()
    retry(node, failure)
    assert len(on.sent) == 1


def test_shut_as_before(on, node, kek):
    failure = keep(kek, about(smime(EMIL), users=(DORA,)))
    retry(node, failure)
    assert not on.sent
    found = journal_failures.find(failure.id)
    assert [one.code for one in found.reasons] == [ReasonCode.KEY_NOT_FOUND, ReasonCode.JOURNAL_NOT_OPENED]
    assert (found.kept, found.tries) == (failure.kept, 1)


def test_as_it_came(on, node, kek):
    raw = about(smime(EMIL))
    retry(node, keep(kek, raw), as_it_came=True)
    [transfer] = on.sent
    assert b"".join(transfer.chunks[1:]) == raw


@pytest.mark.parametrize(("code", "error"), [(451, TransientError), (550, PermanentError)])
def test_what_the_archive_does_not_take_stays(on, node, kek, code, error):
    on.answer = lambda _: [Reply(code, "", "no room")]
    failure = keep(kek, about(smime(READER)))
    with pytest.raises(error, match="no room"):
        retry(node, failure)
    found = journal_failures.find(failure.id)
    assert found.error == f"the next hop answered {code} no room"
    assert b"".join(stored_messages.pieces(found.kept, kek))


def test_a_report_to_what_is_no_journal_address_any_more_stays(on, node, kek):
    failure = keep(kek, about(smime(READER)))
    node.gateway = replace(node.gateway, journals=None)
    with pytest.raises(PermanentError, match="no journal address"):
        retry(node, failure)
    assert journal_failures.find(failure.id).kept == failure.kept


def test_another_worker_has_taken_over(on, node, kek):
    failure = keep(kek, about(smime(READER)))
    journal_failures.retry([failure.id])
    job = jobs.claim("w", kinds=[journal_failures.RETRY])
    with pytest.raises(TransientError):
        HANDLERS[job.kind].handle(node, replace(job, epoch=job.epoch - 1))
    assert not on.sent
