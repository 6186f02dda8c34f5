"""Public keys of every kind, versions 4 and 6: read, written, named; and those of which nothing can be made."""

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519
from hypothesis import given
from hypothesis import strategies as st

from mailseal.keys.software import spki_sha256
from mailseal.openpgp.algorithms import CV25519, CipherId, HashId, KeyAlgorithm
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.fields import write_mpi
from mailseal.openpgp.key import public_key_body as body_of
from mailseal.openpgp.key import read_public_key
from mailseal.policy.reason import ReasonCode
from pgp_craft import key
from pgp_samples import KINDS_V4, KINDS_V6, MADE, reader

SIGNING_V4 = ("ed25519", "ed25519-native", "ed448", "p256", "p521", "bp256", "rsa1024")
SIGNING_V6 = ("ed25519", "ed448", "p256", "p521", "bp256", "rsa1024")


@pytest.mark.parametrize(("kind", "version"), [*((kind, 4) for kind in KINDS_V4), *((kind, 6) for kind in KINDS_V6)])
def test_keys_to_encrypt_to(kind, version):
    public, private = reader(kind, version)
    assert (public.name, public.version, public.created) == (kind, version, MADE)
    assert (public.can_encrypt, public.can_sign) == (True, kind.startswith("rsa"))
    assert public.key == private.public_key()
    assert public.spki_sha256 == spki_sha256(private)
    algorithm = KeyAlgorithm(public.algorithm)
    assert body_of(private.public_key(), algorithm, MADE, version) == public.octets
    assert read_public_key(memoryview(public.octets)) == public


@pytest.mark.parametrize(
    ("kind", "version"), [*((kind, 4) for kind in SIGNING_V4), *((kind, 6) for kind in SIGNING_V6)]
)
def test_keys_to_sign_with(kind, version):
    made = key(kind, version=version)
    assert (made.public.can_sign, made.public.can_encrypt) == (True, kind == "rsa1024")
    assert made.public.key == made.private.public_key()


def test_names():
    for version, make, head in ((4, hashlib.sha1, b"\x99\0"), (6, hashlib.sha256, b"\x9b\0\0\0")):
        public, _ = reader("x25519", version)
        hashed = head + bytes((len(public.octets),)) + public.octets
        assert public.hashed == hashed
        assert public.fingerprint == make(hashed).hexdigest()
        assert public.key_id == (public.fingerprint[-16:] if version == 4 else public.fingerprint[:16])


def test_how_ecdh_derives():
    assert reader("cv25519")[0].kdf == (HashId.SHA256, CipherId.AES128)
    assert reader("nistp384")[0].kdf == (HashId.SHA384, CipherId.AES192)
    assert reader("brainpoolP512r1", 6)[0].kdf == (HashId.SHA512, CipherId.AES256)


def written(algorithm: int, *fields: bytes, version: int = 4) -> bytes:
    material = b"".join(fields)
    length = len(material).to_bytes(4, "big") if version == 6 else b""
    return bytes((version,)) + bytes(4) + bytes((algorithm,)) + length + material


def oid(octets: bytes) -> bytes:
    return bytes((len(octets),)) + octets


P256 = bytes.fromhex("2a8648ce3d030107")
POINT = ec.generate_private_key(ec.SECP256R1()).public_key()
ON_P256 = b"\4" + b"".join(n.to_bytes(32, "big") for n in (POINT.public_numbers().x, POINT.public_numbers().y))
KDF = bytes((3, 1, HashId.SHA256, CipherId.AES128))


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (written(17, *[write_mpi(1 << 2047)] * 4), "dsa2048"),
        (written(16, *[write_mpi(1 << 3071)] * 3), "elgamal3072"),
        (written(1, write_mpi(1 << 512), write_mpi(3)), "rsa513"),
        (written(1, write_mpi((1 << 2048) - 2), write_mpi(65_537)), "rsa2048"),
        (written(1, write_mpi((1 << 2048) - 1), write_mpi(2)), "rsa2048"),
        (written(19, oid(bytes.fromhex("2b8104000a")), write_mpi(b"\4" + bytes(64))), "curve-2b8104000a"),
        (written(19, oid(P256), write_mpi(b"\4" + bytes(63) + b"\1")), "nistp256"),  # not on the curve
        (written(18, oid(CV25519.oid), write_mpi(b"\x40" + bytes(31)), KDF), "cv25519"),
        (written(18, oid(CV25519.oid), write_mpi(b"\4" + bytes(32)), KDF), "cv25519"),
        (written(18, oid(P256), write_mpi(ON_P256), b"\3\2\x08\x07"), "nistp256"),
        (written(18, oid(P256), write_mpi(ON_P256), b"\0"), "nistp256"),
        (written(99, b"anything"), "algorithm99"),
        (written(30, b"anything", version=6), "algorithm30"),
    ],
)
def test_keys_of_which_nothing_can_be_made(octets, name):
    public = read_public_key(octets)
    assert (public.name, public.key, public.spki_sha256) == (name, None, "")
    assert not public.can_encrypt
    assert not public.can_sign
    assert public.octets == octets


@pytest.mark.parametrize("version", [2, 3, 5, 7])
def test_other_versions(version):
    with pytest.raises(PgpError) as caught:
        read_public_key(written(1, write_mpi(1 << 2047), write_mpi(3), version=version))
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\4",
        written(1),
        written(1, write_mpi(1 << 2047)),
        written(1, b"\xff\xff" + bytes(8192), write_mpi(3)),
        reader("rsa2048")[0].octets + b"\0",
        reader("x25519", 6)[0].octets + b"\0",
        reader("x25519", 6)[0].octets[:-1],
        written(27, bytes(33), version=6),
        written(18, oid(CV25519.oid), write_mpi(b"\x40" + bytes(32)), KDF, version=6),  # of version 4 only
        written(25, bytes(20_000), version=6),
    ],
)
def test_what_is_no_key(octets):
    with pytest.raises(PgpError) as caught:
        read_public_key(octets)
    assert caught.value.reason is ReasonCode.MALFORMED


@pytest.mark.parametrize(
    ("private", "algorithm", "version"),
    [
        (ed25519.Ed25519PrivateKey.generate(), KeyAlgorithm.EDDSA_LEGACY, 6),
        (x25519.X25519PrivateKey.generate(), KeyAlgorithm.ECDH, 6),
        (x25519.X25519PrivateKey.generate(), KeyAlgorithm.ED25519, 4),
        (x448.X448PrivateKey.generate(), KeyAlgorithm.ECDH, 4),
        (ed448.Ed448PrivateKey.generate(), KeyAlgorithm.EDDSA_LEGACY, 4),
        (ec.generate_private_key(ec.SECP256K1()), KeyAlgorithm.ECDSA, 4),
        (rsa.generate_private_key(65_537, 1024), KeyAlgorithm.DSA, 4),
    ],
)
def test_a_key_that_an_algorithm_cannot_have(private, algorithm, version):
    with pytest.raises(PgpError) as caught:
        body_of(private.public_key(), algorithm, MADE, version)
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


def test_the_latest_time():
    late = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)
    body = body_of(reader("x25519")[0].key, KeyAlgorithm.X25519, late)
    assert read_public_key(body).created == late


@given(st.binary(max_size=200), st.sampled_from([4, 6]), st.sampled_from(list(KeyAlgorithm)))
def test_any_octets_raise_only_the_typed_error(octets, version, algorithm):
    for one in (octets, written(algorithm, octets), bytes((version, 0, 0, 0, 0, algorithm)) + octets):
        try:
            read_public_key(one)
        except PgpError:
            continue
