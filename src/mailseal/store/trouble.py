"""What an error of a database driver means (mta-ha, section 4): by MariaDB's number, or by SQLite's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from django.db.utils import Error, InterfaceError

from mailseal.errors import TransientError

_CONFLICT_CODES = frozenset({1020, 1205, 1213, 1412})
_LOST_CODES = frozenset({0, 1927, 2006, 2013, 2055, 4031})
_AWAY_CODES = frozenset({
    3, 1021, 1023, 1026, 1030, 1040, 1041, 1044, 1045, 1047, 1049, 1053, 1114, 1129, 1130, 1142, 1143, 1146, 1180, 1203,
    1226, 1290, 1317, 1792, 1836, 1969, 2002, 2003,
})  # fmt: skip
_BUSY_WORDS = ("is locked", "locking protocol", "database schema has changed")
_AWAY_WORDS = (
    "unable to open", "disk i/o error", "readonly database", "database or disk is full", "disk image is malformed",
    "file is not a database", "no such table", "access permission denied", "out of memory",
)  # fmt: skip


class StoreUnavailable(TransientError):  # noqa: N818 -- it names a state of the database, as RFC replies do
    """The database cannot be used now: mail is deferred, an administrator's command says so."""


class Trouble(Enum):
    """What a database error means."""

    CONFLICT = "conflict"
    LOST = "lost"
    AWAY = "away"
    BUG = "bug"


def classify(error: BaseException) -> Trouble:
    """Tell a conflict from a lost connection, a database that is away, and a mistake of ours."""
    code = error.args[0] if error.args else None
    if isinstance(code, int):
        if code in _CONFLICT_CODES:
            return Trouble.CONFLICT
        if code in _LOST_CODES:
            return Trouble.LOST
        return Trouble.AWAY if code in _AWAY_CODES else Trouble.BUG
    text = str(error).lower()
    if any(words in text for words in _BUSY_WORDS):
        return Trouble.CONFLICT
    if any(words in text for words in _AWAY_WORDS):
        return Trouble.AWAY
    return Trouble.LOST if isinstance(error, InterfaceError) else Trouble.BUG


def unavailable(error: BaseException) -> StoreUnavailable:
    """The error that the mail path sees; of the driver's text MariaDB's number alone, which may name a row."""
    code = error.args[0] if error.args else ""
    if code == 1146 or "no such table" in str(error):
        return StoreUnavailable(
            "the database has no tables of Mailseal yet (run `mailseal init`), or holds a restore or copy that was not "
            "finished (`mailseal check` says so)"
        )
    if code in (1142, 1143):
        return StoreUnavailable(
            "the database account lacks a right that this needs (for the web role: `mailseal store grants`)"
        )
    if "unable to open" in str(error):
        return StoreUnavailable("the database file cannot be opened; if there is none yet, run `mailseal init`")
    detail = f"error {code}" if isinstance(code, int) else str(error)
    return StoreUnavailable(f"the database cannot be used now ({detail})")


@contextmanager
def driver_trouble() -> Iterator[None]:
    """A driver's error that is not a mistake of ours becomes StoreUnavailable."""
    try:
        yield
    except Error as error:
        if classify(error) is Trouble.BUG:
            raise
        raise unavailable(error) from error
