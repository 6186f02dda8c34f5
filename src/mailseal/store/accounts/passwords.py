"""Passwords of accounts: which are refused (NIST SP 800-63B §5.1.1.2), and how they are kept (RFC 9106)."""

import re
import unicodedata
from functools import cache
from itertools import pairwise
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import CommonPasswordValidator

from mailseal.store import audit
from mailseal.store.accounts import sessions
from mailseal.store.accounts.errors import AccountError, NoAccountError
from mailseal.store.accounts.models import Account
from mailseal.store.transaction import run

MIN_CHARS = 12
MAX_CHARS = 256
MIN_DIFFERENT = 6
MIN_OWN_CHARS = 4
"""A shorter part of an address may stand in a password by chance."""
_ENDS = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_LEET = str.maketrans("013457@$!", "oieastasi")


class WeakPasswordError(AccountError):
    """It would be guessed. The text says why and does not hold it."""


def require_strong(password: str, email: str, name: str = "") -> None:
    """Raise WeakPasswordError for what is short, of few characters, well known, or made of one's own address.

    Well known are the 20,000 most frequent passwords of breaches, also with digits or signs around and in them.
    """
    text = unicodedata.normalize("NFC", password)
    if len(text) < MIN_CHARS:
        raise WeakPasswordError(f"a password has at least {MIN_CHARS} characters; a few words that nobody guesses do")
    if len(text) > MAX_CHARS:
        raise WeakPasswordError(f"a password has {MAX_CHARS} characters at most")
    lowered = text.casefold()
    if len(set(lowered)) < MIN_DIFFERENT or _is_sequence(lowered):
        raise WeakPasswordError("this password is made of too few different characters, or of a row of them")
    if not _forms(lowered).isdisjoint(_breached()):
        raise WeakPasswordError("this password is well known from breaches, or is one with something added")
    if any(own in lowered for own in _own_words(email, name)):
        raise WeakPasswordError("this password has your name or address, or Mailseal, in it")


def hashed(password: str, email: str, name: str = "") -> str:
    """What is kept of a password; raises WeakPasswordError. Takes a quarter of a second."""
    require_strong(password, email, name)
    return make_password(password)


def set_password(account_id: UUID, password: str, *, keep_session: str = "") -> None:
    """Set an account's password; raises AccountError, WeakPasswordError. Its other sessions end."""
    found = Account.objects.filter(pk=account_id).first()
    if found is None:
        raise NoAccountError("there is no such account")
    value = hashed(password, found.email, found.name)

    def work() -> None:
        Account.objects.filter(pk=account_id).update(password=value)
        sessions.end_all(account_id, but=keep_session)
        audit.record("accounts", "set-password", found.email)

    run(work)


@cache
def _breached() -> frozenset[str]:
    return frozenset(CommonPasswordValidator().passwords)


def _forms(lowered: str) -> frozenset[str]:
    """A password as such, without what stands around it, with letters for digits, and one half said twice."""
    stripped = _ENDS.sub("", lowered)
    plain = {lowered, stripped, lowered.translate(_LEET), stripped.translate(_LEET)}
    half = {one[: len(one) // 2] for one in plain if one[: len(one) // 2] * 2 == one}
    return frozenset(one for one in plain | half if one)


def _is_sequence(lowered: str) -> bool:
    """Whether all of it is runs such as abcdef and 987654, or repeats a few characters."""
    steps = [ord(after) - ord(before) for before, after in pairwise(lowered)]
    small = sum(1 for step in steps if step in (-1, 0, 1))
    return small > len(steps) * 3 // 4


def _own_words(email: str, name: str) -> frozenset[str]:
    words = re.split(r"\W+", f"{email} {name} mailseal".casefold())
    return frozenset(word for word in words if len(word) >= MIN_OWN_CHARS)
