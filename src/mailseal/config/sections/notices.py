"""[notices]"""

from dataclasses import dataclass
from pathlib import Path

from mailseal.config import values
from mailseal.config.key import key


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """The mails that Mailseal itself writes: see notices.md."""

    folder: Path | None = key(
        values.path,
        "A folder with further languages for them, `<language>.toml` each, or with other words for a shipped one. The "
        "owner of the data folder must be able to read it.",
        example='"/etc/mailseal/notices"',
        default=None,
        default_text="none",
    )
