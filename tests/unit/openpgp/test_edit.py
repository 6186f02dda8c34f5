"""Changes of a certificate: each does what it says, to us and to Sequoia, and takes nothing of the owner's away."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia import Cert

import pgp_craft as craft
from mailseal.openpgp import edit
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.certifiers import certified_by
from mailseal.openpgp.component import KeyFlags, RevocationCode
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.select import fit_to_encrypt
from mailseal.openpgp.signature import read_signature, with_hints
from mailseal.openpgp.subpackets import Kind, write_subpacket
from mailseal.openpgp.validity import (
    component_expiry,
    expiry,
    features,
    flags,
    live_user_ids,
    primary_user_id,
    why_component_dead,
    why_dead,
)
from mailseal.policy.reason import ReasonCode
from pgp_craft import CERTIFY_SIGN, ENCRYPT, MADE, PRIMARY
from pgp_keys import assert_read_again
from pki import DAY, NOW

ANNA, OTHER = "Anna <anna@example.com>", "anna@example.net"
OWNER, ENCRYPTION, SIGNING, STRANGER, DOMAIN = craft.key(), craft.key("cv25519"), craft.key(), craft.key(), craft.key()
FEATURES = write_subpacket(Kind.FEATURES, b"\1")
EXPIRES = craft.expires(50 * DAY)
SOUND = (
    craft.user_id(OWNER, ANNA, craft.flags(CERTIFY_SIGN), FEATURES, EXPIRES, PRIMARY),
    craft.user_id(OWNER, OTHER, craft.flags(CERTIFY_SIGN), FEATURES, EXPIRES),
    craft.subkey(OWNER, ENCRYPTION, ENCRYPT, EXPIRES),
    craft.subkey(OWNER, SIGNING, KeyFlags.SIGN),
)
OCTETS = craft.certificate(OWNER, *SOUND)
CERTIFICATE = read_certificate(OCTETS)
LIVING = MADE + 20 * DAY
DOMAIN_KEY = read_certificate(craft.certificate(DOMAIN, craft.user_id(DOMAIN, "keys@example.com")))


def read(octets, *certifiers):
    """Also: Sequoia reads it, and reading it again makes no difference."""
    found = read_certificate(octets, certifiers)
    assert_read_again(found, certifiers)
    assert not found.disputed
    Cert.from_bytes(found.octets)
    return found


def texts(certificate, at=LIVING):
    return [one.text for one in live_user_ids(certificate, at)]


def with_packets(*packets):
    return craft.certificate(OWNER, *packets)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("code", list(RevocationCode)[:4])
def test_revoke(code, version):
    owner = craft.key(version=version)
    direct = craft.direct(owner, craft.flags(CERTIFY_SIGN))
    before = read_certificate(craft.certificate(owner, direct, craft.user_id(owner, ANNA)))
    found = read(edit.revoke(before, owner.private, code, "good bye", at=NOW))
    (revocation,) = found.primary.revocations
    assert (revocation.created, revocation.code, revocation.text) == (NOW, code, "good bye")
    assert why_dead(found, NOW) is ReasonCode.PGP_KEY_REVOKED
    assert Cert.from_bytes(found.octets).is_revoked
    assert edit.merge(before.octets, found.octets) == edit.merge(found.octets, before.octets) == found.octets


def test_revoke_a_user_id():
    found = read(edit.revoke_user_id(CERTIFICATE, ANNA, OWNER.private, "moved", at=LIVING))
    assert texts(found) == [OTHER]
    assert [str(one) for one in Cert.from_bytes(found.octets).user_ids] == [OTHER]
    assert primary_user_id(found, LIVING).text == OTHER
    for text in (OTHER, "nobody"):
        with pytest.raises(PgpError):
            edit.revoke_user_id(found, text, OWNER.private, at=LIVING)


def test_revoked_in_the_second_in_which_it_was_made():
    found = read(edit.revoke_user_id(CERTIFICATE, ANNA, OWNER.private, at=MADE))
    assert texts(found, MADE) == texts(found) == [OTHER]


def test_a_user_id_comes_back():
    revoked = read(edit.revoke_user_id(CERTIFICATE, ANNA, OWNER.private, at=LIVING))
    found = read(edit.add_user_id(revoked, ANNA, OWNER.private, at=LIVING + DAY))
    assert texts(found, LIVING + DAY) == [ANNA, OTHER]
    assert [str(one) for one in Cert.from_bytes(found.octets).user_ids] == [ANNA, OTHER]


@pytest.mark.parametrize("version", [4, 6])
def test_add_a_user_id(version):
    owner = craft.key(version=version)
    says = (craft.flags(CERTIFY_SIGN), FEATURES, craft.expires(200 * DAY))
    bound = craft.direct(owner, *says) if version == 6 else craft.user_id(owner, ANNA, *says, PRIMARY)
    before = read_certificate(craft.certificate(owner, bound))
    text = "Anna Ä <a@example.org>"
    found = read(edit.add_user_id(before, text, owner.private, at=LIVING))
    assert texts(found) == [*texts(before), text]
    binding = found.user_ids[-1].bindings[0]
    assert (binding.flags, binding.features, binding.key_expires) == (CERTIFY_SIGN, 1, MADE + 200 * DAY)
    assert not binding.primary_user_id
    for wrong in ("", "a\nb"):
        with pytest.raises(PgpError):
            edit.add_user_id(before, wrong, owner.private, at=LIVING)


@pytest.mark.parametrize("ends", [NOW + 300 * DAY, NOW + DAY, None])
@pytest.mark.parametrize("at", [LIVING, NOW, MADE])
def test_another_end(at, ends):
    """Also of a key that has expired, and in the second in which it was made."""
    assert why_dead(CERTIFICATE, NOW) is ReasonCode.PGP_KEY_EXPIRED
    found = read(edit.set_expiry(CERTIFICATE, OWNER.private, ends, at=at))
    assert expiry(found, NOW) == component_expiry(found, found.subkeys[0], NOW) == ends
    assert why_dead(found, NOW) is None
    assert [one.fingerprint for one in fit_to_encrypt(found, NOW)] == [ENCRYPTION.fingerprint]
    assert why_component_dead(found, found.subkeys[1], NOW) is None
    assert found.subkeys[1].bindings == CERTIFICATE.subkeys[1].bindings
    assert (primary_user_id(found, NOW).text, features(found, NOW)) == (ANNA, 1)
    assert Cert.from_bytes(found.octets).expiration == ends


@pytest.mark.parametrize("beside", [False, True])
def test_another_end_of_a_signing_subkey(beside):
    """Its back signature is said again, wherever it stood."""
    signing = craft.subkey(OWNER, SIGNING, KeyFlags.SIGN, EXPIRES)
    if beside:
        bound = read_signature(craft.body(craft.bind(OWNER, SIGNING, craft.flags(KeyFlags.SIGN), EXPIRES)))
        back = write_subpacket(Kind.EMBEDDED, craft.body(craft.back_signature(OWNER, SIGNING)))
        issuer = write_subpacket(Kind.ISSUER, bytes.fromhex(OWNER.public.key_id))
        packet = write_packet(Tag.SIGNATURE, with_hints(bound, issuer, back).octets)
        signing = craft.subkey_packet(SIGNING) + packet
    before = read_certificate(craft.certificate(OWNER, craft.direct(OWNER, EXPIRES), SOUND[0], signing))
    found = read(edit.set_expiry(before, OWNER.private, NOW + DAY, at=LIVING))
    (subkey,) = found.subkeys
    assert component_expiry(found, subkey, NOW) == NOW + DAY
    assert flags(found, subkey, NOW) == KeyFlags.SIGN
    assert found.primary.bindings[0].key_expires == NOW + DAY


def test_an_end_before_the_beginning():
    with pytest.raises(PgpError):
        edit.set_expiry(CERTIFICATE, OWNER.private, MADE, at=LIVING)


def test_nothing_that_is_bound():
    before = read_certificate(with_packets(SOUND[2]))
    for change in (
        lambda: edit.set_expiry(before, OWNER.private, None, at=LIVING),
        lambda: edit.add_user_id(before, ANNA, OWNER.private, at=LIVING),
    ):
        with pytest.raises(PgpError) as caught:
            change()
        assert caught.value.reason is ReasonCode.PGP_KEY_UNBOUND


def test_what_is_revoked_is_not_extended():
    revoked = craft.revoke_subkey(OWNER, ENCRYPTION, craft.reason(3), at=LIVING)
    before = read_certificate(with_packets(*SOUND[:3], revoked))
    before = read(edit.revoke_user_id(before, OTHER, OWNER.private, at=LIVING))
    found = read(edit.set_expiry(before, OWNER.private, None, at=LIVING + DAY))
    assert texts(found, NOW) == [ANNA]
    assert why_component_dead(found, found.subkeys[0], NOW) is ReasonCode.PGP_KEY_REVOKED
    assert len(found.subkeys[0].bindings) == 1


def test_only_the_owner_changes_anything():
    for change in (
        lambda key: edit.revoke(CERTIFICATE, key, RevocationCode.COMPROMISED, at=LIVING),
        lambda key: edit.revoke_user_id(CERTIFICATE, ANNA, key, at=LIVING),
        lambda key: edit.add_user_id(CERTIFICATE, "eve@example.org", key, at=LIVING),
        lambda key: edit.set_expiry(CERTIFICATE, key, None, at=LIVING),
    ):
        change(OWNER.private)
        with pytest.raises(PgpError):
            change(STRANGER.private)


def test_certify():
    octets = edit.certify(CERTIFICATE, [ANNA], DOMAIN_KEY, DOMAIN.private, at=LIVING, expires=LIVING + 10 * DAY)
    assert read(octets) == CERTIFICATE
    found = read(octets, DOMAIN_KEY)
    anna, other = found.user_ids

    def vouches(user_id, at, certifier=DOMAIN_KEY, certificate=found):
        return certified_by(certificate, user_id, certifier, at)

    assert vouches(anna, LIVING)
    assert not vouches(other, LIVING)
    assert not vouches(anna, LIVING - DAY)
    assert not vouches(anna, LIVING + 10 * DAY)
    revoked = edit.revoke(DOMAIN_KEY, DOMAIN.private, RevocationCode.RETIRED, at=LIVING + DAY)
    assert vouches(anna, LIVING, read(revoked))
    assert not vouches(anna, LIVING + DAY, read(revoked))
    gone = read(edit.revoke_user_id(found, ANNA, OWNER.private, at=LIVING + DAY), DOMAIN_KEY)
    assert not vouches(gone.user_ids[0], LIVING + DAY, certificate=gone)
    later = edit.merge(CERTIFICATE.octets, octets, certifiers=[DOMAIN_KEY])
    assert later == found.octets
    with pytest.raises(PgpError):
        edit.certify(CERTIFICATE, [ANNA, "nobody"], DOMAIN_KEY, DOMAIN.private, at=LIVING)
    with pytest.raises(PgpError):
        edit.certify(CERTIFICATE, [ANNA], DOMAIN_KEY, STRANGER.private, at=LIVING)


def test_nobody_certifies_himself():
    found = read(OCTETS, CERTIFICATE)
    assert [one.certifications for one in found.user_ids] == [(), ()]
    assert not certified_by(found, found.user_ids[0], CERTIFICATE, LIVING)


def test_a_certification_taken_back():
    certified = craft.certify(OWNER, ANNA, by=DOMAIN, at=LIVING)
    again = craft.certify(OWNER, ANNA, by=DOMAIN, at=LIVING + 2 * DAY)
    revoked = craft.revoke_user_id(OWNER, ANNA, craft.reason(32), by=DOMAIN, at=LIVING + DAY)
    forged = craft.certify(OWNER, OTHER, by=DOMAIN, at=LIVING)
    for packets, answers in (
        ([certified], [True, True, True]),
        ([certified, revoked], [True, False, False]),
        ([certified, revoked, again], [True, False, True]),
        ([forged], [False, False, False]),
    ):
        found = read(with_packets(SOUND[0], *packets), DOMAIN_KEY)
        (user_id,) = found.user_ids
        assert [certified_by(found, user_id, DOMAIN_KEY, LIVING + one * DAY) for one in range(3)] == answers


def test_merge_takes_what_is_new_of_the_owner():
    extended = edit.set_expiry(CERTIFICATE, OWNER.private, None, at=LIVING)
    revoked = edit.revoke_user_id(CERTIFICATE, OTHER, OWNER.private, at=LIVING)
    only = read_certificate(with_packets(*SOUND[:1]))
    found = read(edit.merge(edit.merge(only.octets, extended), revoked))
    assert texts(found, NOW) == [ANNA]
    assert why_dead(found, NOW) is None
    assert {one.fingerprint for one in found.subkeys} == {ENCRYPTION.fingerprint, SIGNING.fingerprint}
    more = edit.add_user_id(CERTIFICATE, "x", OWNER.private, at=LIVING)
    known = read(edit.merge(only.octets, more, new_user_ids=()))
    assert [one.text for one in known.user_ids] == [ANNA]
    assert len(known.subkeys) == 2


def test_merge_takes_nothing_of_strangers():
    eve, stolen = "Anna <eve@example.net>", craft.key("cv25519")
    foreign = with_packets(
        craft.revoke(OWNER, by=STRANGER),
        SOUND[0],
        craft.certify(OWNER, ANNA, by=STRANGER),
        craft.revoke_user_id(OWNER, ANNA, by=STRANGER),
        craft.user_id_packet(eve) + craft.certify(OWNER, eve, by=STRANGER),
        craft.subkey_packet(stolen) + craft.bind(OWNER, stolen, craft.flags(ENCRYPT), by=STRANGER),
    )
    assert edit.merge(OCTETS, foreign) == CERTIFICATE.octets


def test_merge_of_two_certificates():
    with pytest.raises(PgpError):
        edit.merge(OCTETS, DOMAIN_KEY.octets)
    with pytest.raises(PgpError):
        edit.merge(OCTETS, OCTETS[:-1])


REVOKED = craft.revoke(OWNER, craft.reason(3), at=LIVING)
PIECES = (
    (REVOKED, b""),
    (craft.direct(OWNER, craft.flags(3)), b""),
    (b"", SOUND[0] + craft.certify(OWNER, ANNA, craft.flags(3), at=LIVING)),
    (b"", SOUND[0] + craft.revoke_user_id(OWNER, ANNA, craft.reason(32), at=LIVING)),
    (b"", SOUND[1]),
    (b"", SOUND[2] + craft.revoke_subkey(OWNER, ENCRYPTION, craft.reason(1), at=LIVING)),
    (b"", SOUND[3]),
    (b"", craft.user_id_packet("junk") + craft.certify(OWNER, "junk", by=STRANGER)),
)


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=4), min_size=2, max_size=3))
def test_merge_in_any_order(copies):
    """Whatever copies come in what order: the same facts, and no revocation is ever lost."""
    octets = [craft.certificate(OWNER, *(a for a, _ in one), *(b for _, b in one)) for one in copies]
    forwards, backwards = octets[0], octets[-1]
    for one in octets:
        forwards = edit.merge(forwards, one)
    for one in reversed(octets):
        backwards = edit.merge(backwards, one)
    found, other = read_certificate(forwards), read_certificate(backwards)
    assert found.primary == other.primary
    assert set(found.user_ids) == set(other.user_ids)
    assert set(found.subkeys) == set(other.subkeys)
    for one in map(read_certificate, octets):
        assert set(one.primary.revocations) <= set(found.primary.revocations)
        for bound, kept in ((one.user_ids, found.user_ids), (one.subkeys, found.subkeys)):
            revocations = {revocation for component in kept for revocation in component.revocations}
            assert {revocation for component in bound for revocation in component.revocations} <= revocations


def test_the_least_of_it():
    extended = read(edit.set_expiry(CERTIFICATE, OWNER.private, NOW + DAY, at=LIVING))
    found = read(edit.minimal(extended, NOW, {ANNA}))
    assert [(one.text, len(one.bindings)) for one in found.user_ids] == [(ANNA, 1)]
    assert [len(one.bindings) for one in found.subkeys] == [1, 1]
    assert fit_to_encrypt(found, NOW)[0].public == ENCRYPTION.public
    assert len(found.octets) < len(extended.octets) * 2 / 3
    late = NOW + timedelta(days=2)
    assert read(edit.minimal(extended, late, {ANNA})).subkeys == ()


def test_what_is_revoked_is_told_to_those_who_have_it():
    packets = craft.certificate(OWNER, craft.user_id(OWNER, ANNA), craft.subkey(OWNER, ENCRYPTION, ENCRYPT))
    of_subkey = read(packets + craft.revoke_subkey(OWNER, ENCRYPTION))
    assert read(edit.minimal(of_subkey, NOW, {ANNA})).subkeys == ()
    (found,) = read(edit.minimal(of_subkey, NOW, {ANNA}, with_revoked=True)).subkeys
    assert len(found.revocations) == len(found.bindings) == 1


def test_the_least_of_it_says_what_counts_now():
    """Not what is to count, nor what another says of it."""
    packets = craft.certificate(
        OWNER,
        craft.user_id(OWNER, ANNA, craft.expires(4000 * DAY)),
        craft.certify(OWNER, ANNA, craft.expires(3000 * DAY), at=NOW + DAY),
        craft.certify(OWNER, ANNA, by=DOMAIN),
    )
    found = read(edit.minimal(read_certificate(packets, [DOMAIN_KEY]), NOW, {ANNA}), DOMAIN_KEY)
    assert expiry(found, NOW) == MADE + 4000 * DAY
    assert not found.user_ids[0].certifications
