"""Whatever is done to a message: PgpError or the content as it was, nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.openpgp import s2k
from mailseal.openpgp.armor import MESSAGE, read_armor, write_armor
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.message import read_encrypted
from mailseal.openpgp.work import Work
from pgp_samples import CONTENT, KINDS_V4, LIMIT, LITERAL, PASSWORD, keys, samples, sealed_packets

NAMES = tuple(sorted(samples()))
KEYS = [*keys(*KINDS_V4), *keys("x25519", "rsa1024", version=6)]


@pytest.fixture(scope="module")
def by_password():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s2k, "WRITTEN_COUNT", 0)
        return sealed_packets(LITERAL, passwords=[PASSWORD])


def use(octets: bytes) -> None:
    """Everything that is done with a message from outside."""
    try:
        found = read_encrypted(octets)
        opened = found.open(KEYS, [PASSWORD], max_bytes=LIMIT, work=Work(hashed_octets=100_000, argon2_kib=64))
    except PgpError:
        return
    assert opened.inner.literal == CONTENT


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
        octets = octets or bytearray(b"\xd2")
    return bytes(octets)


@given(mutated())
def test_mutations(octets):
    use(octets)


@given(st.binary(max_size=300))
def test_any_octets(octets):
    use(octets)


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation(name):
    octets = samples()[name]
    for end in range(0, len(octets), 11):
        use(octets[:end])


@given(st.data())
def test_mutations_of_a_message_by_a_password(by_password, data):
    octets = bytearray(by_password)
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    use(bytes(octets))


@given(st.data())
def test_mutations_of_the_armor(data):
    text = bytearray(b"".join(write_armor(MESSAGE, [samples()["to-cv25519"]])))
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        octets = read_armor(bytes(text)).octets
    except PgpError:
        return
    use(octets)
