"""Software keys: validated at import, loaded fast afterwards."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed448, ed25519, rsa, x448, x25519
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.keys.software import (
    PrivateKeyError,
    load_private_key,
    public_spki,
    serialize,
    spki_sha256,
    validate_private_key,
)

CA = pki.Authority("Key CA")
ANNA = CA.issue("anna@example.com")
BOB = CA.issue("bob@example.com", key="p256")


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384", "p521", "brainpoolP384r1"])
def test_round_trip(kind):
    identity = CA.issue("a@b.de", key=kind)
    loaded = load_private_key(serialize(identity.key))
    assert loaded.private_numbers() == identity.key.private_numbers()
    assert validate_private_key(loaded, identity.certificate.spki_der) == ()
    assert spki_sha256(loaded) == identity.certificate.spki_sha256
    assert public_spki(loaded) == identity.certificate.spki_der


def test_a_key_of_another_certificate():
    for other in (BOB, CA.issue("a@b.de", key=pki.make_key("rsa2048", fresh=True))):
        with pytest.raises(PrivateKeyError, match="does not belong"):
            validate_private_key(ANNA.key, other.certificate.spki_der)
    with pytest.raises(PrivateKeyError, match="public key of the certificate"):
        validate_private_key(ANNA.key, b"\x30\x00")


def broken_key():
    numbers = ANNA.key.private_numbers()
    changed = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=numbers.d + 2,
        dmp1=numbers.dmp1,
        dmq1=numbers.dmq1,
        iqmp=numbers.iqmp,
        public_numbers=numbers.public_numbers,
    )
    return changed.private_key(unsafe_skip_rsa_key_validation=True)


def test_an_inconsistent_key_is_found_at_import_only():
    key = load_private_key(serialize(broken_key()))
    with pytest.raises(PrivateKeyError, match="not consistent"):
        validate_private_key(key)


def test_sizes_and_curves():
    (warning,) = validate_private_key(pki.make_key("rsa1024"))
    assert "1024 bits is too weak" in warning
    with pytest.raises(PrivateKeyError, match="curve secp256k1 is not supported"):
        validate_private_key(pki.make_key("secp256k1"))


def test_too_small_and_too_large(monkeypatch):
    monkeypatch.setattr("mailseal.keys.software.MAX_RSA_BITS", 1024)
    with pytest.raises(PrivateKeyError, match="2048 bits is not accepted"):
        validate_private_key(ANNA.key)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"x" * 70_000, serialize(ANNA.key)[:-5]])
def test_what_is_no_key(der):
    with pytest.raises(PrivateKeyError):
        load_private_key(der)


@pytest.mark.parametrize(
    "kind", [ed25519.Ed25519PrivateKey, x25519.X25519PrivateKey, ed448.Ed448PrivateKey, x448.X448PrivateKey]
)
def test_keys_on_curve25519_and_curve448(kind):
    key = kind.generate()
    loaded = load_private_key(serialize(key))
    assert loaded.private_bytes_raw() == key.private_bytes_raw()
    assert validate_private_key(loaded, public_spki(key)) == ()
    assert spki_sha256(loaded) == spki_sha256(key)
    with pytest.raises(PrivateKeyError, match="does not belong"):
        validate_private_key(key, public_spki(kind.generate()))


def test_a_key_of_another_kind():
    der = dsa.generate_private_key(1024).private_bytes(pki.Encoding.DER, pki.PrivateFormat.PKCS8, pki.NoEncryption())
    with pytest.raises(PrivateKeyError, match="neither RSA nor"):
        load_private_key(der)


@given(st.binary(max_size=200))
def test_any_octets_raise_only_the_typed_error(data):
    with pytest.raises(PrivateKeyError):
        load_private_key(data)
