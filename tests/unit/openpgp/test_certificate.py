"""Certificates: what is bound by whom, and what is only said to be."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia import Cert

import pgp_craft as craft
from mailseal.mail.address import Address
from mailseal.openpgp.algorithms import HashId
from mailseal.openpgp.certificate import read_certificate, reread_certificate
from mailseal.openpgp.component import KeyFlags
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.fields import write_mpi
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.parts import MAX_INPUT_OCTETS, MAX_SIGNATURES, MAX_SUBKEYS, MAX_USER_ID_OCTETS, MAX_USER_IDS
from mailseal.openpgp.select import fit_to_encrypt
from mailseal.openpgp.self_signatures import MAX_BINDINGS, MAX_REVOCATIONS
from mailseal.openpgp.subpackets import Kind, seconds, write_subpacket
from mailseal.openpgp.validity import flags, why_component_dead, why_dead
from mailseal.policy.reason import ReasonCode
from pgp_craft import CERTIFY_SIGN, ENCRYPT, MADE
from pgp_keys import assert_read_again
from pki import DAY, NOW

TEXT = "Anna <anna@example.com>"
SIGN = KeyFlags.SIGN
PRIMARY = craft.key()
ENCRYPTION = craft.key("cv25519")
SIGNING = craft.key()
STRANGER = craft.key()
SOUND = (craft.user_id(PRIMARY, TEXT), craft.subkey(PRIMARY, ENCRYPTION, ENCRYPT))


def read(*packets, primary=PRIMARY, **more):
    found = read_certificate(craft.certificate(primary, *packets), **more)
    assert_read_again(found, *more.values())
    return found


def fingerprints(certificate):
    return [one.fingerprint for one in certificate.subkeys]


def omitted(certificate):
    return [(one.what, one.reason) for one in certificate.omissions]


UNBOUND = (ENCRYPTION.fingerprint, ReasonCode.PGP_KEY_UNBOUND)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["ed25519", "ed448", "p384", "rsa2048"])
def test_a_sound_one(kind, version):
    primary, encryption = craft.key(kind, version=version), craft.key("cv25519", version=version)
    signing = craft.key(kind, version=version, at=NOW - DAY)
    octets = craft.certificate(
        primary,
        craft.direct(primary, craft.flags(CERTIFY_SIGN)),
        craft.user_id(primary, TEXT),
        craft.subkey(primary, encryption, ENCRYPT),
        subkey_that_signs(primary, signing),
    )
    found = read_certificate(octets)
    assert found.octets == octets
    assert (why_dead(found, NOW), found.disputed, found.omissions) == (None, False, ())
    assert found.user_ids[0].address == Address.parse("anna@example.com")
    assert [flags(found, one, NOW) for one in found.components] == [CERTIFY_SIGN, ENCRYPT, SIGN]
    assert [one.fingerprint for one in fit_to_encrypt(found, NOW)] == [encryption.fingerprint]
    assert found.component(signing.public.key_id) is found.subkeys[1]
    assert Cert.from_bytes(found.octets).fingerprint == found.fingerprint


def subkey_that_signs(primary, signing):
    back = craft.back_signature(primary, signing, at=signing.public.created)
    return craft.subkey(primary, signing, SIGN, at=signing.public.created, back=back)


FORGED = {
    "none": craft.subkey_packet(ENCRYPTION),
    "by a stranger": craft.subkey_packet(ENCRYPTION)
    + craft.bind(PRIMARY, ENCRYPTION, craft.flags(ENCRYPT), by=STRANGER),
    "of another subkey": craft.subkey_packet(ENCRYPTION) + craft.bind(PRIMARY, SIGNING, craft.flags(ENCRYPT)),
    "of another certificate": craft.subkey_packet(ENCRYPTION) + craft.bind(STRANGER, ENCRYPTION, craft.flags(ENCRYPT)),
    "another type": craft.subkey_packet(ENCRYPTION) + craft.direct(PRIMARY, craft.flags(ENCRYPT)),
    "older than the key": craft.subkey(PRIMARY, ENCRYPTION, ENCRYPT, at=MADE - DAY),
    "critical notation": craft.subkey(
        PRIMARY, ENCRYPTION, ENCRYPT, write_subpacket(Kind.NOTATION, bytes(8), critical=True)
    ),
    "critical unknown": craft.subkey(PRIMARY, ENCRYPTION, ENCRYPT, write_subpacket(111, b"", critical=True)),
    "not to be exported": craft.subkey(PRIMARY, ENCRYPTION, ENCRYPT, write_subpacket(Kind.EXPORTABLE, b"\0")),
}


@pytest.mark.parametrize("packets", FORGED.values(), ids=FORGED)
def test_a_forged_binding(packets):
    found = read(craft.user_id(PRIMARY, TEXT), packets)
    assert (fingerprints(found), omitted(found)) == ([], [UNBOUND])
    assert fit_to_encrypt(found, NOW) == ()
    assert ENCRYPTION.public.octets not in found.octets


def test_a_forged_subkey_beside_a_sound_one():
    """As it would be appended to a trusted certificate, to have our mail."""
    stolen = craft.key("cv25519", at=NOW - DAY)
    forged = craft.subkey_packet(stolen) + craft.bind(PRIMARY, stolen, craft.flags(ENCRYPT), by=STRANGER)
    claimed = forged.replace(bytes.fromhex(STRANGER.public.key_id), bytes.fromhex(PRIMARY.public.key_id)).replace(
        bytes.fromhex(STRANGER.fingerprint), bytes.fromhex(PRIMARY.fingerprint)
    )
    for packets in (forged, claimed):
        found = read(*SOUND, packets)
        assert [one.fingerprint for one in fit_to_encrypt(found, NOW)] == [ENCRYPTION.fingerprint]
        assert found.octets == craft.certificate(PRIMARY, *SOUND)


def test_a_user_id_that_a_stranger_put_in():
    eve = "Anna\r\n <anna@example.net>"
    found = read(*SOUND, craft.user_id_packet(eve) + craft.certify(PRIMARY, eve, by=STRANGER))
    assert [one.text for one in found.user_ids] == [TEXT]
    assert omitted(found) == [("Anna?? <anna@example.net>", ReasonCode.PGP_KEY_UNBOUND)]


LASTING = write_subpacket(Kind.EXPIRES, seconds(50 * 365 * 86_400))


def test_a_signing_subkey_has_to_sign_back():
    other = craft.key()
    backs = {
        "none": None,
        "of another certificate": craft.back_signature(STRANGER, SIGNING),
        "by another key": craft.back_signature(PRIMARY, other),
        "weak": craft.back_signature(PRIMARY, SIGNING, digest=HashId.SHA1),
        "not a back signature": craft.bind(PRIMARY, SIGNING, by=SIGNING),
        "one that expires": craft.back_signature(PRIMARY, SIGNING, LASTING),
    }
    for name, back in backs.items():
        found = read(craft.user_id(PRIMARY, TEXT), craft.subkey(PRIMARY, SIGNING, SIGN, back=back))
        assert not any(flags(found, one, NOW) for one in found.subkeys), name
    found = read(craft.user_id(PRIMARY, TEXT), craft.subkey(PRIMARY, SIGNING, SIGN))
    assert flags(found, found.subkeys[0], NOW) == SIGN


def test_a_back_signature_may_stand_beside():
    """As gpg has it; whatever else stands there goes."""
    bound = craft.bind(PRIMARY, SIGNING, craft.flags(SIGN))
    back = craft.body(craft.back_signature(PRIMARY, SIGNING))
    junk = write_subpacket(Kind.NOTATION, bytes(5000)) + write_subpacket(Kind.EMBEDDED, back)
    body = craft.body(bound)
    at = body.index(write_subpacket(Kind.ISSUER, bytes.fromhex(PRIMARY.public.key_id))) - 2
    unhashed = int.from_bytes(body[at : at + 2], "big")
    body = body[:at] + (unhashed + len(junk)).to_bytes(2, "big") + junk + body[at + 2 :]
    found = read(craft.user_id(PRIMARY, TEXT), craft.subkey_packet(SIGNING), write_packet(Tag.SIGNATURE, body))
    assert flags(found, found.subkeys[0], NOW) == SIGN
    assert back in found.octets
    assert len(found.octets) < 1000
    assert not found.disputed


def test_broken_digests_bind_nothing():
    weak = {"digest": HashId.SHA1}
    found = read(
        craft.user_id(PRIMARY, TEXT, **weak),
        craft.user_id(PRIMARY, "anna@example.net"),
        craft.subkey(PRIMARY, ENCRYPTION, ENCRYPT, **weak),
    )
    assert [one.unbound for one in found.user_ids] == [ReasonCode.PGP_KEY_WEAK, None]
    assert why_component_dead(found, found.subkeys[0], NOW) is ReasonCode.PGP_KEY_WEAK
    assert why_dead(found, NOW) is None
    assert why_dead(read(craft.user_id(PRIMARY, TEXT, **weak)), NOW) is ReasonCode.PGP_KEY_WEAK


def test_a_broken_digest_is_no_reason_to_take_back_a_revocation():
    found = read(*SOUND[:1], craft.user_id(PRIMARY, "b@example.com"))
    assert why_dead(found, NOW) is None
    found = read(craft.revoke(PRIMARY, craft.reason(2), digest=HashId.SHA1), *SOUND)
    assert why_dead(found, NOW) is ReasonCode.PGP_KEY_REVOKED


def test_a_hard_revocation_is_kept_among_many():
    soft = [craft.revoke(PRIMARY, craft.reason(3), at=MADE + DAY * (day + 2)) for day in range(20)]
    found = read(*soft[:10], craft.revoke(PRIMARY, craft.reason(2), at=MADE + DAY), *soft[10:], *SOUND)
    assert why_dead(found, MADE) is ReasonCode.PGP_KEY_REVOKED
    assert len(found.primary.revocations) == MAX_REVOCATIONS


def test_revocations_by_strangers_revoke_nothing():
    by_stranger = (
        craft.revoke(PRIMARY, by=STRANGER),
        craft.user_id(PRIMARY, TEXT) + craft.revoke_user_id(PRIMARY, TEXT, by=STRANGER),
        craft.subkey(PRIMARY, ENCRYPTION, ENCRYPT) + craft.revoke_subkey(STRANGER, ENCRYPTION),
    )
    found = read(*by_stranger)
    assert found == read(*SOUND)
    assert [one.revocations for one in (*found.components, *found.user_ids)] == [()] * 3


def test_the_same_twice_is_there_once():
    renewed = craft.certify(PRIMARY, TEXT, craft.flags(CERTIFY_SIGN), at=NOW - DAY)
    again = craft.bind(PRIMARY, ENCRYPTION, craft.flags(ENCRYPT), at=NOW - DAY)
    found = read(*SOUND, *SOUND, SOUND[0] + renewed, SOUND[1] + again)
    assert (len(found.user_ids), len(found.subkeys)) == (1, 1)
    assert [one.created for one in found.user_ids[0].bindings] == [NOW - DAY, MADE]
    assert [one.created for one in found.subkeys[0].bindings] == [NOW - DAY, MADE]


def test_the_newest_self_signatures_are_kept():
    renewals = [craft.certify(PRIMARY, TEXT, craft.flags(3), at=MADE + DAY * days) for days in range(40)]
    found = read(craft.user_id_packet(TEXT), *renewals)
    assert len(found.user_ids[0].bindings) == MAX_BINDINGS
    assert found.user_ids[0].bindings[0].created == MADE + 39 * DAY


def test_strangers_signatures_cost_little():
    by_strangers = craft.certify(PRIMARY, TEXT, by=STRANGER) * 5_000
    octets = craft.certificate(PRIMARY, craft.user_id(PRIMARY, TEXT), by_strangers, SOUND[1])
    assert len(octets) > 500_000
    begun = time.process_time()
    found = read_certificate(octets)
    assert time.process_time() - begun < 2  # a tenth of a second; verified they would take one, read by Sequoia more
    assert found == read(*SOUND)


def test_pictures_and_what_else_does_not_matter_are_left_out():
    found = read(
        write_packet(Tag.MARKER, b"PGP"),
        SOUND[0],
        write_packet(Tag.TRUST, b"\0\0"),
        write_packet(Tag.USER_ATTRIBUTE, bytes(9000)),
        craft.certify(PRIMARY, TEXT),
        write_packet(60, b"private"),
        SOUND[1],
    )
    assert found == read(*SOUND)


def test_what_is_too_large():
    many_texts = [craft.user_id_packet(f"a{number}@example.com") for number in range(MAX_USER_IDS + 1)]
    many_keys = [craft.subkey_packet(craft.key("x448")) for _ in range(MAX_SUBKEYS + 1)]
    junk = craft.bind(PRIMARY, ENCRYPTION) * (MAX_SIGNATURES + 1)
    user_id = write_packet(Tag.USER_ID, bytes(5_000_000))
    notation = write_subpacket(Kind.NOTATION, bytes(60_000))
    stuffed = [craft.certify(PRIMARY, TEXT, notation, at=MADE + DAY * day) for day in range(5)]
    for packets in (many_texts, many_keys, [junk], [user_id, user_id], [craft.user_id_packet(TEXT), *stuffed]):
        with pytest.raises(PgpError) as caught:
            read(*packets)
        assert caught.value.reason is ReasonCode.TOO_LARGE
    with pytest.raises(PgpError):
        read_certificate(bytes(MAX_INPUT_OCTETS + 1))


def test_a_huge_user_id_is_left_out():
    huge = "x" * (MAX_USER_ID_OCTETS + 1)
    for text in (huge, "y" * 5_000_000):
        found = read(craft.user_id(PRIMARY, text), *SOUND)
        assert found.octets == craft.certificate(PRIMARY, *SOUND)
        assert omitted(found) == [(text[:80], ReasonCode.TOO_LARGE)]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", ReasonCode.MALFORMED),
        (craft.user_id_packet(TEXT), ReasonCode.MALFORMED),
        (craft.certificate(PRIMARY, *SOUND)[:-1], ReasonCode.MALFORMED),
        (craft.certificate(PRIMARY, craft.certificate(STRANGER)), ReasonCode.MALFORMED),
        (craft.certificate(PRIMARY, write_packet(Tag.LITERAL, b"b\0\0\0\0\0hello")), ReasonCode.MALFORMED),
        (write_packet(Tag.PUBLIC_KEY, b"\x03" + bytes(30)), ReasonCode.UNSUPPORTED_ALGORITHM),
        (write_packet(Tag.PUBLIC_KEY, b"\x05" + bytes(30)), ReasonCode.UNSUPPORTED_ALGORITHM),
    ],
)
def test_what_is_no_certificate(octets, reason):
    with pytest.raises(PgpError) as caught:
        read_certificate(octets)
    assert caught.value.reason is reason


def test_a_key_that_would_be_slow_is_not_used():
    n = craft.key("rsa2048").public.key.public_numbers().n
    body = craft.key("rsa2048").public.octets[:6] + write_mpi(n) + write_mpi((1 << 2000) + 1)
    found = read_certificate(write_packet(Tag.PUBLIC_KEY, body) + craft.user_id_packet(TEXT))
    assert found.primary.public.key is None
    assert found.user_ids[0].unbound is ReasonCode.PGP_KEY_UNSUPPORTED


def test_odd_subkeys_are_left_out():
    other = craft.key("cv25519", version=6)
    itself = write_packet(Tag.PUBLIC_SUBKEY, PRIMARY.public.octets)
    old = write_packet(Tag.PUBLIC_SUBKEY, b"\x03" + bytes(30))
    found = read(*SOUND, craft.subkey_packet(other), itself, old)
    assert found.octets == craft.certificate(PRIMARY, *SOUND)
    assert [reason for _, reason in omitted(found)] == [
        ReasonCode.MALFORMED,
        ReasonCode.MALFORMED,
        ReasonCode.UNSUPPORTED_ALGORITHM,
    ]


def test_a_key_that_we_cannot_verify_by_is_shown():
    dsa = bytearray(craft.key("rsa2048").public.octets)
    dsa[5] = 17
    integers = b"".join(len(one).to_bytes(2, "big") + one for one in (b"",) * 4)
    octets = write_packet(Tag.PUBLIC_KEY, bytes(dsa[:6]) + integers) + craft.user_id_packet(TEXT)
    found = read_certificate(octets)
    assert [(one.text, one.unbound) for one in found.user_ids] == [(TEXT, ReasonCode.PGP_KEY_UNSUPPORTED)]
    assert why_dead(found, NOW) is ReasonCode.PGP_KEY_UNSUPPORTED


def test_without_user_ids():
    """As key servers give keys to those who only ask for a revocation."""
    found = read(SOUND[1])
    assert why_dead(found, NOW) is ReasonCode.PGP_KEY_UNBOUND
    assert fit_to_encrypt(found, NOW) == ()
    found = read(craft.direct(PRIMARY, craft.flags(CERTIFY_SIGN)), SOUND[1])
    assert why_dead(found, NOW) is None
    assert len(fit_to_encrypt(found, NOW)) == 1


def test_what_sequoia_does_not_agree_to():
    """A primary key that is too short for its policy: nobody encrypts to the subkey, long as it is."""
    primary = craft.key("rsa1024")
    found = read(craft.user_id(primary, TEXT), craft.subkey(primary, ENCRYPTION, ENCRYPT), primary=primary)
    assert found.disputed
    assert why_dead(found, NOW) is ReasonCode.PGP_KEY_DISPUTED
    assert not fit_to_encrypt(found, NOW)


def test_what_sequoia_does_not_have_it_does_not_dispute():
    primary, encryption = craft.key("bp256"), craft.key("cv25519")
    found = read(craft.user_id(primary, TEXT), craft.subkey(primary, encryption, ENCRYPT), primary=primary)
    assert not found.disputed
    assert len(fit_to_encrypt(found, NOW)) == 1


def damaged(packet):
    """Its last octet is of the signature's value, unless the packet is another one."""
    return packet[:-1] + bytes((packet[-1] ^ 1,))


def test_what_is_read_again_is_believed():
    """What its own primary key has signed; not what the keys of others have, nor what only a broken digest holds."""
    domain = craft.key()
    vouching = read_certificate(craft.certificate(domain, craft.user_id(domain, "keys@example.com")))
    back = craft.back_signature(PRIMARY, SIGNING)
    of_stranger, weak = craft.key("cv25519"), craft.key("cv25519")
    octets = craft.certificate(
        PRIMARY,
        damaged(craft.user_id(PRIMARY, TEXT)),
        damaged(craft.certify(PRIMARY, TEXT, by=domain)),
        damaged(craft.subkey(PRIMARY, ENCRYPTION, ENCRYPT)),
        craft.subkey(PRIMARY, SIGNING, SIGN, back=damaged(back)),
        craft.subkey_packet(of_stranger) + craft.bind(PRIMARY, of_stranger, craft.flags(ENCRYPT), by=STRANGER),
        craft.subkey(PRIMARY, weak, ENCRYPT, digest=HashId.SHA1),
    )
    assert not read_certificate(octets, [vouching]).user_ids
    found = reread_certificate(octets, [vouching], disputed=False)
    assert [(one.text, len(one.bindings), one.certifications) for one in found.user_ids] == [(TEXT, 1, ())]
    assert [(one.fingerprint, one.unbound) for one in found.subkeys] == [
        (ENCRYPTION.fingerprint, None),
        (weak.fingerprint, ReasonCode.PGP_KEY_WEAK),
    ]


def test_the_second_opinion_is_asked_anew_or_believed():
    found = read(*SOUND)
    assert not reread_certificate(found.octets).disputed
    disputed = reread_certificate(found.octets, disputed=True)
    assert (why_dead(disputed, NOW), disputed == found) == (ReasonCode.PGP_KEY_DISPUTED, False)
    assert why_dead(found, NOW) is None


@given(st.integers(0, 10_000), st.integers(1, 255), st.integers(0, 60))
def test_any_change_only_takes_away(at, change, cut):
    """Whatever is damaged, nothing is bound that was not."""
    sound = craft.certificate(PRIMARY, *SOUND, craft.subkey(PRIMARY, SIGNING, SIGN))
    octets = bytearray(sound)
    at %= len(octets)
    octets[at] ^= change
    try:
        found = read_certificate(bytes(octets[: len(octets) - cut]))
    except PgpError:
        return
    assert {one.fingerprint for one in found.subkeys if one.bindings} <= {ENCRYPTION.fingerprint, SIGNING.fingerprint}
    assert {one.text for one in found.user_ids if one.bindings} <= {TEXT}
