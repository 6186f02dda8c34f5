"""Passwords of people: PHC strings of Argon2id, whose cost is known before it is paid."""

import threading

import pytest

from mailseal.keys.password_hash import (
    NOBODYS,
    BrokenHashError,
    WrongPasswordError,
    hash_password,
    verify_password,
)

PHC = hash_password("pässword of anna".encode())


def test_the_password_and_no_other():
    assert PHC.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    verify_password("pässword of anna".encode(), PHC)
    verify_password("pa\u0308ssword of anna".encode(), PHC)  # the same, typed on another keyboard
    for other in (b"password of anna", b"", "pässword of anna ".encode(), "pässword of anna".encode("latin-1")):
        with pytest.raises(WrongPasswordError) as caught:
            verify_password(other, PHC)
        assert "anna" not in str(caught.value)


def test_each_hash_has_a_salt_of_its_own():
    assert hash_password(b"the same") != hash_password(b"the same")


def test_nobodys_is_no_password_and_costs_the_same():
    assert NOBODYS.split("$")[:4] == PHC.split("$")[:4]
    assert len(NOBODYS) == len(PHC)
    with pytest.raises(WrongPasswordError):
        verify_password(b"", NOBODYS)


@pytest.mark.parametrize(
    "phc",
    [
        "",
        "pässword of anna",
        PHC.replace("argon2id", "argon2i"),
        PHC.replace("v=19", "v=16"),
        PHC.replace("m=65536", "m=9999999"),
        PHC.replace("t=3", "t=99"),
        PHC.replace("p=1", "p=4"),
        PHC.replace("m=65536", "m=1"),
        PHC.replace("t=3", "t=0"),
        PHC + "\n",
    ],
)
def test_what_is_not_calculated_lets_nobody_in(phc):
    with pytest.raises(BrokenHashError) as caught:
        verify_password("pässword of anna".encode(), phc)
    assert "pässword" not in str(caught.value)


def test_several_at_the_same_time():
    """With several lanes each, OpenSSL 4.0.3 never comes back from this."""
    threads = [threading.Thread(target=verify_password, args=("pässword of anna".encode(), PHC)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
