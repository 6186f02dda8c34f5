"""What a certificate is worth at a time: expiry, revocations, preferences, as its self-signatures say then."""

from datetime import timedelta

import pytest

import pgp_craft as craft
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.component import Features, KeyFlags
from mailseal.openpgp.subpackets import Kind, seconds, write_subpacket
from mailseal.openpgp.validity import (
    component_expiry,
    expiry,
    features,
    flags,
    live_user_ids,
    primary_user_id,
    stated,
    why_component_dead,
    why_dead,
)
from mailseal.policy.reason import ReasonCode
from pgp_craft import CERTIFY_SIGN, ENCRYPT, MADE, PRIMARY
from pki import DAY, NOW

TEXT = "Anna <anna@example.com>"
OWNER = craft.key()
ENCRYPTION = craft.key("cv25519")
LATER = MADE + 10 * DAY
NO_REASON, SUPERSEDED, COMPROMISED, RETIRED, GONE, PRIVATE = 0, 1, 2, 3, 32, 100
EXPIRED, REVOKED = ReasonCode.PGP_KEY_EXPIRED, ReasonCode.PGP_KEY_REVOKED


def read(*packets, primary=OWNER):
    return read_certificate(craft.certificate(primary, *packets))


def named(*says, text=TEXT, **more):
    return craft.user_id(OWNER, text, craft.flags(CERTIFY_SIGN), *says, **more)


def renewed(*says, text=TEXT, at=LATER, **more):
    return craft.certify(OWNER, text, craft.flags(CERTIFY_SIGN), *says, at=at, **more)


@pytest.mark.parametrize(
    ("packets", "days"),
    [
        ((named(),), None),
        ((named(craft.expires(50 * DAY)),), 50),
        ((craft.direct(OWNER, craft.expires(50 * DAY)), named()), 50),
        ((craft.direct(OWNER, craft.expires(50 * DAY)), named(craft.expires(70 * DAY))), 50),
        ((craft.direct(OWNER, craft.expires(70 * DAY)), named(craft.expires(50 * DAY))), 50),
        ((named(craft.expires(50 * DAY)) + renewed(craft.expires(70 * DAY)),), 70),
        ((named(craft.expires(50 * DAY)) + renewed(),), None),
        ((named(craft.expires(50 * DAY)) + renewed(at=NOW + DAY),), 50),
        ((named(craft.expires(50 * DAY), PRIMARY), named(text="other", at=LATER)), 50),
        ((named(craft.expires(50 * DAY)), named(text="other", at=LATER)), None),
        ((craft.direct(OWNER, craft.expires(50 * DAY)), named(craft.expires(70 * DAY), digest=2)), 50),
    ],
)
def test_when_it_expires(packets, days):
    found = read(*packets, craft.subkey(OWNER, ENCRYPTION, ENCRYPT))
    ends = None if days is None else MADE + days * DAY
    assert expiry(found, NOW) == component_expiry(found, found.subkeys[0], NOW) == ends
    assert not found.disputed
    if ends is not None:
        second = timedelta(seconds=1)
        past = {moment: why_dead(found, moment) for moment in (ends - second, ends)}
        assert past == {ends - second: None, ends: EXPIRED}


def test_before_it_was():
    found = read(named(at=LATER), craft.subkey(OWNER, ENCRYPTION, ENCRYPT, at=LATER + DAY))
    assert why_dead(found, MADE - DAY) is ReasonCode.PGP_KEY_NOT_YET_VALID
    assert why_dead(found, MADE) is ReasonCode.PGP_KEY_NOT_YET_VALID
    assert why_dead(found, LATER) is None
    assert why_component_dead(found, found.subkeys[0], LATER) is ReasonCode.PGP_KEY_NOT_YET_VALID
    assert why_component_dead(found, found.subkeys[0], LATER + DAY) is None


def test_a_self_signature_that_has_expired_itself():
    short = write_subpacket(Kind.EXPIRES, seconds(20 * 86_400))
    assert why_dead(read(named(short)), NOW) is EXPIRED
    assert why_dead(read(named() + renewed(short)), NOW) is None


@pytest.mark.parametrize(
    ("code", "hard"),
    [(NO_REASON, True), (None, True), (COMPROMISED, True), (PRIVATE, True), (SUPERSEDED, False), (RETIRED, False)],
)
def test_hard_and_soft_revocations(code, hard):
    says = () if code is None else (craft.reason(code, "gone"),)
    found = read(craft.revoke(OWNER, *says, at=LATER), named(), craft.subkey(OWNER, ENCRYPTION, ENCRYPT))
    assert found.primary.revocations[0].hard is hard
    assert why_dead(found, MADE) is (REVOKED if hard else None)
    assert why_dead(found, LATER) is why_component_dead(found, found.subkeys[0], LATER) is REVOKED
    subkey = craft.subkey(OWNER, ENCRYPTION, ENCRYPT) + craft.revoke_subkey(OWNER, ENCRYPTION, *says, at=LATER)
    found = read(named(), subkey)
    assert why_component_dead(found, found.subkeys[0], MADE) is (REVOKED if hard else None)
    assert why_component_dead(found, found.subkeys[0], LATER) is REVOKED
    assert why_dead(found, LATER) is None


def test_nothing_takes_back_the_revocation_of_a_key():
    found = read(craft.revoke(OWNER, craft.reason(RETIRED), at=LATER), named() + renewed(at=LATER + DAY))
    assert why_dead(found, NOW) is REVOKED


@pytest.mark.parametrize(("code", "again"), [(GONE, True), (RETIRED, True), (NO_REASON, False)])
def test_a_user_id_that_was_revoked(code, again):
    revoked = craft.revoke_user_id(OWNER, TEXT, craft.reason(code), at=LATER)
    found = read(named() + revoked, named(text="other"))
    assert [one.text for one in live_user_ids(found, NOW)] == ["other"]
    assert len(live_user_ids(found, MADE)) == (2 if again else 1)
    assert primary_user_id(found, NOW).text == "other"
    found = read(named() + revoked + renewed(at=LATER + DAY), named(text="other"))
    assert len(live_user_ids(found, NOW)) == (2 if again else 1)
    # With nothing else to go by, a revoked one still says when the key expires.
    found = read(named(craft.expires(20 * DAY)) + revoked)
    assert (why_dead(found, NOW), live_user_ids(found, NOW)) == (EXPIRED, ())


def test_the_primary_user_id():
    found = read(named(), named(PRIMARY, text="first", at=LATER), named(PRIMARY, text="second"), named(text="last"))
    assert primary_user_id(found, NOW).text == "first"
    assert primary_user_id(found, MADE).text == "second"
    assert primary_user_id(read(craft.direct(OWNER)), NOW) is None


def test_what_it_says_for_others():
    direct = craft.direct(OWNER, write_subpacket(Kind.FEATURES, b"\x09"), write_subpacket(Kind.CIPHERS, b"\x09"))
    found = read(direct, named(write_subpacket(Kind.FEATURES, b"\x01")))
    assert features(found, NOW) == Features.SEIPD_V1
    assert stated(found, NOW, lambda one: one.ciphers, ()) == (9,)
    assert stated(found, NOW, lambda one: one.digests, (8,)) == (8,)
    assert features(read(named()), NOW) == 0


def test_version_6_goes_by_the_direct_key_signature():
    primary = craft.key(version=6)
    direct = craft.direct(primary, craft.flags(CERTIFY_SIGN), write_subpacket(Kind.FEATURES, b"\x09"))
    found = read(direct, craft.user_id(primary, TEXT, write_subpacket(Kind.FEATURES, b"\x01")), primary=primary)
    assert features(found, NOW) == Features.SEIPD_V1 | Features.SEIPD_V2
    assert flags(found, found.primary, NOW) == CERTIFY_SIGN


def test_flags():
    found = read(craft.user_id(OWNER, TEXT, PRIMARY), craft.subkey_packet(ENCRYPTION) + craft.bind(OWNER, ENCRYPTION))
    assert [flags(found, one, NOW) for one in found.components] == [KeyFlags.CERTIFY, 0]


def test_a_subkey_of_its_own_expiry():
    found = read(named(craft.expires(200 * DAY)), craft.subkey(OWNER, ENCRYPTION, ENCRYPT, craft.expires(20 * DAY)))
    (subkey,) = found.subkeys
    assert component_expiry(found, subkey, NOW) == MADE + 20 * DAY
    assert why_component_dead(found, subkey, NOW) is EXPIRED
    assert why_component_dead(found, subkey, MADE + DAY) is None
