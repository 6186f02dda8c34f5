"""The audit: one chain per node, whatever writes at once; nothing secret in it."""

import hashlib
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.test.utils import CaptureQueriesContext

from mailseal.cli.checks.audit import signed
from mailseal.cli.checks.finding import Status
from mailseal.keys.sealing import Kek
from mailseal.roles.audit_work import line_of
from mailseal.store import audit, audit_export, audit_signing
from mailseal.store.acting import Acting, Way, acting
from mailseal.store.actor import MAILSEAL, Actor
from mailseal.store.audit import AuditFilter
from mailseal.store.audit_models import AuditEventRow, AuditHeadRow, AuditSignatureRow
from mailseal.store.audit_verify import Fault, heads_in, verify
from mailseal.store.pace import Turn
from mailseal.store.row import first_uuid7
from mailseal.store.transaction import connection, run

ANNA = Actor("account:1", "Anna")


def _events():
    return list(AuditEventRow.objects.order_by("node", "number"))


def test_an_event_says_who_when_from_where_and_what(store):
    with acting(Acting(ANNA, Way.CONSOLE, "192.0.2.7")):
        audit.record("settings", "set", "mode secret.example", before={"mode": "no"}, after={"mode": "mandatory"})
    (row,) = _events()
    assert (row.node, row.number, row.actor, row.actor_name) == ("mx1", 1, "account:1", "Anna")
    assert (row.way, row.place, row.area, row.action) == ("console", "192.0.2.7", "settings", "set")
    assert (json.loads(row.before), json.loads(row.after)) == ({"mode": "no"}, {"mode": "mandatory"})
    assert row.previous == audit.GENESIS
    assert row.digest == audit.digest_of(AuditEventRow.objects.get())


def test_without_anybody_it_is_mailseal_itself(store):
    audit.record("settings", "set", "mode")
    (row,) = _events()
    assert (row.actor, row.way, row.before, row.after) == (MAILSEAL.key, "itself", "", "")


def test_what_is_rolled_back_was_never_recorded(store):
    def work():
        audit.record("settings", "set", "mode")
        raise RuntimeError

    audit.record("settings", "set", "first")
    with pytest.raises(RuntimeError):
        run(work)
    audit.record("settings", "set", "second")
    assert [(row.number, row.subject) for row in _events()] == [(1, "first"), (2, "second")]


def test_those_who_write_at_once_make_one_chain(store, in_threads):
    in_threads(lambda number: [audit.record("settings", "set", f"{number} {turn}") for turn in range(5)], 4)
    rows = _events()
    assert [row.number for row in rows] == list(range(1, 21))
    assert [row.previous for row in rows] == [audit.GENESIS, *(row.digest for row in rows[:-1])]
    assert AuditHeadRow.objects.get().digest == rows[-1].digest


def test_secrets_are_masked_by_name_and_by_look(store):
    audit.record(
        "routes", "password", "anna@relay.example:25",
        before={"password": "old-one", "tls": "verify", "token_count": 0, "hops": ["a", "b"]},
        after={"nested": [{"client_secret": "new-one"}], "note": "-----BEGIN RSA PRIVATE KEY-----\nMII", "n": None},
    )  # fmt: skip
    (row,) = _events()
    assert not {"old-one", "new-one", "MII"} & set(json.dumps([row.before, row.after]).split('"'))
    assert json.loads(row.before) == {"password": "(secret)", "tls": "verify", "token_count": 0, "hops": ["a", "b"]}
    assert json.loads(row.after) == {"nested": [{"client_secret": "(secret)"}], "note": "(secret)", "n": None}


def test_what_is_too_large_is_cut(store):
    audit.record("dlp", "change", "long", after={"words": ["w"] * 300, "text": "t" * 5000, "\udc80\0": "\udc80\0"})
    audit.record("dlp", "change", "x" * 1000, after={f"field {number}": "t" * 2000 for number in range(100)})
    first, second = _events()
    kept = json.loads(first.after)
    assert (len(kept["words"]), kept["words"][-1]) == (201, "… 100 more")
    assert kept["text"].startswith("t" * 2000 + "… (5000 characters, SHA-256 ")
    assert set(json.loads(second.after)) == {"too_long", "sha256"}
    assert len(second.subject) == 400


# ---- reading


def _record(*subjects: str) -> None:
    for subject in subjects:
        audit.record("settings", "set", subject)


def test_events_are_found_page_by_page_and_by_what_they_are_about(store):
    with acting(Acting(ANNA, Way.API, "192.0.2.7")):
        audit.record("domains", "add", "inside.example", after={"internal": True})
    _record("mode", "mode secret.example", "subject_trigger secret.example")
    newest, *_ = found = audit.list_events(limit=2)
    assert [one.subject for one in found] == ["subject_trigger secret.example", "mode secret.example"]
    assert [one.subject for one in audit.list_events(before=found[-1].id)] == ["mode", "inside.example"]

    def subjects(**wanted):
        return [one.subject for one in audit.list_events(AuditFilter(**wanted))]

    assert subjects(actor="anna") == subjects(actor="account:1") == subjects(area="domains") == ["inside.example"]
    assert subjects(way=Way.API) == subjects(action="add") == ["inside.example"]
    assert subjects(subject="mode") == ["mode"]
    assert subjects(containing="SECRET") == ["subject_trigger secret.example", "mode secret.example"]
    assert subjects(since=newest.time + timedelta(seconds=1)) == subjects(node="mx2") == []
    assert audit.find_event(newest.id) == newest


def test_where_no_index_helps_a_search_goes_on_later(store, monkeypatch):
    monkeypatch.setattr(audit, "WINDOW_ROWS", 3)
    _record("wanted 1", *(f"other {number}" for number in range(7)), "wanted 2", "other")
    wanted, before, found, turns = AuditFilter(containing="wanted"), None, [], 0
    while turns == 0 or before:
        some = audit.search(wanted, before=before, limit=5, seconds=0.0)
        before, turns = some.rest, turns + 1
        found += [one.subject for one in some.events]
    assert (found, turns) == (["wanted 2", "wanted 1"], 4)
    assert [one.subject for one in audit.search(wanted, limit=5).events] == found
    first = audit.search(wanted, limit=1)
    assert [one.subject for one in first.events] == ["wanted 2"]
    assert [one.subject for one in audit.search(wanted, before=first.rest, limit=1).events] == ["wanted 1"]
    whole = audit.search(AuditFilter(area="settings"), limit=10)
    assert (len(whole.events), whole.rest) == (10, None)


# ---- signing and verifying


def _faults(keys=None, logged=()):
    return [(one.node, one.number, one.fault) for one in verify(keys, logged).findings]


def test_a_chain_that_was_signed_is_as_it_was_recorded(store, kek):
    _record("one", "two")
    (head,) = audit_signing.sign_heads(kek)
    assert (head.node, head.number, head.holds()) == ("mx1", 3, True)  # the key that was made is an event too
    assert audit_signing.sign_heads(kek) == ()
    _record("three")
    done = verify(audit_signing.genuine_keys(kek))
    assert (done.findings, done.events, done.keys) == ((), 4, audit_signing.genuine_keys(kek))
    assert [(one.node, one.first, one.last, one.signed) for one in done.chains] == [("mx1", 1, 4, 3)]


def _change(number: int) -> None:
    AuditEventRow.objects.filter(number=number).update(actor="account:2")


def _change_with_digest(number: int) -> None:
    _change(number)
    row = AuditEventRow.objects.get(number=number)
    AuditEventRow.objects.filter(number=number).update(digest=audit.digest_of(row))


def _change_all_that_follows(number: int) -> None:
    _change(number)
    previous = AuditEventRow.objects.get(number=number).previous
    for row in AuditEventRow.objects.filter(number__gte=number).order_by("number"):
        row.previous = previous
        previous = row.digest = audit.digest_of(row)
        row.save()
    AuditHeadRow.objects.update(digest=previous)


def _delete(*numbers: int) -> None:
    AuditEventRow.objects.filter(number__in=numbers).delete()


def _delete_with_head(number: int) -> None:
    _delete(*range(number, 10))
    AuditHeadRow.objects.update(number=number - 1, digest=AuditEventRow.objects.get(number=number - 1).digest)


@pytest.mark.parametrize(
    ("deed", "faults"),
    [
        (lambda: _change(3), [(3, Fault.CHANGED)]),
        (lambda: _change_with_digest(3), [(4, Fault.BROKEN)]),
        (lambda: _change_all_that_follows(3), [(5, Fault.NOT_SIGNED_SO)]),
        (lambda: _delete(3), [(3, Fault.MISSING)]),
        (lambda: _delete(1, 2), [(1, Fault.BEGINNING)]),
        (lambda: _delete(5, 6), [(5, Fault.CUT)]),
        (lambda: _delete_with_head(5), [(5, Fault.CUT)]),
        (lambda: _delete_with_head(6), []),  # what nothing has signed yet
        (lambda: AuditSignatureRow.objects.update(digest="0" * 64), [(5, Fault.BAD_SIGNATURE)]),
        (lambda: AuditHeadRow.objects.all().delete(), [(6, Fault.BROKEN)]),
    ],
)  # fmt: skip
def test_who_can_write_to_the_database_is_found_out(store, kek, deed, faults):
    audit_signing.make_key(kek)
    _record("two", "three", "four", "five")
    audit_signing.sign_heads(kek)
    _record("six")
    assert _faults(audit_signing.genuine_keys(kek)) == []
    deed()
    assert _faults(audit_signing.genuine_keys(kek)) == [("mx1", number, fault) for number, fault in faults]


def test_a_key_that_no_kek_of_ours_has_sealed_signs_nothing(store, kek):
    _record("one")
    audit_signing.sign_heads(Kek(b"x" * 32))
    assert _faults() == []
    assert _faults(frozenset({"00" * 32})) == [("mx1", 2, Fault.FOREIGN_KEY)]
    assert audit_signing.genuine_keys(kek) == frozenset()


def test_the_log_tells_of_what_was_cut_off_with_all_that_signed_it(store, kek):
    _record("one", "two")
    (head,) = audit_signing.sign_heads(kek)
    text = f"2026-12-01T09:00:00Z info    worker: {line_of(head)}"
    logged = list(heads_in(["nothing", text, json.dumps({"event": text})]))
    assert logged == [head, head]
    keys = audit_signing.genuine_keys(kek)
    assert _faults(keys, logged) == []
    _delete_with_head(2)
    AuditSignatureRow.objects.all().delete()
    assert _faults(keys) == []
    assert _faults(keys, logged) == [("mx1", 2, Fault.CUT)]


def test_the_newest_part_alone_is_walked_from_what_was_signed(store, kek):
    audit_signing.make_key(kek)
    for number in range(2, 9):
        _record(str(number))
        if number in {3, 5}:
            audit_signing.sign_heads(kek)
    keys = audit_signing.genuine_keys(kek)
    assert [verify(keys, newest=newest).chains[0].first for newest in (2, 4, 100)] == [6, 4, 1]
    _change(2)
    assert (verify(keys, newest=4).findings, len(verify(keys, newest=100).findings)) == ((), 1)
    _change(7)
    assert len(verify(keys, newest=4).findings) == 1


def test_what_nobody_signs_is_said(store, kek):
    with frozen(datetime(2026, 1, 1, tzinfo=UTC)):
        _record("one")
    assert _faults() == [("mx1", 1, Fault.LATE)]
    assert [one.status for one in signed(None)] == [Status.WARN]
    audit_signing.sign_heads(kek)
    assert _faults() == []
    assert [one.status for one in signed(None)] == [Status.OK]


def frozen(at: datetime):
    patch = pytest.MonkeyPatch()
    patch.setattr(audit, "utc_now", lambda: at)
    patch.setattr(audit, "uuid7", lambda: first_uuid7(at))

    @contextmanager
    def during():
        try:
            yield
        finally:
            patch.undo()

    return during()


def test_what_is_old_goes_as_far_as_it_is_signed_and_the_rest_is_still_a_chain(store, kek):
    audit_signing.make_key(kek)
    for number in range(2, 5):
        with frozen(datetime(2026, 1, number, tzinfo=UTC)):
            _record(f"old {number}")
        if number == 3:
            audit_signing.sign_heads(kek)
    AuditEventRow.objects.filter(number=1).update(id=first_uuid7(datetime(2026, 1, 1, tzinfo=UTC)))
    before = datetime(2026, 6, 1, tzinfo=UTC)
    AuditEventRow.objects.filter(number=1).delete()  # its key says another time than it was hashed with
    assert audit_signing.purge(before, kek, Turn()) == 2
    assert [row.number for row in _events()] == [4]
    audit_signing.sign_heads(kek)
    keys = audit_signing.genuine_keys(kek)
    assert _faults(keys) == []
    _record("new")
    audit_signing.sign_heads(kek)
    assert audit_signing.purge(before, kek, Turn()) == 1
    assert ([row.number for row in _events()], _faults(keys)) == ([5], [])
    assert audit_signing.purge(before, kek, Turn()) == 0
    AuditSignatureRow.objects.filter(kind="start").delete()
    assert _faults(keys) == [("mx1", 1, Fault.BEGINNING)]


def test_what_is_exported_can_be_verified_by_others(store, kek):
    audit.record("settings", "set", "mode", before={"mode": "no"}, after={"mode": "ü"})
    audit_signing.sign_heads(kek)
    lines = [json.loads(line) for line in audit_export.lines()]
    events = [line["event"] for line in lines if "event" in line]
    assert events[0]["after"] == {"mode": "ü"}
    previous = audit.GENESIS
    for one in events:
        assert hashlib.sha256(one["hashed"].encode()).hexdigest() == one["digest"]
        assert json.loads(one["hashed"])[3] == previous
        previous = one["digest"]
    (signature,) = [line["signature"] for line in lines if "signature" in line]
    assert json.loads(signature["signed"])[1:5] == ["head", "mx1", 2, previous]
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature["key"]))
    key.verify(bytes.fromhex(signature["signature"]), signature["signed"].encode())
    assert list(audit_export.lines(AuditFilter(area="none"))) == [json.dumps({"signature": signature}) + "\n"]


def test_signatures_are_exported_page_by_page(store, kek, monkeypatch):
    for number in range(5):
        _record(str(number))
        audit_signing.sign_heads(kek)
    whole = list(audit_export.lines())
    assert sum('{"signature"' in line for line in whole) == 5
    monkeypatch.setattr(audit_export, "PAGE_ROWS", 2)
    with CaptureQueriesContext(connection()) as queries:
        assert list(audit_export.lines()) == whole
    asked = [one["sql"] for one in queries if "store_audit_signature" in one["sql"]]
    assert len(asked) == 4
    assert all("LIMIT 2" in one for one in asked)


def test_an_event_that_claims_to_be_old_takes_nothing_that_is_kept_with_it(store, kek):
    """Whoever can add events could else have the whole chain before it deleted, and that signed."""
    audit_signing.make_key(kek)
    _record("new")
    with frozen(datetime(2000, 1, 1, tzinfo=UTC)):
        _record("old, it says")
    audit_signing.sign_heads(kek)
    assert audit_signing.purge(datetime(2026, 6, 1, tzinfo=UTC), kek, Turn()) == 0
    assert "new" in [row.subject for row in _events()]
