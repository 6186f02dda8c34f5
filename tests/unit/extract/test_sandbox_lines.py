"""What the sandbox is asked and what it answers: it comes back as it was, and nothing else is taken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.extract import sandbox_lines
from mailseal.extract.sandbox_lines import (
    BEGUN,
    BUSY,
    PIECE_CHARACTERS,
    Answer,
    LinesError,
    Request,
    Spent,
    Status,
    answer_lines,
    failed_line,
    parse_request,
    parse_status,
)
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection, Passage

REQUEST = Request("a.zip", "application/zip", characters=10, octets=20, files=30, depth=4, seconds=5.5, used=0.25)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
places = words.map(lambda text: "".join(filter(str.isprintable, text)))
passages = st.builds(Passage, places, words)
gaps = st.builds(Gap, places, st.sampled_from(GapStatus), st.sampled_from(GapReason), places)
inspections = st.builds(
    Inspection, st.lists(passages, max_size=5).map(tuple), st.lists(gaps, max_size=5).map(tuple)
)  # fmt: skip


def answered(inspection, characters=1 << 40):
    answer = Answer(characters)
    for line in answer_lines(inspection, Spent(7, 8), "document"):
        assert line.count(b"\n") == 1
        assert len(line) <= sandbox_lines.MAX_LINE_BYTES
        answer.take(line)
    return answer


def taken(lines):
    answer = Answer(1 << 40)
    for line in lines:
        answer.take(line)
    return answer


@given(words, words)
def test_a_question_comes_back(name, media_type):
    request = Request(name, media_type, 1, 2, 3, 4, 5.0, 6.0)
    assert parse_request(request.line()) == request


def test_a_question_is_bounded_whatever_its_name():
    line = Request("\x00" * 100_000, "\x00" * 100_000, 1, 2, 3, 4, 5.0).line()
    assert len(line) <= sandbox_lines.MAX_REQUEST_BYTES
    assert len(parse_request(line).name) == sandbox_lines.MAX_NAME


@pytest.mark.parametrize("name", json.loads(REQUEST.line()))
@pytest.mark.parametrize("value", [None, -1, True, 1 << 60, [], {}, float("nan"), "x" * 2000])
def test_no_other_question_is_taken(name, value):
    changed = json.loads(REQUEST.line()) | {name: value}
    for line in (json.dumps(changed).encode(), json.dumps({**changed, name: None}).encode(), b"", b"[]", b"[" * 10_000):
        with pytest.raises(LinesError):
            parse_request(line)


@given(inspections)
def test_an_answer_comes_back(inspection):
    answer = answered(inspection)
    found = answer.inspection("document")
    # A passage without a character is none.
    assert found.passages == tuple(one for one in inspection.passages if one.text)
    assert found.gaps == inspection.gaps
    assert answer.spent == Spent(7, 8)


@pytest.mark.parametrize("size", [0, 1, -1])
@pytest.mark.parametrize("letter", ["a", "\x00", "\u20ac", "\U0001f600"])
def test_a_long_text_is_one_passage(size, letter):
    text = letter * (2 * PIECE_CHARACTERS + size)
    assert answered(Inspection((Passage("p", text),))).inspection("document").passages == (Passage("p", text),)


def test_more_places_than_there_may_be_are_a_gap():
    many = Inspection((), tuple(Gap(str(n), GapStatus.PARTIAL, GapReason.BROKEN) for n in range(20_000)))
    found = answered(many).inspection("document")
    assert len(found.gaps) == sandbox_lines.MAX_GAPS
    assert (found.gaps[-1].place, found.gaps[-1].reason) == ("document", GapReason.TOO_MANY)


def test_more_text_than_was_asked_for_is_no_answer():
    with pytest.raises(LinesError):
        answered(Inspection((Passage("p", "four"),)), characters=3)
    assert answered(Inspection((Passage("p", "four"),)), characters=4).spent


def test_more_passages_than_there_may_be_are_a_gap(monkeypatch):
    monkeypatch.setattr(sandbox_lines, "MAX_PASSAGES", 2)
    found = answered(Inspection(tuple(Passage(f"p{n}", "x") for n in range(3)))).inspection("document")
    assert [one.place for one in found.passages] == ["p0", "p1"]
    assert [(gap.place, gap.reason) for gap in found.gaps] == [("document", GapReason.TOO_MANY)]


def test_places_are_bounded_together(monkeypatch):
    monkeypatch.setattr(sandbox_lines, "MAX_PLACES_CHARACTERS", 200)
    found = answered(Inspection(tuple(Passage("a place", "x") for _ in range(20)))).inspection("document")
    assert len(found.passages) == 14
    assert [gap.reason for gap in found.gaps] == [GapReason.TOO_MANY]
    with pytest.raises(LinesError):
        taken([b'{"place":"a place","text":"x","more":false}\n'] * 30)


def test_places_are_fit_for_a_terminal():
    bare = Inspection((Passage("a\x1b[2J", "a\x1b"),), (Gap("b\r\n", GapStatus.PARTIAL, GapReason.BROKEN, "c\u202e"),))
    found = answered(bare).inspection("document")
    assert found.passages == (Passage("a\ufffd[2J", "a\x1b"),)
    assert found.gaps == (Gap("b\ufffd\ufffd", GapStatus.PARTIAL, GapReason.BROKEN, "c\ufffd"),)


@pytest.mark.parametrize("reason", [GapReason.CRASHED, GapReason.TIMEOUT])
def test_what_came_before_a_process_was_lost_is_kept_and_all_of_it_is_a_gap(reason):
    answer = taken([])
    for line in (BEGUN, *list(answer_lines(Inspection((Passage("p", "text"),)), Spent(1, 1), "d"))[:-1], b'{"pla\n'):
        answer.take(line)
    assert not answer.ended
    for line in failed_line(reason).splitlines(keepends=True):
        answer.take(line)
    assert answer.ended
    found = answer.inspection("d")
    assert found.passages == (Passage("p", "text"),)
    assert [(gap.place, gap.status, gap.reason) for gap in found.gaps] == [("d", GapStatus.UNINSPECTABLE, reason)]


@pytest.mark.parametrize(
    "lines",
    [
        (b"{\n", b"{\n"),
        (b"[]\n", b'{"end":{"octets":0,"files":0}}\n'),
        (b"{}\n",),
        (b'{"text":"x"}\n',),
        (b'{"place":"p","text":5,"more":false}\n',),
        (b'{"gap":"none","status":"partial","place":"","detail":""}\n',),
        (b'{"end":{"octets":-1,"files":0}}\n',),
        (b'{"end":{"octets":0}}\n',),
        (b'{"failed":"no"}\n',),
        (b'{"place":"p","text":"\\ud800","more":false}\n',),
        (b'{"place":"p","text":"x","more":true}\n', b'{"end":{"octets":0,"files":0}}\n'),
        (b'{"place":"p","text":"' + b"x" * (PIECE_CHARACTERS + 1) + b'","more":false}\n',),
    ],
)
def test_no_other_answer_is_taken(lines):
    with pytest.raises(LinesError):
        taken(lines)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_octets_are_an_answer_or_an_error(lines):
    answer = Answer(100)
    try:
        for line in lines:
            answer.take(line)
    except LinesError:
        return
    answer.inspection("document")


def test_lines_are_counted(monkeypatch):
    monkeypatch.setattr(sandbox_lines, "MAX_LINES", 3)
    with pytest.raises(LinesError):
        taken([b"\n"] * 5)


def test_nobody_had_time_for_it():
    answer = Answer(100)
    answer.take(BUSY)
    assert (answer.busy, answer.ended) == (True, True)


def test_how_it_stands_comes_back():
    status = Status("user", 2, 1, 0, ("a wall",), "")
    assert parse_status(status.line()) == status
    for line in (b"{}", b"", json.dumps(json.loads(status.line()) | {"lacking": [1]}).encode()):
        with pytest.raises(LinesError):
            parse_status(line)
