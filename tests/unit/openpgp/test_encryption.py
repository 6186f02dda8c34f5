"""Encrypted data: what is written is read; whatever is changed, cut off or added, nothing is released."""

import os
import tracemalloc
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from hypothesis import given
from hypothesis import strategies as st

from mailseal.openpgp import encryption
from mailseal.openpgp.aead import Eax, aead
from mailseal.openpgp.algorithms import CIPHERS, AeadId, CipherId
from mailseal.openpgp.encryption import FAILED, encrypted, read_encrypted_data
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.form import EncryptionForm
from mailseal.openpgp.packet import Packet, Tag, read_packets, write_packet
from mailseal.openpgp.session_key import SessionKey, new_session_key
from mailseal.policy.reason import ReasonCode
from pgp_samples import in_ocb_packet

KEY = SessionKey(bytes(range(32)), CipherId.AES256)
FORMS = [
    EncryptionForm(),
    *(EncryptionForm(mode, cipher) for mode in AeadId for cipher in (CipherId.AES128, CipherId.AES256)),
]
CONTENT = bytes(range(256)) * 10


def session(form: EncryptionForm) -> SessionKey:
    return new_session_key(form.cipher, named=form.aead is None)


def packet(octets: bytes) -> Packet:
    (one,) = read_packets(octets)
    return one


def sealed(key: SessionKey, form: EncryptionForm, *content: bytes) -> bytes:
    return packet(b"".join(encrypted(content, key, form))).octets


def opened(body: bytes, key: SessionKey, tag: int = Tag.SEIPD) -> bytes:
    return bytes(read_encrypted_data(Packet(tag, memoryview(body), 0, len(body))).decrypt(key))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_is_written_is_read(form, monkeypatch):
    monkeypatch.setattr(encryption, "WRITTEN_CHUNK", 0)  # chunks of 64 octets
    key = session(form)
    for pieces in ((), (b"",), (b"x",), (b"x" * 63,), (b"x" * 64,), (b"x" * 65,), (b"", b"a" * 63, b"b", b"c" * 130)):
        assert opened(sealed(key, form, *pieces), key) == b"".join(pieces)
    for octets in (0, 1, 200, 58_367, 58_368, 58_369, 300_000):
        content = os.urandom(octets)
        assert opened(sealed(key, form, content), key) == content


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_chunks_as_they_are_written(form):
    key, content = session(form), os.urandom(600_000)
    body = sealed(key, form, content[:100], memoryview(content)[100:])
    assert opened(body, key) == content
    if form.aead is not None:
        assert body[:4] == bytes((2, form.cipher, form.aead, 12))
        assert len(body) == 4 + 32 + 600_000 + 4 * 16


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_no_two_are_alike(form):
    key = session(form)
    assert sealed(key, form, CONTENT) != sealed(key, form, CONTENT)


def fails(body: bytes, key: SessionKey) -> None:
    with pytest.raises(PgpError) as caught:
        opened(body, key)
    assert (caught.value.reason, str(caught.value)) == (ReasonCode.DECRYPTION_FAILED, FAILED)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_whatever_is_changed_nothing_is_released(form, monkeypatch):
    monkeypatch.setattr(encryption, "WRITTEN_CHUNK", 0)
    key = session(form)
    body = sealed(key, form, CONTENT[:300])
    for at in range(1 if form.aead is None else 4, len(body)):
        changed = bytearray(body)
        changed[at] ^= 1
        fails(bytes(changed), key)
    fails(body, SessionKey(bytes(len(key.octets)), key.cipher))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_whatever_is_cut_off_nothing_is_released(form, monkeypatch):
    monkeypatch.setattr(encryption, "WRITTEN_CHUNK", 0)
    key = session(form)
    body = sealed(key, form, CONTENT[:300])
    for end in range(1 if form.aead is None else 4 + 32, len(body)):
        fails(body[:end], key)
    fails(body + b"\0", key)
    if form.aead is not None:
        step, start = 64 + 16, 4 + 32
        fails(body[:start] + body[start + step :], key)  # without the first chunk
        fails(
            body[:start] + body[start + step : start + 2 * step] + body[start : start + step] + body[start + 160 :], key
        )
        fails(body[: start + step] + body[-16:], key)  # ended early, with the tag of the whole


def test_the_algorithms_in_the_head_are_authenticated():
    key = session(FORMS[1])
    body = sealed(key, FORMS[1], CONTENT)
    for at, value in ((2, AeadId.OCB), (2, AeadId.GCM), (3, 11)):
        fails(body[:at] + bytes((value,)) + body[at + 1 :], key)
    fails(body[:1] + bytes((CipherId.AES256,)) + body[2:], key)


def downgraded(body: bytes) -> bytes:
    """SEIPD without its version: tag 9, whose readers would show anything."""
    return write_packet(Tag.SED, body[1:])


def test_data_without_integrity_is_never_decrypted():
    data = read_encrypted_data(packet(downgraded(sealed(KEY, EncryptionForm(), CONTENT))))
    assert data.integrity == "none"
    with pytest.raises(PgpError) as caught:
        data.decrypt(KEY)
    assert caught.value.reason is ReasonCode.NO_INTEGRITY


def test_an_mdc_is_the_last_packet_and_nothing_else():
    """As CFB has it the content is what it was, but its MDC is missing, or is another packet."""
    for tail in (b"", b"\xd3\x14" + bytes(20), b"\xd4\x14" + bytes(20), b"\xd3\x14"):
        prefix = os.urandom(16)
        plain = prefix + prefix[-2:] + CONTENT + tail
        body = b"\1" + Cipher(CIPHERS[9].make(KEY.octets), CFB(bytes(16))).encryptor().update(plain)
        fails(body, KEY)


@pytest.mark.parametrize("octets", range(1, 42))
def test_data_too_short_for_anything(octets):
    fails(b"\1" + bytes(octets), KEY)


@pytest.mark.parametrize(
    ("tag", "body", "reason"),
    [
        (Tag.SEIPD, b"", ReasonCode.MALFORMED),
        (Tag.SEIPD, b"\2\x09\2", ReasonCode.MALFORMED),
        (Tag.SEIPD, b"\3" + bytes(60), ReasonCode.UNSUPPORTED_ALGORITHM),
        (Tag.OCB, b"\2" + bytes(60), ReasonCode.UNSUPPORTED_ALGORITHM),
        (Tag.SEIPD, b"\2\x0a\2\0" + bytes(60), ReasonCode.UNSUPPORTED_ALGORITHM),  # Twofish
        (Tag.SEIPD, b"\2\2\2\0" + bytes(60), ReasonCode.UNSUPPORTED_ALGORITHM),  # triple DES
        (Tag.SEIPD, b"\2\x09\4\0" + bytes(60), ReasonCode.UNSUPPORTED_ALGORITHM),
        (Tag.SEIPD, b"\2\x09\2\x39" + bytes(60), ReasonCode.UNSUPPORTED_ALGORITHM),
    ],
)
def test_what_cannot_be_read(tag, body, reason):
    with pytest.raises(PgpError) as caught:
        read_encrypted_data(Packet(tag, memoryview(body), 0, 0))
    assert caught.value.reason is reason


def test_camellia_in_chunks():
    data = read_encrypted_data(Packet(Tag.SEIPD, memoryview(b"\2\x0b\2\0" + bytes(80)), 0, 0))
    with pytest.raises(PgpError) as caught:
        data.decrypt(SessionKey(bytes(16)))
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


def test_too_many_chunks(monkeypatch):
    monkeypatch.setattr(encryption, "MAX_CHUNKS", 3)
    monkeypatch.setattr(encryption, "WRITTEN_CHUNK", 0)
    form = EncryptionForm(AeadId.OCB)
    key = session(form)
    assert opened(sealed(key, form, bytes(192)), key) == bytes(192)
    with pytest.raises(PgpError) as caught:
        opened(sealed(key, form, bytes(193)), key)
    assert caught.value.reason is ReasonCode.TOO_LARGE


@pytest.mark.parametrize("mode", list(AeadId))
@pytest.mark.parametrize("octets", [1, 64, 65, 300])
def test_ocb_packets_of_gnupg(mode, octets):
    message = in_ocb_packet("cv25519", CONTENT[:octets], mode=mode)
    *_, last = read_packets(message)
    data = read_encrypted_data(last)
    assert (data.integrity, data.algorithm) == ("aead", f"aes256-{mode.name.lower()}")
    with pytest.raises(PgpError):
        data.decrypt(data.substitute())


def test_eax():
    """The vectors of its authors (Bellare, Rogaway, Wagner 2004, appendix E)."""
    of = bytes.fromhex
    for key, nonce, header, message, cipher in (
        (
            "233952DEE4D5ED5F9B9C6D6FF80FF478",
            "62EC67F9C3A4A407FCB2A8C49031A8B3",
            "6BFB914FD07EAE6B",
            "",
            "E037830E8389F27B025A2D6527E79D01",
        ),
        (
            "8395FCF1E95BEBD697BD010BC766AAC3",
            "22E7ADD93CFC6393C57EC0B3C17D6B44",
            "126735FCC320D25A",
            "CA40D7446E545FFAED3BD12A740A659FFBBB3CEAB7",
            "CB8920F87A6C75CFF39627B56E3ED197C552D295A7CFC46AFC253B4652B1AF3795B124AB6E",
        ),
    ):
        mode = Eax(of(key))
        assert mode.encrypt(of(nonce), of(message), of(header)) == of(cipher)
        assert mode.decrypt(of(nonce), of(cipher), of(header)) == of(message)
        with pytest.raises(InvalidTag):
            mode.decrypt(of(nonce), of(cipher)[:-1], of(header))
    with pytest.raises(PgpError):
        aead(4, CIPHERS[9], bytes(32))


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", [FORMS[0], EncryptionForm(AeadId.OCB), EncryptionForm(AeadId.GCM)], ids=str)
def test_memory(form):
    """One copy when it is decrypted, none but the windows when it is encrypted and sent on."""
    key, content = session(form), os.urandom(2_000_000)
    body = sealed(key, form, content)
    assert peak(lambda: read_encrypted_data(Packet(Tag.SEIPD, memoryview(body), 0, 0)).decrypt(key)) < 2_300_000
    assert peak(lambda: sum(map(len, encrypted([content], key, form)))) < 1_000_000


@given(st.sampled_from([Tag.SEIPD, Tag.OCB, Tag.SED]), st.binary(max_size=200))
def test_any_octets_raise_only_the_typed_error(tag, octets):
    for body in (octets, b"\1\x09\2\0" + octets, b"\2\x09\1\0" + octets):
        try:
            data = read_encrypted_data(Packet(tag, memoryview(body), 0, len(body)))
            data.decrypt(data.substitute())
        except PgpError:
            continue
