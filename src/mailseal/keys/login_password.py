"""Passwords of people who hand in mail: one that nobody guesses is made, one that is too short is refused."""

import secrets

from mailseal.errors import PermanentError

LEAST_CHARS = 12
MOST_OCTETS = 1024
"""What `transport.sasl` takes."""
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 letters and digits that are not taken for one another."""
_GROUPS, _GROUP_CHARS = 5, 5
"""125 bits."""


class UnfitPasswordError(PermanentError):
    """It is not long enough, too long, or not one line of text."""


def make() -> str:
    """A new password."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS))
    return "-".join(groups)


def require_good(octets: bytes) -> None:
    """Raise UnfitPasswordError for what nobody shall have as a password."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise UnfitPasswordError("the password is not UTF-8") from None
    if len(text) < LEAST_CHARS or len(octets) > MOST_OCTETS or "\0" in text or "\n" in text:
        raise UnfitPasswordError(
            f"a password is one line of {LEAST_CHARS} characters or more ({MOST_OCTETS} octets at most)"
        )
