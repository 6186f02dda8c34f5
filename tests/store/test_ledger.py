from datetime import UTC, datetime, timedelta

from mailseal.mail.address import Address
from mailseal.mail.reply import ACCEPTED, Reply
from mailseal.policy.model import Fate, MethodName, Outcome, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.store.ledger import StoreLedger, forget, purge
from mailseal.store.models import LedgerRow
from mailseal.store.outcomes import outcome_from_json, outcome_to_json

ATTEMPT = bytes(range(32))
BOB = Outcome(
    Address.parse("Bob@y.test"),
    Fate.RELAYED,
    Reply(250, "2.0.0", "queued as ÄÖ"),
    Treatment.SIGNED_ENCRYPTED,
    MethodName.SMIME,
    (because(ReasonCode.METHOD_TOO_LARGE, method="smime", limit_bytes=5), because(ReasonCode.SENT_CLEAR)),
    (("algorithm", "aes256-cbc"), ("key", "ab" * 32)),
)
CAROL = Outcome(Address.parse("carol@y.test"), Fate.REFUSED, Reply(550, "", "no", remote="mx.y.test"))


def test_what_is_settled_comes_back_whole(store):
    ledger = StoreLedger()
    assert ledger.settled(ATTEMPT) == {}
    ledger.settle(ATTEMPT, [BOB, CAROL])
    ledger.settle(ATTEMPT, [])
    settled = ledger.settled(ATTEMPT)
    assert settled == {"bob@y.test": BOB, "carol@y.test": CAROL}
    assert str(settled["bob@y.test"].recipient) == "Bob@y.test"
    assert [settled[key].reply.remote for key in ("bob@y.test", "carol@y.test")] == ["", "mx.y.test"]
    assert ledger.settled(bytes(32)) == {}
    forget(ATTEMPT)
    assert ledger.settled(ATTEMPT) == {}


def test_the_first_outcome_stays(store):
    ledger = StoreLedger()
    ledger.settle(ATTEMPT, [BOB])
    ledger.settle(ATTEMPT, [Outcome(BOB.recipient, Fate.REFUSED, CAROL.reply), CAROL])
    assert ledger.settled(ATTEMPT) == {"bob@y.test": BOB, "carol@y.test": CAROL}


def test_workers_with_the_same_mail_agree(store, in_threads):
    recipients = [Address.parse(f"r{number}@y.test") for number in range(20)]

    def settle(number):
        order = recipients if number % 2 else recipients[::-1]
        for one in order:
            StoreLedger().settle(ATTEMPT, [Outcome(one, Fate.RELAYED, Reply(250, "", str(number))), CAROL])
        return {key: outcome.reply.text for key, outcome in StoreLedger().settled(ATTEMPT).items()}

    seen = in_threads(settle, 4)
    assert all(one == seen[0] for one in seen)
    assert LedgerRow.objects.count() == 21


def test_old_rows_are_purged(store):
    StoreLedger().settle(ATTEMPT, [BOB, CAROL])
    now = datetime.now(UTC)
    assert purge(now - timedelta(days=6)) == 0
    assert purge(now + timedelta(seconds=5)) == 2


def test_replies_keep_their_meaning():
    assert ACCEPTED.accepted


def test_rows_of_an_older_release_are_read(store):
    row = outcome_to_json(CAROL)
    row["reply"] = row["reply"][:3]
    assert outcome_from_json(row) == CAROL
