"""What the web role's user gets at below the data folder: its key and certificate, and an SQLite database.

Of the database the files alone: who could make files beside it could put one in its place. SQLite makes its two others
there, and the mail workers hold them open. Standard library only.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from mailseal.config import Config
from mailseal.roles.process import Shared

DATABASE_NAME = "database"
"""The folder of a new SQLite database."""


def shared_with_web(config: Config) -> tuple[Shared, ...]:
    """The folders."""
    database = sqlite_folder(config)
    own = (Shared(config.web_dir),)
    return own if database is None or database == config.data_dir else (*own, Shared(database, written=True))


def unshared_database(config: Config) -> str:
    """What to do about an SQLite database that lies where a web role of another user cannot get at it; "" if it can."""
    if sqlite_folder(config) != config.data_dir:
        return ""
    url = f"sqlite://{config.data_dir}/{DATABASE_NAME}/mailseal.db"
    return f"stop `mailseal serve`, `mailseal store copy --to {url}`, and set database.url to that"


def sqlite_folder(config: Config) -> Path | None:
    """Where the database is; None for a server."""
    parts = urlsplit(config.database.url)
    return Path(unquote(parts.path)).parent if parts.scheme == "sqlite" else None
