"""[log]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import LogFormat, LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is written to standard error. The message log is in the database."""

    level: LogLevel = key(
        values.one_of(LogLevel), "The least important event that is written.", example='"info"', default=LogLevel.INFO
    )
    format: LogFormat = key(
        values.one_of(LogFormat), "text for people, json for collectors.", example='"text"', default=LogFormat.TEXT
    )
    retention_days: int = key(
        values.whole(1, 3650), "How long rows of the message log are kept.", example="90", default=90
    )
