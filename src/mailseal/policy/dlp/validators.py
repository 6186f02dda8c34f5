"""The validators that a pattern may name: numbers with a check in them, by python-stdnum where it has them."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from stdnum import iban, luhn
from stdnum.at import vnr
from stdnum.au import tfn
from stdnum.be import nn
from stdnum.bg import egn
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cz import rc as cz_rc
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.ee import ik
from stdnum.es import dni, nie
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.gr import amka
from stdnum.hr import oib
from stdnum.ie import pps
from stdnum.is_ import kennitala
from stdnum.it import codicefiscale
from stdnum.lt import asmens
from stdnum.lv import pvn
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.pt import cc, nif
from stdnum.ro import cnp
from stdnum.se import personnummer
from stdnum.si import emso
from stdnum.us import itin, ssn

from mailseal.policy.dlp.numbers import is_card, is_jwt, is_kvnr, is_mrz, is_nino, is_svnr, is_taj


@dataclass(frozen=True, slots=True)
class Validator:
    """`holds` says whether a text is such a number. `lengths`: of its letters and digits; empty: any."""

    what: str
    holds: Callable[[str], bool]
    lengths: Collection[int] = ()


def _stdnum(what: str, module: object, *lengths: int) -> Validator:
    def holds(text: str) -> bool:
        try:
            # Some take a number with spaces and dots only without them, for some a hyphen or a plus sign tells.
            module.validate(re.sub(r"[ .]", "", text))  # type: ignore[attr-defined]  # each module of python-stdnum has one
        except ValidationError:
            return False
        except (ValueError, IndexError, KeyError, TypeError):  # a few do so for texts of another form
            return False
        return True

    return Validator(what, holds, frozenset(lengths))


VALIDATORS: Mapping[str, Validator] = {
    "card": Validator("payment card: an issuer's prefix and length, Luhn", is_card, range(12, 20)),
    "luhn": _stdnum("check digit by Luhn", luhn),
    "iban": _stdnum("IBAN (ISO 13616) with its country's form", iban, *range(15, 35)),
    "eu-vat": _stdnum("VAT number of an EU state, with its country code", eu_vat, *range(10, 15)),
    "mrz": Validator("machine-readable zone of a passport or identity card (ICAO 9303)", is_mrz),
    "jwt": Validator("JSON Web Token (RFC 7519)", is_jwt),
    "at-vnr": _stdnum("Austria: Sozialversicherungsnummer", vnr, 10),
    "au-tfn": _stdnum("Australia: Tax File Number", tfn, 8, 9),
    "be-nn": _stdnum("Belgium: rijksregisternummer", nn, 11),
    "bg-egn": _stdnum("Bulgaria: ЕГН", egn, 10),
    "ca-sin": _stdnum("Canada: Social Insurance Number", sin, 9),
    "ch-ahv": _stdnum("Switzerland: AHV-Nummer", ahv, 13),
    "cz-rc": _stdnum("Czechia and Slovakia: rodné číslo", cz_rc, 9, 10),
    "de-idnr": _stdnum("Germany: Steuer-Identifikationsnummer", idnr, 11),
    "de-svnr": Validator("Germany: Rentenversicherungsnummer", is_svnr, {12}),
    "de-kvnr": Validator("Germany: Krankenversichertennummer", is_kvnr, {10}),
    "dk-cpr": _stdnum("Denmark: CPR-nummer, by its date", cpr, 10),
    "ee-ik": _stdnum("Estonia: isikukood", ik, 11),
    "es-dni": _stdnum("Spain: DNI", dni, 9),
    "es-nie": _stdnum("Spain: NIE", nie, 9),
    "fi-hetu": _stdnum("Finland: henkilötunnus", hetu, 10, 11),
    "fr-nir": _stdnum("France: numéro de sécurité sociale (NIR) with its key", nir, 15),
    "gb-nhs": _stdnum("United Kingdom: NHS number", nhs, 10),
    "gb-nino": Validator("United Kingdom: National Insurance number, by its form", is_nino, {8, 9}),
    "gr-amka": _stdnum("Greece: AMKA", amka, 11),
    "hr-oib": _stdnum("Croatia: OIB", oib, 11),
    "hu-taj": Validator("Hungary: TAJ-szám", is_taj, {9}),
    "ie-pps": _stdnum("Ireland: PPS number", pps, 8, 9),
    "is-kt": _stdnum("Iceland: kennitala", kennitala, 10),
    "it-cf": _stdnum("Italy: codice fiscale", codicefiscale, 11, 16),
    "lt-asmens": _stdnum("Lithuania: asmens kodas", asmens, 11),
    "lv-pk": _stdnum("Latvia: personas kods", pvn, 11),
    "nl-bsn": _stdnum("Netherlands: BSN", bsn, 8, 9),
    "no-fnr": _stdnum("Norway: fødselsnummer", fodselsnummer, 11),
    "pl-pesel": _stdnum("Poland: PESEL", pesel, 11),
    "pt-cc": _stdnum("Portugal: cartão de cidadão", cc, 12),
    "pt-nif": _stdnum("Portugal: NIF", nif, 9),
    "ro-cnp": _stdnum("Romania: CNP", cnp, 13),
    "se-pnr": _stdnum("Sweden: personnummer", personnummer, 10, 12),
    "si-emso": _stdnum("Slovenia: EMŠO", emso, 13),
    "us-itin": _stdnum("United States: ITIN", itin, 9),
    "us-ssn": _stdnum("United States: SSN, by the ranges that are given out", ssn, 9),
}
"""By the name that a pattern gives. A few say by the form alone what is possible: a threshold helps there."""
