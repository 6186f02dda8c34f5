"""MTA-STS policies: who has a domain looked at, how long what was found counts, what becomes of failures."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from mailseal.postfix.tls_choice import StsFacts, StsMode, StsPolicy
from mailseal.store import jobs, sts_policies
from mailseal.store.stamps import Scope, StampWatch
from mailseal.store.sts_policies import LOOK, MAX_NEW_PER_MINUTE, Looked, StoreStsPolicies, StsKnown
from mailseal.store.tls_policy_models import StsPolicyRow
from mailseal.store.transaction import StoreUnavailable

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMES = ("mx.a.example",)
WEEK = StsPolicy(StsMode.ENFORCE, NAMES, 7 * 86400)
ENFORCED = StsFacts(StsMode.ENFORCE, NAMES)
ABSENT = StsFacts(StsMode.ABSENT)
A = "a.example"


@pytest.fixture
def known(store):
    return StoreStsPolicies()


def looks():
    return sorted(one.id for one in jobs.list_jobs() if one.kind == LOOK)


def facts(at):
    return StoreStsPolicies().of(A, at).facts


def test_the_first_who_asks_has_the_domain_looked_at_once(known):
    assert known.of(A, NOW) == StsKnown(asking=True)
    assert known.of(A, NOW + MINUTE) == StsKnown(asking=True)
    assert StoreStsPolicies().of(A, NOW) == StsKnown(asking=True)
    assert len(looks()) == 1


def test_a_first_look_that_does_not_end_is_waited_for_by_nobody(known):
    known.of(A, NOW)
    assert known.of(A, NOW + 5 * MINUTE) == StsKnown()
    assert known.of(A, NOW - MINUTE) == StsKnown(), "the clock was set back"


def test_two_threads_at_once_start_one_look(store, in_threads):
    assert in_threads(lambda _: StoreStsPolicies().of(A, NOW).asking, 4) == [True] * 4
    assert len(looks()) == 1


def test_a_domain_without_a_policy(known):
    known.of(A, NOW)
    sts_policies.looked(A, Looked(), NOW)
    assert known.of(A, NOW) == StsKnown(ABSENT)
    assert sts_policies.due(NOW + 30 * DAY) == []


def test_a_policy_counts_until_its_end(known):
    sts_policies.looked(A, Looked("1", WEEK, dane=False), NOW)
    assert known.of(A, NOW + 7 * DAY - MINUTE) == StsKnown(ENFORCED)
    assert known.of(A, NOW + 7 * DAY) == StsKnown(ABSENT)


@pytest.mark.parametrize("mode", [StsMode.TESTING, StsMode.NONE])
def test_other_modes_are_told_too(store, mode):
    sts_policies.looked(A, Looked("1", StsPolicy(mode, NAMES, 86400)), NOW)
    assert facts(NOW) == StsFacts(mode, NAMES)


@pytest.mark.parametrize("found", [Looked(error="no answer"), Looked("2", error="status 500"), Looked(), Looked("1")])
def test_what_fails_or_goes_away_leaves_the_policy_in_force(store, found):
    sts_policies.looked(A, Looked("1", WEEK), NOW)
    for day in range(1, 7):
        sts_policies.looked(A, found, NOW + day * DAY)
    assert facts(NOW + 7 * DAY - MINUTE) == ENFORCED
    assert sts_policies.info_of(A, NOW).policy_id == "1"
    assert facts(NOW + 7 * DAY) == ABSENT


def test_it_can_be_withdrawn_by_a_policy_alone(store):
    sts_policies.looked(A, Looked("1", WEEK), NOW)
    sts_policies.looked(A, Looked("2", StsPolicy(StsMode.NONE, (), 86400)), NOW + HOUR)
    assert facts(NOW + HOUR).mode is StsMode.NONE


def test_a_fetched_policy_begins_anew(store):
    sts_policies.looked(A, Looked("1", WEEK), NOW)
    sts_policies.looked(A, Looked("1", WEEK), NOW + 5 * DAY)
    assert facts(NOW + 12 * DAY - MINUTE) == ENFORCED


def test_dane_that_cannot_be_found_out_stays_what_it_was(store):
    sts_policies.looked(A, Looked("1", WEEK, dane=True), NOW)
    sts_policies.looked(A, Looked("1", dane=None), NOW + HOUR)
    assert facts(NOW + HOUR).dane
    sts_policies.looked(A, Looked("1", dane=False), NOW + 2 * HOUR)
    assert not facts(NOW + 2 * HOUR).dane


def test_when_it_is_looked_at_again(store):
    sts_policies.looked(A, Looked("1", WEEK), NOW)
    assert sts_policies.due(NOW + DAY - MINUTE) == []
    assert sts_policies.due(NOW + DAY) == [A]
    sts_policies.looked(A, Looked("1", StsPolicy(StsMode.ENFORCE, NAMES, 7200)), NOW)
    assert sts_policies.due(NOW + HOUR) == [A], "before it ends"
    sts_policies.looked(A, Looked("1", StsPolicy(StsMode.ENFORCE, NAMES, 1)), NOW)
    assert sts_policies.due(NOW + 5 * MINUTE) == [A]


def test_what_is_in_force_is_looked_at_before_what_always_fails(store):
    for number in range(60):
        sts_policies.looked(f"made-up-{number}.example", Looked(error="no"), NOW - HOUR)
    sts_policies.looked(A, Looked("1", StsPolicy(StsMode.ENFORCE, NAMES, 2 * 3600)), NOW)
    found = sts_policies.due(NOW + HOUR)
    assert (found[0], len(found)) == (A, 50)


def test_failures_are_tried_again_with_growing_pauses(store):
    sts_policies.looked(A, Looked("1", WEEK), NOW)
    at = NOW
    for minutes in (5, 10, 20, 40, 80, 160, 320, 360, 360):
        sts_policies.looked(A, Looked(error="no"), at)
        assert sts_policies.due(at + (minutes - 1) * MINUTE) == []
        at += minutes * MINUTE
        assert sts_policies.due(at) == [A]
    info = sts_policies.info_of(A, at)
    assert (info.failures, info.error) == (9, "no")
    sts_policies.looked(A, Looked("1"), at)
    assert sts_policies.info_of(A, at).failures == 0


def test_mail_has_it_looked_at_again_after_an_hour(store):
    StoreStsPolicies().of(A, NOW)
    sts_policies.looked(A, Looked(), NOW + MINUTE)
    known = StoreStsPolicies()
    known.of(A, NOW + 59 * MINUTE)
    assert sts_policies.due(NOW + 59 * MINUTE) == []
    known.of(A, NOW + HOUR)
    assert sts_policies.due(NOW + HOUR) == [A]
    sts_policies.looked(A, Looked(), NOW + HOUR)
    known.of(A, NOW + HOUR + MINUTE)
    assert sts_policies.due(NOW + 30 * DAY) == []


def test_without_mail_it_is_not_refreshed_for_ever(store):
    sts_policies.looked(A, Looked("1", StsPolicy(StsMode.ENFORCE, NAMES, 31_557_600)), NOW)
    assert sts_policies.due(NOW + 30 * DAY) == [A]
    assert sts_policies.due(NOW + 32 * DAY) == []
    assert facts(NOW + 300 * DAY) == ENFORCED
    assert sts_policies.due(NOW + 300 * DAY) == [A], "there was mail again"


def test_caches_are_told_of_what_is_enforced_alone(store):
    watch = StampWatch({Scope.TLS: []})
    watch.poll(0)
    sts_policies.looked(A, Looked(), NOW)
    sts_policies.looked(A, Looked("1", StsPolicy(StsMode.TESTING, NAMES, 86400)), NOW)
    assert watch.poll(1) == set()
    sts_policies.looked(A, Looked("2", WEEK), NOW)
    assert watch.poll(2) == {"tls"}
    sts_policies.looked(A, Looked("2", WEEK), NOW)
    assert watch.poll(3) == set()
    sts_policies.looked(A, Looked("2", dane=True), NOW)
    assert watch.poll(4) == {"tls"}
    sts_policies.looked(A, Looked("3", StsPolicy(StsMode.NONE, (), 1)), NOW)
    assert watch.poll(5) == {"tls"}


def test_made_up_domains_are_bounded(known, monkeypatch):
    rows = [
        StsPolicyRow(domain=f"x{number}.example", asked=NOW, created=NOW, due=NOW)
        for number in range(MAX_NEW_PER_MINUTE)
    ]
    StsPolicyRow.objects.bulk_create(rows)
    assert known.of(A, NOW) == StsKnown()
    assert known.of("x1.example", NOW).asking
    assert known.of(A, NOW + 2 * MINUTE).asking
    monkeypatch.setattr(sts_policies, "MAX_DOMAINS", MAX_NEW_PER_MINUTE)
    assert known.of("b.example", NOW + 4 * MINUTE) == StsKnown()


def test_idle_domains_without_a_policy_are_forgotten(store):
    sts_policies.looked("none.example", Looked(), NOW)
    sts_policies.looked("failed.example", Looked(error="x"), NOW)
    StoreStsPolicies().of("never.example", NOW)
    sts_policies.looked("ended.example", Looked("1", WEEK), NOW - 10 * DAY)
    sts_policies.looked(A, Looked("1", StsPolicy(StsMode.ENFORCE, NAMES, 30 * 86400)), NOW)
    assert sts_policies.purge(NOW + 6 * DAY) == 1
    assert sts_policies.purge(NOW + 8 * DAY) == 3
    assert [one.domain for one in sts_policies.list_policies(NOW, every=True)] == [A]


def test_a_list_for_administrators(store):
    sts_policies.looked("none.example", Looked(), NOW)
    sts_policies.looked("failed.example", Looked("1", error="x" * 1000), NOW)
    sts_policies.looked(A, Looked("1", WEEK), NOW)
    assert [one.domain for one in sts_policies.list_policies(NOW)] == [A, "failed.example"]
    assert [one.domain for one in sts_policies.list_policies(NOW, every=True)] == [A, "failed.example", "none.example"]
    found = sts_policies.info_of(A, NOW)
    assert (found.facts, found.policy_id, found.expires) == (ENFORCED, "1", NOW + 7 * DAY)
    assert sts_policies.info_of("x.example", NOW) is None


def test_they_are_counted_by_mode(store):
    sts_policies.looked(A, Looked("1", WEEK), NOW)
    sts_policies.looked("b.example", Looked("1", StsPolicy(StsMode.TESTING, NAMES, 86400)), NOW)
    sts_policies.looked("c.example", Looked(), NOW)
    assert sts_policies.counts(NOW) == {StsMode.ENFORCE: 1, StsMode.TESTING: 1, StsMode.NONE: 0}
    assert sts_policies.counts(NOW + 2 * DAY)[StsMode.TESTING] == 0


def test_a_database_that_can_only_be_read_stops_no_mail(known, monkeypatch, caplog):
    sts_policies.looked("b.example", Looked("1", WEEK), NOW)

    def refuse(*_, **__):
        raise StoreUnavailable("read only")

    monkeypatch.setattr(sts_policies, "run", refuse)
    with caplog.at_level(logging.WARNING):
        assert known.of(A, NOW) == StsKnown()
        assert known.of("b.example", NOW + 2 * HOUR) == StsKnown(StsFacts(StsMode.ENFORCE, NAMES))
    assert "read only" in caplog.text
