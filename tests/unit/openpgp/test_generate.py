"""New keys: what they say of themselves, and that others read them; secret keys leave locked only."""

from datetime import timedelta

import pytest
from pysequoia import Cert, Tsk

from mailseal.mail.address import Address
from mailseal.openpgp.armor import PRIVATE_KEY, PUBLIC_KEY, read_armor
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.component import Features, KeyFlags
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.export import armored_public, armored_secret
from mailseal.openpgp.generate import KeyKind, generate
from mailseal.openpgp.importing import read_transferable
from mailseal.openpgp.packet import Tag, read_packets
from mailseal.openpgp.secret_key import is_locked
from mailseal.openpgp.validity import component_expiry, expiry, features, flags, primary_user_id, stated, why_dead
from mailseal.policy.reason import ReasonCode
from pki import DAY, NOW

USER_IDS = ["Anna Ä <anna@example.com>", "anna@example.net"]
PASSWORD = "pässword"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (KeyKind.ED25519, ["ed25519", "cv25519"]),
        (KeyKind.RSA3072, ["rsa3072", "rsa3072"]),
    ],
)
def test_a_new_key(kind, names):
    made = generate(USER_IDS, kind, expires_after=1000 * DAY, at=NOW)
    found = read_certificate(made.octets)
    assert found.octets == made.octets
    assert [one.public for one in found.components] == [public for public, _ in made.keys]
    assert all(public.key == private.public_key() for public, private in made.keys)
    assert [one.public.name for one in found.components] == names
    assert [one.text for one in found.user_ids] == USER_IDS
    assert primary_user_id(found, NOW).address == Address.parse("anna@example.com")
    assert [flags(found, one, NOW) for one in found.components] == [
        KeyFlags.CERTIFY | KeyFlags.SIGN,
        KeyFlags.ENCRYPT_COMMUNICATIONS | KeyFlags.ENCRYPT_STORAGE,
    ]
    assert features(found, NOW) == Features.SEIPD_V1
    assert stated(found, NOW, lambda one: one.ciphers, ()) == (9, 8, 7)
    ends = {component_expiry(found, one, NOW) for one in found.components}
    assert ends == {expiry(found, NOW)} == {NOW + 1000 * DAY}
    assert why_dead(found, NOW) is None
    theirs = Cert.from_bytes(made.octets)
    assert (theirs.fingerprint, theirs.expiration, theirs.is_revoked) == (found.fingerprint, NOW + 1000 * DAY, False)
    assert [str(one) for one in theirs.user_ids] == USER_IDS


def test_without_an_end():
    found = read_certificate(generate(USER_IDS, at=NOW).octets)
    assert (expiry(found, NOW), Cert.from_bytes(found.octets).expiration) == (None, None)


@pytest.mark.parametrize(
    ("user_ids", "reason"),
    [
        ([], ReasonCode.MALFORMED),
        (["a", "a"], ReasonCode.MALFORMED),
        ([""], ReasonCode.MALFORMED),
        ([" "], ReasonCode.MALFORMED),
        (["a\nb"], ReasonCode.MALFORMED),
        (["a\0"], ReasonCode.MALFORMED),
        (["a\ud800"], ReasonCode.MALFORMED),
        (["a" * 2049], ReasonCode.TOO_LARGE),
        ([str(number) for number in range(129)], ReasonCode.MALFORMED),
    ],
)
def test_user_ids_that_are_none(user_ids, reason):
    with pytest.raises(PgpError) as caught:
        generate(user_ids, at=NOW)
    assert caught.value.reason is reason


@pytest.mark.parametrize("after", [timedelta(0), -DAY, 200 * 365 * DAY])
def test_an_end_that_cannot_be(after):
    with pytest.raises(PgpError):
        generate(USER_IDS, expires_after=after, at=NOW)


def test_nothing_secret_is_shown():
    made = generate(USER_IDS, at=NOW)
    assert "rivate" not in repr(made)


def test_the_public_part_for_others():
    found = [read_certificate(generate([text], at=NOW).octets) for text in USER_IDS]
    block = read_armor(armored_public(found), {PUBLIC_KEY})
    assert block.octets == found[0].octets + found[1].octets


@pytest.mark.parametrize("held", [(0, 1), (0,), (1,)])
def test_the_secret_part_is_locked(held):
    made = generate(USER_IDS, at=NOW)
    certificate = read_certificate(made.octets)
    keys = {made.keys[one][0].fingerprint: made.keys[one][1] for one in held}
    octets = read_armor(armored_secret(certificate, keys, PASSWORD), {PRIVATE_KEY}).octets
    secrets = [one for one in read_packets(octets) if one.tag in (Tag.SECRET_KEY, Tag.SECRET_SUBKEY)]
    assert [is_locked(one.body) for one in secrets] == [True, True]
    found = read_transferable(octets, lambda: PASSWORD)
    assert found.certificate == certificate
    assert {public.fingerprint: private.private_bytes_raw() for public, private in found.keys} == {
        name: private.private_bytes_raw() for name, private in keys.items()
    }
    assert not read_transferable(octets, lambda: "wrong").keys
    assert Tsk.from_bytes(octets).extract_certificate().fingerprint == certificate.fingerprint


def test_no_secret_part_without_a_password_or_a_key():
    made, other = generate(USER_IDS, at=NOW), generate(USER_IDS, at=NOW)
    certificate = read_certificate(made.octets)
    keys = {public.fingerprint: private for public, private in made.keys}
    for held, password in ((keys, ""), ({}, PASSWORD), ({other.keys[0][0].fingerprint: other.keys[0][1]}, PASSWORD)):
        with pytest.raises(PgpError):
            armored_secret(certificate, held, password)
