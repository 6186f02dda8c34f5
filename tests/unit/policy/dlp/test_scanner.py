"""What a scanner finds: counts, thresholds, places, masks; and that it never says "nothing" when it does not know."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from stdnum import luhn

from mailseal.errors import TransientError
from mailseal.policy.dlp import matches, normal, scanner, sets
from mailseal.policy.dlp.masks import HIDDEN
from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.dlp.scanner import MAX_HITS, MAX_VALUES, ScanError, Scanner
from mailseal.policy.inspection import GapReason, GapStatus, Inspection, Passage
from mailseal.policy.model import MAX_PLACES, Action, Finding

NUMBER = r"\b\d(?:[ .-]{0,2}\d){11,18}\b"
CARD = "4111 1111 1111 1111"


def pattern(text: str = NUMBER, validator: str = "", name: str = "p", **more) -> Pattern:
    more = {"kind": Kind.EXPRESSION, "action": Action.WARN} | more
    return Pattern(name, 1, name, text=text, validator=validator, **more)


CARDS = pattern(validator="card", name="cards", mask=Mask.LAST4)


def scan(patterns: Pattern | list[Pattern], *texts: str) -> tuple[Finding, ...]:
    passages = tuple(Passage(f"part {index}", text) for index, text in enumerate(texts, 1))
    return Scanner([patterns] if isinstance(patterns, Pattern) else patterns).findings(Inspection(passages))


def count(one: Pattern, *texts: str) -> int:
    found = scan(one, *texts)
    return found[0].count if found else 0


def card(index: int) -> str:
    """A number of Visa's form with a good check digit."""
    start = f"4{index:014}"
    return start + luhn.calc_check_digit(start)


def test_a_finding_has_all_that_the_pattern_says():
    one = pattern(validator="card", name="cards", action=Action.QUARANTINE, delayed=True, mask=Mask.LAST4)
    assert scan(one, "nothing", f"pay with {CARD}!") == (
        Finding("cards", Action.QUARANTINE, True, 1, ("part 2",), HIDDEN * 12 + "1111", "cards:1"),
    )


def test_the_text_found_is_in_no_repr():
    assert "1111" not in repr(scan(CARDS, CARD))


def test_no_patterns_find_nothing_and_no_text_has_nothing():
    assert scan([], CARD) == ()
    assert scan(CARDS) == scan(CARDS, "") == ()


def test_findings_come_in_the_order_of_names():
    assert [one.name for one in scan([pattern("x", name="b"), pattern("x", name="a")], "x")] == ["a", "b"]


def test_only_what_the_validator_takes_counts():
    assert count(CARDS, "4111 1111 1111 1112") == 0
    assert count(CARDS, f"{CARD} 5500005555555559 4111 1111 1111 1112") == 2


def test_the_same_number_counts_once_however_it_is_written():
    assert count(CARDS, CARD, "4111111111111111 4111-1111-1111-1111", "4111 1111\n1111 1111") == 1


@pytest.mark.parametrize(
    "text",
    [
        f"12 34 56 78 90 12 {CARD}",  # the expression takes 12 to 19 digits from the first on
        f"1 {CARD} 2",
        f"2024-{CARD}-2025",
        f"{CARD} {'1234 ' * 40}",
        f"{'1234 ' * 41}{CARD}",
        "4111 1111 1111 1112 " + CARD,
        "x4111 111111111111 " + CARD,
        f"no.\u00a0{CARD.replace(' ', chr(0x2009))}",
    ],
)
def test_a_number_is_found_wherever_in_a_match_it_begins(text):
    assert count(CARDS, text) == 1


def test_a_threshold_counts_different_matches_of_the_whole_mail():
    two = pattern("[a-z]+@x", threshold=2)
    assert scan(two, "a@x A@X a@x", "a@x") == ()
    assert count(two, "a@x", "b@x") == 2


def test_the_group_value_is_what_was_found():
    one = pattern(r"card: ?(?P<value>\d+)", mask=Mask.FIRST4)
    assert scan(one, "card: 123456789012 card:123456789012")[0].excerpt == "1234" + HIDDEN * 8
    assert count(one, "card: 1", "card:1 card: 2") == 2


def test_other_groups_do_not_change_what_is_found():
    assert count(pattern(r"(\d{4})[ -]?(\d{4})[ -]?(\d{4})[ -]?(\d{4})", "card"), CARD) == 1


def test_case_counts_only_where_the_expression_says_so():
    assert count(pattern("abc"), "ABC") == 1
    assert count(pattern("(?-i:abc)"), "ABC") == 0


def test_a_match_that_is_empty_in_a_text_is_none():
    assert count(pattern("(?P<value>x?)y"), "y") == 0
    assert count(pattern("(?P<value>x?)y"), "y" * 1000 + "xy") == 1


@pytest.mark.parametrize(
    ("mask", "found", "shown"),
    [
        (Mask.ALL, "4111111111111111", HIDDEN * 12),
        (Mask.FIRST4, "4111111111111234", "4111" + HIDDEN * 12),
        (Mask.LAST4, "4111111111111234", HIDDEN * 12 + "1234"),
        (Mask.LAST4, "12345678901", HIDDEN * 11),  # too short to show a part
        (Mask.FIRST4, "abc", HIDDEN * 4),
    ],
)
def test_masks(mask, found, shown):
    assert scan(pattern(r"[a-z0-9]+", mask=mask), found)[0].excerpt == shown


def test_an_excerpt_shows_four_and_places_are_bounded():
    numbers = " ".join(card(one) for one in range(50))
    [found] = scan(CARDS, *[numbers] * (MAX_PLACES + 5))
    assert (found.count, len(found.places), found.excerpt.count(",")) == (50, MAX_PLACES, 3)


def test_a_place_is_named_also_when_enough_was_found():
    [found] = scan(pattern("x[0-9]+"), " ".join(f"x{one}" for one in range(MAX_VALUES)), "x1")
    assert found.places == ("part 1", "part 2")


def test_a_place_that_is_a_match_is_masked():
    inspection = Inspection((Passage(f"{CARD}.pdf", CARD), Passage("Ünïcode \u2014 x.pdf", card(7))))
    [found] = Scanner([CARDS]).findings(inspection)
    assert found.places == (HIDDEN * 12 + ".pdf", "Ünïcode \u2014 x.pdf")


def test_a_table_of_numbers_is_counted_up_to_a_bound():
    table = "\n".join(f"{card(one)};Name {one}" for one in range(MAX_VALUES + 500))
    before = time.thread_time()
    assert count(CARDS, table) == MAX_VALUES
    assert time.thread_time() - before < 5


def test_more_candidates_than_can_be_checked_count_as_found(monkeypatch):
    monkeypatch.setattr(matches, "MAX_CANDIDATES", 100)
    wrong = " ".join(f"{int(card(one)) + 1}," for one in range(200))
    assert count(CARDS, " ".join(wrong.split()[:50])) == 0
    assert count(CARDS, wrong) == 1
    assert scan(CARDS, wrong)[0].places == ("part 1",)


def test_the_same_wrong_number_again_and_again_is_one_candidate(monkeypatch):
    monkeypatch.setattr(matches, "MAX_CANDIDATES", 100)
    assert count(CARDS, "4111111111111112, " * 2000) == 0


def test_a_pattern_that_takes_too_long_counts_as_found(monkeypatch):
    monkeypatch.setattr(matches, "MAX_SECONDS", -1)
    assert count(pattern("x", threshold=5), "x " * 300) == 5


def test_what_counts_already_is_not_looked_for_for_ever(monkeypatch):
    monkeypatch.setattr(scanner, "MAX_HITS", 5)
    assert count(pattern("[a-z]\\d"), " ".join(f"a{one % 10}" for one in range(50))) == 5
    assert MAX_HITS >= 1000


def test_a_threshold_is_reached_by_the_last_match_too():
    assert count(pattern("w[0-9]+", threshold=3), "w1 " * 20_000 + "w2 w3") == 3


def test_a_search_that_gave_up_is_an_error_and_not_nothing():
    class GaveUp:
        def Match(self, octets: bytes) -> list[int]:  # noqa: N802 - as in re2
            return []

    made = Scanner([CARDS])
    made._sets._sets[-1]._compiled = GaveUp()
    with pytest.raises(ScanError) as raised:
        made.findings(Inspection((Passage("body", CARD),)))
    assert isinstance(raised.value, TransientError)
    assert "4111" not in str(raised.value)
    with pytest.raises(ScanError):
        made.masked(CARD)


def test_patterns_that_cannot_be_one_set_are_an_error(monkeypatch):
    monkeypatch.setattr(sets, "SET_BYTES", (1024,))
    with pytest.raises(Exception, match="cannot be used together"):
        Scanner([CARDS])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"a {CARD} b", f"a {HIDDEN * 12} b"),
        ("a b", "a b"),
        (f"{CARD} {CARD}", f"{HIDDEN * 12} {HIDDEN * 12}"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("41\u00ad11 1111\n1111 1111", HIDDEN * 12),
        ("4111 11-\n11 1111 1111", HIDDEN * 12),
        ("4111 1111 1111 1\x00111", HIDDEN * 12),
        ("", ""),
    ],
)
def test_masked(text, masked):
    assert Scanner([CARDS]).masked(text) == masked


def test_masked_hides_what_only_different_readings_have():
    words = pattern("secret\n\u0441\u0435\u043a\u0440\u0435\u0442", kind=Kind.KEYWORDS)
    text = "s\u0435cret \u0441\u0435\u043a\u0440\u0435\u0442"  # the first with a Cyrillic letter
    masked = Scanner([words]).masked(text)
    assert "cret" not in masked
    assert "\u0440\u0435\u0442" not in masked


def test_threads_share_a_scanner():
    shared = Scanner([CARDS, pattern("geheim", name="w", kind=Kind.KEYWORDS)])
    texts = [f"{card(one)} geheim" if one % 2 else "nothing" for one in range(200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: len(shared.findings(Inspection((Passage("b", text),)))), texts))
    assert found == [2 * (one % 2) for one in range(200)]


def test_what_is_not_looked_through_in_time_is_a_gap():
    passages = tuple(Passage("body", f"{text} ") for text in ("w0001", "x" * 100, "w0002 w0002"))
    steps = iter([False, False])
    made = Scanner([pattern("w[0-9]+")])
    partly = made.scan(Inspection(passages), lambda: next(steps, True))
    assert [one.count for one in partly.findings] == [1]
    assert [(one.status, one.reason) for one in partly.gaps] == [(GapStatus.PARTIAL, GapReason.TIMEOUT)]
    assert made.scan(Inspection(passages), lambda: False).gaps == ()


def test_the_time_is_looked_at_among_the_matches_of_one_text():
    steps = iter([False])
    text = "".join(f"{one:05} " for one in range(1_000))
    made = Scanner([pattern("[0-9]{5}", threshold=900)])
    partly = made.scan(Inspection((Passage("b", text),)), lambda: next(steps, True))
    assert not partly.findings
    assert partly.gaps


@pytest.mark.parametrize("around", ["word ", "4", "\u0301"])
def test_a_long_text_is_looked_through_in_pieces_and_nothing_is_lost_between_them(monkeypatch, around):
    monkeypatch.setattr(normal, "WINDOW_CHARACTERS", 200)
    monkeypatch.setattr(normal, "OVERLAP_CHARACTERS", 40)
    for before in range(60):
        text = around * before + f"  {CARD}  " + around * 100
        assert [one.count for one in Scanner([CARDS]).findings(Inspection((Passage("b", text),)))] == [1], before
