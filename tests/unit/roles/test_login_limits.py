"""Who guesses is answered later and later, then not at all; whose login it is can go on."""

import pytest

from mailseal.roles.login_limits import (
    FAILURES_OF_CLIENT,
    FAILURES_OF_LOGIN,
    FIRST_DELAY_SECONDS,
    FORGET_SECONDS,
    LOCK_SECONDS,
    LONGEST_DELAY_SECONDS,
    LoginLimits,
    client_key,
)

HOME, AWAY = "192.0.2.1", "198.51.100.7"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limits(clock):
    return LoginLimits(clock)


def fail(limits, login, client, times=1):
    for _ in range(times):
        assert limits.begin(login, client) is not None


def succeed(limits, login, client):
    ticket = limits.begin(login, client)
    assert ticket is not None
    limits.succeeded(ticket)


def test_each_failure_is_answered_later_than_the_one_before(limits, clock):
    delays = [limits.delay_seconds(limits.begin("anna", AWAY)) for _ in range(FAILURES_OF_LOGIN)]
    assert delays[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY_SECONDS


def test_a_login_is_locked_for_minutes_from_wherever_it_is_guessed_at(limits, clock):
    for number in range(FAILURES_OF_LOGIN):
        fail(limits, "anna", f"198.51.100.{number}")
    assert limits.begin("anna", HOME) is None
    assert limits.begin("bert", HOME) is not None
    clock.now += LOCK_SECONDS - 1
    assert limits.begin("anna", HOME) is None
    clock.now += 2
    assert limits.begin("anna", HOME) is not None


def test_attempts_under_way_count(limits):
    tickets = [limits.begin("anna", AWAY) for _ in range(FAILURES_OF_LOGIN)]
    assert None not in tickets
    assert limits.begin("anna", AWAY) is None, "no more at the same time than one after the other"


def test_a_lock_is_over_when_an_attempt_under_way_succeeds(limits):
    fail(limits, "anna", AWAY, FAILURES_OF_LOGIN - 1)
    succeed(limits, "anna", AWAY)
    assert limits.begin("anna", AWAY) is not None


def test_a_client_is_locked_whatever_it_tries(limits):
    for number in range(FAILURES_OF_CLIENT):
        fail(limits, f"user{number}", AWAY)
    assert limits.begin("anna", AWAY) is None
    assert limits.begin("anna", HOME) is not None


def test_a_login_of_its_own_does_not_free_a_client_that_guesses(limits):
    fail(limits, "anna", AWAY, FAILURES_OF_LOGIN - 1)
    for _ in range(5):
        succeed(limits, "eve", AWAY)
    fail(limits, "anna", AWAY)
    assert limits.begin("anna", AWAY) is None
    succeed(limits, "eve", AWAY)
    for number in range(FAILURES_OF_CLIENT - FAILURES_OF_LOGIN):
        fail(limits, f"user{number}", AWAY)
    assert limits.begin("eve", AWAY) is None


def test_strangers_do_not_lock_a_user_out_where_he_was_before(limits, clock):
    succeed(limits, "anna", HOME)
    fail(limits, "anna", AWAY, FAILURES_OF_LOGIN)
    assert limits.begin("anna", AWAY) is None
    succeed(limits, "anna", HOME)
    assert limits.begin("anna", AWAY) is None, "and his success does not let them guess on"
    fail(limits, "anna", HOME, FAILURES_OF_LOGIN)
    assert limits.begin("anna", HOME) is None


def test_failures_are_forgotten_one_by_one(limits, clock):
    fail(limits, "anna", AWAY, 4)
    clock.now += 2 * FORGET_SECONDS
    assert limits.delay_seconds(limits.begin("anna", AWAY)) == FIRST_DELAY_SECONDS * 4
    clock.now += 3 * FORGET_SECONDS
    assert limits.delay_seconds(limits.begin("anna", AWAY)) == FIRST_DELAY_SECONDS


def test_what_could_not_be_looked_at_does_not_count(limits):
    for _ in range(3 * FAILURES_OF_CLIENT):
        limits.undecided(limits.begin("anna", AWAY))
    assert limits.begin("anna", AWAY) is not None


def test_a_client_without_an_address_is_counted_by_login_alone(limits):
    for number in range(2 * FAILURES_OF_CLIENT):
        fail(limits, f"user{number}", "")
    succeed(limits, "anna", "")
    fail(limits, "anna", "", FAILURES_OF_LOGIN)
    assert limits.begin("anna", "") is None


def test_memory_is_bounded(clock):
    limits = LoginLimits(clock, entries=10)
    for number in range(100):
        fail(limits, f"user{number}", f"198.51.100.{number}")
        succeed(limits, f"user{number}", f"198.51.100.{number}")
    held = (limits._of_login, limits._of_known_pair, limits._of_client, limits._known_pairs)
    assert all(len(one) <= 10 for one in held)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_what_a_client_is_counted_by(text, key):
    assert client_key(text) == key
