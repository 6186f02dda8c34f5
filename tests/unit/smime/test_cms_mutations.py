"""Whatever is done to a CMS structure: CmsError or a clean answer, nothing else, and never a false good."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def use(octets: bytes) -> None:
    """Everything that is done with a structure from outside."""
    known = [person.certificate for person in people().values()]
    for read in (_open, lambda one: verify(read_signed(one), BODY, known), lambda one: decompress(one, 1000)):
        try:
            read(octets)
        except CmsError:
            continue


def _open(octets: bytes) -> bytes:
    return read_enveloped(octets).decrypt(keys("p256", "rsa2048", "p384"), 10_000)


@st.composite
def mutated(draw):
    octets = bytearray(samples()[draw(st.sampled_from(NAMES))])
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


@given(st.binary(max_size=300))
def test_any_octets_raise_only_the_typed_error(octets):
    use(octets)


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation_raises_only_the_typed_error(name):
    octets = samples()[name]
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
