from dataclasses import replace

import pytest
from hypothesis import given

from mailseal.mail.address import Address
from mailseal.policy.combine import weakens
from mailseal.policy.settings import (
    SETTINGS,
    CipherBits,
    CipherChoice,
    DigestChoice,
    KeyTransportChoice,
    Level,
    Mode,
    NewKey,
    OnFailure,
    Override,
    Pairing,
    RevocationUnknown,
    RsaSignatureChoice,
    Settings,
    SmimeProfile,
    Strength,
    combine,
    levels_for,
    resolve,
    stricter,
)
from unit.policy.strategies import settings_values

N, A, F, M = Mode.NEVER, Mode.ALLOW, Mode.FORCE, Mode.MANDATORY
X, Y, Z = "11" * 32, "22" * 32, "33" * 32

# setting, sender's value, recipient's value, the one that counts; every rule in both directions
PAIRS = [
    ("mode", N, N, N),
    ("mode", N, A, N),
    ("mode", A, N, N),
    ("mode", A, A, A),
    ("mode", N, F, A),
    ("mode", F, N, A),
    ("mode", F, A, A),
    ("mode", A, F, A),
    ("mode", F, F, A),
    ("mode", N, M, M),
    ("mode", M, N, M),
    ("mode", M, A, M),
    ("mode", A, M, M),
    ("mode", F, M, M),
    ("mode", M, F, M),
    ("mode", M, M, M),
    ("on_failure", OnFailure.NOTIFY, OnFailure.NOTIFY, OnFailure.NOTIFY),
    ("on_failure", OnFailure.NOTIFY, OnFailure.REFUSE, OnFailure.NOTIFY),
    ("on_failure", OnFailure.REFUSE, OnFailure.NOTIFY, OnFailure.REFUSE),
    ("on_failure", OnFailure.REFUSE, OnFailure.REFUSE, OnFailure.REFUSE),
    ("revocation_unknown", RevocationUnknown.USABLE, RevocationUnknown.USABLE, RevocationUnknown.USABLE),
    ("revocation_unknown", RevocationUnknown.USABLE, RevocationUnknown.UNUSABLE, RevocationUnknown.UNUSABLE),
    ("revocation_unknown", RevocationUnknown.UNUSABLE, RevocationUnknown.USABLE, RevocationUnknown.UNUSABLE),
    ("smime_max_bytes", 2000, 3000, 2000),
    ("smime_max_bytes", 3000, 2000, 2000),
    ("smime_profile", SmimeProfile.EDI, SmimeProfile.DEFAULT, SmimeProfile.DEFAULT),
    ("smime_profile", SmimeProfile.DEFAULT, SmimeProfile.EDI, SmimeProfile.EDI),
    ("smime_cipher", CipherChoice.AES128_CBC, CipherChoice.AES256_GCM, CipherChoice.AES256_GCM),
    ("smime_cipher", CipherChoice.AES256_GCM, CipherChoice.AUTO, CipherChoice.AUTO),
    ("smime_min_cipher_bits", CipherBits.BITS_256, CipherBits.BITS_128, CipherBits.BITS_256),
    ("smime_min_cipher_bits", CipherBits.BITS_128, CipherBits.BITS_192, CipherBits.BITS_192),
    ("smime_key_transport", KeyTransportChoice.AUTO, KeyTransportChoice.OAEP_SHA1, KeyTransportChoice.OAEP_SHA1),
    ("smime_digest", DigestChoice.SHA512, DigestChoice.SHA256, DigestChoice.SHA256),
    ("smime_rsa_signature", RsaSignatureChoice.PSS, RsaSignatureChoice.AUTO, RsaSignatureChoice.AUTO),
    ("new_key_for_known_address", NewKey.USABLE, NewKey.UNUSABLE, NewKey.UNUSABLE),
    ("new_key_for_known_address", NewKey.UNUSABLE, NewKey.USABLE, NewKey.UNUSABLE),
    ("sign", True, False, True),
    ("sign", False, True, False),
    ("additional_certificates", (X, Y), (Y, Z), (X, Y, Z)),
    ("additional_certificates", (), (Z,), (Z,)),
    ("additional_certificates", (Z,), (), (Z,)),
    ("encrypt_subject_trigger", "a", "b", "a"),
    ("encrypt_header_trigger", "a", "b", "a"),
    ("subject_trigger_is_pattern", True, False, True),
    ("remove_subject_trigger", False, True, False),
    ("subject_tags", True, False, False),
    ("tag_invalid", "a", "b", "b"),
    ("remove_signature", False, True, True),
]
PAIRS += [
    (name, one, other, one and other)
    for name in ("smime", "skip_calendar", "legacy_subject_email", "log_subject")
    for one in (False, True)
    for other in (False, True)
]
PAIRS += [
    (name, one, other, one or other)
    for name in ("sign_only_when_encrypting", "smime_authenticated_only")
    for one in (False, True)
    for other in (False, True)
]
PAIRS += [
    (name, not value, value, value)
    for name in ("smime_opaque", "smime_read_3des", "smime_read_rc2", "smime_read_des", "smime_read_cast5")
    for value in (False, True)
]


@pytest.mark.parametrize(("name", "sender", "recipient", "counts"), PAIRS)
def test_a_pair_combines_as_declared(name, sender, recipient, counts):
    combined = combine(Settings(**{name: sender}), Settings(**{name: recipient}))
    assert getattr(combined, name) == counts
    assert type(getattr(combined, name)) is type(counts)
    assert replace(combined, **{name: getattr(Settings(), name)}) == Settings()


ALICE, BOB = Address.parse("alice@mail.example.com"), Address.parse("bob@mail.example.net")


def _at(address, level):
    return [owner for one, owner in levels_for(address) if one is level][-1]


@pytest.mark.parametrize(("name", "sender", "recipient", "counts"), PAIRS)
def test_from_whatever_level_the_two_values_come(name, sender, recipient, counts):
    for sender_level in Level:
        for recipient_level in Level:
            one = resolve([Override(sender_level, _at(ALICE, sender_level), name, sender)])
            other = resolve([Override(recipient_level, _at(BOB, recipient_level), name, recipient)])
            assert getattr(combine(one, other), name) == counts


def test_the_table_above_has_every_pairing():
    by_name = {info.name: info.pairing for info in SETTINGS}
    assert {by_name[name] for name, *_ in PAIRS} == set(Pairing)


def test_two_values_of_the_factory_make_the_factory_value():
    assert combine(Settings(), Settings()) == Settings()


# setting, weaker, stronger
STRENGTHS = [
    ("mode", N, A),
    ("mode", A, F),
    ("mode", F, M),
    ("on_failure", OnFailure.NOTIFY, OnFailure.REFUSE),
    ("smime", False, True),
    ("smime_max_bytes", 1024, 1025),
    ("smime_min_cipher_bits", CipherBits.BITS_128, CipherBits.BITS_192),
    ("smime_authenticated_only", False, True),
    ("smime_read_rc2", True, False),
    ("harvest_certificates", True, False),
    ("new_key_for_known_address", NewKey.USABLE, NewKey.UNUSABLE),
    ("sign", False, True),
    ("sign_only_when_encrypting", False, True),
    ("skip_calendar", True, False),
    ("additional_certificates", (X,), (X, Y)),
    ("revocation_unknown", RevocationUnknown.USABLE, RevocationUnknown.UNUSABLE),
    ("legacy_subject_email", True, False),
    ("log_subject", True, False),
]


@pytest.mark.parametrize(("name", "weak", "strong"), STRENGTHS)
def test_of_two_senders_the_stricter_value_wins(name, weak, strong):
    one, other = Settings(**{name: weak}), Settings(**{name: strong})
    assert stricter(one, other) == other
    assert stricter(other, one) == other


def test_where_there_is_no_order_the_first_sender_counts():
    one, other = Settings(encrypt_subject_trigger="a"), Settings(encrypt_subject_trigger="b")
    assert stricter(one, other) == one
    assert stricter(other, one) == other
    crossed = stricter(Settings(additional_certificates=(X,)), Settings(additional_certificates=(Y, X)))
    assert crossed.additional_certificates == (X, Y)


@pytest.mark.parametrize(("name", "weak", "strong"), STRENGTHS)
def test_weakens_knows_the_order(name, weak, strong):
    strength = next(info.strength for info in SETTINGS if info.name == name)
    assert weakens(strength, weak, strong)
    assert not weakens(strength, strong, weak)
    assert not weakens(strength, weak, weak)


def test_weakens_without_an_order():
    assert weakens(Strength.FIXED, "a", "b") is True
    assert weakens(Strength.FIXED, "a", "a") is False
    assert weakens(Strength.SUPERSET, (X,), (Y,))


def _not_weaker(one, floor):
    return [
        info.name
        for info in SETTINGS
        if info.strength is not Strength.FIXED
        and weakens(info.strength, getattr(one, info.name), getattr(floor, info.name))
    ] == []


@given(settings_values, settings_values)
def test_the_stricter_of_two_weakens_neither(one, other):
    both = stricter(one, other)
    assert _not_weaker(both, one)
    assert _not_weaker(both, other)
    assert stricter(one, one) == one


@given(settings_values, settings_values, settings_values)
def test_combine_is_monotone_on_each_side(one, other, partner):
    assert _not_weaker(combine(stricter(one, other), partner), combine(one, partner))
    assert _not_weaker(combine(partner, stricter(one, other)), combine(partner, one))


@given(settings_values, settings_values)
def test_combined_mode_is_one_of_three(one, other):
    assert combine(one, other).mode in (N, A, M)
