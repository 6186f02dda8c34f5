"""Signatures: made by every kind of key, verified by us and by Sequoia; what was changed verifies nowhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia import Cert, Sig
from pysequoia import verify as sequoia

import pgp_craft as craft
from mailseal.openpgp.algorithms import HASHES, HashId, KeyAlgorithm
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.sign import _material, digest_for, sign, sign_document
from mailseal.openpgp.signature import (
    SALT_OCTETS,
    SignatureType,
    digest_of,
    over_document,
    read_signature,
    verify_signature,
)
from mailseal.openpgp.subpackets import Kind, seconds, write_subpacket
from mailseal.policy.reason import ReasonCode
from pki import DAY, NOW

CONTENT = b"first line\nsecond line\r\n"
KEYS = [
    *((kind, 4) for kind in ("ed25519", "ed25519-native", "ed448", "p256", "p384", "p521", "bp256", "rsa2048")),
    *((kind, 6) for kind in ("ed25519", "ed448", "p256", "p384", "p521", "rsa2048")),
]


def signed(key, content=CONTENT, **more):
    return read_signature(craft.body(sign_document(key.private, key.public, content, at=NOW, **more)))


def check(signature, key, content=CONTENT):
    verify_signature(signature, key.public, over_document(signature.kind, content))


@pytest.mark.parametrize(("kind", "version"), KEYS)
@pytest.mark.parametrize("text", [False, True])
def test_made_and_verified(kind, version, text):
    key = craft.key(kind, version=version)
    packet = sign_document(key.private, key.public, CONTENT, at=NOW, text=text, signers_user_id="anna@example.com")
    found = read_signature(craft.body(packet))
    check(found, key)
    assert (found.version, found.kind, found.created) == (version, int(text), NOW)
    assert found.issuer == found.said.issuer_fingerprint == key.fingerprint
    assert found.hints.issuer_key_id == (key.public.key_id if version == 4 else None)
    assert found.said.signers_user_id == "anna@example.com"
    assert len(found.salt) == (SALT_OCTETS[found.digest] if version == 6 else 0)
    bound = craft.user_id(key, "anna@example.com") if version == 4 else craft.direct(key, craft.flags(3))
    certificate = Cert.from_bytes(craft.certificate(key, bound))
    other_ends = CONTENT.replace(b"\r\n", b"\n") if text else CONTENT
    for content in {CONTENT, other_ends}:
        check(found, key, content)
        if kind == "bp256":
            continue  # Sequoia here has no Brainpool
        result = sequoia(bytes=content, store=lambda _: [certificate], signature=Sig.from_bytes(packet))
        assert [one.signing_key for one in result.valid_sigs] == [key.fingerprint]
    with pytest.raises(PgpError) as caught:
        check(found, key, CONTENT + b"x")
    assert caught.value.reason is ReasonCode.SIGNATURE_INVALID


def test_two_signatures_of_version_6_differ():
    key = craft.key(version=6)
    assert signed(key).salt != signed(key).salt


@pytest.mark.parametrize(
    ("kind", "wanted", "digest"),
    [
        ("ed25519", HashId.SHA256, HashId.SHA256),
        ("ed25519", HashId.SHA512, HashId.SHA512),
        ("rsa2048", HashId.SHA384, HashId.SHA384),
        ("p256", HashId.SHA256, HashId.SHA256),
        ("p384", HashId.SHA256, HashId.SHA384),
        ("p521", HashId.SHA256, HashId.SHA512),
        ("ed448", HashId.SHA384, HashId.SHA512),
    ],
)
def test_the_digest_fits_the_key(kind, wanted, digest):
    assert digest_for(craft.key(kind).public, wanted) == digest


def test_keys_that_do_not_sign():
    with pytest.raises(PgpError) as caught:
        signed(craft.key("cv25519"))
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM
    anna, berta = craft.key("p256"), craft.key("rsa2048")
    for private, public in ((anna.private, berta.public), (berta.private, anna.public)):
        with pytest.raises(PgpError):
            sign(private, public, SignatureType.BINARY, (b"",), at=NOW)


@pytest.mark.parametrize("kind", ["ed25519", "ed25519-native", "p256", "rsa2048"])
def test_by_another_key(kind):
    anna, berta = craft.key(kind), craft.key(kind, at=NOW)
    with pytest.raises(PgpError) as caught:
        check(signed(anna), berta if kind != "rsa2048" else craft.key("rsa1024"))
    assert caught.value.reason is ReasonCode.SIGNATURE_INVALID


@pytest.mark.parametrize("digest", [HashId.SHA1, HashId.MD5])
def test_a_broken_digest_is_told_from_a_broken_signature(digest):
    key = craft.key("rsa2048")
    found = read_signature(craft.body(craft.signature(key, SignatureType.BINARY, (CONTENT,), digest=digest)))
    with pytest.raises(PgpError) as caught:
        check(found, key)
    assert caught.value.reason is ReasonCode.SIGNATURE_WEAK
    with pytest.raises(PgpError) as caught:
        check(found, key, b"other")
    assert caught.value.reason is ReasonCode.SIGNATURE_INVALID


@pytest.mark.parametrize("version", [4, 6])
def test_whatever_octet_is_changed(version):
    """All but the unhashed subpackets stand under the signature, or are checked; but how long an integer says it is."""
    key = craft.key(version=version)
    packet = craft.body(sign_document(key.private, key.public, CONTENT, at=NOW))
    found = read_signature(packet)
    size = 4 if version == 6 else 2
    unhashed = range(len(found.head), len(found.head) + size + int.from_bytes(packet[len(found.head) :][:size], "big"))
    start = len(packet) - len(found.material)
    second = start + 2 + (int.from_bytes(packet[start : start + 2], "big") + 7) // 8
    of_integers = {start + 1, second + 1} if version == 4 else set()
    for at in set(range(len(packet))) - set(unhashed) - of_integers:
        changed = bytearray(packet)
        changed[at] ^= 1
        with pytest.raises(PgpError):
            check(read_signature(bytes(changed)), key)


def test_what_it_says_of_times():
    key = craft.key()
    says = write_subpacket(Kind.EXPIRES, seconds(86_400))
    found = read_signature(craft.body(craft.signature(key, SignatureType.BINARY, (b"",), says, at=NOW)))
    assert (found.created, found.expires) == (NOW, NOW + DAY)
    assert signed(key).expires is None


def test_without_a_time_it_is_none():
    key = craft.key()
    packet = craft.body(sign_document(key.private, key.public, CONTENT, at=NOW))
    created = write_subpacket(Kind.CREATED, seconds(int(NOW.timestamp())))
    with pytest.raises(PgpError):
        read_signature(packet.replace(created, write_subpacket(101, bytes(4))))


@pytest.mark.parametrize("version", [2, 3, 5, 7])
def test_other_versions(version):
    with pytest.raises(PgpError) as caught:
        read_signature(bytes((version,)) + bytes(40))
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


def by_hand(key, version, algorithm, salt):
    """A signature in which everything but these fits."""
    area = write_subpacket(Kind.CREATED, seconds(int(NOW.timestamp())))
    size = 4 if version == 6 else 2
    head = bytes((version, 0, algorithm, HashId.SHA256)) + len(area).to_bytes(size, "big") + area
    row = HASHES[HashId.SHA256]
    value = digest_of(row, salt, (CONTENT,), head)
    salted = bytes((len(salt),)) + salt if version == 6 else b""
    return read_signature(head + bytes(size) + value[:2] + salted + _material(key.private, key.public, value, row))


@pytest.mark.parametrize(
    ("kind", "version", "made"),
    [
        ("rsa2048", 4, (4, KeyAlgorithm.RSA, b"")),
        ("rsa2048", 4, (4, KeyAlgorithm.RSA_SIGN_ONLY, b"")),
        ("rsa2048", 4, (4, KeyAlgorithm.RSA_ENCRYPT_ONLY, None)),
        ("rsa2048", 4, (4, KeyAlgorithm.ECDSA, None)),
        ("ed25519", 4, (4, KeyAlgorithm.ED25519, None)),
        ("ed25519", 6, (4, KeyAlgorithm.ED25519, None)),
        ("ed25519-native", 4, (6, KeyAlgorithm.ED25519, None)),
        ("ed25519", 6, (6, KeyAlgorithm.ED25519, bytes(16))),
        ("ed25519", 6, (6, KeyAlgorithm.ED25519, None)),
    ],
)
def test_version_algorithm_and_salt_must_fit(kind, version, made):
    """`None` for a salt: the empty one, and all that is wrong."""
    number, algorithm, salt = made
    key = craft.key(kind, version=version)
    found = by_hand(key, number, algorithm, salt or b"")
    if salt is not None:
        check(found, key)
        return
    with pytest.raises(PgpError) as caught:
        check(found, key)
    assert caught.value.reason is ReasonCode.SIGNATURE_INVALID


def test_a_key_on_a_curve_of_another_kind():
    """A key may claim any algorithm on any curve; that is no reason to fall over."""
    key = craft.key("cv25519")
    octets = bytearray(key.public.octets)
    for algorithm in (KeyAlgorithm.ECDSA, KeyAlgorithm.EDDSA_LEGACY):
        octets[5] = algorithm
        public = craft.read_public_key(bytes(octets[:-4]))
        found = signed(craft.key())
        forged = read_signature(bytes((4, 0, algorithm)) + found.octets[3:])
        with pytest.raises(PgpError):
            verify_signature(forged, public, (CONTENT,))


@given(st.binary(max_size=300))
def test_any_octets(octets):
    for head in (b"", bytes((4, 0, 22, 8)), bytes((6, 0, 27, 8))):
        try:
            found = read_signature(head + octets)
            verify_signature(found, craft.key().public, (b"",))
        except PgpError:
            continue
        raise AssertionError
