"""Private keys of strangers cost seconds at most, wherever they are read."""

import base64
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from mailseal.dkim.key_file import KeyFileError, read_key_file, write_key_file
from mailseal.keys.tls_certificate import TlsCertificateError, read_key
from mailseal.smime import der

DSA = bytes.fromhex("06072a8648ce380401")


def _pem(octets: bytes, label: str = "PRIVATE KEY") -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(octets).decode()}-----END {label}-----\n".encode()


def _dsa() -> bytes:
    p, q = (int.from_bytes(secrets.token_bytes(10_000), "big") | 1 for _ in range(2))
    algorithm = der.sequence(DSA, der.sequence(der.integer(p), der.integer(q), der.integer(3)))
    return der.sequence(der.integer(0), algorithm, der.octet_string(der.integer(q - 2)))


def _hashed_often() -> bytes:
    text = write_key_file(ec.generate_private_key(ec.SECP256R1()), b"x").split(b"\n", 1)[1].partition(b"-----")[0]
    often = (600_000).to_bytes(3, "big"), (2**23 - 1).to_bytes(3, "big")
    return base64.b64decode(text).replace(*often)


@pytest.mark.parametrize(
    ("pem", "why"),
    [(_pem(_dsa()), "too large"), (_pem(_hashed_often(), "ENCRYPTED PRIVATE KEY"), "more key derivation")],
    ids=["dsa", "pbkdf2"],
)
def test_a_key_that_takes_minutes_is_refused_at_once(pem, why):
    with pytest.raises(KeyFileError, match=why):
        read_key_file(pem, lambda: b"x")
    with pytest.raises(TlsCertificateError, match=why):
        read_key(pem, b"x")


def test_keys_as_programs_write_them_are_read():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        pem = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"x"))
        assert read_key(pem, b"x").private_numbers() == key.private_numbers()
        assert read_key_file(pem, lambda: b"x").private_numbers() == key.private_numbers()
