"""Waiting for a database that is not up yet, never for a wrong one; and who else works on the data folder."""

import logging
import select
import time

from mailseal import store
from mailseal.config import Config
from mailseal.errors import PermanentError
from mailseal.roles import listening
from mailseal.roles.child import Inheritance
from mailseal.roles.notify import notify
from mailseal.roles.process import CANNOT_WORK
from mailseal.roles.users import as_owner, make_folders
from mailseal.store import transaction
from mailseal.store.transaction import StoreUnavailable, unit_of_work

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
SAY_AGAIN_SECONDS = 30.0

logger = logging.getLogger(__name__)


class NotMigratedError(PermanentError):
    """The tables are not of this release."""

    exit_status = CANNOT_WORK
    what_to_do = "run `mailseal init`; it brings them up to date and keeps what is in them"

    def __init__(self, url: str, pending: int) -> None:
        super().__init__(f"{url}: the tables are not of this release ({pending} migrations to do)")


class SupervisorGoneError(PermanentError):
    """Nobody waits for this process any more."""


def keep_supervisors_away(config: Config) -> None:
    """For a role without a supervisor; others of its kind may be there. Raises MailsealError."""
    make_folders(config, ())
    with as_owner(config.data_dir):
        listening.share(config.run_dir / "supervisor.lock")


def wait_for_store(config: Config, inheritance: Inheritance) -> None:
    """Use the configured database, as soon as it answers and as long as the supervisor lives.

    Raises NotMigratedError and other MailsealErrors.
    """
    store.setup(config)
    pause, said_at = FIRST_PAUSE_SECONDS, float("-inf")
    while True:
        try:
            with unit_of_work():
                pending = transaction.read(store.pending_migrations)
        except StoreUnavailable as error:
            if time.monotonic() - said_at >= SAY_AGAIN_SECONDS:
                said_at = time.monotonic()
                logger.warning("waiting for the database: %s", error)
                notify(f"STATUS=waiting for the database: {error}")
            _sleep(pause, inheritance.supervisor_fd)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
            continue
        if pending:
            raise NotMigratedError(config.database.url, len(pending))
        return


def _sleep(seconds: float, supervisor_fd: int | None) -> None:
    # The pipe can be read only at its end, when the supervisor is gone.
    watched = [] if supervisor_fd is None else [supervisor_fd]
    if select.select(watched, [], [], seconds)[0]:
        raise SupervisorGoneError("the supervisor is gone")
