"""Schemes of PKCS#5 and PKCS#12: the vectors of RFCs, and what is refused before any work is done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.smime import ber, der, password_based
from mailseal.smime.errors import CmsError
from mailseal.smime.password_based import (
    Password,
    PasswordBasedError,
    TooMuchWorkError,
    Work,
    WrongPasswordError,
    decrypt,
    mac_key,
    pbkdf2,
    readings,
)

PASSWORD = Password(b"password", b"")


def parameters(*parts):
    return ber.read(der.sequence(*parts))


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        (1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        (2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
        (4096, "4b007901b765489abead49d926f721d065a429c1"),
    ],
)
def test_pbkdf2_as_rfc_6070_has_it(iterations, expected):
    found = pbkdf2(parameters(der.octet_string(b"salt"), der.integer(iterations)), PASSWORD, Work(), 20)
    assert found.hex() == expected


def test_pkcs12_keys_with_and_without_a_password():
    empty, none = readings(b"")
    assert mac_key(empty, b"salt", 10, Work(), "sha1") != mac_key(none, b"salt", 10, Work(), "sha1")
    (one,) = readings(b"smeg")
    # A vector that implementations of RFC 7292 appendix B share.
    salt = bytes.fromhex("3d83c0e4546ac140")
    assert mac_key(one, salt, 1, Work(), "sha1").hex() == "8d967d88f6caa9d714800ab3d48051d63f73a312"


def test_readings():
    assert [one.bmp for one in readings(b"ab")] == [b"\0a\0b\0\0"]
    first, second = readings("ä".encode())
    assert (first.bmp, second.bmp) == (b"\0\xe4\0\0", b"\0\xc3\0\xa4\0\0")
    (latin,) = readings(b"\xe4")
    assert latin == Password(b"\xe4", b"\0\xe4\0\0")
    assert "secret" not in repr(readings(b"secret"))
    with pytest.raises(PasswordBasedError, match="too long"):
        readings(bytes(1025))


@pytest.mark.parametrize("iterations", [0, -5, 2**40, 2**900])
def test_counts_that_are_not_worked_off(iterations):
    with pytest.raises(PasswordBasedError):
        pbkdf2(parameters(der.octet_string(b"salt"), der.integer(iterations)), PASSWORD, Work(), 32)
    with pytest.raises(PasswordBasedError):
        mac_key(PASSWORD, b"salt", iterations, Work(), "sha256")


def test_work_is_spent_over_all():
    work = Work()
    work.spend(password_based.MAX_ITERATIONS - 1)
    with pytest.raises(TooMuchWorkError):
        work.spend(2)
    with pytest.raises(TooMuchWorkError):
        work.spend(1)


AES = der.oid("2.16.840.1.101.3.4.1.42")


def scrypt(n, r, p):
    function = der.sequence(
        der.oid("1.3.6.1.4.1.11591.4.11"),
        der.sequence(der.octet_string(b"salt"), *(der.integer(one) for one in (n, r, p))),
    )
    return algorithm(function, der.sequence(AES, der.octet_string(bytes(16))))


def algorithm(function, cipher):
    return ber.read(der.sequence(der.oid("1.2.840.113549.1.5.13"), der.sequence(function, cipher)))


@pytest.mark.parametrize(
    ("n", "r", "p"), [(2**20, 8, 1), (2**14, 8, 2**30), (2**14, 2**40, 1), (2**62, 1, 1), (0, 1, 1), (2**15, 8, 100)]
)
def test_scrypt_that_asks_for_too_much(n, r, p):
    with pytest.raises(TooMuchWorkError):
        decrypt(scrypt(n, r, p), bytes(32), PASSWORD, Work())


def test_scrypt_with_parameters_that_it_does_not_have():
    with pytest.raises(PasswordBasedError, match="malformed"):
        decrypt(scrypt(1000, 8, 1), bytes(32), PASSWORD, Work())
    with pytest.raises(PasswordBasedError, match="malformed"):
        decrypt(scrypt(2**20, 1, 1), bytes(32), PASSWORD, Work())  # n is to be less than 2^(128 r / 8)


def function(iterations=1, *more):
    return der.sequence(
        der.oid("1.2.840.113549.1.5.12"), der.sequence(der.octet_string(b"salt"), der.integer(iterations), *more)
    )


@pytest.mark.parametrize(
    ("what", "ciphertext"),
    [
        (algorithm(function(), der.sequence(AES, der.octet_string(bytes(8)))), bytes(16)),
        (algorithm(function(), der.sequence(AES, der.octet_string(bytes(16)))), bytes(15)),
        (algorithm(function(), der.sequence(AES, der.octet_string(bytes(16)))), b""),
        (algorithm(function(1, der.integer(16)), der.sequence(AES, der.octet_string(bytes(16)))), bytes(16)),
        (algorithm(function(1, der.integer(0)), der.sequence(AES, der.octet_string(bytes(16)))), bytes(16)),
        (algorithm(function(), der.sequence(der.oid("1.2.3"), der.octet_string(bytes(16)))), bytes(16)),
        (
            algorithm(function(1, der.sequence(der.oid("1.2.3"))), der.sequence(AES, der.octet_string(bytes(16)))),
            bytes(16),
        ),
        (algorithm(der.sequence(der.oid("1.2.3")), der.sequence(AES, der.octet_string(bytes(16)))), bytes(16)),
        (ber.read(der.sequence(der.oid("1.2.3"), function())), bytes(16)),
        (
            ber.read(
                der.sequence(
                    der.oid("1.2.840.113549.1.12.1.3"), der.sequence(der.octet_string(bytes(5000)), der.integer(1))
                )
            ),
            bytes(16),
        ),
        (ber.read(der.sequence(der.element(0x06, b"\x80\x01"), der.sequence())), bytes(16)),
    ],
)
def test_parameters_that_make_no_sense(what, ciphertext):
    with pytest.raises((PasswordBasedError, CmsError)):
        decrypt(what, ciphertext, PASSWORD, Work())


def test_slow_rc2_is_paid_for():
    scheme = der.sequence(der.oid("1.2.840.113549.1.12.1.6"), der.sequence(der.octet_string(bytes(8)), der.integer(1)))
    with pytest.raises(TooMuchWorkError):
        decrypt(ber.read(scheme), bytes(8 * 300_000), PASSWORD, Work())


@given(st.binary(min_size=16, max_size=64).map(lambda octets: octets[: len(octets) // 16 * 16]))
def test_a_wrong_password_is_a_wrong_password(ciphertext):
    what = algorithm(function(), der.sequence(AES, der.octet_string(bytes(16))))
    try:
        decrypt(what, ciphertext, PASSWORD, Work())
    except WrongPasswordError:
        return
