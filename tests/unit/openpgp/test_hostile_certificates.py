"""Certificates made to cost time, or to be read otherwise than by gpg and Sequoia."""

import secrets

import pytest

import pgp_craft as craft
from mailseal.openpgp.algorithms import HASHES, HashId
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.fields import write_mpi
from mailseal.openpgp.key import PublicKey, read_public_key
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.signature import SignatureType, digest_of, over_keys, over_user_id, verification_microseconds
from mailseal.openpgp.subpackets import Kind, seconds, write_subpacket
from mailseal.policy.reason import ReasonCode
from pgp_craft import MADE

TEXT = "anna@example.com"
PRIMARY = craft.key()


# ---- time


def slow_key() -> PublicKey:
    """RSA with 16,384 bits and the longest exponent: four milliseconds for each signature, if it holds or not."""
    n = int.from_bytes(secrets.token_bytes(2048), "big") | 1 << 16_383 | 1
    return read_public_key(craft.body(write_packet(Tag.PUBLIC_KEY, head(1) + write_mpi(n) + write_mpi(1 << 63 | 1))))


def head(algorithm: int) -> bytes:
    return bytes((4,)) + int(MADE.timestamp()).to_bytes(4, "big") + bytes((algorithm,))


def forged(by: PublicKey, kind: SignatureType, hashed, number: int) -> bytes:
    """The body of a signature that has all of one but that it holds; each number makes another."""
    area = write_subpacket(Kind.CREATED, seconds(int(MADE.timestamp()) + number))
    head = bytes((4, kind, by.algorithm, HashId.SHA256)) + len(area).to_bytes(2, "big") + area
    issuer = write_subpacket(Kind.ISSUER, bytes.fromhex(by.key_id))
    left = digest_of(HASHES[HashId.SHA256], b"", hashed, head)[:2]
    return head + len(issuer).to_bytes(2, "big") + issuer + left + write_mpi(number + 2)


def by_a_slow_primary_key(count):
    slow = slow_key()
    hashed = over_user_id(4, slow, TEXT.encode())
    signatures = [
        write_packet(Tag.SIGNATURE, forged(slow, SignatureType.POSITIVE, hashed, one)) for one in range(count)
    ]
    return write_packet(Tag.PUBLIC_KEY, slow.octets) + craft.user_id_packet(TEXT) + b"".join(signatures)


def by_a_slow_subkey(count):
    """Four to a binding, none of which is the back signature that it needs."""
    slow = craft.Key(slow_key(), PRIMARY.private)
    hashed = over_keys(4, PRIMARY.public, slow.public)
    backs = [forged(slow.public, SignatureType.PRIMARY_KEY_BINDING, hashed, one) for one in range(count)]
    embedded = [write_subpacket(Kind.EMBEDDED, one) for one in backs]
    bindings = [craft.bind(PRIMARY, slow, craft.flags(2), *embedded[at : at + 4]) for at in range(0, count, 4)]
    return craft.certificate(PRIMARY, craft.user_id(PRIMARY, TEXT), craft.subkey_packet(slow), b"".join(bindings))


@pytest.mark.parametrize("made", [by_a_slow_primary_key, by_a_slow_subkey])
def test_what_would_take_long_to_verify_is_not(made):
    assert not read_certificate(made(4)).subkeys
    with pytest.raises(PgpError) as raised:
        read_certificate(made(100))
    assert raised.value.reason is ReasonCode.TOO_LARGE


def test_what_a_signature_costs():
    costs = [verification_microseconds(craft.key(kind).public) for kind in ("rsa2048", "ed25519", "p521", "bp256")]
    assert costs == [26, 120, 1000, 1000]
    assert verification_microseconds(slow_key()) > 3000
