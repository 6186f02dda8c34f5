"""[users]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key

METRICS_USER = "mailseal-metrics"
SANDBOX_USER = "mailseal-sandbox"
WEB_USER = "mailseal-web"


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who the roles run as when `mailseal serve` is started as root. Started by anybody else, all run as that user."""

    mail: str | None = key(
        values.text,
        "The user of the mail workers, who read the key encryption key, the database and the journals. Unless set: "
        "the owner of data_dir.",
        example='"mailseal"',
        default=None,
        default_text="none",
    )
    worker: str | None = key(
        values.text,
        "The user of the job worker, who reads the same. Unless set: the owner of data_dir.",
        example='"mailseal"',
        default=None,
        default_text="none",
    )
    metrics: str = key(
        values.text,
        "The user of the metrics role, who can read none of that. `mailseal init --make-users` makes it.",
        example='"mailseal-metrics"',
        default=METRICS_USER,
    )
    sandbox: str = key(
        values.text,
        "The user of the processes that read documents (DLP), who can read none of it either, and owns nothing. "
        "`mailseal init --make-users` makes it.",
        example='"mailseal-sandbox"',
        default=SANDBOX_USER,
    )
    web: str = key(
        values.text,
        "The user of the console and the API, who can open no key of mail. `mailseal init --make-users` makes it.",
        example='"mailseal-web"',
        default=WEB_USER,
    )
