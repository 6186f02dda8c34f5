"""PKCS#12: with one key, with several, damaged and hostile ones; files of other programs are in tests/vectors."""

import hashlib
import hmac as hmac_module

import pytest
from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.smime import ber, der, importing_keys, password_based
from mailseal.smime import pkcs12 as pkcs12_reader
from mailseal.smime.certificate import public_key
from mailseal.smime.importing import ImportingError, read_pkcs12

ROOT = pki.Authority("Import Root")
ISSUING = ROOT.subordinate("Import CA")
ANNA = ISSUING.issue("anna@example.com")
BOB = ISSUING.issue("bob@example.com", key="p256")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("identity", [ANNA, BOB], ids=["rsa", "ec"])
def test_pkcs12_with_a_key(identity, legacy):
    imported = read_pkcs12(identity.p12(b"secret", legacy=legacy), b"secret")
    ((certificate, key),) = imported.keys
    assert certificate == identity.certificate
    assert key.private_numbers() == identity.key.private_numbers()
    assert imported.chain == (ISSUING.certificate,)
    assert imported.problems == ()


def test_pkcs12_passwords():
    assert read_pkcs12(BOB.p12(b""), None).keys[0][0] == BOB.certificate
    with pytest.raises(ImportingError, match="password of the PKCS#12 file is wrong"):
        read_pkcs12(BOB.p12(b"secret"), b"guess")
    for nothing in (None, b""):
        with pytest.raises(ImportingError, match="needs a password"):
            read_pkcs12(BOB.p12(b"secret"), nothing)


def test_pkcs12_without_key():
    encryption = pki.BestAvailableEncryption(b"x")
    chain = pkcs12.serialize_key_and_certificates(None, None, BOB.x509, [ISSUING.x509], encryption)
    imported = read_pkcs12(chain, b"x")
    assert (imported.keys, imported.chain) == ((), (BOB.certificate, ISSUING.certificate))


def test_pkcs12_without_the_certificate_of_its_key():
    orphan = pkcs12.serialize_key_and_certificates(None, BOB.key, None, [ISSUING.x509], pki.NoEncryption())
    with pytest.raises(ImportingError, match="no certificate for its private key"):
        read_pkcs12(orphan, None)


def test_pkcs12_with_a_key_of_another_kind():
    with pytest.raises(ImportingError, match="curve secp256k1 is not supported"):
        read_pkcs12(ISSUING.issue("a@b.de", key="secp256k1").p12(b"x"), b"x")
    dsa = der.sequence(der.integer(0), der.sequence(der.oid("1.2.840.10040.4.1")), der.octet_string(b"\2\1\1"))
    with pytest.raises(ImportingError, match="of a kind that is not used"):
        read_pkcs12(pfx(bag("1", dsa), bag("3", certificate_value(BOB))), b"x")


def test_pkcs12_with_a_weak_key_warns():
    imported = read_pkcs12(ISSUING.issue("a@b.de", key="rsa1024").p12(b"x"), b"x")
    assert imported.keys
    assert "too weak" in imported.problems[0]


def test_pkcs12_with_a_hostile_iteration_count():
    file = asn1_pkcs12.Pfx.load(BOB.p12(b"x"))
    file["mac_data"]["iterations"] = 2**31
    with pytest.raises(ImportingError, match="more key derivation than is allowed"):
        read_pkcs12(file.dump(force=True), b"x")


def derivation(iterations):
    hmac = der.sequence(der.oid("1.2.840.113549.2.9"), der.NULL)
    parameters = der.sequence(der.octet_string(b"saltsalt"), der.integer(iterations), der.integer(32), hmac)
    return der.sequence(der.oid("1.2.840.113549.1.5.12"), parameters), hmac


def test_pkcs12_with_pbmac1():
    safe = asn1_pkcs12.Pfx.load(BOB.p12(b"x"))["auth_safe"]

    def file(iterations):
        function, hmac = derivation(iterations)
        algorithm = der.sequence(der.oid("1.2.840.113549.1.5.14"), der.sequence(function, hmac))
        key = hashlib.pbkdf2_hmac("sha256", b"x", b"saltsalt", 2048)
        value = hmac_module.digest(key, safe["content"].native, "sha256")
        mac = der.sequence(der.sequence(algorithm, der.octet_string(value)), der.octet_string(b""), der.integer(1))
        return der.sequence(der.integer(3), safe.dump(), mac)

    assert read_pkcs12(file(2048), b"x").keys[0][0] == BOB.certificate
    with pytest.raises(ImportingError, match="more key derivation than is allowed"):
        read_pkcs12(file(2**31 - 1), b"x")


@pytest.mark.parametrize("depth", [0, 1, 5, 1000])
def test_pkcs12_with_hostile_bags_inside_bags(depth):
    function, _ = derivation(2**31 - 1)
    cipher = der.sequence(der.oid("2.16.840.1.101.3.4.1.42"), der.octet_string(bytes(16)))
    algorithm = der.sequence(der.oid("1.2.840.113549.1.5.13"), der.sequence(function, cipher))
    shrouded = der.sequence(algorithm, der.octet_string(bytes(64)))
    bags = der.sequence(der.sequence(der.oid("1.2.840.113549.1.12.10.1.2"), der.element(0xA0, shrouded)))
    for _ in range(depth):
        bags = der.sequence(der.sequence(der.oid("1.2.840.113549.1.12.10.1.6"), der.element(0xA0, bags)))
    for _ in range(2):
        content = der.sequence(der.oid("1.2.840.113549.1.7.1"), der.element(0xA0, der.octet_string(bags)))
        bags = der.sequence(content)
    with pytest.raises(ImportingError, match="more key derivation than is allowed" if depth < 8 else "nested too deep"):
        read_pkcs12(der.sequence(der.integer(3), content), b"x")


def test_pkcs12_with_several_keys():
    first, second = (asn1_pkcs12.Pfx.load(one.p12(b"")) for one in (ANNA, BOB))
    safe = asn1_pkcs12.AuthenticatedSafe([*first.authenticated_safe, *second.authenticated_safe])
    both = asn1_pkcs12.Pfx({
        "version": "v3",
        "auth_safe": {"content_type": "data", "content": safe.dump()},
    })  # fmt: skip
    imported = read_pkcs12(both.dump(), None)
    assert [certificate for certificate, _ in imported.keys] == [ANNA.certificate, BOB.certificate]
    for certificate, key in imported.keys:
        assert public_key(certificate) == key.public_key()
    assert imported.chain == (ISSUING.certificate,)


def bag(kind, value):
    return der.sequence(der.oid(f"1.2.840.113549.1.12.10.1.{kind}"), der.element(0xA0, value))


def certificate_value(identity):
    return der.sequence(
        der.oid("1.2.840.113549.1.9.22.1"), der.element(0xA0, der.octet_string(identity.certificate.der))
    )


def data(octets):
    return der.sequence(der.oid("1.2.840.113549.1.7.1"), der.element(0xA0, der.octet_string(octets)))


def encrypted(octets, password, iterations=10, claimed=None):
    """PBES2 AES-256-CBC of octets: (algorithm, ciphertext). `claimed`: the count of iterations that it names."""
    key = hashlib.pbkdf2_hmac("sha256", password, b"saltsalt", iterations, 32)
    padding = 16 - len(octets) % 16
    encryptor = Cipher(AES(key), modes.CBC(bytes(16))).encryptor()
    function, _ = derivation(claimed or iterations)
    cipher = der.sequence(der.oid("2.16.840.1.101.3.4.1.42"), der.octet_string(bytes(16)))
    algorithm = der.sequence(der.oid("1.2.840.113549.1.5.13"), der.sequence(function, cipher))
    return algorithm, encryptor.update(octets + bytes([padding]) * padding)


def shrouded(identity, password, **parameters):
    key = identity.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    algorithm, ciphertext = encrypted(key, password, **parameters)
    return der.sequence(algorithm, der.octet_string(ciphertext))


def encrypted_data(octets, password):
    algorithm, ciphertext = encrypted(octets, password)
    info = der.sequence(der.oid("1.2.840.113549.1.7.1"), algorithm, der.element(0x80, ciphertext))
    content = der.sequence(der.integer(0), info)
    return der.sequence(der.oid("1.2.840.113549.1.7.6"), der.element(0xA0, content))


def pfx(*bags, safes=()):
    safe = data(der.sequence(*bags)) if bags else b""
    return der.sequence(der.integer(3), data(der.sequence(safe, *safes)))


def test_pkcs12_with_hostile_bags_inside_an_encrypted_safe():
    hostile = shrouded(BOB, b"x", claimed=2**31 - 1)
    # The encrypted safe shows nothing of it from outside.
    file = pfx(safes=[encrypted_data(der.sequence(bag("2", hostile)), b"x")])
    with pytest.raises(ImportingError, match="more key derivation than is allowed"):
        read_pkcs12(file, b"x")


def test_pkcs12_pays_for_all_its_parts_out_of_one_budget(monkeypatch):
    monkeypatch.setattr(password_based, "MAX_ITERATIONS", 99)
    certificate = bag("3", certificate_value(BOB))
    assert read_pkcs12(pfx(certificate, *[bag("2", shrouded(BOB, b"x"))] * 9), b"x").keys
    with pytest.raises(ImportingError, match="more key derivation than is allowed"):
        read_pkcs12(pfx(certificate, *[bag("2", shrouded(BOB, b"x"))] * 10), b"x")


def test_pkcs12_whose_keys_have_passwords_of_their_own():
    password = b"x"
    good = pkcs12.serialize_key_and_certificates(None, ANNA.key, ANNA.x509, None, pki.NoEncryption())
    inside = asn1_pkcs12.Pfx.load(good).authenticated_safe.dump()
    more = data(der.sequence(bag("2", shrouded(BOB, b"y")), bag("3", certificate_value(BOB))))
    start = ber.read(inside)
    safes = der.sequence(*(one.whole for one in start.children), more)
    salt = b"saltsalt"
    key = password_based.mac_key(password_based.readings(password)[0], salt, 1, password_based.Work(), "sha1")
    sha1 = der.sequence(der.oid("1.3.14.3.2.26"), der.NULL)
    digest = der.sequence(sha1, der.octet_string(hmac_module.digest(key, safes, "sha1")))
    file = der.sequence(der.integer(3), data(safes), der.sequence(digest, der.octet_string(salt)))
    imported = read_pkcs12(file, password)
    assert [certificate for certificate, _ in imported.keys] == [ANNA.certificate]
    assert imported.chain == (BOB.certificate,)
    assert imported.problems == ("a private key cannot be opened: it is damaged, or has another password",)


def test_pkcs12_with_many_bags_and_keys(monkeypatch):
    key = BOB.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    certificate = bag("3", certificate_value(BOB))
    monkeypatch.setattr(pkcs12_reader, "MAX_BAGS", 3)
    imported = read_pkcs12(pfx(certificate, bag("1", key), bag("5", b"\5\0"), certificate, certificate), None)
    assert imported.keys
    assert "more than 3 bags" in imported.problems[0]
    monkeypatch.setattr(importing_keys, "MAX_KEYS", 1)
    other = ANNA.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    imported = read_pkcs12(pfx(certificate, bag("1", key), bag("1", other)), None)
    assert imported.keys
    assert imported.problems == ("the file has more than 1 private keys",)


def test_validation_is_bounded(monkeypatch):
    monkeypatch.setattr(importing_keys, "MAX_VALIDATION", 17)
    bags = []
    for one in (ANNA, ISSUING.issue("olga@example.com", fresh_key=True)):
        key = one.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        bags += [bag("1", key), bag("3", certificate_value(one))]
    imported = read_pkcs12(pfx(*bags), None)
    assert [certificate for certificate, _ in imported.keys] == [ANNA.certificate]
    assert imported.problems == ("the private keys of the file would take too long to validate",)


def test_a_key_that_is_not_consistent_is_refused():
    numbers = ANNA.key.private_numbers()
    key = ANNA.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    prime = numbers.p.to_bytes(128, "big")
    changed = key.replace(prime, prime[:-2] + bytes([prime[-2] ^ 1]) + prime[-1:])
    assert changed != key
    with pytest.raises(ImportingError, match="private key"):
        read_pkcs12(pfx(bag("1", changed), bag("3", certificate_value(ANNA))), None)


PLAIN_P12 = BOB.p12(b"")


@given(st.integers(0, len(PLAIN_P12) - 1), st.integers(1, 255))
def test_changed_pkcs12_raises_only_the_typed_error(at, bits):
    changed = bytearray(PLAIN_P12)
    changed[at] ^= bits
    try:
        imported = read_pkcs12(bytes(changed), None)
    except ImportingError:
        return
    assert imported.keys
