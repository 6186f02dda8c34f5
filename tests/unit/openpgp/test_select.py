"""Selection: which certificate, and which key of it, for what; and why not."""

from dataclasses import replace

import pytest

import pgp_craft as craft
from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate, read_certificate
from mailseal.openpgp.component import KeyFlags
from mailseal.openpgp.select import (
    addresses_of,
    encryption_components,
    newest_first,
    signing_component,
    speaks_for,
    why_not_encrypt,
    why_not_sign,
    why_not_trust_signer,
)
from mailseal.policy.reason import ReasonCode
from pgp_craft import CERTIFY_SIGN, ENCRYPT, MADE
from pki import DAY, NOW

TEXT = "Anna <anna@example.com>"
ANNA, BERTA = Address.parse("anna@example.com"), Address.parse("berta@example.com")
OWNER = craft.key()
OLD, NEW = craft.key("cv25519"), craft.key("cv25519", at=MADE + DAY)
SIGNING = craft.key(at=MADE + DAY)
UNTRUSTED = ReasonCode.PGP_KEY_UNTRUSTED


def bound(key, value, *says):
    back = craft.back_signature(OWNER, key, at=key.public.created) if value & KeyFlags.SIGN else None
    return craft.subkey(OWNER, key, value, *says, at=key.public.created, back=back)


def stored(*packets, trust=PgpTrust.TRUSTED, **more):
    packets = packets or (bound(OLD, ENCRYPT), bound(NEW, ENCRYPT), bound(SIGNING, KeyFlags.SIGN))
    octets = craft.certificate(OWNER, craft.user_id(OWNER, TEXT), *packets)
    return StoredPgpCertificate(read_certificate(octets), trust, **more)


def ours(*keys, **more):
    return stored(has_key=True, keys=frozenset(one.fingerprint for one in keys), **more)


def codes(one, address=ANNA, at=NOW, **more):
    answers = (
        why_not_encrypt(one, address, at, **more),
        why_not_sign(one, address, at),
        why_not_trust_signer(one, at, **more),
    )
    return [answer and answer.code for answer in answers]


def test_usable():
    assert codes(ours(OWNER)) == [None] * 3
    assert why_not_sign(stored(), ANNA, NOW).code is ReasonCode.NO_SIGNING_KEY


@pytest.mark.parametrize(
    ("one", "encrypt", "signer"),
    [
        (stored(trust=PgpTrust.CANDIDATE), UNTRUSTED, ReasonCode.SIGNER_KEY_UNTRUSTED),
        (stored(trust=PgpTrust.DISTRUSTED), ReasonCode.PGP_KEY_DISTRUSTED, ReasonCode.SIGNER_KEY_UNTRUSTED),
        (ours(OWNER, trust=PgpTrust.CANDIDATE), None, None),
        (ours(OWNER, trust=PgpTrust.DISTRUSTED), ReasonCode.PGP_KEY_DISTRUSTED, ReasonCode.SIGNER_KEY_UNTRUSTED),
        (
            stored(trust=PgpTrust.CANDIDATE, selected=True),
            ReasonCode.PGP_KEY_UNTRUSTED,
            ReasonCode.SIGNER_KEY_UNTRUSTED,
        ),
    ],
)
def test_trust(one, encrypt, signer):
    found = codes(one)
    assert (found[0], found[2]) == (encrypt, signer)


def test_the_word_of_its_own_domain():
    published = stored(trust=PgpTrust.CANDIDATE, own_domain=True)
    assert codes(published, trust_wkd=True)[0] is None
    assert codes(published)[0] is ReasonCode.PGP_KEY_UNTRUSTED
    assert codes(replace(published, own_domain=False), trust_wkd=True)[0] is ReasonCode.PGP_KEY_UNTRUSTED
    distrusted = replace(published, trust=PgpTrust.DISTRUSTED)
    assert codes(distrusted, trust_wkd=True)[0] is ReasonCode.PGP_KEY_DISTRUSTED


def test_whose_it_is():
    wrong = ReasonCode.PGP_KEY_WRONG_ADDRESS
    assert codes(ours(OWNER), BERTA) == [wrong, wrong, None]
    assert codes(ours(OWNER), None)[:2] == [wrong, wrong]
    assert codes(ours(OWNER, selected=True), None) == codes(ours(OWNER, selected=True), BERTA) == [None] * 3
    assert codes(ours(OWNER), Address.parse("ANNA@EXAMPLE.com")) == [None] * 3


def test_addresses():
    kelvin = "Kelvin <\u212aelvin@example.com>"
    octets = craft.certificate(
        OWNER,
        craft.user_id(OWNER, kelvin),
        craft.user_id(OWNER, TEXT),
        craft.user_id(OWNER, "a@example.com") + craft.revoke_user_id(OWNER, "a@example.com", craft.reason(32)),
        craft.user_id(OWNER, "no address"),
        craft.user_id(OWNER, "b@example.com"),
    )
    one = StoredPgpCertificate(read_certificate(octets), PgpTrust.TRUSTED)
    assert [str(found) for found in addresses_of(one, NOW)] == ["\u212aelvin@example.com", str(ANNA), "b@example.com"]
    assert not speaks_for(one, Address.parse("kelvin@example.com"), NOW)
    assert speaks_for(one, Address.parse("\u212aelvin@example.com"), NOW)
    certified = replace(one, certified=frozenset({TEXT}))
    assert addresses_of(certified, NOW) == (ANNA,)
    assert codes(certified, Address.parse("b@example.com"))[0] is ReasonCode.PGP_KEY_WRONG_ADDRESS


def test_encryption_keys_newest_first():
    one = stored()
    names = [found.fingerprint for found in encryption_components(one, NOW)]
    assert names == [NEW.fingerprint, OLD.fingerprint]
    chosen = replace(one, subkey=OLD.fingerprint)
    assert [found.fingerprint for found in encryption_components(chosen, NOW)] == [OLD.fingerprint]
    assert [found.fingerprint for found in encryption_components(one, MADE)] == [OLD.fingerprint]


def test_the_key_to_sign_with():
    assert signing_component(stored(), NOW) is None
    assert signing_component(ours(OWNER, SIGNING), NOW).fingerprint == SIGNING.fingerprint
    assert signing_component(ours(OWNER, NEW), NOW).fingerprint == OWNER.fingerprint
    assert codes(ours(NEW))[1] is ReasonCode.PGP_KEY_NO_SIGNING_SUBKEY


RSA = craft.key("rsa1024")
RSA_ALGORITHM = craft.key("ed25519-native")
NO_SUBKEY, UNSUPPORTED = ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY, ReasonCode.PGP_KEY_UNSUPPORTED


@pytest.mark.parametrize(
    ("packets", "code"),
    [
        ([b""], NO_SUBKEY),
        ([bound(OLD, KeyFlags.AUTHENTICATE)], NO_SUBKEY),
        ([bound(OLD, ENCRYPT, craft.expires(DAY))], NO_SUBKEY),
        ([bound(OLD, ENCRYPT), craft.revoke_subkey(OWNER, OLD)], NO_SUBKEY),
        ([craft.subkey_packet(OLD)], NO_SUBKEY),
        ([bound(RSA, ENCRYPT)], UNSUPPORTED),
        ([bound(RSA_ALGORITHM, ENCRYPT)], UNSUPPORTED),
        ([bound(RSA, ENCRYPT), bound(OLD, ENCRYPT)], None),
        ([bound(OLD, KeyFlags.ENCRYPT_STORAGE)], None),
    ],
)
def test_nothing_to_encrypt_to(packets, code):
    assert codes(stored(*packets))[0] is code


def test_a_dead_certificate():
    for packets, encrypt, signer in (
        ([craft.revoke_user_id(OWNER, TEXT)], ReasonCode.PGP_KEY_WRONG_ADDRESS, None),
        ([craft.certify(OWNER, TEXT, craft.flags(CERTIFY_SIGN), craft.expires(DAY), at=MADE + DAY)], *_EXPIRED),
    ):
        found = codes(stored(*packets, bound(OLD, ENCRYPT)))
        assert (found[0], found[2]) == (encrypt, signer)
    octets = craft.certificate(OWNER, craft.revoke(OWNER), craft.user_id(OWNER, TEXT), bound(OLD, ENCRYPT))
    one = StoredPgpCertificate(read_certificate(octets), PgpTrust.TRUSTED, selected=True)
    assert (codes(one)[0], codes(one)[2]) == (ReasonCode.PGP_KEY_REVOKED, ReasonCode.SIGNER_KEY_REVOKED)
    assert codes(stored(), at=MADE - DAY)[0] is ReasonCode.PGP_KEY_NOT_YET_VALID


_EXPIRED = (ReasonCode.PGP_KEY_EXPIRED, ReasonCode.SIGNER_KEY_EXPIRED)


def test_newest_first():
    younger = craft.key(at=NOW - DAY)
    other = read_certificate(craft.certificate(younger, craft.user_id(younger, TEXT, at=NOW - DAY)))
    one, two = stored(), StoredPgpCertificate(other, PgpTrust.TRUSTED)
    assert newest_first([one, two]) == newest_first([two, one]) == [two, one]
