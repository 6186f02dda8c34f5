"""Names and owners of DLP patterns and groups, and where they may be assigned."""

import unicodedata

from mailseal.errors import PermanentError
from mailseal.policy.settings import Level
from mailseal.store.dlp_models import NAME_CHARS
from mailseal.store.owners import read_owner

MAX_DESCRIPTION_CHARS = 4_000


class DlpError(PermanentError):
    """What was given is no pattern, group or assignment, or cannot be done to one; the text says why."""


def read_name(text: str) -> str:
    """A name as it is kept; raises DlpError."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or len(name_key(name)) > NAME_CHARS or len(name) > NAME_CHARS or not name.isprintable():
        raise DlpError(f"a name is one line of {NAME_CHARS} characters at most")
    return name


def name_key(text: str) -> str:
    """By what names are compared: upper and lower case are the same, and so are blanks however many."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def read_description(text: str) -> str:
    """A description, of several lines if need be; raises DlpError."""
    if len(text) > MAX_DESCRIPTION_CHARS or not all(line.isprintable() for line in text.splitlines()):
        raise DlpError(f"a description has {MAX_DESCRIPTION_CHARS} characters at most, and nothing but text in it")
    return text


def read_home(text: str) -> str:
    """The domain that a pattern or group belongs to, "" for everybody's; raises DlpError, AddressError."""
    level, home = read_owner(text)
    if level not in {Level.GLOBAL, Level.DOMAIN}:
        raise DlpError("a pattern or group belongs to a domain, or to everybody")
    return home


def is_at_home(home: str, owner: str) -> bool:
    """Whether what belongs to a domain ("" everybody's) may be assigned to an owner: the domain, or an address in it.

    A domain below it may have administrators of its own, so a wildcard is no part of it.
    """
    return home in {"", owner} or owner.endswith(f"@{home}")
