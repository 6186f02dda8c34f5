"""`openssl cms` (3.0, with its legacy provider) as referee of what we read and never write.

Ciphers of old mail, keys agreed beforehand, passwords, and compressed content.
"""

import zlib
from itertools import product

import pytest

from cms_samples import compressed
from harness.openssl import LEGACY
from harness.referees import BODY, CURVES, RSA, Limit, RefusedError, changed, table
from mailseal.policy.reason import ReasonCode
from mailseal.smime.compress import decompress
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.secret import SharedKey, SharedPassword
from mailseal.smime.verify import read_signed, verify

OLD = {
    "-des3": "3des-cbc",
    "-des": "des-cbc",
    "-rc2-cbc": "rc2-128-cbc",
    "-rc2-64": "rc2-64-cbc",
    "-rc2-40": "rc2-40-cbc",
    "-cast5-cbc": "cast5-cbc",
}
NEW = {"-aes-128-cbc": "aes128-cbc", "-aes-192-cbc": "aes192-cbc", "-aes-256-cbc": "aes256-cbc"}
GCM = {"-aes-128-gcm": "aes128-gcm", "-aes-192-gcm": "aes192-gcm", "-aes-256-gcm": "aes256-gcm"}
CIPHERS = OLD | NEW | GCM

OLD_MAIL = table(
    [*product((*RSA, *CURVES), ((cipher,) for cipher in OLD)), *product(RSA, ((cipher, "-stream") for cipher in OLD))],
    [
        Limit(
            "its AES key wrap takes no keys of less than 16 octets, and triple DES has its own",
            "aes_wrap_cipher_internal",
            lambda row: row.key in CURVES and row.how[0] in ("-des", "-rc2-40", "-rc2-64"),
        )
    ],
)
KEKS = {bits: bytes(range(bits // 8)) for bits in (128, 192, 256)}
SHARED_KEYS = table(
    [*product(map(str, KEKS), ((cipher,) for cipher in CIPHERS))],
    [
        Limit(
            "its AES key wrap takes no keys of less than 16 octets",
            "aes_wrap_cipher_internal",
            lambda row: row.how[0] in ("-des", "-rc2-40", "-rc2-64"),
        )
    ],
)
PASSWORDS = table(
    [*product(("simple", "päss wörd"), ((cipher,) for cipher in CIPHERS))],
    [
        Limit(
            "it takes the cipher of the content for the password's key, too",
            "cipher parameter error",
            lambda row: row.how[0] in GCM,
        )
    ],
)
UNKNOWN = ("-bf", "-rc4", "-seed", "-camellia128", "-camellia256", "-aria-128-cbc", "-aes-128-cfb", "-aes-128-ofb")


@pytest.mark.parametrize("row", OLD_MAIL)
def test_we_read_old_mail(referee, people, row):
    with row.expected:
        octets = referee.encrypt(row.key, options=(*LEGACY, *row.how))
    if row.limit:
        return
    enveloped = read_enveloped(octets)
    assert (enveloped.algorithm, enveloped.integrity, enveloped.weak) == (OLD[row.how[0]], "none", True)
    assert enveloped.decrypt(people.keys(row.key), len(BODY) + 16) == BODY
    with pytest.raises(CmsError) as raised:
        enveloped.decrypt([(people.outsider.certificate, people.outsider.key)], 1_000_000)
    assert raised.value.reason is ReasonCode.KEY_NOT_FOUND


@pytest.mark.parametrize("row", SHARED_KEYS)
def test_we_read_what_is_for_a_key_agreed_beforehand(referee, people, row):
    kek = KEKS[int(row.key)]
    shared = ("-secretkey", kek.hex(), "-secretkeyid", "6b6579")
    with row.expected:
        octets = referee.encrypt(options=(*LEGACY, *row.how, *shared))
    if row.limit:
        return
    enveloped = read_enveloped(octets)
    assert enveloped.algorithm == CIPHERS[row.how[0]]
    for good in (SharedKey(kek, b"key"), SharedKey(kek)):
        assert enveloped.fits_secret(good)
        assert enveloped.decrypt_with_secrets([good], 1_000_000) == BODY
    for bad, reason in (
        (SharedKey(changed(kek), b"key"), ReasonCode.DECRYPTION_FAILED),
        (SharedKey(kek + kek, b"key"), ReasonCode.DECRYPTION_FAILED),
        (SharedKey(kek, b"other"), ReasonCode.KEY_NOT_FOUND),
        (SharedPassword(b"simple"), ReasonCode.KEY_NOT_FOUND),
    ):
        with pytest.raises(CmsError) as raised:
            enveloped.decrypt_with_secrets([bad], 1_000_000)
        assert raised.value.reason is reason


@pytest.mark.parametrize("row", PASSWORDS)
def test_we_read_what_is_for_a_password(referee, people, row):
    with row.expected:
        octets = referee.encrypt(options=(*LEGACY, *row.how, "-pwri_password", row.key))
    if row.limit:
        return
    enveloped = read_enveloped(octets)
    good, bad = SharedPassword(row.key.encode()), SharedPassword(b"another")
    assert enveloped.fits_secret(good)
    assert enveloped.decrypt_with_secrets([bad, good], 1_000_000) == BODY
    with pytest.raises(CmsError) as raised:
        enveloped.decrypt_with_secrets([bad], 1_000_000)
    assert raised.value.reason is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize("stream", [(), ("-stream",)], ids=" ".join)
@pytest.mark.parametrize("cipher", ["-aes-256-cbc", "-des3"])
def test_we_read_what_is_for_all_kinds_of_readers(referee, people, cipher, stream):
    kek = KEKS[256]
    secrets = ("-secretkey", kek.hex(), "-secretkeyid", "6b6579", "-pwri_password", "secret")
    to = ("rsa2048", ("rsa3072", "-keyopt", "rsa_padding_mode:oaep"), ("p256", "-keyid"))
    enveloped = read_enveloped(referee.encrypt(*to, options=(cipher, *stream, *secrets)))
    assert len(enveloped.recipients) == 5
    for kind in ("rsa2048", "rsa3072", "p256"):
        assert enveloped.decrypt(people.keys(kind), 1_000_000) == BODY
    for one in (SharedKey(kek), SharedPassword(b"secret")):
        assert enveloped.decrypt_with_secrets([one], 1_000_000) == BODY


@pytest.mark.parametrize("cipher", UNKNOWN)
def test_what_we_do_not_read_we_say_so(referee, people, cipher):
    enveloped = read_enveloped(referee.encrypt("rsa2048", options=(*LEGACY, cipher)))
    assert enveloped.algorithm == "unknown"
    with pytest.raises(CmsError) as raised:
        enveloped.decrypt(people.keys("rsa2048"), 1_000_000)
    assert raised.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


# Compressed content: openssl comes without zlib, so that only what is around it is its own.


def test_openssl_here_has_no_compression(referee):
    with pytest.raises(RefusedError, match="unsupported compression algorithm"):
        referee.cms("-compress", "-in", referee.put(BODY), "-outform", "DER")


def test_we_read_compressed_content_within_and_around_other_layers(referee, people):
    signed = referee.sign("p256", options=("-nodetach",))
    packed = compressed(zlib.compress(signed))
    encrypted = read_enveloped(referee.encrypt("rsa2048", options=("-aes-128-cbc", "-stream"), content=packed))
    opened = decompress(encrypted.decrypt(people.keys("rsa2048"), 1_000_000), 1_000_000)
    (check,) = verify(read_signed(opened), None)
    assert (check.verified, read_signed(opened).econtent) == (True, BODY)
    around = referee.sign("p384", options=("-nodetach", "-stream"), content=packed)
    assert decompress(read_signed(around).econtent, 1_000_000) == signed
