"""[keys]"""

from dataclasses import dataclass
from pathlib import Path

from mailseal.config import values
from mailseal.config.key import key


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What seals private keys at rest."""

    kek: tuple[Path, ...] = key(
        values.paths,
        "Key encryption keys, each a file of mode 0400. The first seals; the others still open what they sealed.",
        example='["/var/lib/mailseal/kek"]',
        default_text='["<data_dir>/kek"]',
        below=lambda data: (data / "kek",),
    )
