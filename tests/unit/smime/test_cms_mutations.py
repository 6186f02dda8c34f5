"""Whatever is done to a CMS structure: CmsError or a clean answer, nothing else, and never a false good."""

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from hypothesis import given
from hypothesis import strategies as st

import old_cms
from cms_samples import BODY, keys, people, samples
from mailseal.smime.compress import decompress
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.verify import read_signed, verify

NAMES = (
    *(f"encrypted-{cipher}" for cipher in ("aes128-cbc", "aes256-cbc", "aes128-gcm", "aes256-gcm")),
    *(f"{form}-{kind}" for form in ("detached", "opaque") for kind in ("rsa2048", "p256", "p384")),
    "compressed",
)
OLD_NAMES = tuple(sorted(old_cms.samples()))
KEYS = (*keys("p256", "rsa2048"), (None, x25519.X25519PrivateKey.generate()))


def use(octets: bytes) -> None:
    """Everything that is done with a structure from outside."""
    known = [person.certificate for person in people().values()]
    for read in (
        _open,
        lambda one: read_enveloped(one).decrypt_with_secrets(old_cms.secrets(), 10_000),
        lambda one: verify(read_signed(one), BODY, known),
        lambda one: decompress(one, 1000),
    ):
        try:
            read(octets)
        except CmsError:
            continue


def _open(octets: bytes) -> bytes:
    return read_enveloped(octets).decrypt(keys("p256", "rsa2048", "p384"), 10_000)


def unwrap(octets: bytes) -> None:
    """All content keys, also with keys that are not named."""
    for info in read_enveloped(octets)._infos[:3]:
        for _, key in KEYS:
            info.unwrap(key, bytes(24))


@st.composite
def mutated(draw):
    everything = samples() | old_cms.samples()
    octets = bytearray(everything[draw(st.sampled_from((*NAMES, *OLD_NAMES)))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(octets) - 1))
        how = draw(st.sampled_from(["set", "cut", "insert", "remove", "copy"]))
        if how == "set":
            octets[at] = draw(st.integers(0, 255))
        elif how == "cut":
            del octets[at + 1 :]
        elif how == "insert":
            octets[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif how == "remove":
            del octets[at : at + draw(st.integers(1, 4))]
        else:
            octets[at : at + 8] = octets[at // 2 : at // 2 + 8]
        octets = octets or bytearray(b"\x30")
    return bytes(octets)


@given(mutated())
def test_mutations_raise_only_the_typed_error(octets):
    use(octets)


@given(mutated())
def test_keys_that_nobody_named_raise_only_the_typed_error(octets):
    with suppress(CmsError):
        unwrap(octets)


@given(st.binary(max_size=300))
def test_any_octets_raise_only_the_typed_error(octets):
    use(octets)


@pytest.mark.parametrize("name", [*NAMES, *OLD_NAMES])
def test_every_truncation_raises_only_the_typed_error(name):
    octets = (samples() | old_cms.samples())[name]
    for end in range(0, len(octets), 7):
        use(octets[:end])


@given(st.data())
def test_a_changed_octet_never_yields_other_authenticated_content(data):
    octets = bytearray(samples()["encrypted-aes256-gcm"])
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        content = _open(bytes(octets))
    except CmsError:
        return
    assert content == BODY


@given(st.data())
def test_a_signature_never_covers_other_content(data):
    octets = bytearray(samples()["opaque-p256"])
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        signed = read_signed(bytes(octets))
        checks = verify(signed, None, [person.certificate for person in people().values()])
    except CmsError:
        return
    if any(check.verified for check in checks):
        assert signed.econtent == BODY
