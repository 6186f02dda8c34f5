"""Key files of strangers: what their password may cost, and that they fail in one way."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from mailseal.dkim.key_file import ITERATIONS, KeyFileError, read_key_file, write_key_file

KEY = Ed25519PrivateKey.generate()
BEGIN, END = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", b"-----END ENCRYPTED PRIVATE KEY-----\n"


def _der() -> bytes:
    return base64.b64decode(write_key_file(KEY, b"x").removeprefix(BEGIN).removesuffix(END))


def _pem(der: bytes) -> bytes:
    return BEGIN + base64.encodebytes(der) + END


def test_a_key_under_a_password_is_read():
    theirs = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    for octets in (write_key_file(KEY, b"x"), theirs, b"text before\n" + theirs + b"text behind\n"):
        assert read_key_file(octets, lambda: b"x").public_key() == KEY.public_key()
        with pytest.raises(KeyFileError, match="wrong"):
            read_key_file(octets, lambda: b"y")
        with pytest.raises(KeyFileError, match="needs a password"):
            read_key_file(octets, lambda: b"")


def test_a_file_that_asks_for_hours_of_work_gets_none():
    wanted = ITERATIONS.to_bytes(3, "big")
    with pytest.raises(KeyFileError, match="more key derivation"):
        read_key_file(_pem(_der().replace(wanted, (2**23 - 1).to_bytes(3, "big"))), lambda: b"x")


def test_a_function_that_may_ask_for_memory_is_not_read():
    pbkdf2, scrypt = bytes.fromhex("06092a864886f70d01050c"), bytes.fromhex("06092b06010401da47040b")
    with pytest.raises(KeyFileError):
        read_key_file(_pem(_der().replace(pbkdf2, scrypt)), lambda: b"x")


@pytest.mark.parametrize(
    "octets", [BEGIN, BEGIN + END, b"-----BEGIN X-----\nENCRYPTED PRIVATE KEY\n-----END X-----\n", _pem(_der()[:40])]
)
def test_what_is_cut_off_is_an_error_of_ours(octets):
    with pytest.raises(KeyFileError):
        read_key_file(octets, lambda: b"x")
