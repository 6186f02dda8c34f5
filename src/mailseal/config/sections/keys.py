"""[keys]"""

from dataclasses import dataclass
from pathlib import Path

from mailseal.config import values
from mailseal.config.kek_place import KekPlace, kek_places, own_places
from mailseal.config.key import key

WEB_FOLDER, WEB_KEY = "web", "web.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What seals private keys at rest: see keys.md."""

    kek: tuple[KekPlace, ...] = key(
        kek_places,
        "Where key encryption keys are: files of mode 0400, folders of such files (`*.kek`; a path that ends with `/` "
        "is a folder), `credential:NAME` from the service manager. Which of them seals is said by the database.",
        example='["/var/lib/mailseal/keks/", "credential:kek"]',
        default_text='["<data_dir>/keks/", "<data_dir>/kek"]',
        below=own_places,
    )
    web_key: Path = key(
        values.path,
        "The key of the web role: a file that the user of the web role reads (and the owner of the data folder, for "
        "backups). The same on all nodes of a cluster. Second factors and sessions depend on it.",
        example='"/var/lib/mailseal/web/web.key"',
        default_text='"<data_dir>/web/web.key"',
        below=lambda data: data / WEB_FOLDER / WEB_KEY,
    )
