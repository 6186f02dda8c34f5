"""Which of the certificates that a place gives are those of the address."""

from datetime import UTC, datetime, timedelta

import pytest

from mailseal.discover.fetch import FetchError
from mailseal.discover.search import MAX_CERTIFICATES, search
from mailseal.mail.address import Address
from mailseal.openpgp.armor import PUBLIC_KEY, write_armor
from mailseal.openpgp.generate import generate

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
JOE = Address.parse("joe@outside.example")


def certificate(*user_ids):
    return generate(user_ids, at=NOW - timedelta(days=1)).octets


HIS = certificate("Joe <Joe@outside.example>", "joe@elsewhere.example")
ANOTHERS = certificate("joe@elsewhere.example")


class Place:
    def __init__(self, answer, name="wkd"):
        self.answer, self.name, self.asked = answer, name, 0

    def keys_of(self, address):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or b""


def found(*answers):
    searched = search(JOE, [Place(one) for one in answers])
    return [one.octets for one in searched.found], searched.problems


def test_one_certificate_binary_or_armored():
    assert found(HIS) == ([HIS], ())
    armored = b"".join(bytes(piece) for piece in write_armor(PUBLIC_KEY, [HIS]))
    assert found(b"some words\n\n" + armored) == ([HIS], ())


def test_those_that_do_not_name_the_address_are_left_out():
    assert found(ANOTHERS + HIS) == ([HIS], ())
    assert found(ANOTHERS) == ([], ())


def test_a_user_id_that_its_key_has_not_signed_names_nobody():
    """A packet of a user ID put behind the other's: RFC 9580 §10.1 wants a self-signature with it."""
    text = b"Joe <joe@outside.example>"
    assert found(ANOTHERS + bytes([0xC0 | 13, len(text)]) + text) == ([], ())


def test_the_next_place_is_asked_only_where_the_first_has_none():
    first, second = Place(HIS), Place(HIS, "key server")
    assert search(JOE, [first, second]).source == "wkd"
    assert not second.asked
    assert search(JOE, [Place(None), second]).source == "key server"
    assert search(JOE, [Place(b"<html>no such thing</html>"), second]).source == "key server"


def test_a_place_that_fails_is_told_and_the_next_is_asked():
    searched = search(JOE, [Place(FetchError("no answer in time")), Place(HIS)])
    assert searched.problems == ("no answer in time",)
    assert len(searched.found) == 1
    assert found(FetchError("a"), FetchError("b")) == ([], ("a", "b"))
    assert found(None) == ([], ())
    assert found() == ([], ())


@pytest.mark.parametrize("damage", [HIS[:40], HIS[:-1], b"\x99\xff\xff", b"\xc6\xff\xff\xff\xff\xff", b"\x00" * 100])
def test_what_is_damaged_is_left_out(damage):
    octets, problems = found(damage)
    assert not problems
    assert all(HIS.startswith(one) for one in octets)  # of one that was cut off, the packets that are whole
    assert found(HIS + ANOTHERS + damage)[0][:1] == [HIS]


def test_there_is_a_bound():
    many = b"".join(certificate("joe@outside.example") for _ in range(MAX_CERTIFICATES + 5))
    assert len(found(many)[0]) == MAX_CERTIFICATES
