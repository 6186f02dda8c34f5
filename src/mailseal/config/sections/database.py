"""[database]"""

from dataclasses import dataclass
from urllib.parse import quote

from mailseal.config import values
from mailseal.config.key import key


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the store is."""

    url: str = key(
        values.database_url,
        "The database: SQLite on a single node, MariaDB (10.11 or later) by mysql://user@host:port/name. "
        "For a local socket add ?unix_socket=/path.",
        example='"mysql://mailseal@127.0.0.1:3306/mailseal"',
        default_text='"sqlite:///<data_dir>/mailseal.db"',
        below=lambda data: f"sqlite://{quote(str(data))}/mailseal.db",
    )
    password: str | None = key(
        values.secret,
        "The password of the database user. Better: `password_file`, the path of a file that holds it.",
        example='"…"',
        default=None,
        default_text="none",
        secret=True,
    )
