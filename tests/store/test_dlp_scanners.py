"""What is looked for in the mail of whom: one question for an address that is new, one program for all alike."""

import threading

import pytest

from dlp_patterns import a_pattern, stored
from mailseal.errors import TransientError
from mailseal.mail.address import Address
from mailseal.policy.dlp.model import Kind
from mailseal.policy.inspection import Inspection, Passage
from mailseal.store import dlp_assignments, dlp_groups, dlp_patterns, dlp_scanners
from mailseal.store.configure import use
from mailseal.store.dlp_models import DlpPatternRow
from mailseal.store.dlp_rows import BrokenPatternError
from mailseal.store.dlp_scanners import StorePatterns
from mailseal.store.dump import Place
from mailseal.store.load import copy
from mailseal.store.stamps import Scope, StampWatch
from mailseal.store.transaction import connection

ADDRESSES = {"sqlite": 10_000, "mariadb": 1_000}
ANNA, OLGA, PETER = map(Address.parse, ("anna@ours.example", "olga@theirs.test", "peter@sub.theirs.test"))


@pytest.fixture
def assigned(store):
    """a: all mail; b, c: by a group for ours.example; d: all below theirs.test; e: Olga."""
    stored(*(a_pattern(name, f"needle{name}") for name in "abcdef"))
    dlp_groups.add("g", ["b", "c"])
    dlp_assignments.assign("", ["a"])
    dlp_assignments.assign("ours.example", groups=["g"])
    dlp_assignments.assign("*.theirs.test", ["d"])
    dlp_assignments.assign(OLGA.key, ["e", "b"])


@pytest.fixture
def questions(store, monkeypatch):
    asked = []
    real = dlp_scanners.select
    monkeypatch.setattr(dlp_scanners, "select", lambda sql, values: asked.append(sql) or real(sql, values))
    return asked


def names(scanner) -> str:
    return "".join(one.name for one in scanner.patterns)


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        ((), "a"),
        ((None,), "a"),
        ((None, PETER), "ad"),
        ((OLGA,), "abe"),
        ((PETER,), "ad"),
        ((ANNA, OLGA), "abce"),
        ((ANNA, PETER), "abcd"),
        ((ANNA, ANNA, Address.parse("ANNA@ours.example")), "abc"),
        ((ANNA, OLGA, PETER), "abcde"),
        ((Address.parse("x@[192.0.2.1]"),), "a"),
    ],
)
def test_all_that_is_assigned_to_anybody_counts(assigned, addresses, found):
    scanner = StorePatterns().of(*addresses)
    assert names(scanner) == found
    assert found == "".join(one.pattern for one in dlp_assignments.counting_for(*addresses or (None,)))
    text = Passage("body", " ".join(f"needle{one}" for one in "abcdef"))
    assert "".join(one.name for one in scanner.findings(Inspection((text,)))) == found


def test_nothing_assigned_is_nothing_looked_for(store, questions):
    patterns = StorePatterns()
    stored(a_pattern("a"))
    assert patterns.of(ANNA, OLGA).patterns == ()
    assert patterns.of(ANNA, OLGA) is patterns.of(None)
    assert len(questions) == 1, "one for both, none for what is known"


def test_an_address_is_one_question_and_those_with_the_same_patterns_share_one_program(assigned, questions, store):
    patterns = StorePatterns()
    first = patterns.of(ANNA, Address.parse("r@out.test"))
    questions.clear()
    pairs = [
        (Address.parse(f"s{number}@ours.example"), Address.parse(f"r{number}@out{number % 100}.test"))
        for number in range(ADDRESSES[store] // 2)
    ]
    for sender, recipient in pairs:
        assert patterns.of(sender, recipient) is first
    assert len(questions) == len(pairs)
    assert len(patterns._scanners) == 1
    assert patterns.of(*pairs[0]) is first
    assert len(questions) == len(pairs)


def test_what_is_kept_is_bounded(assigned):
    patterns = StorePatterns(entries=50)
    for number in range(200):
        patterns.of(Address.parse(f"s{number}@ours.example"))
    assert len(patterns._of) <= 50


def test_sets_of_many_patterns_take_the_place_of_others(assigned, monkeypatch):
    monkeypatch.setattr(dlp_scanners, "KEPT_PATTERNS", 4)
    monkeypatch.setattr(dlp_scanners, "_LEAST_WEIGHT", 1)
    patterns = StorePatterns()
    for wanted, kept in (((None,), 1), ((ANNA,), 2), ((OLGA,), 1), ((ANNA, OLGA, PETER), 1)):
        assert patterns.of(*wanted) is patterns.of(*wanted), "also one that is larger than all the room"
        assert len(patterns._scanners) == kept


def test_a_change_is_seen_by_the_next_poll_and_compiles_what_changed_alone(assigned):
    patterns = StorePatterns()
    watch = StampWatch({Scope.PATTERNS: [patterns.clear]})
    watch.poll(0)
    of_anna, of_olga = patterns.of(ANNA), patterns.of(OLGA)
    for change, found in (
        (lambda: dlp_assignments.assign(ANNA.key, ["e"]), "abce"),
        (lambda: dlp_assignments.unassign(ANNA.key, ["e"]), "abc"),
        (lambda: dlp_groups.include("g", ["f"]), "abcf"),
        (lambda: dlp_groups.exclude("g", ["b", "f"]), "ac"),
        (lambda: dlp_patterns.change("c", {"text": "else"}), "ac"),
        (lambda: dlp_patterns.remove("c", force=True), "a"),
    ):
        change()
        watch.poll(1)
        assert names(patterns.of(ANNA)) == found
        assert patterns.of(OLGA) is of_olga
    dlp_patterns.add(a_pattern("c", "needlec"))
    dlp_assignments.assign("ours.example", ["b", "c"])
    watch.poll(2)
    assert names(patterns.of(ANNA)) == "abc"
    assert patterns.of(ANNA) is not of_anna, "another pattern, of the same name and text"


@pytest.mark.parametrize(
    "damage",
    [
        {"text": "(", "kind": "expression"},
        {"action": "explode"},
        {"kind": "dream"},
        {"mask": "?"},
        {"validator": "astrology"},
        {"threshold": 0},
    ],
)
def test_a_pattern_that_cannot_be_used_stops_the_mail_it_counts_for(assigned, questions, damage):
    DlpPatternRow.objects.filter(key="e").update(**damage)
    patterns = StorePatterns()
    for _ in range(2):
        with pytest.raises(TransientError, match="pattern e cannot be used"):
            patterns.of(ANNA, OLGA)
        assert len(questions) == 2, "what is broken is not read again for each mail"
    assert names(patterns.of(ANNA)) == "abc"
    DlpPatternRow.objects.filter(key="e").update(
        text="fine", action="warn", kind="keywords", mask="all", validator="", threshold=1
    )
    patterns.clear()
    assert names(patterns.of(ANNA, OLGA)) == "abce"


def test_patterns_that_change_while_they_are_read(assigned, monkeypatch):
    real = dlp_scanners.load

    def changing(keys):
        if changes:
            changes.pop()()
        return real(keys)

    monkeypatch.setattr(dlp_scanners, "load", changing)
    changes = [lambda: dlp_patterns.change("e", {"text": "else"})]
    assert names(StorePatterns().of(OLGA)) == "abe"
    changes = [lambda: dlp_patterns.remove("e", force=True)]
    assert names(StorePatterns().of(OLGA)) == "ab"
    changes = [lambda number=number: dlp_patterns.change("b", {"threshold": number}) for number in (2, 3)]
    with pytest.raises(BrokenPatternError, match="change while"):
        StorePatterns().of(OLGA)


def test_threads_that_want_the_same_compile_it_once(assigned, in_threads, monkeypatch):
    made = []
    real = dlp_scanners.Scanner
    monkeypatch.setattr(dlp_scanners, "Scanner", lambda given: made.append(threading.get_ident()) or real(given))
    patterns = StorePatterns()
    made.clear()
    found = in_threads(lambda _: patterns.of(ANNA, OLGA), 4)
    assert len({id(one) for one in found}) == len(made) == 1


def test_a_thousand_patterns(store):
    """More than one page of them; each is looked for."""
    patterns = [a_pattern(f"p{n:04d}", rf"code {n:04d}x\d", kind=Kind.EXPRESSION) for n in range(1000)]
    stored(*patterns)
    dlp_groups.add("all", [one.name for one in patterns])
    dlp_assignments.assign("", groups=["all"])
    scanner = StorePatterns().of(ANNA)
    assert len(scanner.patterns) == 1000
    text = Passage("body", "Code 0007x1, code 0999x2, code 1000x3")
    assert [one.name for one in scanner.findings(Inspection((text,)))] == ["p0007", "p0999"]


def test_a_copy_of_the_database_looks_for_the_same(assigned, store, request, tmp_path):
    if store == "sqlite":
        here = Place(f"sqlite://{connection().settings_dict['NAME']}")
    else:
        server = request.getfixturevalue("mariadb")
        here = Place(server.url, server.password)
    wanted = [StorePatterns().of(*who).patterns for who in ((None,), (ANNA, PETER), (OLGA,))]
    use(f"sqlite://{tmp_path}/there.db", node="mx1")
    copy(here)
    assert [StorePatterns().of(*who).patterns for who in ((None,), (ANNA, PETER), (OLGA,))] == wanted
