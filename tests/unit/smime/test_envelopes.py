import os
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import BODY, keys, people, samples
from mailseal.errors import TransientError
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Cipher
from mailseal.smime import algorithms, ber, der
from mailseal.smime.decrypt import MAX_ATTEMPTS, read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm
from mailseal.smime.sign import issuer_and_serial
from pki import Authority

KINDS = ("rsa2048", "p256", "p384")
RSA = der.sequence(algorithms.RSA_ENCRYPTION, der.NULL)


def transport(kind="rsa2048", *, encrypted=b"", name=None, algorithm=RSA) -> bytes:
    name = name or issuer_and_serial(people()[kind].certificate)
    return der.sequence(der.integer(0), name, algorithm, der.octet_string(encrypted))


def enveloped(infos: list[bytes], key: bytes, content: bytes, *, cipher="aes256-cbc", vector=bytes(16)) -> bytes:
    """An EnvelopedData of whatever recipients around raw ciphertext."""
    row = algorithms.CIPHERS_BY_NAME[cipher]
    info = der.sequence(algorithms.DATA, der.sequence(row.oid, der.octet_string(vector)), der.element(0x80, content))
    inside = der.sequence(der.integer(0), der.element(0x31, *infos), info)
    return der.sequence(algorithms.ENVELOPED_DATA, der.element(0xA0, inside))


def gcm(key: bytes, *, attributes=b"", tag_octets=16, announced=None, content=BODY) -> bytes:
    wrapped = people()["rsa2048"].key.public_key().encrypt(key, padding.PKCS1v15())
    nonce = os.urandom(12)
    encryptor = Primitive(AES(key), GCM(nonce)).encryptor()
    if attributes:
        encryptor.authenticate_additional_data(der.element(0x31, attributes))
    ciphertext = encryptor.update(content) + encryptor.finalize()
    announced = tag_octets if announced is None else announced
    length = der.integer(announced) if announced != 12 else b""
    parameters = der.sequence(der.octet_string(nonce), length)
    row = algorithms.CIPHERS_BY_NAME["aes256-gcm"]
    inside = der.sequence(
        der.integer(0),
        der.element(0x31, transport(encrypted=wrapped)),
        der.sequence(algorithms.DATA, der.sequence(row.oid, parameters), der.element(0x80, ciphertext)),
        der.element(0xA1, attributes) if attributes else b"",
        der.octet_string(encryptor.tag[:tag_octets]),
    )
    return der.sequence(algorithms.AUTH_ENVELOPED_DATA, der.element(0xA0, inside))


def failure(octets: bytes, *kinds: str, limit=1_000_000) -> CmsError:
    with pytest.raises(CmsError) as caught:
        read_enveloped(octets).decrypt(keys(*kinds), limit)
    return caught.value


@given(st.lists(st.binary(max_size=100), max_size=4), st.sampled_from(Cipher), st.sampled_from(KINDS))
def test_what_we_encrypt_each_recipient_decrypts(chunks, cipher, kind):
    octets = encrypt(chunks, [person.certificate for person in people().values()], EncryptionForm(cipher))
    found = read_enveloped(octets)
    assert found.algorithm == cipher.value
    assert found.integrity == ("authenticated" if cipher.value.endswith("gcm") else "none")
    assert found.decrypt(keys(kind), 1000) == b"".join(chunks)


def test_recipients_are_named_once_and_fit():
    rsa_one, elliptic = people()["rsa2048"].certificate, people()["p256"].certificate
    found = read_enveloped(encrypt([BODY], [rsa_one, elliptic, rsa_one], EncryptionForm(Cipher.AES128_GCM)))
    assert len(found.recipients) == 2
    assert found.fits(rsa_one)
    assert found.fits(elliptic)
    assert not found.fits(people()["p384"].certificate)
    assert {one.serial for one in found.recipients} == {rsa_one.serial, elliptic.serial}


def test_who_cannot_be_encrypted_to():
    edwards = Authority("Edwards").issue("e@example.org", key="ed25519").certificate
    for recipients, reason in (
        ([], ReasonCode.NO_CERTIFICATE),
        ([edwards], ReasonCode.CERTIFICATE_UNSUPPORTED_KEY),
        ([people()["rsa2048"].certificate] * 1001, ReasonCode.TOO_LARGE),
    ):
        with pytest.raises(CmsError) as caught:
            encrypt([BODY], recipients, EncryptionForm())
        assert caught.value.reason is reason


def test_no_fitting_key():
    octets = encrypt([BODY], [people()["rsa2048"].certificate], EncryptionForm())
    assert failure(octets, "p256").reason is ReasonCode.KEY_NOT_FOUND
    assert failure(octets).reason is ReasonCode.KEY_NOT_FOUND


def test_a_limit_is_kept_before_any_key_is_used():
    octets = encrypt([bytes(1000)], [people()["rsa2048"].certificate], EncryptionForm())
    lost = [(people()["rsa2048"].certificate, _Lost())]
    with pytest.raises(CmsError) as caught:
        read_enveloped(octets).decrypt(lost, 1000)
    assert caught.value.reason is ReasonCode.TOO_LARGE


class _Lost(rsa.RSAPrivateKey):
    """A key whose token is gone."""

    def decrypt(self, *arguments):
        raise TransientError("the token is gone")

    sign = decrypt
    key_size = 2048

    def _no(self, *arguments, **named):
        raise NotImplementedError

    private_bytes = private_numbers = public_key = __copy__ = __deepcopy__ = _no


class _Strict(_Lost):
    """A key that, like a token, says when the padding is bad, and counts its uses."""

    def __init__(self):
        self.uses = 0

    def decrypt(self, *arguments):
        self.uses += 1
        raise ValueError("bad padding")


def test_what_the_key_raises_passes_unchanged():
    octets = encrypt([BODY], [people()["rsa2048"].certificate], EncryptionForm())
    with pytest.raises(TransientError):
        read_enveloped(octets).decrypt([(people()["rsa2048"].certificate, _Lost())], 1000)


def test_one_text_for_every_failure_of_rsa():
    """Bad padding, a key of the wrong length, a wrong key and bad content look the same (Bleichenbacher)."""
    public = people()["rsa2048"].key.public_key()
    wrapped = [
        bytes(256),
        b"short",
        os.urandom(255),
        public.encrypt(os.urandom(16), padding.PKCS1v15()),
        public.encrypt(os.urandom(32), padding.PKCS1v15()),
        public.encrypt(b"", padding.PKCS1v15()),
    ]
    # 256 blocks that none of the keys opens to valid padding but by chance: two tries tell chance from a fault.
    texts = set()
    for one in wrapped:
        octets = enveloped([transport(encrypted=one)], b"", os.urandom(64))
        for _ in range(2):
            try:
                read_enveloped(octets).decrypt(keys("rsa2048"), 1000)
            except CmsError as error:
                texts.add((error.reason, str(error)))
    assert texts == {(ReasonCode.DECRYPTION_FAILED, "the content could not be decrypted")}


def test_a_key_that_says_what_failed_is_not_heard():
    octets = enveloped([transport(encrypted=bytes(256))], b"", os.urandom(64))
    strict = _Strict()
    opened = 0
    for _ in range(3):
        # One random content key in 256 opens to valid padding, and so to nonsense.
        with suppress(CmsError):
            read_enveloped(octets).decrypt([(people()["rsa2048"].certificate, strict)], 1000)
            opened += 1
    assert strict.uses == 3
    assert opened < 3


def test_uses_of_a_key_are_bounded():
    octets = enveloped([transport(encrypted=bytes(256))] * 1000, b"", os.urandom(64))
    strict = _Strict()
    try:
        read_enveloped(octets).decrypt([(people()["rsa2048"].certificate, strict)], 1000)
    except CmsError:
        assert strict.uses == MAX_ATTEMPTS


def test_recipients_are_bounded():
    with pytest.raises(CmsError):
        read_enveloped(enveloped([transport(encrypted=b"x")] * 1001, b"", bytes(16)))


def test_unknown_recipients_are_passed_over():
    key = os.urandom(32)
    wrapped = people()["rsa2048"].key.public_key().encrypt(key, padding.PKCS1v15())
    other = der.element(0xA4, der.oid("1.2.3.4"), der.NULL)
    octets = gcm(key)
    assert read_enveloped(octets).decrypt(keys("rsa2048"), 1000) == BODY
    infos = [other, transport(encrypted=wrapped)]
    assert len(read_enveloped(enveloped(infos, key, bytes(16))).recipients) == 1


def test_a_recipient_is_found_by_subject_key_identifier():
    key = os.urandom(32)
    name = der.element(0x80, people()["rsa2048"].certificate.ski)
    found = read_enveloped(enveloped([transport(name=name)], key, bytes(16)))
    assert found.fits(people()["rsa2048"].certificate)
    assert not found.fits(people()["p256"].certificate)


def test_gcm_with_authenticated_attributes():
    attributes = der.sequence(algorithms.CONTENT_TYPE, der.element(0x31, algorithms.DATA))
    octets = gcm(os.urandom(32), attributes=attributes)
    assert read_enveloped(octets).decrypt(keys("rsa2048"), 1000) == BODY
    changed = octets.replace(attributes, der.sequence(algorithms.SIGNING_TIME, der.element(0x31, algorithms.DATA)))
    assert failure(changed, "rsa2048").reason is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize(("tag_octets", "announced", "opens"), [(16, 16, True), (12, 12, True), (13, 13, True)])
def test_gcm_tags(tag_octets, announced, opens):
    octets = gcm(os.urandom(32), tag_octets=tag_octets, announced=announced)
    assert (read_enveloped(octets).decrypt(keys("rsa2048"), 1000) == BODY) is opens


@pytest.mark.parametrize(("tag_octets", "announced"), [(4, 4), (8, 8), (11, 11), (0, 0), (16, 12), (4, 16), (12, 16)])
def test_gcm_tags_too_short_or_of_another_length(tag_octets, announced):
    octets = gcm(os.urandom(32), tag_octets=tag_octets, announced=announced)
    assert failure(octets, "rsa2048").reason is ReasonCode.MALFORMED


@pytest.mark.parametrize("size", [0, 1, 15, 17])
def test_cbc_of_part_of_a_block(size):
    key = os.urandom(32)
    wrapped = people()["rsa2048"].key.public_key().encrypt(key, padding.PKCS1v15())
    octets = enveloped([transport(encrypted=wrapped)], key, bytes(size))
    assert failure(octets, "rsa2048").reason is ReasonCode.DECRYPTION_FAILED


def test_gcm_without_a_tag_and_cbc_with_one_are_refused():
    octets = samples()["encrypted-aes256-gcm"].replace(algorithms.AUTH_ENVELOPED_DATA, algorithms.ENVELOPED_DATA)
    with pytest.raises(CmsError):
        read_enveloped(octets).decrypt(keys("rsa2048"), 1000)
    key = os.urandom(32)
    found = read_enveloped(enveloped([transport()], key, bytes(16), cipher="aes256-gcm"))
    with pytest.raises(CmsError) as caught:
        found.decrypt(keys("rsa2048"), 1000)
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


def test_unknown_key_algorithms_are_named_as_such():
    octets = enveloped([transport(algorithm=der.sequence(der.oid("1.2.3.4")))], b"", bytes(16))
    assert failure(octets, "rsa2048").reason is ReasonCode.UNSUPPORTED_ALGORITHM


def test_oaep_with_a_label_and_absent_parameters():
    public = people()["rsa2048"].key.public_key()
    sha256 = algorithms.SHA256
    label = der.sequence(algorithms.P_SPECIFIED, der.octet_string(b"label"))
    full = der.sequence(
        der.element(0xA0, sha256.identifier),
        der.element(0xA1, der.sequence(algorithms.MGF1, sha256.identifier)),
        der.element(0xA2, label),
    )
    sha1 = algorithms.SHA1.algorithm
    for parameters, scheme in (
        (b"", padding.OAEP(padding.MGF1(sha1), sha1, None)),
        (der.sequence(), padding.OAEP(padding.MGF1(sha1), sha1, None)),
        (full, padding.OAEP(padding.MGF1(sha256.algorithm), sha256.algorithm, b"label")),
    ):
        key = os.urandom(32)
        vector = bytes(16)
        info = transport(
            encrypted=public.encrypt(key, scheme), algorithm=der.sequence(algorithms.RSAES_OAEP, parameters)
        )
        found = read_enveloped(enveloped([info], key, bytes(32), vector=vector))
        content_key = found._infos[0].unwrap(people()["rsa2048"].key, bytes(32))
        assert content_key == key


@pytest.mark.parametrize("how", ["null", "absent", "material"])
def test_the_shared_info_has_the_identifier_as_received(how):
    """keyInfo is the received AlgorithmIdentifier, with NULL parameters or without (RFC 5753 §7.2)."""
    person = people()["p256"]
    wrap = der.sequence(algorithms.AES256_WRAP, der.NULL if how == "null" else b"")
    material = b"user keying material" if how == "material" else b""
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    shared = der.sequence(
        wrap,
        der.element(0xA0, der.octet_string(material)) if material else b"",
        der.element(0xA2, der.octet_string(b"\x00\x00\x01\x00")),
    )
    secret = ephemeral.exchange(ec.ECDH(), person.key.public_key())
    kek = X963KDF(algorithms.SHA256.algorithm, 32, shared).derive(secret)
    key = os.urandom(32)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    originator = der.element(0xA1, der.sequence(algorithms.EC_PUBLIC_KEY), der.bit_string(point))
    one = der.sequence(issuer_and_serial(person.certificate), der.octet_string(aes_key_wrap(kek, key)))
    info = der.element(
        0xA1,
        der.integer(3),
        der.element(0xA0, originator),
        der.element(0xA1, der.octet_string(material)) if material else b"",
        der.sequence(algorithms.STD_DH_SHA256_KDF, wrap),
        der.sequence(one),
    )
    found = read_enveloped(enveloped([info], key, bytes(32)))
    assert found._infos[0].unwrap(person.key, bytes(32)) == key


def test_a_point_off_the_curve_fails_like_anything_else():
    octets = samples()["encrypted-aes256-cbc"]
    info = next(one for one in _infos(octets) if one.tag == 0xA1)
    point = ber.bits(info.children[1].children[0].children[1])
    changed = octets.replace(point, b"\x04" + bytes(64 if len(point) == 65 else 96))
    changed_kind = "p256" if len(point) == 65 else "p384"
    assert failure(changed, changed_kind).reason is ReasonCode.DECRYPTION_FAILED


def _infos(octets: bytes):
    return ber.read(octets).children[1].children[0].children[1].children
