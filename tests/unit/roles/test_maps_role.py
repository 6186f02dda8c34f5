"""Answers to Postfix: kept until something changes, and only while changes are looked for; else the mail waits."""

import asyncio
import logging

import pytest

from mailseal.config import from_values
from mailseal.errors import TransientError
from mailseal.roles import maps_role
from mailseal.roles.maps_role import MapsRole
from mailseal.roles.maps_tables import Found
from mailseal.roles.meter import Meter
from mailseal.roles.metric_table import By
from mailseal.store.stamps import Scope
from mailseal.store.transaction import StoreUnavailable
from mailseal.transport.socketmap import NOT_FOUND, Kind, Question, Reply

A = Question("tls", "a.example")


class Watch:
    is_fresh = True

    def fresh(self, now):
        return self.is_fresh


class Bench:
    def __init__(self, monkeypatch, **tables):
        self.asked = []
        self.found = [Found(Reply(Kind.OK, "one"))]
        self.meter = Meter(By.MAPS)
        self.role = MapsRole(from_values(tables), self.meter)
        self.watch = self.role.stamps
        self.role.stamps = Watch()
        monkeypatch.setattr(maps_role, "MAPS", {"tls": self.tls})

    def tls(self, sources, key):
        self.asked.append(key)
        found = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(found, Exception):
            raise found
        return found

    def ask(self, *questions):
        async def scene():
            answers = []
            for question in questions:
                answer = self.role.answer(question)
                answers.append(answer if isinstance(answer, bytes) else await answer)
            return [answer.partition(b":")[2][:-1].decode() for answer in answers]

        return asyncio.run(scene())

    def counted(self):
        for metric in self.meter.registry.collect():
            if metric.name == "mailseal_map_answers":
                return {
                    (one.labels["table"], one.labels["answer"]): one.value
                    for one in metric.samples
                    if one.name.endswith("_total")
                }
        return {}


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


def test_an_answer_is_kept_until_something_changes(bench):
    assert bench.ask(A, A, Question("tls", "b.example")) == ["OK one"] * 3
    assert bench.asked == ["a.example", "b.example"]
    bench.found = [Found(NOT_FOUND)]
    for scope in (Scope.SETTINGS, Scope.TLS, Scope.LOGINS):
        for clear in bench.watch._clear[scope]:
            clear()
        bench.asked.clear()
        assert bench.ask(A, A) == ["NOTFOUND "] * 2
        assert bench.asked == ["a.example"]
    assert bench.counted() == {("tls", "ok"): 3, ("tls", "notfound"): 6}


def test_the_way_to_a_domain_is_looked_up_once_for_all_its_addresses(bench, monkeypatch):
    monkeypatch.setattr(maps_role, "MAPS", dict.fromkeys(("transport", "sender-logins"), bench.tls))
    ways = [Question("transport", key) for key in ("a@x.example", "b@x.example", "x.example", '"c@d"@x.example')]
    senders = [Question("sender-logins", f"{local}@x.example") for local in "ab"]
    bench.ask(*ways, *senders)
    assert bench.asked == ["@x.example", "x.example", "a@x.example", "b@x.example"]


def test_what_is_kept_is_not_believed_when_nobody_has_looked_for_changes(bench):
    assert bench.ask(A) == ["OK one"]
    bench.role.stamps.is_fresh = False
    assert bench.ask(A, Question("tls", "new.example")) == ["TEMP Mailseal cannot look for changes in its database"] * 2
    assert bench.asked == ["a.example"]
    bench.role.stamps.is_fresh = True
    assert bench.ask(A) == ["OK one"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreUnavailable("the file /secret/place is gone"), "TEMP Mailseal's database is not available"),
        (TransientError("a rule is not kept"), "TEMP a rule is not kept"),
        (RuntimeError("boom"), "TEMP Mailseal cannot answer for now"),
    ],
)
def test_what_cannot_be_said_makes_the_mail_wait_and_is_asked_anew(bench, caplog, error, said):
    bench.found = [error, error, Found(Reply(Kind.OK, "one"))]
    assert bench.ask(A, A, A) == [said, said, "OK one"]
    assert bench.counted() == {("tls", "temp"): 2, ("tls", "ok"): 1}
    assert "boom" not in caplog.text
    assert caplog.text.count("a rule is not kept") == (1 if isinstance(error, TransientError) and "rule" in said else 0)


def test_what_may_be_known_in_a_moment_is_waited_for_and_not_kept(monkeypatch):
    bench = Bench(monkeypatch, tls={"mta_sts_wait_seconds": 30})
    monkeypatch.setattr(maps_role, "LOOK_AGAIN_SECONDS", 0.0)
    may = Found(Reply(Kind.OK, "may"), passing=True)
    bench.found = [may, may, Found(Reply(Kind.OK, "secure"))]
    assert bench.ask(A, A) == ["OK secure"] * 2
    assert len(bench.asked) == 3


def test_but_not_for_ever(monkeypatch):
    bench = Bench(monkeypatch, tls={"mta_sts_wait_seconds": 0})
    bench.found = [Found(Reply(Kind.OK, "may"), passing=True)]
    assert bench.ask(A, A) == ["OK may"] * 2
    assert len(bench.asked) == 2


def test_what_changes_while_it_is_read_is_not_kept(bench):
    def tls(sources, key):
        bench.asked.append(key)
        bench.role._answers.clear()
        return Found(NOT_FOUND)

    maps_role.MAPS["tls"] = tls
    assert bench.ask(A, A) == ["NOTFOUND "] * 2
    assert len(bench.asked) == 2


def test_a_table_that_is_not_there(bench):
    assert bench.ask(Question("passwd", "root")) == ["PERM there is no such table"]
    assert bench.counted() == {("other", "perm"): 1}


def test_an_answer_that_postfix_would_not_take_makes_the_mail_wait(bench, caplog):
    bench.found = [Found(Reply(Kind.OK, "x" * 200_000))]
    with caplog.at_level(logging.WARNING):
        assert bench.ask(A) == ["TEMP the answer is longer than Postfix takes"]
    assert "200003 octets" in caplog.text
