"""Passwords of people, as PHC strings of Argon2id (RFC 9106 §3.1): who steals one pays 64 MiB for each guess.

One lane instead of the four that RFC 9106 §4 recommends with 64 MiB and three passes, at the same cost for both sides:
OpenSSL calculates lanes by threads of one pool, and two calculations of several lanes that run at the same time wait
for each other for ever (seen with OpenSSL 4.0.3).
"""

import os
import re
import unicodedata
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mailseal.errors import PermanentError, TransientError

MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 1
_MOST_KIB, _MOST_PASSES = 256 * 1024, 10
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,2}),p=([0-9]{1,2})\$[A-Za-z0-9+/]{8,64}\$[A-Za-z0-9+/]{16,128}"
)

NOBODYS: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${'A' * 22}${'A' * 43}"
"""Of no password: looking at it takes as long as at anybody's."""


class WrongPasswordError(PermanentError):
    """It is another password."""


class BrokenHashError(TransientError):
    """What is stored is no hash that is calculated here: nobody can be let in by it until a password is set anew."""


def hash_password(password: bytes) -> str:
    """A new PHC string, with a salt of its own. The password in UTF-8; raises WrongPasswordError if it is not."""
    function = Argon2id(salt=os.urandom(16), length=32, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    return function.derive_phc_encoded(_prepared(password))


def verify_password(password: bytes, phc: str) -> None:
    """Raises WrongPasswordError, BrokenHashError. Takes a quarter of a second, in which other threads go on."""
    found = _PHC.fullmatch(phc)
    if found is None:
        raise BrokenHashError("a stored password is no PHC string of Argon2id")
    kib, passes, lanes = map(int, found.groups())
    if not (kib <= _MOST_KIB and passes <= _MOST_PASSES and lanes == LANES):
        raise BrokenHashError(f"a stored password has a cost that is not borne: m={kib},t={passes},p={lanes}")
    try:
        Argon2id.verify_phc_encoded(_prepared(password), phc)
    except InvalidKey:
        raise WrongPasswordError("the password is another") from None
    except ValueError:
        raise BrokenHashError("a stored password cannot be calculated") from None
    except MemoryError:
        raise BrokenHashError("there is not enough memory to look at a password") from None


def _prepared(password: bytes) -> bytes:
    """One form for what looks the same, whichever keyboard it comes from (RFC 8265 §4.2.2, normalisation)."""
    try:
        return unicodedata.normalize("NFC", password.decode()).encode()
    except UnicodeDecodeError:
        raise WrongPasswordError("the password is not UTF-8") from None
