"""Numbers with a check in them: the validators that a pattern may name, by python-stdnum."""

import re
from collections.abc import Callable, Iterator, Mapping

from stdnum import iban, luhn
from stdnum.at import vnr as at_vnr
from stdnum.be import nn as be_nn
from stdnum.bg import egn as bg_egn
from stdnum.cz import rc as cz_rc
from stdnum.de import idnr as de_idnr
from stdnum.dk import cpr as dk_cpr
from stdnum.ee import ik as ee_ik
from stdnum.es import dni as es_dni
from stdnum.es import nie as es_nie
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.fi import hetu as fi_hetu
from stdnum.fr import nir as fr_nir
from stdnum.gb import nhs as gb_nhs
from stdnum.gr import amka as gr_amka
from stdnum.hr import oib as hr_oib
from stdnum.ie import pps as ie_pps
from stdnum.it import codicefiscale as it_cf
from stdnum.lt import asmens as lt_asmens
from stdnum.nl import bsn as nl_bsn
from stdnum.no import fodselsnummer as no_fnr
from stdnum.pl import pesel as pl_pesel
from stdnum.pt import nif as pt_nif
from stdnum.ro import cnp as ro_cnp
from stdnum.se import personnummer as se_pnr
from stdnum.us import ssn as us_ssn

Validator = Callable[[str], bool]

MAX_TOKENS = 12
"""A match may have more in it than the number: so many pieces of it are put together in all ways."""
_TOKENS = re.compile(r"[^\W_]+")
_CARD_DIGITS = range(12, 20)


def _by(module: object) -> Validator:
    def holds(text: str) -> bool:
        try:
            module.validate(text)  # type: ignore[attr-defined]  # each module of python-stdnum has one
        except ValidationError:
            return False
        except (ValueError, IndexError, KeyError, TypeError):  # a few do so for texts of another form
            return False
        return True

    return holds


def _card(text: str) -> bool:
    digits = re.sub(r"[ .-]", "", text)
    return digits.isdecimal() and len(digits) in _CARD_DIGITS and len(set(digits)) > 1 and luhn.is_valid(digits)


VALIDATORS: Mapping[str, Validator] = {
    "card": _card,
    "luhn": _by(luhn),
    "iban": _by(iban),
    "eu-vat": _by(eu_vat),
    "at-vnr": _by(at_vnr),
    "be-nn": _by(be_nn),
    "bg-egn": _by(bg_egn),
    "cz-rc": _by(cz_rc),
    "de-idnr": _by(de_idnr),
    "dk-cpr": _by(dk_cpr),
    "ee-ik": _by(ee_ik),
    "es-dni": _by(es_dni),
    "es-nie": _by(es_nie),
    "fi-hetu": _by(fi_hetu),
    "fr-nir": _by(fr_nir),
    "gb-nhs": _by(gb_nhs),
    "gr-amka": _by(gr_amka),
    "hr-oib": _by(hr_oib),
    "ie-pps": _by(ie_pps),
    "it-cf": _by(it_cf),
    "lt-asmens": _by(lt_asmens),
    "nl-bsn": _by(nl_bsn),
    "no-fnr": _by(no_fnr),
    "pl-pesel": _by(pl_pesel),
    "pt-nif": _by(pt_nif),
    "ro-cnp": _by(ro_cnp),
    "se-pnr": _by(se_pnr),
    "us-ssn": _by(us_ssn),
}


def valid_values(name: str, found: str) -> Iterator[str]:
    """The numbers that the validator takes in what an expression found: all of it, else parts from border to border.

    An expression is greedy: "4111 1111 1111 1111 2" has a card number in it, and is none.
    """
    holds = VALIDATORS[name]
    if holds(found):
        yield compact(found)
        return
    tokens = [match.span() for match in _TOKENS.finditer(found)][:MAX_TOKENS]
    first = 0
    while first < len(tokens):
        parts = ((last, found[tokens[first][0] : tokens[last - 1][1]]) for last in range(len(tokens), first, -1))
        first, part = next(((last, part) for last, part in parts if holds(part)), (first + 1, ""))
        if part:
            yield compact(part)


def compact(found: str) -> str:
    """The same number or word however it is written: no separators, any case."""
    return re.sub(r"[\s._/-]+", "", found).casefold() or found
