"""SMIMECapabilities: ours, those of other programs, and hostile ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import BODY, identity
from mailseal.policy.settings import Cipher, Digest, KeyTransport
from mailseal.smime import algorithms, ber, der
from mailseal.smime.capabilities import (
    ALL,
    MAX_CAPABILITIES,
    OURS,
    Capabilities,
    capabilities_of_extension,
    read_capabilities,
)
from mailseal.smime.errors import CmsError
from mailseal.smime.form import SignatureForm
from mailseal.smime.sign import sign
from mailseal.smime.signed import read_signed
from pki import NOW


def read(*capabilities: bytes) -> Capabilities:
    return read_capabilities(ber.read(der.sequence(*capabilities)))


def capability(dotted: str, *parameters: bytes) -> bytes:
    return der.sequence(der.oid(dotted), *parameters)


def of(text: str) -> Capabilities:
    return Capabilities.from_text(text)


AES256_GCM, AES128_GCM = "2.16.840.1.101.3.4.1.46", "2.16.840.1.101.3.4.1.6"
AES256, AES192, AES128 = (f"2.16.840.1.101.3.4.1.{last}" for last in (42, 22, 2))
TRIPLE_DES, RC2, DES = "1.2.840.113549.3.7", "1.2.840.113549.3.2", "1.3.14.3.2.7"


def test_ours_octet_by_octet():
    """By category and preference (RFC 8551 §2.5.2); NULL as RFC 8551 wants it behind RSA; PSS and OAEP of RFC 4055."""
    pss = "3041 06092a864886f70d01010a 3034 a00f 300d 060960864801650304020{0} 0500 a11c 301a 06092a864886f70d010108"
    pss += " 300d 060960864801650304020{0} 0500 a203 0201{1}"
    oaep = "303c 06092a864886f70d010107 302f a00f 300d 0609608648016503040201 0500 a11c 301a 06092a864886f70d010108"
    oaep += " 300d 0609608648016503040201 0500"
    lines = [
        "3005 06032b6570",
        *(f"300a 06082a8648ce3d04030{last}" for last in (4, 3, 2)),
        *(pss.format(last, salt) for last, salt in ((3, "40"), (2, "30"), (1, "20"))),
        *(f"300d 06092a864886f70d01010{last} 0500" for last in "dcb"),
        *(f"300b 06096086480165030401{last}" for last in ("2e", "1a", "06", "2a", "16", "02")),
        oaep,
        "300d 06092a864886f70d010101 0500",
    ]
    assert der.sequence(*(bytes.fromhex(line.replace(" ", "")) for line in lines)) == OURS


def test_ours_are_in_what_we_sign_and_read_as_what_we_can():
    signed = read_signed(sign(BODY, identity("p256"), SignatureForm(), at=NOW))
    told = signed.signers[0].capabilities
    assert told == Capabilities(frozenset(Cipher), frozenset({KeyTransport.OAEP_SHA256}), frozenset(Digest), pss=True)
    assert signed.signers[0].attributes[algorithms.SMIME_CAPABILITIES][0].whole == OURS


@pytest.mark.parametrize(
    ("program", "capabilities", "told"),
    [
        (
            "openssl cms",
            [capability(one) for one in (AES256, "1.2.643.2.2.9", "1.2.643.2.2.21", AES192, AES128, TRIPLE_DES)]
            + [capability(RC2, der.integer(128)), capability(RC2, der.integer(64)), capability(DES)]
            + [capability(RC2, der.integer(40))],
            "aes256-cbc aes192-cbc aes128-cbc",
        ),
        (
            "Outlook",
            [
                *map(capability, (AES256, AES192, AES128, TRIPLE_DES)),
                *(capability(RC2, der.integer(bits)) for bits in (128, 40)),
                *map(capability, (DES, "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.3", "2.16.840.1.101.3.4.2.1")),
            ],
            "aes256-cbc aes192-cbc aes128-cbc sha512 sha256",
        ),
        (
            "Windows, extension of a certificate",
            [capability(f"2.16.840.1.101.3.4.1.{last}") for last in (42, 45, 22, 25, 2, 5)] + [capability(TRIPLE_DES)],
            "aes256-cbc aes192-cbc aes128-cbc",
        ),
        (
            "one with GCM and SHA-2 signatures",
            [
                *map(capability, (AES256_GCM, AES128_GCM, AES128, "1.2.840.10045.4.3.3")),
                capability("1.2.840.113549.1.1.13", der.NULL),
            ],
            "aes256-gcm aes128-gcm aes128-cbc sha512 sha384",
        ),
        ("an old one", [capability(TRIPLE_DES), capability(RC2, der.integer(40)), capability("1.3.14.3.2.26")], ""),
        ("none", [], ""),
    ],
)
def test_what_programs_say(program, capabilities, told):
    assert read(*capabilities) == of(told), program
    assert capabilities_of_extension(der.sequence(*capabilities)) == of(told)


def rsa_parameters(digest: bytes, mask: bytes, *more: bytes) -> bytes:
    return der.sequence(der.element(0xA0, digest), der.element(0xA1, der.sequence(algorithms.MGF1, mask)), *more)


SHA1, SHA256, SHA512 = algorithms.SHA1, algorithms.SHA256, algorithms.SHA512
PLAIN, NULLED = der.sequence(SHA256.oid), der.sequence(SHA256.oid, der.NULL)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ((), "oaep-sha1"),
        ((der.NULL,), "oaep-sha1"),
        ((der.sequence(),), "oaep-sha1"),
        ((rsa_parameters(PLAIN, PLAIN),), "oaep-sha256"),
        ((rsa_parameters(NULLED, PLAIN),), "oaep-sha256"),
        ((rsa_parameters(NULLED, NULLED),), "oaep-sha256"),
        ((rsa_parameters(der.sequence(SHA512.oid), der.sequence(SHA512.oid)),), "oaep-sha512"),
        ((der.sequence(der.element(0xA0, NULLED)),), ""),  # the mask is SHA-1: not what we would write
        ((rsa_parameters(NULLED, der.sequence(SHA512.oid)),), ""),
        ((der.octet_string(b"x"),), ""),
    ],
)
def test_oaep(parameters, told):
    assert read(der.sequence(algorithms.RSAES_OAEP, *parameters)) == of(told)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ((), ""),
        ((der.sequence(),), ""),  # SHA-1
        ((rsa_parameters(NULLED, NULLED, der.element(0xA2, der.integer(32))),), "pss sha256"),
        ((rsa_parameters(PLAIN, NULLED, der.element(0xA2, der.integer(32))),), "pss sha256"),
        ((rsa_parameters(NULLED, NULLED),), ""),  # a salt of 20 octets
        ((rsa_parameters(NULLED, der.sequence(SHA1.oid), der.element(0xA2, der.integer(32))),), ""),
    ],
)
def test_pss(parameters, told):
    assert read(der.sequence(algorithms.RSASSA_PSS, *parameters)) == of(told)


BAD = [
    b"",
    der.NULL,
    der.integer(5),
    der.sequence(),
    der.sequence(der.integer(1)),
    der.sequence(der.element(0x06)),
    capability(AES256, der.integer(256)),
    capability(AES256, der.NULL, der.NULL),
    capability("1.2.3.4.5", der.octet_string(b"x" * 500)),
    der.element(0x30, b"\x06\x82\xff\xff"),
]


@pytest.mark.parametrize("bad", BAD)
def test_one_that_cannot_be_read_hides_none_of_the_others(bad):
    assert read(capability(AES256_GCM), bad, capability(AES128, der.NULL)) == of("aes256-gcm aes128-cbc")


def test_bounds():
    many = [capability(f"1.2.3.{number}") for number in range(MAX_CAPABILITIES - 1)]
    assert read(*many, capability(AES256)) == of("aes256-cbc")
    with pytest.raises(CmsError):
        read(*many, capability(AES256), capability(AES128))
    with pytest.raises(CmsError):
        read(capability(AES256), der.octet_string(bytes(10_000)))
    for octets in (b"", b"\x30", der.NULL, der.octet_string(b"x"), der.element(0x31, capability(AES256))):
        assert capabilities_of_extension(octets) is None


@given(st.binary(max_size=200))
def test_hostile_octets(octets):
    try:
        told = read_capabilities(ber.read(octets))
    except CmsError:
        told = None
    assert capabilities_of_extension(octets) == told


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(0, 8))
def test_hostile_entries(entries, where):
    entries.insert(where % (len(entries) + 1), capability(AES256_GCM))
    try:
        told = read(*entries)
    except CmsError:
        return
    assert told.ciphers <= ALL.ciphers


some = st.builds(
    Capabilities,
    st.frozensets(st.sampled_from(Cipher)),
    st.frozensets(st.sampled_from(KeyTransport)),
    st.frozensets(st.sampled_from(Digest)),
    st.booleans(),
)


@given(some)
def test_as_text_and_back(one):
    assert of(one.text) == one
    assert one.text == " ".join(sorted(one.text.split()))
    assert one.text


def test_the_text_of_the_extremes():
    assert Capabilities().text == "none"
    assert of("none") == of("") == of("rot13 aes512-cbc") == Capabilities()
    assert of(ALL.text) == ALL
    assert len(ALL.text) < 400
