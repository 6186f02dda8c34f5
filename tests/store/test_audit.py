"""The audit: one chain per node, whatever writes at once; nothing secret in it."""

import json

import pytest

from mailseal.store import audit
from mailseal.store.acting import Acting, Way, acting
from mailseal.store.actor import MAILSEAL, Actor
from mailseal.store.audit_models import AuditEventRow, AuditHeadRow
from mailseal.store.transaction import run

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
