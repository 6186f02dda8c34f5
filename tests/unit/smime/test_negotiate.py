"""The choice of a form: what all readers have told, above the baseline of the profile and the floor."""

from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.settings import (
    Cipher,
    CipherBits,
    CipherChoice,
    Digest,
    DigestChoice,
    KeyTransport,
    KeyTransportChoice,
    RsaSignature,
    RsaSignatureChoice,
    Settings,
    SmimeProfile,
)
from mailseal.smime import algorithms, der
from mailseal.smime.capabilities import ALL, OURS, Capabilities
from mailseal.smime.certificate import Revocation, StoredCertificate, Verdict
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.negotiate import capabilities_of, encryption_form, signature_form
from pki import Authority

CA = Authority("Negotiate CA")
DEFAULT = Settings()
EDI = Settings(smime_profile=SmimeProfile.EDI)
AUTO = {
    "smime_cipher": CipherChoice.AUTO,
    "smime_key_transport": KeyTransportChoice.AUTO,
    "smime_digest": DigestChoice.AUTO,
    "smime_rsa_signature": RsaSignatureChoice.AUTO,
}

capabilities = st.builds(
    Capabilities,
    st.frozensets(st.sampled_from(Cipher)),
    st.frozensets(st.sampled_from(KeyTransport)),
    st.frozensets(st.sampled_from(Digest)),
    st.booleans(),
)
readers_of_a_mail = st.lists(st.none() | capabilities | st.just(ALL), max_size=4)
any_settings = st.builds(
    Settings,
    smime_profile=st.sampled_from(SmimeProfile),
    smime_cipher=st.sampled_from(CipherChoice),
    smime_min_cipher_bits=st.sampled_from(CipherBits),
    smime_authenticated_only=st.booleans(),
    smime_key_transport=st.sampled_from(KeyTransportChoice),
    smime_digest=st.sampled_from(DigestChoice),
    smime_rsa_signature=st.sampled_from(RsaSignatureChoice),
    smime_opaque=st.booleans(),
)

# Worst first; of OAEP the usual one is preferred to longer digests.
CIPHERS, DIGESTS, PADDINGS = list(Cipher), list(Digest), list(RsaSignature)
TRANSPORTS = [
    KeyTransport.PKCS1V15,
    KeyTransport.OAEP_SHA1,
    KeyTransport.OAEP_SHA384,
    KeyTransport.OAEP_SHA512,
    KeyTransport.OAEP_SHA256,
]


def of(text: str) -> Capabilities:
    return Capabilities.from_text(text)


def forms(settings: Settings, readers: list) -> tuple[EncryptionForm, SignatureForm]:
    return encryption_form(settings, readers), signature_form(settings, readers)


def ranks(settings: Settings, readers: list) -> tuple[int, int, int, int]:
    encryption, signature = forms(settings, readers)
    return (
        CIPHERS.index(encryption.cipher),
        TRANSPORTS.index(encryption.key_transport),
        DIGESTS.index(signature.digest),
        PADDINGS.index(signature.rsa),
    )


@pytest.mark.parametrize(
    ("settings", "readers", "expected"),
    [
        (DEFAULT, [], "aes256-cbc pkcs1v15 sha256 pkcs1v15"),
        (DEFAULT, [None], "aes256-cbc pkcs1v15 sha256 pkcs1v15"),
        (DEFAULT, [ALL], "aes256-gcm oaep-sha256 sha512 pss"),
        (DEFAULT, [ALL, None], "aes256-cbc pkcs1v15 sha256 pkcs1v15"),
        (DEFAULT, [of("aes128-cbc sha256")], "aes256-cbc pkcs1v15 sha256 pkcs1v15"),
        (DEFAULT, [of("aes128-gcm aes256-cbc sha384")], "aes128-gcm pkcs1v15 sha384 pkcs1v15"),
        (DEFAULT, [of("aes256-gcm oaep-sha1"), of("aes256-gcm aes128-gcm oaep-sha1 oaep-sha256")],
         "aes256-gcm oaep-sha1 sha256 pkcs1v15"),
        (DEFAULT, [of("aes256-gcm"), of("aes128-gcm")], "aes256-cbc pkcs1v15 sha256 pkcs1v15"),
        (EDI, [], "aes128-cbc oaep-sha256 sha256 pss"),
        (EDI, [None], "aes128-cbc oaep-sha256 sha256 pss"),
        (EDI, [of("aes256-gcm aes256-cbc")], "aes128-cbc oaep-sha256 sha256 pss"),
        (EDI, [ALL], "aes128-gcm oaep-sha256 sha256 pss"),
    ],
)  # fmt: skip
def test_examples(settings, readers, expected):
    encryption, signature = forms(settings, readers)
    assert f"{encryption.cipher} {encryption.key_transport} {signature.digest} {signature.rsa}" == expected


@pytest.mark.parametrize(
    ("settings", "told", "cipher"),
    [
        # the floor is met by what he told, or by the baseline, never by a guess beyond both
        (replace(DEFAULT, smime_min_cipher_bits=CipherBits.BITS_256), "aes128-gcm", "aes256-cbc"),
        (replace(DEFAULT, smime_min_cipher_bits=CipherBits.BITS_192), "aes128-gcm aes192-gcm", "aes192-gcm"),
        (replace(EDI, smime_min_cipher_bits=CipherBits.BITS_192), "aes128-gcm", "aes192-cbc"),
        (replace(EDI, smime_min_cipher_bits=CipherBits.BITS_256), "aes256-gcm", "aes256-gcm"),
        (replace(DEFAULT, smime_authenticated_only=True), "", "aes256-gcm"),
        (replace(DEFAULT, smime_authenticated_only=True), "aes128-gcm", "aes128-gcm"),
        (replace(EDI, smime_authenticated_only=True), "", "aes128-gcm"),
        (replace(DEFAULT, smime_cipher=CipherChoice.AES128_CBC), "aes256-gcm", "aes128-cbc"),
        (
            replace(DEFAULT, smime_cipher=CipherChoice.AES128_CBC, smime_min_cipher_bits=CipherBits.BITS_192),
            "aes256-gcm",
            "aes192-cbc",
        ),
        (replace(DEFAULT, smime_cipher=CipherChoice.AES128_CBC, smime_authenticated_only=True), "", "aes128-gcm"),
    ],
)
def test_floors(settings, told, cipher):
    assert encryption_form(settings, [of(told)]).cipher == cipher


@given(any_settings, readers_of_a_mail)
def test_never_below_the_floor(settings, readers):
    cipher = encryption_form(settings, readers).cipher
    assert int(cipher[3:6]) >= int(settings.smime_min_cipher_bits)
    assert cipher.endswith("gcm") or not settings.smime_authenticated_only


@given(any_settings, readers_of_a_mail)
def test_beyond_the_baseline_only_what_every_reader_told(settings, readers):
    settings = replace(settings, **AUTO)
    base, base_signature = forms(settings, [])
    encryption, signature = forms(settings, readers)
    for value, baseline, told in (
        (encryption.cipher, base.cipher, lambda one: one.ciphers),
        (encryption.key_transport, base.key_transport, lambda one: one.key_transports),
        (signature.digest, base_signature.digest, lambda one: one.digests),
        (signature.rsa, base_signature.rsa, lambda one: {RsaSignature.PSS} if one.pss else set()),
    ):
        assert value == baseline or (readers and all(one is not None and value in told(one) for one in readers))


@given(any_settings, readers_of_a_mail)
def test_what_is_set_is_what_is_used_above_the_floor(settings, readers):
    encryption, signature = forms(settings, readers)
    if settings.smime_cipher is not CipherChoice.AUTO:
        chosen = Cipher(settings.smime_cipher.value)
        if int(chosen[3:6]) >= int(settings.smime_min_cipher_bits):
            assert encryption.cipher[:6] == chosen[:6]
        if not settings.smime_authenticated_only:
            assert encryption.cipher[6:] == chosen[6:]
    if settings.smime_key_transport is not KeyTransportChoice.AUTO:
        assert encryption.key_transport == settings.smime_key_transport.value
    if settings.smime_digest is not DigestChoice.AUTO:
        assert signature.digest == settings.smime_digest.value
    if settings.smime_rsa_signature is not RsaSignatureChoice.AUTO:
        assert signature.rsa == settings.smime_rsa_signature.value
    assert signature.opaque is settings.smime_opaque


@given(any_settings, readers_of_a_mail)
def test_one_reader_who_has_not_told_makes_it_the_baseline(settings, readers):
    assert forms(settings, [*readers, None]) == forms(settings, []) == forms(settings, [Capabilities()])


@given(any_settings, readers_of_a_mail, st.randoms())
def test_neither_the_order_of_readers_counts_nor_how_often_they_come(settings, readers, random):
    shuffled = [*readers, *readers[:1]]
    random.shuffle(shuffled)
    assert forms(settings, shuffled) == forms(settings, readers)


@given(any_settings, readers_of_a_mail, capabilities, capabilities)
def test_a_reader_who_tells_less_raises_nothing(settings, others, one, other):
    less = Capabilities(
        one.ciphers & other.ciphers,
        one.key_transports & other.key_transports,
        one.digests & other.digests,
        one.pss and other.pss,
    )
    told_more, told_less = ranks(settings, [*others, one]), ranks(settings, [*others, less])
    assert all(low <= high for low, high in zip(told_less, told_more, strict=True))


@given(any_settings, readers_of_a_mail, st.none() | capabilities)
def test_what_a_hostile_reader_says_makes_nothing_worse_than_the_baseline(settings, others, hostile):
    """He can take from a shared ciphertext what is beyond the baseline, as by saying nothing; no more than that."""
    baseline = ranks(settings, [])
    assert all(low <= found for low, found in zip(baseline, ranks(settings, [*others, hostile]), strict=True))


def stored(key="rsa2048", *, extension: bytes | None = None, **fields) -> StoredCertificate:
    extra = []
    if extension is not None:
        extra = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113549.1.9.15"), extension), False)]
    certificate = CA.issue("bob@example.org", key=key, extra=extra).certificate
    good = Verdict(True, None, certificate.not_before, certificate.not_after, Revocation.GOOD, None)
    return StoredCertificate(certificate, good, **fields)


GCM_ONLY = der.sequence(der.sequence(algorithms.CIPHERS_BY_NAME["aes256-gcm"].oid))


def test_what_an_owner_can_read():
    assert capabilities_of(stored()) is None
    assert capabilities_of(stored(has_key=True)) is ALL
    assert capabilities_of(stored(has_key=True, capabilities=of("aes128-cbc"))) is ALL
    assert capabilities_of(stored(capabilities=of("aes256-gcm pss"))) == of("aes256-gcm pss")
    assert capabilities_of(stored(extension=GCM_ONLY)) == of("aes256-gcm")
    assert capabilities_of(stored(extension=OURS)).pss
    # what he told himself counts for more than what his CA wrote
    assert capabilities_of(stored(extension=GCM_ONLY, capabilities=of("aes128-cbc"))) == of("aes128-cbc")
    assert capabilities_of(stored(extension=b"\x04\x01x")) is None


def test_a_key_that_is_agreed_stands_in_the_way_of_no_key_transport():
    readers = [capabilities_of(stored("p256")), capabilities_of(stored(capabilities=of("oaep-sha256 aes256-gcm")))]
    assert encryption_form(DEFAULT, readers) == EncryptionForm(Cipher.AES256_CBC, KeyTransport.OAEP_SHA256)
    assert signature_form(DEFAULT, readers) == SignatureForm()
