"""OpenPGP by others: what gpg 2.2 wrote once, the samples of RFC 9580 and LibrePGP; see openpgp/README.md."""

from functools import cache
from pathlib import Path

import pytest

from mailseal.openpgp.armor import canonical_text, read_armor, read_cleartext
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.inner import UTF8, read_inner
from mailseal.openpgp.key import read_public_key
from mailseal.openpgp.message import Opened, read_encrypted
from mailseal.openpgp.packet import Tag, read_packets
from mailseal.openpgp.secret_key import SECRET_TAGS, is_locked, read_public_part, read_secret_key
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode

FOLDER = Path(__file__).parent / "openpgp"
CONTENT = (FOLDER / "gpg/content.txt").read_bytes()
LIMIT = 100_000


def octets(name: str) -> bytes:
    return read_armor((FOLDER / f"{name}.asc").read_bytes()).octets


def secret_packets(name: str) -> list:
    return [packet for packet in read_packets(octets(name)) if packet.tag in SECRET_TAGS]


@cache
def keys(name: str) -> list:
    return [read_secret_key(packet) for packet in secret_packets(name)]


def opened(name: str, which: slice = slice(None)) -> Opened:
    return read_encrypted(octets(name)).open(keys("gpg/keys")[which], max_bytes=LIMIT)


ANNA, BOB, CARL = slice(0, 2), slice(2, 4), slice(4, 6)


def test_keys_of_gpg():
    assert [public.name for public, _ in keys("gpg/keys")] == [
        "ed25519",
        "cv25519",
        "rsa2048",
        "rsa2048",
        "nistp384",
        "brainpoolP256r1",
    ]
    assert [read_public_key(public.octets).fingerprint for public, _ in keys("gpg/keys")] == [
        public.fingerprint for public, _ in keys("gpg/keys")
    ]


@pytest.mark.parametrize("name", ["signed-compressed", "compressed-zip", "compressed-bzip2", "compressed-none"])
@pytest.mark.parametrize("which", [ANNA, BOB])
def test_what_gpg_writes_to_two(name, which):
    found = opened(f"gpg/{name}", which)
    assert found.inner.literal == CONTENT
    assert found.key == keys("gpg/keys")[which][1][0]
    assert len(found.inner.signatures) == name.startswith("signed")
    with pytest.raises(PgpError) as caught:
        opened(f"gpg/{name}", CARL)
    assert caught.value.reason is ReasonCode.KEY_NOT_FOUND


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("aes128", "aes128-cfb"),
        ("aes192", "aes192-cfb"),
        ("3des", "3des-cfb"),
        ("cast5", "cast5-cfb"),
        ("blowfish", "blowfish-cfb"),
        ("camellia128", "camellia128-cfb"),
        ("camellia256", "camellia256-cfb"),
        ("idea", "idea-cfb"),
    ],
)
def test_ciphers_of_gpg(name, algorithm):
    found = opened(f"gpg/cipher-{name}")
    assert (found.inner.literal, found.algorithm) == (CONTENT, algorithm)
    assert found.weak is not name.startswith("aes")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cipher-twofish", ReasonCode.UNSUPPORTED_ALGORITHM), ("without-integrity", ReasonCode.NO_INTEGRITY)],
)
def test_what_is_not_opened(name, reason):
    with pytest.raises(PgpError) as caught:
        opened(f"gpg/{name}")
    assert caught.value.reason is reason


def test_other_messages_of_gpg():
    assert opened("gpg/curves").inner.literal == CONTENT
    assert opened("gpg/text-mode").inner.format == "t"
    assert canonical_text(opened("gpg/text-mode").inner.literal) == CONTENT
    assert len(opened("gpg/signed-twice").inner.signatures) == 2
    hidden = read_encrypted(octets("gpg/hidden"))
    assert all(one.hidden for one in hidden.recipients)
    for which in (ANNA, BOB):
        assert opened("gpg/hidden", which).inner.literal == CONTENT
    signed = read_inner(octets("gpg/signed"), LIMIT)
    assert (signed.literal, len(signed.signatures)) == (CONTENT, 1)


@pytest.mark.parametrize("name", ["simple", "salted", "iterated", "and-key"])
def test_passwords_of_gpg(name):
    found = read_encrypted(octets(f"gpg/password-{name}"))
    assert found.open([], ["wrong", "geheim"], max_bytes=LIMIT).inner.literal == CONTENT
    with pytest.raises(PgpError) as caught:
        found.open([], ["wrong"], max_bytes=LIMIT)
    assert caught.value.reason is ReasonCode.DECRYPTION_FAILED


def test_a_text_signed_by_gpg():
    found = read_cleartext((FOLDER / "gpg/cleartext.asc").read_bytes())
    assert found.content == b"- dash\r\nFrom me\r\n\r\ntab\r\n--\r\nend"
    assert next(read_packets(found.signatures)).tag == Tag.SIGNATURE


def test_keys_locked_by_gpg():
    packets = secret_packets("gpg/locked")
    assert all(is_locked(packet.body) for packet in packets)
    assert [read_secret_key(packet, "geheim")[0].name for packet in packets] == ["ed25519", "rsa1024"]
    for password in (None, "wrong"):
        with pytest.raises(PgpError) as caught:
            read_secret_key(packets[0], password)
        assert caught.value.reason is ReasonCode.DECRYPTION_FAILED


def test_a_primary_key_that_gpg_left_out():
    primary, *subkeys = secret_packets("gpg/subkeys-only")
    assert read_public_part(primary.body).name == "ed25519"
    with pytest.raises(PgpError) as caught:
        read_secret_key(primary, "geheim")
    assert caught.value.reason is ReasonCode.KEY_NOT_FOUND
    assert [read_secret_key(packet, "geheim")[0].name for packet in subkeys] == ["rsa1024", "cv25519"]


def test_keys_of_rfc9580():
    """Appendix A.3 has the fingerprints."""
    assert [public.fingerprint for public, _ in keys("rfc9580/v6-secret")] == [
        "cb186c4f0609a697e4d52dfa6c722b0c1f1e27c18a56708f6525ec27bad9acc9",
        "12c83f1e706f6308fe151a417743a1f033790e93e9978488d1db378da9930885",
    ]
    locked = secret_packets("rfc9580/v6-secret-locked")
    assert [read_public_part(packet.body) for packet in locked] == [public for public, _ in keys("rfc9580/v6-secret")]
    with pytest.raises(PgpError) as caught:
        read_secret_key(locked[0], "correct horse battery staple", Work(argon2_kib=1 << 20))
    assert caught.value.reason is ReasonCode.TOO_LARGE


def test_messages_of_rfc9580():
    found = read_encrypted(octets("rfc9580/x25519-ocb"))
    assert [(one.version, one.fingerprint) for one in found.recipients] == [
        (6, "12c83f1e706f6308fe151a417743a1f033790e93e9978488d1db378da9930885")
    ]
    assert found.open(keys("rfc9580/v6-secret"), max_bytes=LIMIT).inner.literal == b"Hello, world!"
    for mode in ("eax", "ocb", "gcm"):
        found = read_encrypted(octets(f"rfc9580/password-{mode}"))
        assert (found.algorithm, found.integrity) == (f"aes128-{mode}", "aead")
        assert found.open([], ["password"], max_bytes=LIMIT).inner.literal == b"Hello, world!"
    with pytest.raises(PgpError) as caught:
        read_encrypted(octets("rfc9580/password-argon2")).open(
            [], ["password"], max_bytes=LIMIT, work=Work(argon2_kib=1 << 20)
        )
    assert caught.value.reason is ReasonCode.TOO_LARGE


def test_signed_texts_of_rfc9580():
    text = b"What we need from the grocery store:\r\n\r\n- tofu\r\n- vegetables\r\n- noodles\r\n"
    cleartext = read_cleartext((FOLDER / "rfc9580/cleartext.asc").read_bytes())
    assert cleartext.content == text
    inline = read_inner(octets("rfc9580/inline"), LIMIT)
    assert (canonical_text(inline.literal), inline.format) == (text, UTF8)
    assert b"".join(inline.signatures) == cleartext.signatures


def test_the_ocb_packet_of_librepgp():
    found = read_encrypted(bytes.fromhex((FOLDER / "librepgp/password-ocb.hex").read_text()))
    assert (found.algorithm, found.integrity) == ("aes128-ocb", "aead")
    assert found.open([], ["password"], max_bytes=LIMIT).inner.literal == b"Hello, world!\n"
