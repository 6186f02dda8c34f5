"""Where KEKs are: a file, a folder of them, or a credential that the service manager hands in (systemd.exec(5))."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailseal.config import values

CREDENTIAL: Final = "credential:"
MAX_PLACES: Final = 64

_NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.\-]{1,255}")


@dataclass(frozen=True, slots=True)
class KekPlace:
    """One place: the credential of this name, or a path.

    `folder`: the path is one even if nothing is there yet; what exists shows what it is. `optional`: nothing has to be
    there.
    """

    path: Path | None = None
    credential: str = ""
    folder: bool = False
    optional: bool = False

    def __str__(self) -> str:
        return f"{CREDENTIAL}{self.credential}" if self.path is None else str(self.path)


def own_places(data_dir: Path) -> tuple[KekPlace, ...]:
    """Where a node has its KEKs unless told otherwise; older ones had one, in a file."""
    return KekPlace(path=data_dir / "keks", folder=True, optional=True), KekPlace(path=data_dir / "kek", optional=True)


def kek_places(raw: object) -> tuple[KekPlace, ...]:
    """Files, folders (an ending `/` says that it is one) and `credential:NAME`."""
    found = tuple(_place(values.text(item)) for item in values.items(raw))
    if not found:
        raise values.BadValueError("must name at least one file, folder or credential")
    if len(found) > MAX_PLACES:
        raise values.BadValueError(f"must name {MAX_PLACES} places at most; a folder can hold several keys")
    return found


def _place(text: str) -> KekPlace:
    if not text.startswith(CREDENTIAL):
        return KekPlace(path=values.path(text), folder=text.endswith("/"))
    name = text.removeprefix(CREDENTIAL)
    if not _NAME.fullmatch(name):
        raise values.BadValueError(f"{name!r} is not the name of a credential: letters, digits, dot, minus, underscore")
    return KekPlace(credential=name)
