"""What the console asks of the store, on both databases: settings changed at once, what ends, whose mails are held."""

from datetime import timedelta
from uuid import UUID

import pytest

from held_mails import held, message
from mailseal.mail.address import Address
from mailseal.policy.settings import SettingError
from mailseal.smime.importing import ImportedKeys
from mailseal.store import addresses, overrides, quarantine_actions, trust
from mailseal.store.abilities import StoreAbilities
from mailseal.store.certificate_import import import_certificates, import_keys
from mailseal.store.expiry import Whose, endings
from mailseal.store.overrides import LockedSettingError, StaleSettingsError, Wanted
from mailseal.store.quarantine import HeldFilter, State, StoreQuarantine, search
from mailseal.store.quarantine_actions import NoRequestError
from mailseal.store.quarantine_events import Actor, list_events
from pki import NOW, Authority

DAY = timedelta(days=1)
A, B = Actor("account:a", "A"), Actor("account:b", "B")


def test_settings_are_changed_at_once_or_not_at_all(store):
    overrides.set_override("", "mode", "force")
    with pytest.raises(SettingError, match="encrypt_subject_trigger"):
        overrides.change("", {"mode": Wanted(None), "subject_trigger_is_pattern": Wanted("yes")})
    assert [one.name for one in overrides.list_overrides()] == ["mode"]
    before = overrides.change(
        "a@b.example",
        {"subject_trigger_is_pattern": Wanted("yes"), "encrypt_subject_trigger": Wanted("(?i)secret", locked=True)},
    )
    assert before == {"subject_trigger_is_pattern": None, "encrypt_subject_trigger": None}
    assert addresses.find(Address.parse("a@b.example")).overrides == 2
    overrides.change("a@b.example", dict.fromkeys(before, Wanted(None)))
    assert overrides.list_overrides("a@b.example") == ()


def test_only_as_they_were_looked_at(store):
    seen = overrides.version("b.example")
    assert overrides.version("b.example") == seen
    overrides.set_override("", "mode", "force")
    assert overrides.version("b.example") != seen, "what is inherited counts too"
    with pytest.raises(StaleSettingsError):
        overrides.change("b.example", {"pgp": Wanted("no")}, expected=seen)
    overrides.change("b.example", {"pgp": Wanted("no")}, expected=overrides.version("b.example"))
    assert overrides.shown("b.example")["pgp"][0] is False


def test_of_two_at_once_one_is_too_late(store, in_threads):
    seen = overrides.version("b.example")

    def change(number):
        try:
            overrides.change("b.example", {"quarantine_days": Wanted(str(5 + number))}, expected=seen)
        except StaleSettingsError:
            return "stale"
        return "done"

    assert sorted(in_threads(change, 4)) == ["done", "stale", "stale", "stale"]


def test_what_is_locked_here_is_not_everybodys_to_change(store):
    overrides.set_override("b.example", "mode", "mandatory", locked=True)
    for wanted in (Wanted("never"), Wanted(None), Wanted("mandatory", locked=True)):
        with pytest.raises(LockedSettingError):
            overrides.change("b.example", {"mode": wanted}, may_lock=False)
    with pytest.raises(LockedSettingError):
        overrides.change("b.example", {"pgp": Wanted("no", locked=True)}, may_lock=False)
    overrides.change("a@b.example", {"mode": Wanted("never")}, may_lock=False)
    assert str(overrides.shown("a@b.example")["mode"][0]) == "mandatory"


def test_who_below_keeps_an_own_value(store):
    for owner in ("b.example", "*.b.example", "x.b.example", "a@b.example", "a@x.b.example", "a@nob.example"):
        overrides.set_override(owner, "mode", "force")
    assert len(overrides.own_below("", ["mode", "pgp"])["mode"]) == 6
    assert overrides.own_below("*.b.example", ["mode"])["mode"] == ("a@x.b.example", "x.b.example")
    assert overrides.own_below("b.example", ["mode"])["mode"] == ("a@b.example",)
    assert overrides.own_below("a@b.example", ["mode"]) == {}


def test_what_ends_in_both_tables_by_key(store, kek):
    root = Authority("Root", not_before=NOW - 90 * DAY, not_after=NOW + 90 * DAY)
    trust.import_roots([root.certificate], at=NOW)
    for number in range(5):
        one = root.issue(f"u{number}@b.example", key="p256", not_after=NOW + (9 - number) * DAY)
        import_keys(ImportedKeys(((one.certificate, one.key),), ()), kek, at=NOW)
    import_certificates([root.issue("x@c.example", key="p256", not_after=NOW + DAY).certificate], at=NOW)
    found, last = [], None
    while page := endings(Whose.OURS, NOW, NOW + 20 * DAY, after=last, limit=2):
        found += [one.name for one in page]
        last = (page[-1].ends, page[-1].id)
    assert found == [f"CN=u{number}@b.example" for number in (4, 3, 2, 1, 0)]
    assert len(endings(Whose.OURS, NOW, NOW + 20 * DAY, domains=["b.example"])) == 5
    assert endings(Whose.OURS, NOW, NOW + 20 * DAY, domains=["c.example", "%", "_.example"]) == ()
    assert [one.name for one in endings(Whose.PARTNERS, NOW, NOW + 20 * DAY)] == ["CN=x@c.example"]
    (authority,) = endings(Whose.AUTHORITIES, NOW, NOW + 100 * DAY)
    assert authority.below == 6


def test_abilities_open_no_key(store, kek):
    root = Authority("Root")
    trust.import_roots([root.certificate], at=NOW)
    one = root.issue("a@b.example", key="p256")
    import_keys(ImportedKeys(((one.certificate, one.key),), ()), kek, at=NOW)
    smime, pgp = StoreAbilities().of(Address.parse("a@b.example"), NOW)
    assert smime.encrypts_to == smime.opens_with == (one.certificate.fingerprint,)
    assert smime.why_not is None
    assert smime.signs_with == "", "it is nobody's of ours"
    assert pgp.why_not.code.value == "no-pgp-key"


def test_held_mails_belong_to_the_senders_domain(store, kek):
    quarantine = StoreQuarantine(kek)
    for number, sender in enumerate(("a@b.example", "a@nob.example", None, "c@x.b.example")):
        quarantine.hold(held(number=number, sender=sender), message())
    assert [one.domain for one in search(HeldFilter(domains=frozenset({"b.example"})))] == ["b.example"]
    assert search(HeldFilter(domains=frozenset())) == ()
    assert len(search(HeldFilter(states=None))) == 4


def test_states_one_after_the_other_are_still_the_newest_first(store, kek):
    quarantine = StoreQuarantine(kek)
    made = [quarantine.hold(held(number=number), message()) for number in range(4)]
    newest = search(HeldFilter(), limit=4)
    assert [str(one.id) for one in newest] == made[::-1]
    quarantine_actions.release(newest[1].id, A)
    quarantine_actions.ask_as_is(newest[3].id, A)
    assert [str(one.id) for one in search(HeldFilter(), limit=3)] == made[:0:-1]
    assert [one.id for one in search(HeldFilter(states=(State.RELEASING,)))] == [newest[1].id]
    assert [one.id for one in search(HeldFilter(asked=True))] == [newest[3].id]
    assert [str(one.id) for one in search(HeldFilter(), before=newest[1].id)] == made[1::-1]


def test_a_request_is_denied(store, kek):
    mail = UUID(StoreQuarantine(kek).hold(held(), message()))
    with pytest.raises(NoRequestError):
        quarantine_actions.deny(mail, B)
    quarantine_actions.ask_as_is(mail, A)
    assert quarantine_actions.deny(mail, B, "no").asked_by == ""
    assert list_events(mail)[0].note == "asked for by account:a; no"
    with pytest.raises(NoRequestError):
        quarantine_actions.approve(mail, B)
