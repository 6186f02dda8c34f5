import pytest

from mailseal.mail.address import Address, AddressError
from mailseal.policy.settings import Mode, SettingError
from mailseal.store import addresses, domains, overrides
from mailseal.store.lru import Lru
from mailseal.store.owners import owners_of_domain

ANNA = Address.parse("Anna@Mail.example.com")


def test_unknown_addresses_are_external_with_factory_settings(directory):
    party = directory.party(ANNA)
    assert (party.address, party.internal, party.settings.mode) == (ANNA, False, Mode.ALLOW)
    assert str(party.address) == "Anna@mail.example.com"
    assert directory.party(None).internal is False


@pytest.mark.parametrize(
    ("rows", "internal"),
    [
        ({"mail.example.com": True}, True),
        ({"*.example.com": True}, True),
        ({"*.com": True}, True),
        ({"example.com": True}, False),
        ({"*.mail.example.com": True}, False),
        ({"*.example.com": True, "mail.example.com": False}, False),
        ({"*.com": False, "*.example.com": True}, True),
    ],
)
def test_the_most_specific_domain_decides(directory, rows, internal):
    for name, flag in rows.items():
        domains.add(name, internal=flag)
    assert directory.party(ANNA).internal is internal


def test_lower_levels_override(directory):
    steps = [
        ("", "mandatory", Mode.MANDATORY),
        ("*.com", "force", Mode.FORCE),
        ("*.example.com", "never", Mode.NEVER),
        ("mail.example.com", "allow", Mode.ALLOW),
        ("ANNA@mail.example.com", "mandatory", Mode.MANDATORY),
    ]
    for owner, text, expected in steps:
        overrides.set_override(owner, "mode", text)
        directory.clear()
        assert directory.party(ANNA).settings.mode is expected
    assert directory.party(None).settings.mode is Mode.MANDATORY
    assert directory.party(Address.parse("bob@mail.example.com")).settings.mode is Mode.ALLOW
    overrides.unset_override("anna@mail.example.com", "mode")
    directory.clear()
    assert directory.party(ANNA).settings.mode is Mode.ALLOW


def test_a_locked_setting_is_not_weakened_below(directory):
    overrides.set_override("", "mode", "mandatory", locked=True)
    overrides.set_override("mail.example.com", "mode", "never")
    assert directory.party(ANNA).settings.mode is Mode.MANDATORY


def test_equal_overrides_share_one_settings(directory):
    first = directory.party(Address.parse("a@x.test")).settings
    assert directory.party(Address.parse("b@y.test")).settings is first


def test_other_spellings_and_literals(directory):
    domains.add("BÜCHER.example")
    assert directory.party(Address.parse("a@bücher.example")).internal
    assert directory.party(Address.parse("a@xn--bcher-kva.example")).internal
    assert not directory.party(Address.parse("a@[192.0.2.1]")).internal


def test_stamps_clear_the_cache(directory, watch):
    assert watch.poll(0.0) == {"settings", "keys"}
    assert not directory.party(ANNA).internal
    domains.add("mail.example.com")
    assert not directory.party(ANNA).internal
    assert watch.poll(1.0) == {"settings"}
    assert directory.party(ANNA).internal
    assert watch.poll(2.0) == frozenset()
    overrides.set_override("anna@mail.example.com", "mode", "force")
    watch.poll(3.0)
    assert directory.party(ANNA).settings.mode is Mode.FORCE
    assert watch.fresh(12.9)
    assert not watch.fresh(13.1)


def test_setting_what_cannot_be_set(store):
    for owner, name, text in (
        ("", "mode", "sometimes"),
        ("", "mood", "good"),
        ("example.com", "smime_max_bytes", "much"),
    ):
        with pytest.raises(SettingError):
            overrides.set_override(owner, name, text)
    with pytest.raises(AddressError):
        overrides.set_override("exa mple", "mode", "never")
    assert overrides.list_overrides() == ()


def test_contradicting_settings_are_refused_as_a_whole(store):
    overrides.set_override("", "encrypt_subject_trigger", "(secret")
    with pytest.raises(SettingError):
        overrides.set_override("example.com", "subject_trigger_is_pattern", "yes")
    assert [one.name for one in overrides.list_overrides()] == ["encrypt_subject_trigger"]


def test_shown_tells_where_a_value_comes_from(store):
    overrides.set_override("example.com", "mode", "force")
    value, origin = overrides.shown("anna@example.com")["mode"]
    assert (value, origin.owner) == (Mode.FORCE, "example.com")
    assert overrides.shown("*.example.com")["mode"] == (Mode.ALLOW, None)
    assert overrides.shown()["mode"] == (Mode.ALLOW, None)
    assert overrides.unset_override("example.com", "mode")
    assert not overrides.unset_override("example.com", "mode")


def test_addresses_are_known_when_something_is_set_for_them(store):
    overrides.set_override("Bob@example.com", "mode", "force")
    addresses.add(ANNA)
    assert not addresses.add(ANNA)
    assert [(one.key, one.overrides) for one in addresses.list_addresses()] == [
        ("anna@mail.example.com", 0),
        ("bob@example.com", 1),
    ]
    assert [one.key for one in addresses.list_addresses(domain="example.com")] == ["bob@example.com"]
    assert addresses.delete(Address.parse("bob@example.com"))
    assert overrides.list_overrides() == ()


def test_domains_are_listed_and_deleted(store):
    domains.add("*.Example.com")
    domains.add("b.test", internal=False)
    assert [(one.name, one.internal) for one in domains.list_domains()] == [("*.example.com", True), ("b.test", False)]
    assert domains.delete("B.test")
    assert not domains.delete("b.test")


def test_owners_of_a_domain():
    assert owners_of_domain("a.b.c") == ("a.b.c", "*.b.c", "*.c")


def test_a_cache_is_bounded_and_forgets():
    cache = Lru(2, max_age_seconds=60)
    for key in (1, 2):
        cache.put(key, key, cache.generation)
    assert cache.get(1) == 1
    cache.put(3, 3, cache.generation)
    assert (cache.get(2), cache.get(1), cache.get(3), len(cache)) == (None, 1, 3, 2)
    # What was read before a clear must not be kept after it.
    generation = cache.generation
    cache.clear()
    cache.put(4, 4, generation)
    assert cache.get(4) is None
    old = Lru(2, max_age_seconds=-1)
    old.put(1, 1, old.generation)
    assert old.get(1) is None
