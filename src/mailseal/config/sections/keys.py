"""[keys]"""

from dataclasses import dataclass

from mailseal.config.kek_place import KekPlace, kek_places, own_places
from mailseal.config.key import key


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
