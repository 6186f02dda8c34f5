from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.address import Address
from mailseal.policy.settings import (
    SETTINGS,
    CipherBits,
    CipherChoice,
    Level,
    Mode,
    OnFailure,
    Override,
    SettingError,
    Settings,
    levels_for,
    resolve,
    resolve_with_origin,
)

ANNA = Address.parse("Anna@mail.a.b.example")
LEVELS = [
    (Level.GLOBAL, ""),
    (Level.WILDCARD, "*.example"),
    (Level.WILDCARD, "*.b.example"),
    (Level.WILDCARD, "*.a.b.example"),
    (Level.DOMAIN, "mail.a.b.example"),
    (Level.ADDRESS, "anna@mail.a.b.example"),
]


def test_levels_of_an_address_weakest_first():
    assert levels_for(ANNA) == LEVELS


def test_a_wildcard_does_not_match_its_own_domain():
    levels = levels_for(Address.parse("x@b.example"))
    assert (Level.WILDCARD, "*.b.example") not in levels
    assert levels == [
        (Level.GLOBAL, ""),
        (Level.WILDCARD, "*.example"),
        (Level.DOMAIN, "b.example"),
        (Level.ADDRESS, "x@b.example"),
    ]


def test_the_null_sender_has_the_global_level_only():
    assert levels_for(None) == [(Level.GLOBAL, "")]


def test_an_address_literal_and_a_single_label_have_no_wildcards():
    assert levels_for(Address.parse("x@[192.0.2.1]")) == [
        (Level.GLOBAL, ""),
        (Level.DOMAIN, "[192.0.2.1]"),
        (Level.ADDRESS, "x@[192.0.2.1]"),
    ]
    assert levels_for(Address.parse("x@localhost")) == [
        (Level.GLOBAL, ""),
        (Level.DOMAIN, "localhost"),
        (Level.ADDRESS, "x@localhost"),
    ]


def test_addresses_compare_case_folded_and_domains_as_a_labels():
    assert levels_for(Address.parse("JÜRGEN@Bücher.example"))[-1] == (Level.ADDRESS, "jürgen@xn--bcher-kva.example")


def _set(index, value, name="tag_invalid", *, locked=False):
    level, owner = LEVELS[index]
    return Override(level, owner, name, value, locked)


def test_nothing_set_is_the_factory():
    assert resolve([]) == Settings()


@pytest.mark.parametrize("lower", range(len(LEVELS)))
@pytest.mark.parametrize("upper", range(len(LEVELS)))
def test_the_lower_level_wins_in_whatever_order_they_come(upper, lower):
    if upper >= lower:
        return
    overrides = [_set(upper, "upper"), _set(lower, "lower")]
    assert resolve(overrides).tag_invalid == "lower"
    assert resolve(reversed(overrides)).tag_invalid == "lower"


@given(st.permutations(range(len(LEVELS))), st.sets(st.sampled_from(range(len(LEVELS)))))
def test_of_those_set_the_lowest_counts(order, chosen):
    overrides = [_set(index, f"level {index}") for index in order if index in chosen]
    expected = f"level {max(chosen)}" if chosen else Settings().tag_invalid
    assert resolve(overrides).tag_invalid == expected


def test_other_settings_keep_their_value():
    assert resolve([_set(0, Mode.NEVER, "mode"), _set(4, "x")]) == replace(Settings(), mode=Mode.NEVER, tag_invalid="x")


def test_an_unknown_setting_is_an_error():
    with pytest.raises(SettingError):
        resolve([_set(0, 1, "no_such_setting")])


def test_origins_are_told():
    first, second = _set(1, "first"), _set(4, "second")
    found = resolve_with_origin([second, first, _set(0, Mode.FORCE, "mode", locked=True)])
    assert list(found) == [info.name for info in SETTINGS]
    assert found["tag_invalid"] == ("second", second)
    assert found["mode"] == (Mode.FORCE, Override(Level.GLOBAL, "", "mode", Mode.FORCE, locked=True))
    assert found["smime"] == (True, None)


# setting, locked value, values below that count, values below that are ignored
LOCKS = [
    ("mode", Mode.FORCE, [Mode.FORCE, Mode.MANDATORY], [Mode.NEVER, Mode.ALLOW]),
    ("mode", Mode.NEVER, list(Mode), []),
    ("on_failure", OnFailure.REFUSE, [OnFailure.REFUSE], [OnFailure.NOTIFY]),
    ("smime", True, [True], [False]),
    ("smime_max_bytes", 5000, [5000, 5001], [4999]),
    ("smime_min_cipher_bits", CipherBits.BITS_192, [CipherBits.BITS_192, CipherBits.BITS_256], [CipherBits.BITS_128]),
    ("smime_cipher", CipherChoice.AES256_CBC, [CipherChoice.AES256_CBC], [CipherChoice.AUTO, CipherChoice.AES256_GCM]),
    ("skip_calendar", False, [False], [True]),
    ("skip_calendar", True, [False, True], []),
    ("log_subject", False, [False], [True]),
    ("additional_certificates", ("a", "b"), [("a", "b"), ("b", "c", "a")], [(), ("a",), ("a", "c")]),
    ("tag_invalid", "x", ["x"], ["", "y"]),
    ("encrypt_header_trigger", "X-A", ["X-A"], ["", "X-B"]),
]


@pytest.mark.parametrize(("name", "locked", "counting", "ignored"), LOCKS)
def test_a_locked_value_cannot_be_weakened(name, locked, counting, ignored):
    lock = _set(1, locked, name, locked=True)
    for value in counting:
        below = _set(5, value, name)
        assert resolve_with_origin([below, lock])[name] == (value, below)
    for value in ignored:
        assert resolve_with_origin([_set(5, value, name), lock])[name] == (locked, lock)


def test_a_lock_binds_below_only():
    assert resolve([_set(0, Mode.NEVER, "mode"), _set(4, Mode.FORCE, "mode", locked=True)]).mode is Mode.FORCE
    unlocked = [_set(0, Mode.MANDATORY, "mode"), _set(4, Mode.NEVER, "mode")]
    assert resolve(unlocked).mode is Mode.NEVER


def test_an_ignored_override_locks_nothing():
    overrides = [
        _set(0, Mode.ALLOW, "mode", locked=True),
        _set(2, Mode.NEVER, "mode", locked=True),
        _set(5, Mode.FORCE, "mode"),
    ]
    assert resolve(overrides).mode is Mode.FORCE
    assert resolve(overrides[:2]).mode is Mode.ALLOW


def test_a_second_lock_raises_the_floor():
    overrides = [
        _set(0, Mode.ALLOW, "mode", locked=True),
        _set(2, Mode.MANDATORY, "mode", locked=True),
        _set(5, Mode.FORCE, "mode"),
    ]
    assert resolve(overrides).mode is Mode.MANDATORY


def test_a_value_between_does_not_lower_the_floor():
    overrides = [
        _set(0, Mode.ALLOW, "mode", locked=True),
        _set(2, Mode.MANDATORY, "mode"),
        _set(5, Mode.ALLOW, "mode"),
    ]
    assert resolve(overrides).mode is Mode.ALLOW


@pytest.mark.parametrize("name", ["encrypt_subject_trigger", "sign_subject_trigger"])
def test_how_a_locked_trigger_is_read_is_locked_with_it(name):
    pattern = _set(2, True, "subject_trigger_is_pattern")
    trigger = _set(2, "(?i)secret|geheim", name, locked=True)
    below = _set(5, False, "subject_trigger_is_pattern")
    for overrides in ([pattern, trigger, below], [below, trigger, pattern], [trigger, below, pattern]):
        assert resolve(overrides).subject_trigger_is_pattern is True
    keyword = _set(2, "secret", name, locked=True)
    assert resolve([keyword, _set(5, True, "subject_trigger_is_pattern")]).subject_trigger_is_pattern is False
    free = replace(trigger, locked=False)
    assert resolve([pattern, free, below]).subject_trigger_is_pattern is False
    other = _set(2, "X-A", "encrypt_header_trigger", locked=True)
    assert resolve([pattern, other, below]).subject_trigger_is_pattern is False


def test_where_the_reading_of_a_trigger_comes_from_is_told():
    pattern = _set(2, True, "subject_trigger_is_pattern")
    trigger = _set(2, "a|b", "encrypt_subject_trigger", locked=True)
    assert resolve_with_origin([trigger, pattern])["subject_trigger_is_pattern"] == (True, pattern)
    same_below = _set(5, True, "subject_trigger_is_pattern")
    found = resolve_with_origin([trigger, pattern, same_below])
    assert found["subject_trigger_is_pattern"] == (True, same_below)
