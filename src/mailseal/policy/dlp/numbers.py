"""Numbers that python-stdnum does not know: payment cards (ISO/IEC 7812), travel documents (ICAO 9303), tokens.

Each takes text as it was found, with separators, and says whether it is such a number.
"""

import binascii
import json
import re
from base64 import urlsafe_b64decode

from stdnum import luhn

_SEPARATORS = re.compile(r"[ .-]+")
_MAX_PIECES = 7
"""Four groups, each torn by a line end at most; a row of single digits is a table."""
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|(?:6011|64[4-9]\d|65\d\d|62\d\d|81\d\d|82\d\d|508\d|60\d\d)\d{12,15}"  # Discover, UnionPay, RuPay
    r"|220[0-4]\d{12,15}"  # Mir
    r"|(?:50|5[6-9]|6[0-9])\d{10,17}"  # Maestro
)
_NINO = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]?")
_SVNR = re.compile(r"\d{2}(?:0[1-9]|[12]\d|3[01]|[5-8]\d)(?:0\d|1[0-2])\d{2}[A-Z]\d{3}")
_SVNR_WEIGHTS = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
_KVNR = re.compile(r"[A-Z]\d{9}")
_MRZ_PASSPORT = re.compile(r"[A-Z0-9<]{9}\d[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z0-9<]{14}[\d<]\d")
_MRZ_CARD = re.compile(r"[A-Z0-9<]{9}\d[A-Z0-9<]{15}")
_MRZ_WEIGHTS = (7, 3, 1)


def is_card(text: str) -> bool:
    """A payment card's number: an issuer's prefix and length, and Luhn (ISO/IEC 7812-1 annex B)."""
    pieces = _SEPARATORS.split(text)
    digits = "".join(pieces)
    return len(pieces) <= _MAX_PIECES and _ISSUERS.fullmatch(digits) is not None and bool(luhn.is_valid(digits))


def is_nino(text: str) -> bool:
    """A National Insurance number of the United Kingdom; it has no check digit (HMRC, NIM39110)."""
    return _NINO.fullmatch(_bare(text)) is not None


def is_svnr(text: str) -> bool:
    """An insurance number of the German pension insurance (VKVV §4): the letter counts as its place in the alphabet."""
    number = _bare(text)
    if _SVNR.fullmatch(number) is None:
        return False
    digits = f"{number[:8]}{ord(number[8]) - 64:02}{number[9:]}"
    weighed = (int(one) * weight for one, weight in zip(digits, _SVNR_WEIGHTS, strict=False))
    return sum(one // 10 + one % 10 for one in weighed) % 10 == int(digits[12])


def is_kvnr(text: str) -> bool:
    """A German health insurance number (SGB V §290): a letter as its place in the alphabet, weights 1 and 2."""
    number = _bare(text)
    if _KVNR.fullmatch(number) is None:
        return False
    digits = f"{ord(number[0]) - 64:02}{number[1:9]}"
    weighed = (int(one) * (2 if at % 2 else 1) for at, one in enumerate(digits))
    return sum(one // 10 + one % 10 for one in weighed) % 10 == int(number[9])


def is_taj(text: str) -> bool:
    """A Hungarian social security number (TAJ): nine digits, weights 3 and 7."""
    number = _bare(text)
    if len(number) != 9 or not number.isdecimal() or len(set(number)) == 1:
        return False
    return sum(int(one) * (7 if at % 2 else 3) for at, one in enumerate(number[:8])) % 10 == int(number[8])


def is_mrz(text: str) -> bool:
    """The line with the number in the machine-readable zone of a passport (TD3) or identity card (TD1)."""
    line = text.replace(" ", "").upper()
    if _MRZ_PASSPORT.fullmatch(line):
        checked = ((line[:9], line[9]), (line[13:19], line[19]), (line[21:27], line[27]))
        return all(_mrz_digit(part) == digit for part, digit in checked)
    return _MRZ_CARD.fullmatch(line) is not None and _mrz_digit(line[:9]) == line[9]


def is_jwt(text: str) -> bool:
    """A JSON Web Token (RFC 7519 §3): its first part is a JSON object with an algorithm."""
    head = text.partition(".")[0]
    try:
        fields = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and "alg" in fields


def _bare(text: str) -> str:
    return re.sub(r"[\s./-]", "", text).upper()


def _mrz_digit(part: str) -> str:
    """ICAO 9303 part 3 §4.9: 0-9, then A-Z as 10-35, the filler as 0."""
    values = (0 if one == "<" else int(one, 36) for one in part)
    return str(sum(value * _MRZ_WEIGHTS[at % 3] for at, value in enumerate(values)) % 10)
