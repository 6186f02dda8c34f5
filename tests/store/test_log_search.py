"""A page of the log: conditions together, domains of somebody, and a log too long to be looked through at once."""

from datetime import timedelta

import pytest

from logged import START, keep, logged
from mailseal.policy.model import Fate, MethodName, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.store import log, log_search
from mailseal.store.log import LogFilter


def numbers(wanted: LogFilter, **how) -> list[int]:
    return [int(one.message[1:]) for one in log.page(wanted, **how).entries]


def test_conditions_hold_together(store):
    keep(
        logged(1, "a@one.test", "b@two.test"),
        logged(2, "a@one.test", "b@two.test", Fate.REFUSED),
        logged(3, "a@one.test", "c@two.test", method=MethodName.SMIME, subject="Übersicht März"),
        logged(4, '"x@y"@one.test', "b@sub.two.test", Fate.REFUSED),
        logged(5, "", "b@two.test"),
    )
    assert numbers(LogFilter(sender="one.test")) == [4, 3, 2, 1]
    assert numbers(LogFilter(recipient="two.test")) == [5, 3, 2, 1]
    assert numbers(LogFilter(sender="one.test", fate=Fate.REFUSED)) == [4, 2]
    assert numbers(LogFilter(sender="one.test", recipient="b@two.test", fate=Fate.REFUSED)) == [2]
    assert numbers(LogFilter(sender="<>")) == [5]
    assert numbers(LogFilter(party="c@two.test")) == [3]
    assert numbers(LogFilter(party="one.test")) == [4, 3, 2, 1]
    assert numbers(LogFilter(party="b@two.test", sender="one.test")) == [2, 1]
    assert numbers(LogFilter(party="two.test", domains=frozenset({"one.test"}))) == [3, 2, 1]
    assert [one.message for one in log.newer(LogFilter(party="two.test"), after=None)] == ["m1", "m2", "m3", "m5"]
    assert numbers(LogFilter(method=MethodName.SMIME)) == [3]
    assert numbers(LogFilter(treatment=Treatment.PASSED, recipient="b@two.test")) == [5, 2, 1]
    assert numbers(LogFilter(reason=ReasonCode.PROTECTED_BY)) == [3]
    assert numbers(LogFilter(subject="Übersicht")) == [3]
    assert numbers(LogFilter(subject="BERSICHT M")) == [3]


def test_somebody_sees_the_mails_of_their_domains_only(store):
    keep(
        logged(1, "a@one.test", "b@two.test"),
        logged(2, "a@three.test", "b@one.test"),
        logged(3, "a@three.test", "b@two.test"),
        logged(4, "a@one.test", "b@one.test"),
        logged(5, "a@sub.one.test", "b@two.test"),
    )
    mine = frozenset({"one.test"})
    assert numbers(LogFilter(domains=mine)) == [4, 2, 1]
    assert numbers(LogFilter(domains=mine, sender="a@three.test")) == [2]
    assert numbers(LogFilter(domains=mine, sender="a@one.test")) == [4, 1]
    assert numbers(LogFilter(domains=mine, recipient="two.test")) == [1]
    assert numbers(LogFilter(domains=mine, message="m3")) == []
    assert numbers(LogFilter(domains=mine, sender="three.test", recipient="two.test")) == []
    assert numbers(LogFilter(domains=frozenset())) == []
    assert [one.message for one in log.newer(LogFilter(domains=mine), after=None)] == ["m1", "m2", "m4"]


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_pages_together_are_all_of_it_each_once(store, limit):
    keep(*(logged(n, f"a@{'one' if n % 3 else 'two'}.test", f"b@{'one' if n % 5 else 'six'}.test") for n in range(40)))
    wanted = LogFilter(domains=frozenset({"two.test", "six.test"}))
    assert all_pages(wanted, limit) == [n for n in reversed(range(40)) if not (n % 3 and n % 5)]


def all_pages(wanted: LogFilter, limit: int, **how) -> list[int]:
    found, before = [], None
    while True:
        page = log.page(wanted, before=before, limit=limit, **how)
        found += [int(one.message[1:]) for one in page.entries]
        if page.next is None:
            return found
        before = page.next


def test_a_long_log_is_looked_through_a_window_at_a_time(store, monkeypatch):
    for name in ("WINDOW", "KEY_WINDOW", "MIN_WINDOW"):
        monkeypatch.setattr(log_search, name, 10)
    keep(
        *(
            logged(n, "a@one.test", f"b{n % 2}@two.test", Fate.HELD if n % 25 == 3 else Fate.RELAYED)
            for n in range(100)
        ),
        logged(100, "a@one.test", "b@two.test", method=MethodName.PGP, subject="needle"),
    )
    for wanted, expected in (
        (LogFilter(subject="needle"), [100]),
        (LogFilter(method=MethodName.PGP, recipient="two.test"), [100]),
        (LogFilter(sender="a@one.test", recipient="two.test", fate=Fate.HELD), [78, 53, 28, 3]),
        (LogFilter(direction="in"), []),
        (LogFilter(domains=frozenset({"one.test", "two.test"}), direction="out", fate=Fate.HELD), [78, 53, 28, 3]),
    ):
        first = log.page(wanted, limit=3, budget_seconds=-1)
        assert first.next is None or first.back_to is not None or len(first.entries) == 3
        assert all_pages(wanted, 3, budget_seconds=-1) == expected, wanted
        assert numbers(wanted, limit=50, budget_seconds=60) == expected, wanted
        assert [int(one.message[1:]) for one in log.search(wanted)] == expected, wanted


def test_who_looks_for_nothing_that_is_there_is_told_how_far_back(store, monkeypatch):
    monkeypatch.setattr(log_search, "KEY_WINDOW", 10)
    monkeypatch.setattr(log_search, "MIN_WINDOW", 10)
    keep(*(logged(n, "a@one.test", "b@two.test") for n in range(30)))
    page = log.page(LogFilter(direction="in"), budget_seconds=-1)
    assert page.entries == ()
    assert page.back_to == START + timedelta(minutes=19)
