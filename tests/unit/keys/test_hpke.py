"""Values sealed for a public key: they open with its private one, for the same purpose, unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.keys.hpke import PrivateKey, PublicKey
from mailseal.keys.sealing import BrokenSealError

KEY, OTHER = PrivateKey(bytes(range(32))), PrivateKey.generate()


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_was_sealed_opens(plaintext, info):
    assert KEY.open(KEY.public.seal(plaintext, info=info), info=info) == plaintext


@pytest.mark.parametrize("change", ["key", "info", "cut", "flipped", "empty"])
def test_nothing_else_opens(change):
    sealed = KEY.public.seal(b"an upload", info=b"ask")
    key, info = (OTHER if change == "key" else KEY), (b"result" if change == "info" else b"ask")
    sealed = {"cut": sealed[:-1], "flipped": sealed[:-1] + bytes([sealed[-1] ^ 1]), "empty": b""}.get(change, sealed)
    with pytest.raises(BrokenSealError):
        key.open(sealed, info=info)


@given(st.binary(max_size=200))
def test_any_octets_raise_only_our_error(octets):
    with pytest.raises(BrokenSealError):
        KEY.open(octets, info=b"")


def test_keys_are_read_as_they_were_written_and_are_not_shown():
    again = PrivateKey(KEY.octets)
    assert again.public == KEY.public == PublicKey(KEY.public.octets)
    assert KEY.public != OTHER.public
    assert KEY.octets.hex() not in repr(KEY)


@pytest.mark.parametrize("octets", [b"", bytes(31), bytes(33)])
def test_keys_of_another_length_are_none(octets):
    with pytest.raises(BrokenSealError):
        PublicKey(octets)
    with pytest.raises(BrokenSealError):
        PrivateKey(octets)


def test_a_public_key_that_hides_nothing_seals_nothing():
    with pytest.raises(BrokenSealError):
        PublicKey(bytes(32)).seal(b"x", info=b"")
