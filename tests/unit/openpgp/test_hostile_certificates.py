"""Certificates made to cost time, or to be read otherwise than by gpg and Sequoia."""

import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import pgp_craft as craft
from mailseal.openpgp import edit
from mailseal.openpgp.algorithms import CV25519, HASHES, HashId, KeyAlgorithm
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.fields import write_mpi
from mailseal.openpgp.form import Reader, form_for
from mailseal.openpgp.inner import write_literal
from mailseal.openpgp.key import PublicKey, public_key_body, read_public_key
from mailseal.openpgp.message import encrypt_message
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.parts import MAX_SUBKEYS
from mailseal.openpgp.select import fit_to_encrypt
from mailseal.openpgp.signature import SignatureType, digest_of, over_keys, over_user_id, verification_microseconds
from mailseal.openpgp.subpackets import Kind, seconds, write_subpacket
from mailseal.openpgp.validity import expiry, why_component_dead, why_dead
from mailseal.policy.reason import ReasonCode
from pgp_craft import ENCRYPT, MADE
from pki import DAY, NOW

TEXT = "anna@example.com"
PRIMARY = craft.key()


# ---- time it takes


def slow_key() -> PublicKey:
    """RSA with 16,384 bits and the longest exponent: four milliseconds for each signature, if it holds or not."""
    n = int.from_bytes(secrets.token_bytes(2048), "big") | 1 << 16_383 | 1
    return read_public_key(craft.body(write_packet(Tag.PUBLIC_KEY, head(1) + write_mpi(n) + write_mpi(1 << 63 | 1))))


def head(algorithm: int) -> bytes:
    return bytes((4,)) + int(MADE.timestamp()).to_bytes(4, "big") + bytes((algorithm,))


def forged(by: PublicKey, kind: SignatureType, hashed, number: int) -> bytes:
    """The body of a signature that has all of one but that it holds; each number makes another."""
    area = write_subpacket(Kind.CREATED, seconds(int(MADE.timestamp()) + number))
    head = bytes((4, kind, by.algorithm, HashId.SHA256)) + len(area).to_bytes(2, "big") + area
    issuer = write_subpacket(Kind.ISSUER, bytes.fromhex(by.key_id))
    left = digest_of(HASHES[HashId.SHA256], b"", hashed, head)[:2]
    return head + len(issuer).to_bytes(2, "big") + issuer + left + write_mpi(number + 2)


def by_a_slow_primary_key(count):
    slow = slow_key()
    hashed = over_user_id(4, slow, TEXT.encode())
    signatures = [
        write_packet(Tag.SIGNATURE, forged(slow, SignatureType.POSITIVE, hashed, one)) for one in range(count)
    ]
    return write_packet(Tag.PUBLIC_KEY, slow.octets) + craft.user_id_packet(TEXT) + b"".join(signatures)


def by_a_slow_subkey(count):
    """Four to a binding, none of which is the back signature that it needs."""
    slow = craft.Key(slow_key(), PRIMARY.private)
    hashed = over_keys(4, PRIMARY.public, slow.public)
    backs = [forged(slow.public, SignatureType.PRIMARY_KEY_BINDING, hashed, one) for one in range(count)]
    embedded = [write_subpacket(Kind.EMBEDDED, one) for one in backs]
    bindings = [craft.bind(PRIMARY, slow, craft.flags(2), *embedded[at : at + 4]) for at in range(0, count, 4)]
    return craft.certificate(PRIMARY, craft.user_id(PRIMARY, TEXT), craft.subkey_packet(slow), b"".join(bindings))


@pytest.mark.parametrize("made", [by_a_slow_primary_key, by_a_slow_subkey])
def test_what_would_take_long_to_verify_is_not(made):
    assert not read_certificate(made(4)).subkeys
    with pytest.raises(PgpError) as raised:
        read_certificate(made(100))
    assert raised.value.reason is ReasonCode.TOO_LARGE


def test_what_a_signature_costs():
    costs = [verification_microseconds(craft.key(kind).public) for kind in ("rsa2048", "ed25519", "p521", "bp256")]
    assert costs == [26, 120, 1000, 1000]
    assert verification_microseconds(slow_key()) > 3000


# ---- keys that nothing can be made of


def ecdh(point: bytes, *derivation: int) -> bytes:
    oid = CV25519.oid
    return head(18) + bytes((len(oid),)) + oid + write_mpi(b"\x40" + point) + bytes((3, 1, *derivation))


POINT = craft.key("cv25519").public.key.public_bytes_raw()
UNUSABLE = {
    "of small order": ecdh(bytes(32), 8, 7),
    "of small order, too": ecdh(b"\1" + bytes(31), 8, 7),
    "X25519 of small order": head(25) + bytes(32),
    "X448 of small order": head(26) + bytes(56),
    "derived by MD5": ecdh(POINT, 1, 7),
    "derived by SHA-1": ecdh(POINT, 2, 7),
    "derived for triple DES": ecdh(POINT, 8, 2),
    "derived by what we do not know": ecdh(POINT, 99, 7),
}


@pytest.mark.parametrize("body", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_cannot_be_encrypted_to_is_not_chosen(body):
    """Or a mail would fail for it that another key of the certificate could take."""
    unusable, good = craft.Key(read_public_key(body), PRIMARY.private), craft.key("cv25519")
    subkeys = [craft.subkey(PRIMARY, one, ENCRYPT) for one in (good, unusable)]
    found = read_certificate(craft.certificate(PRIMARY, craft.user_id(PRIMARY, TEXT), *subkeys))
    assert len(found.subkeys) == 2
    chosen = [one.public for one in fit_to_encrypt(found, NOW)]
    assert chosen == [good.public]
    readers = [Reader(one) for one in chosen]
    assert b"".join(encrypt_message(write_literal([b"text"]), readers, form_for(readers)))


# ---- room


def test_a_stolen_key_is_revoked_however_full_its_certificate_is():
    filled = [craft.subkey(PRIMARY, craft.key("cv25519"), ENCRYPT) for _ in range(MAX_SUBKEYS)]
    full = craft.certificate(PRIMARY, craft.user_id(PRIMARY, TEXT), *filled)
    own = (craft.user_id(PRIMARY, TEXT), craft.subkey(PRIMARY, craft.key("cv25519"), ENCRYPT))
    with pytest.raises(PgpError) as raised:
        edit.merge(full, craft.certificate(PRIMARY, *own))
    assert raised.value.reason is ReasonCode.TOO_LARGE
    revoked = craft.certificate(PRIMARY, craft.revoke(PRIMARY), *own)
    for old, new in ((full, revoked), (revoked, full)):
        found = read_certificate(edit.merge(old, new))
        assert why_dead(found, NOW) is ReasonCode.PGP_KEY_REVOKED


# ---- until when, and whether at all

LATE, EARLY, PAST = (craft.expires(one * DAY) for one in (20_000, 10_000, 50))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("older", ["direct", "user ID"])
@pytest.mark.parametrize(
    ("direct", "named", "after"), [((PAST,), (LATE,), 50), ((LATE,), (PAST,), 50), ((PAST,), (), 50), ((), (PAST,), 50)]
)
def test_a_key_expires_by_whatever_says_so(direct, named, after, older, version):
    """Both speak of the primary key; gpg goes by the direct-key signature, Sequoia refuses what either ends."""
    primary, encryption = craft.key(version=version), craft.key("cv25519", version=version)
    times = {"direct": MADE + DAY, "user ID": MADE + DAY} | {older: MADE}
    found = read_certificate(
        craft.certificate(
            primary,
            craft.direct(primary, craft.flags(1), *direct, at=times["direct"]),
            craft.user_id(primary, TEXT, craft.flags(1), *named, at=times["user ID"]),
            craft.subkey(primary, encryption, ENCRYPT),
        )
    )
    assert expiry(found, NOW) == MADE + after * DAY
    assert why_dead(found, NOW) is ReasonCode.PGP_KEY_EXPIRED
    assert not fit_to_encrypt(found, NOW)


@pytest.mark.parametrize(
    "also", [write_subpacket(99, b"?", critical=True), write_subpacket(Kind.EXPORTABLE, b"\0"), craft.reason(100)]
)
def test_a_revocation_counts_whatever_else_it_says(also):
    encryption = craft.key("cv25519")
    sound = (craft.user_id(PRIMARY, TEXT), craft.subkey(PRIMARY, encryption, ENCRYPT))
    whole = read_certificate(craft.certificate(PRIMARY, craft.revoke(PRIMARY, also), *sound))
    assert why_dead(whole, NOW) is ReasonCode.PGP_KEY_REVOKED
    of_subkey = read_certificate(craft.certificate(PRIMARY, *sound, craft.revoke_subkey(PRIMARY, encryption, also)))
    assert why_component_dead(of_subkey, of_subkey.subkeys[0], NOW) is ReasonCode.PGP_KEY_REVOKED


def test_rsa_beyond_what_sequoia_has_is_judged_by_us_alone():
    private = rsa.generate_private_key(65_537, 5120)
    public = read_public_key(public_key_body(private.public_key(), KeyAlgorithm.RSA, MADE))
    primary, encryption = craft.Key(public, private), craft.key("cv25519")
    found = read_certificate(
        craft.certificate(primary, craft.user_id(primary, TEXT), craft.subkey(primary, encryption, ENCRYPT))
    )
    assert not found.disputed
    assert len(fit_to_encrypt(found, NOW)) == 1
