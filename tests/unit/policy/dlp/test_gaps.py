"""What was not read, as findings."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.dlp.gaps import MAX_SINGLE, gap_findings
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection
from mailseal.policy.model import Action
from mailseal.policy.settings import OnGap, Settings

BROKEN = Gap("a.pdf", GapStatus.UNINSPECTABLE, GapReason.BROKEN)


def found(*gaps: Gap, **settings):
    return gap_findings(Inspection(gaps=gaps), Settings(**settings))


def test_nothing_unread_is_no_finding():
    assert found() == ()


@pytest.mark.parametrize(("status", "reason"), list(itertools.product(GapStatus, GapReason)))
def test_every_gap_is_a_finding_unless_it_is_ignored(status, reason):
    gap = Gap("a.bin", status, reason)
    [one] = found(gap)
    assert one.action is (Action.WARN if reason is GapReason.UNKNOWN_FORMAT else Action.QUARANTINE)
    read = "not readable" if status is GapStatus.UNINSPECTABLE else "not all readable"
    assert (one.name, one.places, one.count, one.delayed) == (
        f"{read}: {reason.replace('-', ' ')}",
        ("a.bin",),
        1,
        False,
    )
    ignored = dict.fromkeys(["dlp_uninspectable", "dlp_partial", "dlp_unknown_format"], OnGap.IGNORE)
    assert found(gap, **ignored) == ()


@pytest.mark.parametrize("on", [one for one in OnGap if one is not OnGap.IGNORE])
def test_the_settings_say_what_follows(on):
    partial = Gap("b.pdf", GapStatus.PARTIAL, GapReason.TOO_LARGE)
    unknown = Gap("c", GapStatus.UNINSPECTABLE, GapReason.UNKNOWN_FORMAT)
    assert [one.action for one in found(BROKEN, partial, dlp_uninspectable=on)] == [Action(on), Action.QUARANTINE]
    assert [one.action for one in found(BROKEN, partial, dlp_partial=on)] == [Action.QUARANTINE, Action(on)]
    assert [one.action for one in found(BROKEN, unknown, dlp_unknown_format=on)] == [Action.QUARANTINE, Action(on)]


def test_a_key_names_place_and_reason_without_telling_them():
    secret = Gap("4111 1111 1111 1111.pdf", GapStatus.UNINSPECTABLE, GapReason.BROKEN)
    keys = {one.key for one in found(BROKEN, secret, Gap("a.pdf", GapStatus.UNINSPECTABLE, GapReason.TIMEOUT))}
    assert len(keys) == 3
    assert not any("4111" in one or "a.pdf" in one for one in keys)
    assert {one.key for one in found(BROKEN)} < keys


def test_places_are_shown_as_the_caller_says():
    [one] = gap_findings(Inspection(gaps=(BROKEN,)), Settings(), shown=lambda place: place.upper())
    assert one.places == ("A.PDF",)


def test_ten_thousand_gaps_are_few_findings():
    gaps = [Gap(f"part {one}", GapStatus.PARTIAL, GapReason.TOO_MANY) for one in range(10_000)]
    made = found(*gaps, BROKEN)
    assert len(made) == MAX_SINGLE + 2
    assert sum(one.count for one in made) == 10_001
    assert len({one.key for one in made}) == len(made)
    assert found(*gaps, BROKEN) == made, "the same mail again has the same keys"
    assert found(*gaps[1:])[-1].key != found(*gaps)[-1].key


GAPS = st.builds(Gap, st.text(max_size=5), st.sampled_from(GapStatus), st.sampled_from(GapReason))


@given(st.lists(GAPS, max_size=5), GAPS, st.sampled_from(OnGap))
def test_one_more_gap_never_removes_a_finding(gaps, more, on):
    settings = {"dlp_partial": on}
    assert set(found(*gaps, **settings)) <= set(found(*gaps, more, **settings))
