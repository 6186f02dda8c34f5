"""PLAIN and LOGIN: names and passwords within bounds, or an error that repeats nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.transport.sasl import Credentials, Mechanism, SaslError, decode, encode, mechanism

PLAIN, LOGIN = Mechanism


@pytest.mark.parametrize(
    ("kind", "responses", "found"),
    [
        (PLAIN, [], b""),
        (PLAIN, [b"\0anna\0secret"], Credentials("anna", b"secret")),
        (PLAIN, [b"anna\0anna\0secret"], Credentials("anna", b"secret")),
        (PLAIN, [b"\0\xc3\xbc\0\xff"], Credentials("ü", b"\xff")),
        (LOGIN, [], b"Username:"),
        (LOGIN, [b"anna"], b"Password:"),
        (LOGIN, [b"anna", b"secret"], Credentials("anna", b"secret")),
    ],
)
def test_what_is_shown(kind, responses, found):
    assert kind.next(responses) == found


@pytest.mark.parametrize(
    ("kind", "responses"),
    [
        (PLAIN, [b""]),
        (PLAIN, [b"anna"]),
        (PLAIN, [b"\0anna"]),
        (PLAIN, [b"\0anna\0"]),
        (PLAIN, [b"\0\0secret"]),
        (PLAIN, [b"\0anna\0sec\0ret"]),
        (PLAIN, [b"ceo\0anna\0secret"]),
        (PLAIN, [b"\0" + b"a" * 256 + b"\0secret"]),
        (PLAIN, [b"\0anna\0" + b"s" * 1025]),
        (PLAIN, [b"\0\xff\0secret"]),
        (LOGIN, [b"", b"secret"]),
        (LOGIN, [b"anna", b""]),
        (LOGIN, [b"anna\0ceo", b"secret"]),
        (LOGIN, [b"anna", b"sec\0ret"]),
        (LOGIN, [b"anna", b"secret", b"more"]),
    ],
)
def test_what_is_no_response(kind, responses):
    with pytest.raises(SaslError) as caught:
        kind.next(responses)
    assert "secret" not in str(caught.value)


def test_only_what_is_offered():
    assert mechanism("plain") is PLAIN
    assert mechanism("LOGIN") is LOGIN
    assert mechanism("CRAM-MD5") is mechanism("") is None


@pytest.mark.parametrize("text", ["a", "AA=", "AA", "AA==AA==", "A A=", "AAAA\n", "AA-_", "=", "ü", "AAA=\n"])
def test_base64_is_strict(text):
    with pytest.raises(SaslError):
        decode(text)


@given(st.binary())
def test_base64_goes_there_and_back(octets):
    assert decode(encode(octets)) == octets
    assert "\n" not in encode(octets)


@given(st.sampled_from(list(Mechanism)), st.lists(st.binary(max_size=40), max_size=3))
def test_any_responses_end_in_a_challenge_credentials_or_the_one_error(kind, responses):
    try:
        found = kind.next(responses)
    except SaslError:
        return
    assert isinstance(found, bytes | Credentials)


def test_no_password_in_what_is_shown_of_credentials():
    assert "secret" not in repr(Credentials("anna", b"secret"))
