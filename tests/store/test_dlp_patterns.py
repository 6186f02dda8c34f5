"""DLP patterns, groups and assignments as administrators change them, in both databases."""

import pytest

from dlp_patterns import a_pattern, stored
from mailseal.mail.address import Address, AddressError
from mailseal.policy.dlp.model import Kind, Mask
from mailseal.policy.model import Action
from mailseal.policy.pattern import PatternError
from mailseal.policy.settings import Level
from mailseal.store import addresses, dlp_assignments, dlp_groups, dlp_import, dlp_patterns
from mailseal.store.dlp_import import Entry
from mailseal.store.dlp_models import DlpAssignmentRow, DlpMemberRow, DlpPatternRow
from mailseal.store.dlp_names import DlpError
from mailseal.store.stamps import stamps


def add(*names: str, owner: str = "") -> None:
    stored(*map(a_pattern, names), owner=owner)


def stamp() -> int:
    return stamps().get(("patterns", "mx1"), 0)


def test_a_pattern_comes_back_as_it_was_stored(store):
    given = a_pattern(
        "Größe", r"\d{4}-\d{4}", kind=Kind.EXPRESSION, validator="luhn", threshold=3, action=Action.BLOCK,
        delayed=True, mask=Mask.LAST4, description="one\ntwo",
    )  # fmt: skip
    made = dlp_patterns.add(given, owner="Ours.Example")
    found = dlp_patterns.find("  GRÖSSE ")
    assert found == made
    assert (found.owner, found.problem, found.groups, found.assigned_to) == ("ours.example", "", (), ())
    pattern = found.pattern
    for field in ("name", "kind", "text", "validator", "threshold", "action", "delayed", "mask", "description"):
        assert getattr(pattern, field) == getattr(given, field), field
    assert pattern.revision == 1
    assert len(pattern.id) == 32


def test_the_revision_counts_changes_and_nothing_else(store):
    add("merger")
    before = stamp()
    assert dlp_patterns.change("merger", {"text": "merger\nbid"}).pattern.revision == 2
    assert dlp_patterns.change("merger", {"text": "merger\nbid"}).pattern.revision == 2
    assert stamp() == before + 1
    renamed = dlp_patterns.change("merger", {"name": "Mergers", "delayed": True}).pattern
    assert (renamed.name, renamed.delayed, renamed.revision) == ("Mergers", True, 3)
    with pytest.raises(DlpError, match="no pattern merger"):
        dlp_patterns.find("merger")


def test_two_who_change_the_same_at_once(store, meanwhile):
    add("merger")
    with meanwhile("UPDATE store_dlp_pattern", lambda: dlp_patterns.change("merger", {"threshold": 2})) as other:
        try:
            mine = dlp_patterns.change("merger", {"threshold": 3})
        except DlpError as error:
            mine = error
    results = [mine, *other]
    assert sorted(type(one).__name__ for one in results) == ["DlpError", "PatternInfo"]
    assert dlp_patterns.find("merger").pattern.revision == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (a_pattern("x", r"(?<=a)b", kind=Kind.EXPRESSION), r"x: .*invalid perl operator"),
        (a_pattern("x", r"a*", kind=Kind.EXPRESSION), "empty"),
        (a_pattern("x", "\n \n"), "keyword"),
        (a_pattern("x", validator="astrology"), "no validator"),
        (a_pattern("x", threshold=0), "threshold"),
    ],
)
def test_what_is_no_pattern_is_not_stored(store, given, words):
    with pytest.raises(PatternError, match=words):
        dlp_patterns.add(given)
    add("y")
    changes = {one: getattr(given, one) for one in ("text", "kind", "validator", "threshold")}
    with pytest.raises(PatternError, match=words.replace("x: ", "y: ")):
        dlp_patterns.change("y", changes)
    assert [one.name for one in dlp_patterns.list_patterns()] == ["y"]
    assert dlp_patterns.find("y").pattern.revision == 1


@pytest.mark.parametrize("name", ["", " ", "a\0b", "x" * 101, "ß" * 60, "a\u202eb", "\ud800"])
def test_what_is_no_name(store, name):
    with pytest.raises(DlpError):
        dlp_patterns.add(a_pattern(name, "word"))


@pytest.mark.parametrize("owner", ["*.ours.example", "anna@ours.example", "a b"])
def test_who_can_own_none(store, owner):
    with pytest.raises((DlpError, AddressError)):
        dlp_patterns.add(a_pattern("x"), owner=owner)


def test_names_are_taken_once(store):
    dlp_patterns.add(a_pattern("Mergers and  acquisitions"))
    add("other")
    with pytest.raises(DlpError, match="already"):
        dlp_patterns.add(a_pattern("mergers AND acquisitions"))
    with pytest.raises(DlpError, match="already"):
        dlp_patterns.change("other", {"name": "MERGERS and acquisitions"})


def test_an_import_does_all_or_nothing(store):
    add("one")
    add("theirs", owner="a.example")

    def put(*patterns, **more):
        return dlp_import.put([Entry(one) for one in patterns], **more)

    with pytest.raises(DlpError, match="one, theirs"):
        put(a_pattern("one"), a_pattern("two"), a_pattern("theirs"))
    with pytest.raises(DlpError, match="already: theirs"):
        put(a_pattern("one"), a_pattern("theirs"), replacing=True)
    with pytest.raises(PatternError, match="three"):
        put(a_pattern("two"), a_pattern("three", "(", kind=Kind.EXPRESSION), replacing=True)
    with pytest.raises(DlpError, match="same name"):
        put(a_pattern("two"), a_pattern("TWO"))
    assert [one.name for one in dlp_patterns.list_patterns()] == ["one", "theirs"]
    done = put(a_pattern("ONE", "else"), a_pattern("two"), replacing=True)
    assert (done.added, done.changed, done.unchanged) == (("two",), ("ONE",), ())
    assert put(a_pattern("ONE", "else"), a_pattern("two"), replacing=True).unchanged == ("ONE", "two")
    assert (dlp_patterns.find("one").pattern.revision, dlp_patterns.find("two").pattern.revision) == (2, 1)


def test_an_import_makes_groups(store):
    add("one")
    dlp_groups.add("old", ["one"])
    done = dlp_import.put([Entry(a_pattern("two"), ("Old", "new")), Entry(a_pattern("three"), ("new",))])
    assert done.groups == ("new",)
    assert {one.name: one.patterns for one in dlp_groups.list_groups()} == {
        "new": ("three", "two"),
        "old": ("one", "two"),
    }
    with pytest.raises(DlpError, match=r"belongs to a\.example"):
        dlp_import.put([Entry(a_pattern("four"), ("new",), "a.example")])
    with pytest.raises(DlpError, match="no pattern four"):
        dlp_patterns.find("four")
    entries = [Entry(a_pattern("five"), ("theirs",)), Entry(a_pattern("four"), ("theirs",), "A.example")]
    assert dlp_import.put(entries).groups == ("theirs",)
    assert dlp_groups.find("theirs").owner == "a.example"


def test_what_is_in_use_is_not_removed_unless_forced(store):
    add("one", "two")
    dlp_groups.add("both", ["one", "two"])
    dlp_assignments.assign("", ["one"])
    with pytest.raises(DlpError, match="assigned to all mail; in the group both"):
        dlp_patterns.remove("one")
    dlp_patterns.remove("one", force=True)
    assert dlp_groups.find("both").patterns == ("two",)
    assert DlpAssignmentRow.objects.count() == 0
    dlp_assignments.assign("a.example", groups=["both"])
    with pytest.raises(DlpError, match=r"assigned to a\.example"):
        dlp_groups.remove("both")
    dlp_groups.remove("both", force=True)
    assert (DlpMemberRow.objects.count(), DlpPatternRow.objects.count()) == (0, 1)
    dlp_patterns.remove("two")
    with pytest.raises(DlpError, match="no pattern two"):
        dlp_patterns.remove("two", force=True)


def test_groups(store):
    add("one", "two", "three")
    dlp_groups.add("Some", ["two", "one"], description="of them")
    with pytest.raises(DlpError, match="already"):
        dlp_groups.add("SOME")
    assert dlp_groups.include("some", ["three", "one"]).patterns == ("one", "three", "two")
    with pytest.raises(DlpError, match="no pattern four"):
        dlp_groups.include("some", ["four"])
    with pytest.raises(DlpError, match="four is not in"):
        dlp_groups.exclude("some", ["one", "four"])
    assert dlp_groups.exclude("some", ["one"]).patterns == ("three", "two"), "all of it or nothing"
    changed = dlp_groups.change("some", new_name="Others", description="")
    assert (changed.name, changed.description) == ("Others", "")
    assert dlp_groups.list_groups() == (dlp_groups.find("others"),)
    assert dlp_patterns.find("two").groups == ("Others",)
    dlp_groups.add("more")
    with pytest.raises(DlpError, match="already"):
        dlp_groups.change("more", new_name="OTHERS")
    with pytest.raises(DlpError, match="no group some"):
        dlp_groups.find("some")


def test_what_belongs_to_a_domain_is_assigned_there_alone(store):
    add("theirs", owner="a.example")
    add("everybody's")
    dlp_groups.add("group of theirs", ["theirs", "everybody's"], owner="a.example")
    with pytest.raises(DlpError, match="belongs to a"):
        dlp_groups.add("group", ["theirs"])
    with pytest.raises(DlpError, match="belongs to a"):
        dlp_groups.add("group", ["theirs"], owner="b.example")
    for owner in ("", "b.example", "*.a.example", "x.a.example", "anna@b.example", "anna@x.a.example"):
        with pytest.raises(DlpError, match="belongs to a"):
            dlp_assignments.assign(owner, ["theirs"])
        with pytest.raises(DlpError, match="belongs to a"):
            dlp_assignments.assign(owner, groups=["group of theirs"])
        dlp_assignments.assign(owner, ["everybody's"])
    for owner in ("A.Example", "Anna@A.Example"):
        dlp_assignments.assign(owner, ["theirs"], ["group of theirs"])
    assert not dlp_groups.list_groups()[1:]


def test_assignments_add_up(store):
    add("one", "two", "three", "four")
    dlp_groups.add("pair", ["two", "three"])
    dlp_assignments.assign("", ["one"])
    dlp_assignments.assign("*.example", ["two"])
    dlp_assignments.assign("ours.example", groups=["pair"])
    made = dlp_assignments.assign("Anna@Ours.Example", ["four", "one"])
    assert [(one.level, one.owner, one.pattern, one.group) for one in made] == [
        (Level.ADDRESS, "anna@ours.example", "four", ""),
        (Level.ADDRESS, "anna@ours.example", "one", ""),
    ]
    assert [one.owner for one in dlp_assignments.list_assignments()] == [
        "", "*.example", "ours.example", "anna@ours.example", "anna@ours.example",
    ]  # fmt: skip
    assert [one.key for one in addresses.list_addresses()] == ["anna@ours.example"]
    anna, olga = Address.parse("anna@ours.example"), Address.parse("olga@theirs.test")
    found = dlp_assignments.counting_for(olga, anna)
    told = {one.pattern: [by.owner + by.group for by in one.through] for one in found}
    assert {name: sorted(by) for name, by in told.items()} == {
        "four": ["anna@ours.example"],
        "one": ["", "anna@ours.example"],
        "three": ["ours.examplepair"],
        "two": ["*.example", "ours.examplepair"],
    }
    assert [one.pattern for one in dlp_assignments.counting_for(None, olga)] == ["one"]


def test_an_assignment_is_taken_back_where_it_was_made(store):
    add("one", "two")
    dlp_assignments.assign("", ["one", "two"])
    dlp_assignments.assign("", ["one"])
    for owner in ("ours.example", "anna@ours.example"):
        with pytest.raises(DlpError, match=f"one is not assigned to {owner} itself"):
            dlp_assignments.unassign(owner, ["one"])
    with pytest.raises(DlpError, match="no group one"):
        dlp_assignments.unassign("", ["two"], ["one"])
    assert len(dlp_assignments.list_assignments("")) == 2
    assert [one.pattern for one in dlp_assignments.unassign("", ["one"])] == ["two"]


def test_an_address_that_is_forgotten_has_none(store):
    add("one")
    dlp_assignments.assign("anna@ours.example", ["one"])
    before = stamp()
    assert addresses.delete(Address.parse("anna@ours.example"))
    assert not dlp_assignments.list_assignments()
    assert stamp() == before + 1
    dlp_patterns.remove("one")


def test_every_change_is_told(store):
    for change in (
        lambda: dlp_patterns.add(a_pattern("one")),
        lambda: dlp_patterns.change("one", {"threshold": 2}),
        lambda: dlp_groups.add("g", ["one"]),
        lambda: dlp_groups.exclude("g", ["one"]),
        lambda: dlp_groups.include("g", ["one"]),
        lambda: dlp_assignments.assign("", ["one"], ["g"]),
        lambda: dlp_assignments.unassign("", ["one"]),
        lambda: dlp_groups.remove("g", force=True),
        lambda: dlp_import.put([Entry(a_pattern("one", "else"))], replacing=True),
        lambda: dlp_patterns.remove("one"),
    ):
        before = stamp()
        change()
        assert stamp() > before


def test_a_pattern_that_cannot_be_read_is_told_and_can_be_mended(store):
    add("one", "two")
    DlpPatternRow.objects.filter(key="one").update(action="explode")
    found = dlp_patterns.find("one")
    assert found.pattern is None
    assert "explode" in found.problem
    assert [bool(one.problem) for one in dlp_patterns.list_patterns()] == [True, False]
    with pytest.raises(PatternError, match="explode"):
        dlp_patterns.change("one", {"threshold": 2})
    assert dlp_patterns.change("one", {"action": Action.WARN}).pattern.revision == 2
