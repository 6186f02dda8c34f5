"""Numbers with a check: right ones, and the same with one digit changed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailseal.policy.dlp.library import starters
from mailseal.policy.dlp.numbers import is_card, is_jwt
from mailseal.policy.dlp.validators import VALIDATORS

GOOD = {
    "card": "4111 1111 1111 1111",
    "luhn": "7898",
    "iban": "DE89 3704 0044 0532 0130 00",
    "eu-vat": "DE136695976",
    "mrz": "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "at-vnr": "1237 010180",
    "au-tfn": "123 456 782",
    "be-nn": "85.07.30-033 28",
    "bg-egn": "752316 926 3",
    "ca-sin": "123-456-782",
    "ch-ahv": "756.9217.0769.85",
    "cz-rc": "710319/2745",
    "de-idnr": "36 574 261 809",
    "de-kvnr": "A123456780",
    "de-svnr": "15 070649 C 103",
    "dk-cpr": "211062-5629",
    "ee-ik": "36805280109",
    "es-dni": "54.362.315-K",
    "es-nie": "X-2482300W",
    "fi-hetu": "131052-308T",
    "fr-nir": "2 95 10 99 126 111 93",
    "gb-nhs": "943 476 5870",
    "gb-nino": "AB 12 34 56 C",
    "gr-amka": "01013099997",
    "hr-oib": "33392005961",
    "hu-taj": "111 111 110",
    "ie-pps": "6433435F",
    "is-kt": "120174-3399",
    "it-cf": "RCCMNL83S18D969H",
    "lt-asmens": "33309240064",
    "lv-pk": "161175-19997",
    "nl-bsn": "1112.22.333",
    "no-fnr": "151086 95088",
    "pl-pesel": "44051401359",
    "pt-cc": "00000000 0 ZZ4",
    "pt-nif": "501 964 843",
    "ro-cnp": "1630615123457",
    "se-pnr": "880320-0016",
    "si-emso": "0101006500006",
    "us-itin": "912-90-3456",
    "us-ssn": "536-90-4399",
}
BY_FORM = {"gb-nino", "us-itin", "us-ssn", "dk-cpr", "jwt"}
"""These have no check digit."""


def test_every_validator_has_a_good_number_and_the_library_uses_all_but_one():
    assert set(GOOD) == set(VALIDATORS)
    assert set(VALIDATORS) - {one.pattern.validator for one in starters()} == {"luhn"}


@pytest.mark.parametrize("name", GOOD)
def test_good_numbers(name):
    validator = VALIDATORS[name]
    assert validator.holds(GOOD[name])
    letters = sum(map(str.isalnum, GOOD[name]))
    assert not validator.lengths or letters in validator.lengths


@pytest.mark.parametrize("name", sorted(set(GOOD) - BY_FORM))
def test_another_check_digit_is_wrong(name):
    good = GOOD[name]
    at = {"mrz": 9, "is-kt": len(good) - 2}.get(name, max(at for at, one in enumerate(good) if one.isalnum()))
    others = [one for one in ("0123456789" if good[at].isdecimal() else "ABCDEFGHKLMN") if one != good[at]]
    wrong = [one for one in others if VALIDATORS[name].holds(good[:at] + one + good[at + 1 :])]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(VALIDATORS))
@settings(max_examples=20)
@given(text=st.text() | st.text("0123456789ABC<>-./ +", max_size=40))
def test_any_text_is_judged(name, text):
    assert VALIDATORS[name].holds(text) in (True, False)


@pytest.mark.parametrize(
    ("number", "good"),
    [
        ("4222222222222", True),
        ("378282246310005", True),
        ("30569309025904", True),
        ("6011111111111117", True),
        ("3530111333300000", True),
        ("2223003122003222", True),
        ("6759649826438453", True),
        ("5105-1051-0510-5100", True),
        ("9999999999999995", False),  # Luhn, but nobody's
        ("0000000000000000", False),
        ("41111111111111111", False),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", False),  # a table
        ("", False),
    ],
)
def test_cards(number, good):
    assert is_card(number) is good


@pytest.mark.parametrize("text", ["eyJ.a.b", "e30.a.b", "W10.a.b", "[" * 9000, "..", "\u0661.a.b"])
def test_no_token(text):
    assert not is_jwt(text)
