"""Certificates out of rings with their secret keys: unlocked, validated, each that is left out with a reason."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mailseal.openpgp import importing
from mailseal.openpgp.algorithms import KeyAlgorithm
from mailseal.openpgp.attached import split_certificates
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.fields import write_mpi
from mailseal.openpgp.importing import read_transferable
from mailseal.openpgp.key import public_key_body, read_public_key
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.openpgp.secret_key import write_secret_key
from mailseal.policy.reason import ReasonCode
from pgp_keys import MADE, shared_key

ANNA = shared_key("Anna <anna@inside.test>")
PASSWORD = "correct horse"


def unasked():
    raise AssertionError("no password is needed")


def with_secret(octets, public, tag, body):
    """The packets with another one in place of a key's."""
    packets = [(one.tag, one.octets) for one in read_packets(octets)]
    return b"".join(
        write_packet(tag, body) if content.startswith(public.octets) else write_packet(number, content)
        for number, content in packets
    )


def test_public_keys_alone():
    found = read_transferable(ANNA.octets, unasked)
    assert (found.certificate, found.keys, found.notes, found.lost_key) == (ANNA.certificate, (), (), False)


def test_not_locked():
    found = read_transferable(ANNA.secret, unasked)
    assert [public.fingerprint for public, _ in found.keys] == [public.fingerprint for public, _ in ANNA.keys]
    assert [key.private_bytes_raw() for _, key in found.keys] == [key.private_bytes_raw() for _, key in ANNA.keys]
    assert found.certificate.octets == ANNA.certificate.octets
    assert "PrivateKey" not in repr(found)


def test_locked():
    assert len(read_transferable(ANNA.locked(PASSWORD), lambda: PASSWORD).keys) == 2
    for given, why in (("wrong", "does not open"), ("", "locked by a password")):
        found = read_transferable(ANNA.locked(PASSWORD), lambda given=given: given)
        assert (found.keys, found.lost_key, len(found.notes)) == ((), True, 2)
        assert why in found.notes[0]
        assert found.certificate == ANNA.certificate


def test_kept_elsewhere_is_not_lost():
    primary = ANNA.keys[0][0]
    elsewhere = with_secret(ANNA.secret, primary, Tag.SECRET_KEY, primary.octets + b"\xff\x07\x65\x02GNU\x01")
    found = read_transferable(elsewhere, lambda: "")
    assert [public.fingerprint for public, _ in found.keys] == [ANNA.keys[1][0].fingerprint]
    assert "kept elsewhere" in found.notes[0]
    assert not found.lost_key


def test_one_that_is_damaged_is_lost_alone():
    public = ANNA.keys[1][0]
    damaged = with_secret(ANNA.secret, public, Tag.SECRET_SUBKEY, public.octets + b"\0\0\x08\x55\0\0")
    found = read_transferable(damaged, unasked)
    assert (len(found.keys), found.lost_key) == (1, True)


def test_the_secret_of_another_key_is_not_taken():
    public, other = ANNA.keys[1][0], shared_key("Bob <bob@inside.test>").keys[1][1]
    wrong = write_secret_key(public, other, None, Tag.SECRET_SUBKEY)
    found = read_transferable(with_secret(ANNA.secret, public, Tag.SECRET_SUBKEY, wrong), unasked)
    assert (len(found.keys), found.lost_key) == (1, True)
    assert "does not belong" in found.notes[0]


def test_one_that_nothing_binds_is_left_out_with_its_key():
    key = rsa.generate_private_key(65_537, 2048)
    public = read_public_key(public_key_body(key.public_key(), KeyAlgorithm.RSA, MADE))
    more = write_packet(Tag.SECRET_SUBKEY, write_secret_key(public, key, None, Tag.SECRET_SUBKEY))
    found = read_transferable(ANNA.secret + more, unasked)
    assert (len(found.keys), found.lost_key) == (2, False)
    assert [one.what for one in found.certificate.omissions] == [public.fingerprint]


def of_tomorrow(tag):
    """A secret key by an algorithm that we do not know: who does not cannot tell where its public half ends."""
    return write_packet(tag, bytes((4, 0, 0, 0, 0, 35)) + b"public half, secret half, not locked")


def test_nothing_of_a_secret_is_taken_for_a_public_key():
    with pytest.raises(PgpError) as raised:
        read_transferable(of_tomorrow(Tag.SECRET_KEY) + write_packet(Tag.USER_ID, b"x"), unasked)
    assert raised.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM
    # Nothing binds the subkeys of a DSA key, since it cannot be verified by: they are kept as they are.
    dsa = bytes((4, 0, 0, 0, 0, KeyAlgorithm.DSA)) + write_mpi(3) * 4
    for primary in (ANNA.secret, write_packet(Tag.SECRET_KEY, dsa + b"\0" + write_mpi(1) + b"\0\x02")):
        found = read_transferable(primary + of_tomorrow(Tag.SECRET_SUBKEY), unasked)
        assert b"secret half" not in found.certificate.octets
        assert found.certificate.omissions[-1].reason is ReasonCode.UNSUPPORTED_ALGORITHM
        assert found.lost_key
        assert "a secret key cannot be read" in found.notes[-1]


def test_no_secret_key_is_split_off_for_a_public_one():
    """Whoever attaches his secret key to a mail by mistake: nothing keeps it."""
    bob = shared_key("Bob <bob@inside.test>")
    (secret_subkey,) = (one for one in read_packets(bob.secret) if one.tag == Tag.SECRET_SUBKEY)
    with_subkey = ANNA.octets + write_packet(Tag.SECRET_SUBKEY, secret_subkey.octets)
    assert split_certificates(ANNA.octets + bob.octets) == [ANNA.octets, bob.octets]
    for octets in (ANNA.octets + bob.secret, bob.secret + ANNA.octets, with_subkey):
        with pytest.raises(PgpError):
            split_certificates(octets)


def test_bounds(monkeypatch):
    monkeypatch.setattr(importing, "MAX_SECRET_KEYS", 1)
    found = read_transferable(ANNA.secret, unasked)
    assert (len(found.keys), found.lost_key) == (1, True)


@pytest.mark.parametrize("octets", [b"", write_packet(Tag.USER_ID, b"x"), write_packet(Tag.SECRET_KEY, b"\x03")])
def test_no_certificate_to_be_had(octets):
    with pytest.raises(PgpError):
        read_transferable(octets, unasked)
