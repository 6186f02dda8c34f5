"""Encrypted messages, from their readers to what they hold: who opens them, how often it is tried, what is said."""

import os
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mailseal.errors import TransientError
from mailseal.openpgp import message, s2k
from mailseal.openpgp.algorithms import AeadId, CipherId, CompressionId
from mailseal.openpgp.encryption import FAILED, encrypted
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.form import EncryptionForm, Reader, form_for
from mailseal.openpgp.inner import write_literal
from mailseal.openpgp.message import MAX_READERS, encrypt_message, read_encrypted
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.openpgp.session_key import new_session_key, write_pkesk
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode
from pgp_craft import key
from pgp_samples import (
    CONTENT,
    KINDS_V4,
    LIMIT,
    LITERAL,
    PASSWORD,
    by_cipher,
    in_ocb_packet,
    keys,
    new_key,
    old_packet,
    partial_packet,
    reader,
    samples,
    sealed,
    sealed_packets,
    with_session_key,
)

EVERYBODY = [*keys(*KINDS_V4), *keys("x25519", "rsa1024", version=6)]


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch):
    monkeypatch.setattr(s2k, "WRITTEN_COUNT", 0)
    monkeypatch.setattr(s2k, "WRITTEN_ARGON2", (1, 1, 6))


def why(octets: bytes, pairs, passwords=(), *, max_bytes: int = LIMIT, work: Work | None = None) -> ReasonCode:
    with pytest.raises(PgpError) as caught:
        read_encrypted(octets).open(pairs, passwords, max_bytes=max_bytes, work=work)
    if caught.value.reason is ReasonCode.DECRYPTION_FAILED:
        assert str(caught.value) == FAILED
    return caught.value.reason


@pytest.mark.parametrize("name", sorted(set(samples()) - {"without-integrity"}))
def test_every_kind(name):
    found = read_encrypted(samples()[name])
    opened = found.open(EVERYBODY, max_bytes=LIMIT)
    assert opened.inner.literal == CONTENT
    aead = name.startswith(("aead", "ocb"))
    assert found.integrity == ("aead" if aead else "mdc")
    assert found.algorithm == (f"aes256-{name[-3:]}" if aead else "")
    assert opened.algorithm == (found.algorithm or ("3des-cfb" if name == "3des" else "aes256-cfb"))
    assert opened.weak is (name == "3des")
    assert found.keeps_secret


def test_everybody_opens_what_is_for_everybody():
    found = read_encrypted(sealed(CONTENT, *KINDS_V4))
    assert len(found.recipients) == len(KINDS_V4)
    for public, private in keys(*KINDS_V4):
        assert found.fits(public)
        opened = found.open([(public, private)], max_bytes=LIMIT)
        assert (opened.inner.literal, opened.key) == (CONTENT, public)
    assert not found.fits(new_key("cv25519")[0])


def test_several_own_keys():
    """All are tried, wherever the right one stands (openpgp.md: Sequoia takes the first encryption subkey only)."""
    right, others = reader("cv25519"), [new_key("cv25519"), new_key("x25519"), *keys("rsa1024")]
    for at in range(4):
        pairs = [*others[:at], right, *others[at:]]
        assert read_encrypted(samples()["to-cv25519"]).open(pairs, max_bytes=LIMIT).key == right[0]


def test_hidden_readers():
    found = read_encrypted(samples()["hidden"])
    assert [one.hidden for one in found.recipients] == [True, True]
    assert found.fits(new_key("cv25519")[0])
    assert not found.fits(reader("x448")[0])
    for kind in ("cv25519", "rsa1024"):
        pairs = [new_key("rsa1024"), new_key("cv25519"), reader(kind), new_key("cv25519")]
        assert found.open(pairs, max_bytes=LIMIT).key == reader(kind)[0]
    assert why(samples()["hidden"], [new_key("rsa1024"), new_key("cv25519")]) is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize("kind", ["cv25519", "rsa1024"])
def test_how_often_hidden_ones_are_tried(kind, monkeypatch):
    tries = []
    monkeypatch.setattr(message, "open_pkesk", lambda *arguments: tries.append(arguments) or arguments[3])
    session = new_session_key(CipherId.AES256, named=True)
    hidden = write_pkesk(session, reader(kind)[0], hidden=True) * 40
    octets = hidden + b"".join(encrypted([LITERAL], session, EncryptionForm()))
    pairs = [new_key(kind) for _ in range(2)]
    assert why(octets, pairs) is ReasonCode.TOO_LARGE
    assert len(tries) == 64
    tries.clear()
    budget = Work(attempts=100)
    assert why(octets, pairs, work=budget) is ReasonCode.DECRYPTION_FAILED
    assert why(octets, pairs, work=budget) is ReasonCode.TOO_LARGE  # what is left is for all messages of a mail
    assert len(tries) == 100


def test_slow_ciphers_are_tried_less_often():
    octets = by_cipher(CipherId.TRIPLE_DES, "cv25519", LITERAL)
    size = len(list(read_packets(octets))[-1].body)
    pairs = keys("cv25519")
    assert why(octets, pairs, work=Work(slow_octets=size - 2)) is ReasonCode.TOO_LARGE
    assert read_encrypted(octets).open(pairs, max_bytes=LIMIT, work=Work(slow_octets=size)).weak


@pytest.mark.parametrize("cipher", [one for one in CipherId if one is not CipherId.TWOFISH])
def test_ciphers_of_old(cipher):
    opened = read_encrypted(by_cipher(cipher, "rsa1024", LITERAL)).open(keys("rsa1024"), max_bytes=LIMIT)
    assert opened.inner.literal == CONTENT
    assert opened.weak is (cipher not in (CipherId.AES128, CipherId.AES192, CipherId.AES256))


def test_passwords():
    for form in (EncryptionForm(), EncryptionForm(AeadId.OCB)):
        octets = sealed_packets(LITERAL, form=form, passwords=[PASSWORD, "another"])
        found = read_encrypted(octets)
        assert (found.passwords, found.recipients, found.keeps_secret) == (2, (), False)
        for password in (PASSWORD, "another"):
            opened = found.open([], ["wrong", password], max_bytes=LIMIT)
            assert (opened.inner.literal, opened.key) == (CONTENT, None)
        assert why(octets, EVERYBODY) is ReasonCode.KEY_NOT_FOUND
        assert why(octets, [], ["wrong"]) is ReasonCode.DECRYPTION_FAILED
        assert why(octets, [], [PASSWORD], work=Work(hashed_octets=1, argon2_kib=1)) is ReasonCode.TOO_LARGE
    both = read_encrypted(sealed_packets(LITERAL, "cv25519", passwords=[PASSWORD]))
    assert (
        both.open(keys("cv25519"), max_bytes=LIMIT).key == both.open(keys("cv25519"), [PASSWORD], max_bytes=LIMIT).key
    )
    assert both.open([], [PASSWORD], max_bytes=LIMIT).key is None


def test_what_is_not_for_us():
    assert why(samples()["to-cv25519"], keys("rsa1024")) is ReasonCode.KEY_NOT_FOUND
    assert why(samples()["to-cv25519"], []) is ReasonCode.KEY_NOT_FOUND


def test_data_without_integrity():
    found = read_encrypted(samples()["without-integrity"])
    assert (found.integrity, found.keeps_secret) == ("none", False)
    assert found.fits(reader("cv25519")[0])
    assert why(samples()["without-integrity"], keys("cv25519")) is ReasonCode.NO_INTEGRITY


def test_one_text_for_every_failure():
    """Whatever is wrong with the session key, its wrapping, or the content."""
    pkesk, data = read_packets(samples()["to-rsa1024"])
    for at in range(12, len(pkesk.body)):
        body = bytearray(pkesk.body)
        body[at] ^= 1
        octets = write_packet(Tag.PKESK, bytes(body)) + write_packet(Tag.SEIPD, data.octets)
        assert why(octets, keys("rsa1024")) is ReasonCode.DECRYPTION_FAILED
    pkesk, data = read_packets(samples()["to-cv25519"])
    for at in range(12, len(pkesk.body)):
        body = bytearray(pkesk.body)
        body[at] ^= 1
        octets = write_packet(Tag.PKESK, bytes(body)) + write_packet(Tag.SEIPD, data.octets)
        assert why(octets, keys("cv25519")) is ReasonCode.DECRYPTION_FAILED


def test_rsa_that_fails_costs_as_much_as_rsa_that_does_not(monkeypatch):
    """A wrong padding, a wrong sum: the content is decrypted all the same, with a key made up before."""
    used = []
    real = message.open_pkesk
    monkeypatch.setattr(message, "open_pkesk", lambda *given: used.append(real(*given)) or used[-1])
    pkesk, data = read_packets(samples()["to-rsa1024"])
    body = bytearray(pkesk.body)
    body[-1] ^= 1
    octets = write_packet(Tag.PKESK, bytes(body)) + write_packet(Tag.SEIPD, data.octets)
    passes = []
    kind = type(read_encrypted(octets)._data)
    real_pass = kind.decrypt
    monkeypatch.setattr(kind, "decrypt", lambda self, session: passes.append(session) or real_pass(self, session))
    assert why(octets, keys("rsa1024")) is ReasonCode.DECRYPTION_FAILED
    assert len(used) == len(passes) == 1
    assert len(passes[0].octets) == 32


def test_what_a_key_raises_besides_passes():
    class Token(rsa.RSAPrivateKey):
        key_size = 1024

        def decrypt(self, ciphertext, padding):
            raise TransientError("the token is gone")

        def _none(self, *_):
            raise NotImplementedError

        __copy__ = __deepcopy__ = public_key = private_numbers = private_bytes = sign = _none

    with pytest.raises(TransientError):
        read_encrypted(samples()["to-rsa1024"]).open([(reader("rsa1024")[0], Token())], max_bytes=LIMIT)


def test_session_keys_of_the_wrong_version_are_passed_over():
    """RFC 9580 §10.3.2.1: else the version of the content could be changed."""
    public, private = reader("x25519", 6)
    for named, form in ((True, EncryptionForm(AeadId.OCB)), (False, EncryptionForm())):
        session = new_session_key(CipherId.AES256, named=named)
        data = b"".join(encrypted([LITERAL], replace(session, cipher=CipherId.AES256), form))
        octets = with_session_key(session, public, data)
        assert why(octets, [(public, private)]) is ReasonCode.KEY_NOT_FOUND


def test_session_keys_that_cannot_be_read_are_passed_over():
    unknown = [
        write_packet(Tag.PKESK, b"\2" + bytes(30)),
        write_packet(Tag.PKESK, b"\3"),
        write_packet(Tag.PKESK, b"\3" + bytes(8) + b"\x63"),
        write_packet(Tag.SKESK, b"\4\x0a\0\x08"),
        write_packet(Tag.MARKER, b"PGP"),
        write_packet(Tag.PADDING, bytes(50)),
        write_packet(60, b"x"),
    ]
    octets = b"".join(unknown) + samples()["to-cv25519"] + write_packet(Tag.PADDING, bytes(9))
    assert read_encrypted(octets).open(keys("cv25519"), max_bytes=LIMIT).inner.literal == CONTENT


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xd2",
        LITERAL,
        LITERAL + samples()["to-cv25519"],
        samples()["to-cv25519"] + LITERAL,
        samples()["to-cv25519"] * 2,
        samples()["to-cv25519"] + write_packet(Tag.SEIPD, b"\1" + bytes(50)),
        write_packet(Tag.USER_ID, b"x") + samples()["to-cv25519"],
        write_packet(39, b"x") + samples()["to-cv25519"],
        samples()["to-cv25519"] + b"rubbish",
        samples()["to-cv25519"][:-1],
        write_pkesk(new_session_key(CipherId.AES256, named=True), reader("cv25519")[0]),
    ],
)
def test_what_is_not_one_encrypted_message(octets):
    with pytest.raises(PgpError) as caught:
        read_encrypted(octets)
    assert caught.value.reason is ReasonCode.MALFORMED


def test_too_many_session_keys():
    with pytest.raises(PgpError) as caught:
        read_encrypted(write_packet(Tag.PKESK, b"\3") * 4001)
    assert caught.value.reason is ReasonCode.TOO_LARGE


@pytest.mark.parametrize(
    "packets", [b"", LITERAL * 2, samples()["to-cv25519"], LITERAL + samples()["to-cv25519"], write_packet(13, b"x")]
)
def test_what_is_inside_is_one_message(packets):
    assert why(sealed_packets(packets, "cv25519"), keys("cv25519")) is ReasonCode.MALFORMED


def test_framings_of_old():
    pkesk, data = read_packets(samples()["to-rsa2048"])
    octets = old_packet(Tag.PKESK, pkesk.octets, 2) + partial_packet(Tag.SEIPD, data.octets, 0, 5, 3)
    assert read_encrypted(octets).open(keys("rsa2048"), max_bytes=LIMIT).inner.literal == CONTENT


def test_the_limit():
    octets = sealed(CONTENT, "cv25519")
    assert read_encrypted(octets).open(keys("cv25519"), max_bytes=len(CONTENT)).inner.literal == CONTENT
    assert why(octets, keys("cv25519"), max_bytes=len(CONTENT) - 1) is ReasonCode.TOO_LARGE
    large = sealed(bytes(1_200_000), "cv25519")
    assert why(large, keys("cv25519"), max_bytes=1000) is ReasonCode.TOO_LARGE  # before it is decrypted
    bomb = sealed(bytes(20_000_000), "cv25519", form=EncryptionForm(compression=CompressionId.ZIP))
    assert len(bomb) < 30_000
    assert why(bomb, keys("cv25519"), max_bytes=100_000) is ReasonCode.TOO_LARGE


def test_ocb_packets_are_read_and_never_written():
    octets = in_ocb_packet("rsa1024", LITERAL)
    assert read_encrypted(octets).open(keys("rsa1024"), max_bytes=LIMIT).algorithm == "aes256-ocb"
    for form in (EncryptionForm(), *map(EncryptionForm, AeadId)):
        tags = {packet.tag for packet in read_packets(sealed(CONTENT, "x25519", version=6, form=form))}
        assert tags == {Tag.PKESK, Tag.SEIPD}


@pytest.mark.parametrize("compression", [CompressionId.UNCOMPRESSED, CompressionId.ZIP, CompressionId.ZLIB])
def test_compression(compression):
    octets = sealed(bytes(100_000), "cv25519", form=EncryptionForm(compression=compression))
    assert (len(octets) < 1000) is (compression is not CompressionId.UNCOMPRESSED)
    assert read_encrypted(octets).open(keys("cv25519"), max_bytes=LIMIT).inner.literal == bytes(100_000)


V4, V6 = reader("cv25519")[0], reader("x25519", 6)[0]
BOTH = ((CipherId.AES256, AeadId.OCB), (CipherId.AES256, AeadId.GCM))


@pytest.mark.parametrize(
    ("readers", "aead"),
    [
        ([], None),
        ([Reader(V4)], None),
        ([Reader(V4, seipd_v2=True, suites=BOTH)], None),  # a session key of version 6 would not be read
        ([Reader(V6)], None),
        ([Reader(V6, seipd_v2=True)], AeadId.OCB),
        ([Reader(V6, seipd_v2=True, suites=BOTH)], AeadId.OCB),
        ([Reader(V6, seipd_v2=True, suites=BOTH[1:])], AeadId.GCM),
        ([Reader(V6, seipd_v2=True, suites=BOTH[1:]), Reader(V6, seipd_v2=True)], AeadId.OCB),
        ([Reader(V6, seipd_v2=True), Reader(V4)], None),
        ([Reader(V6, seipd_v2=True), Reader(V6)], None),
    ],
)
def test_the_form_is_one_that_all_read(readers, aead):
    form = form_for(readers, CompressionId.ZIP)
    assert (form.aead, form.cipher, form.compression) == (aead, CipherId.AES256, CompressionId.ZIP)
    assert form.name == (f"aes256-{aead.name.lower()}" if aead else "aes256-cfb")


def test_versions_of_session_keys():
    """3 with the form that everybody reads, also for a key of version 6; 6 with the new one, and to version 6 only."""
    octets = b"".join(encrypt_message(write_literal([b"x"]), [Reader(V4), Reader(V6)], EncryptionForm()))
    assert [one.version for one in read_encrypted(octets).recipients] == [3, 3]
    octets = b"".join(encrypt_message(write_literal([b"x"]), [Reader(V6)], EncryptionForm(AeadId.OCB)))
    assert [one.version for one in read_encrypted(octets).recipients] == [6]
    with pytest.raises(PgpError):
        encrypt_message(write_literal([b"x"]), [Reader(V6), Reader(V4)], EncryptionForm(AeadId.OCB))


def test_a_reader_is_written_to_once():
    octets = b"".join(encrypt_message(write_literal([b"x"]), [Reader(V4), Reader(V6), Reader(V4)], EncryptionForm()))
    assert len(read_encrypted(octets).recipients) == 2


def test_who_cannot_be_written_to(monkeypatch):
    def reason(readers) -> ReasonCode:
        with pytest.raises(PgpError) as caught:
            encrypt_message(write_literal([b"x"]), readers, EncryptionForm())
        return caught.value.reason

    assert reason([]) is ReasonCode.NO_PGP_KEY
    assert reason([Reader(V4), Reader(key("ed25519").public)]) is ReasonCode.PGP_KEY_UNSUPPORTED
    many = [Reader(replace(V4, fingerprint=f"{number:040x}")) for number in range(MAX_READERS + 1)]
    monkeypatch.setattr(message, "write_pkesk", lambda *_, **__: pytest.fail("written"))
    assert reason(many) is ReasonCode.TOO_LARGE


def test_a_message_to_thousands_is_read_quickly():
    session = new_session_key(CipherId.AES256, named=True)
    others = b"".join(write_packet(Tag.PKESK, b"\3" + os.urandom(8) + b"\x12" + bytes(84)) for _ in range(3000))
    octets = others + with_session_key(session, V4, b"".join(encrypted([LITERAL], session, EncryptionForm())))
    start = time.process_time()
    assert read_encrypted(octets).open(keys("cv25519"), max_bytes=LIMIT).inner.literal == CONTENT
    assert time.process_time() - start < 1
